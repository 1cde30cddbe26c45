"""The sizes of an array that one branch leaves, where the other always raises, are those it had."""

import numpy as np


def helper1(c, z=0.5, j0=2):
    n = c.shape[0]
    for i2 in range(n):
        if 0 <= i2 < n:
            c = np.minimum(c, 1.25)
        else:
            c[i2] += x
        z = c[c > 2.0]
    else:
        pass


def program(a, b, m, q, x, y, k):
    s5 = helper1(b, z=y)


SEED = 600011115
GRADIENT = True
