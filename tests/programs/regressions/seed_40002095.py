"""Alias flags of views after a return inside a loop."""


def program(a, b, m, q, x, y, k):
    n, p = m.shape
    t1 = False
    u2 = b
    u2[:1] += u2
    if k != t1:
        for i10 in range(n):
            return (1.0, u2, m)
    return (y, b, m)


SEED = 40002095
GRADIENT = False
