"""A branch inside a branch, behind a condition that always raises."""


def program(a, b, m, q, x, y, k):
    if b > 9.0:
        raise "too large"
    if True:
        if k == 0:
            return a
    else:
        pass
    return b


SEED = 40001247
GRADIENT = False
