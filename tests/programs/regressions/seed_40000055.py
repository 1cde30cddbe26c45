"""A residual whose size is a result of the branch that is taken, and not made in the other."""


def bound(v):
    return v * v


def program(a, b, m, q, x, y, k):
    n, p = m.shape
    u1 = b
    w2 = a
    if 0.5 < 1.0 <= u1[u1 > x]:
        return 0.25
    for i6 in range(n, 1, 1):
        u1, a, b = (a, b, u1)
    if True:
        a += bound(u1)
    else:

        def f10(v):
            return u1

    return w2.sum()


SEED = 40000055
GRADIENT = True
