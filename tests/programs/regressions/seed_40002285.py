"""Alias flags after returns of tuples in a branch and a loop."""

import numpy as np


def program(a, b, m, q, x, y, k):
    n, p = m.shape
    u2 = b
    if n == k:
        pass
    else:
        if n == 1:
            return (a, 0.8)
        for i11 in range(n, 1, 1):
            return (np.where(True, u2, b), y)
    return (u2[q], 1.0)


SEED = 40002285
GRADIENT = False
