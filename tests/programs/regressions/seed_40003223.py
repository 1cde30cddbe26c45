"""A return inside a loop behind a condition that always raises."""


def program(a, b, m, q, x, y, k):
    n, p = m.shape
    s2 = a
    if s2 > 9.0:
        raise "too large"
    for i6 in range(n, 1, 1):
        return 1.0
    return 1.0


SEED = 40003223
GRADIENT = True
