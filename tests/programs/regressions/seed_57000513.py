"""Arrays that a loop runs over change places in it."""


def program(a, b, m, q, x, y, k):
    for v7, v9 in zip(a, b):
        a, b = (b, a)


SEED = 57000513
GRADIENT = False
