"""What a loop wrote stays where a helper then always raises."""


def helper1(v, z=0.5, j0=2):
    c3 += 1


def program(a, b, m, q, x, y, k):
    n, p = m.shape
    if not (b > x).all():
        return 4
    for i7 in range(n):
        b[:i7] = 1.0
    else:
        pass
    return helper1(1.0, z=1.0)


SEED = 40002835
GRADIENT = False
