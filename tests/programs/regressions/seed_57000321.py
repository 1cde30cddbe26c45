"""A write of the whole of an array where another name may be the same array, of another size."""


def program(a, b, m, q, x, y, k):
    w3 = a
    b = a if 3 != k else b
    w3[:] = x
    b[a < 0.8] *= 0.5


SEED = 57000321
GRADIENT = False
