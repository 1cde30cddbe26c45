"""What was written stays where an unknown name then raises."""


def program(a, b, m, q, x, y, k):
    n, p = m.shape
    t2 = n
    if (b > t2).all():
        return 1.0
    pass
    b[1:] = 1.0
    return u3


SEED = 40004293
GRADIENT = False
