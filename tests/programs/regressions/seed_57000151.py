"""A function that calls itself gets an array whose size was found equal to another."""

import numpy as np


def helper1(c, z, j0=2, left=2):
    n = c.shape[0]
    c = np.maximum(c, 1.0)
    return helper1(c[1:], 1.0, 3, 1) if n > 2 else 1.25


def program(a, b, m, q, x, y, k):
    s2 = b @ a
    m[:] = helper1(a, a)
    return m.sum()


SEED = 57000151
GRADIENT = True
