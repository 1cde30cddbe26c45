"""Alias flags made inside a branch whose other side returns."""

import numpy as np


def program(a, b, m, q, x, y, k):
    n, p = m.shape
    s1 = 0.25 * y
    if s1 >= 1:
        for i5 in range(0, n, 2):
            return (1.0, np.zeros(n), m)
    else:
        pass
    return (1.0, b, m)


SEED = 40000467
GRADIENT = False
