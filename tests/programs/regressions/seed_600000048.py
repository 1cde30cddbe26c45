"""A result that is set on some paths of one branch, where the other branch always raises."""


def helper1(c, z=0.5, j0=2, left=2):
    if 0.0 < 1 <= c:
        if z > 0.5:
            return z
    else:
        c[1] *= x


def program(a, b, m, q, x, y, k):
    return helper1(b, z=x)


SEED = 600000048
GRADIENT = False
