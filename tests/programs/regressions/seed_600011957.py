"""Names that are one memory for sure, whose sizes have different names."""


def program(a, b, m, q, x, y, k):
    n, p = m.shape
    u2 = b
    for i5 in range(1, n):
        a, u2 = (u2, a)
        b = u2
    for i6 in range(0, n, 2):
        mask8 = u2 > a
        u2[mask8] = u2
    return b


SEED = 600011957
GRADIENT = False
