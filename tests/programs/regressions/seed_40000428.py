"""A name bound in a loop stays an argument where the loop runs no times."""


def program(a, b, m, q, x, y, k):
    n, p = m.shape
    for i3 in range(0, n, 2):
        x = q[1]
    return x


SEED = 40000428
GRADIENT = False
