"""Found by fuzzing: a size that one branch knows by another name only"""

import math

import numpy as np


def bound(v):
    return v * v


def program(a, b, m, q, x, y, k):
    n, p = m.shape
    s1 = n
    u2 = b
    if np.sum(b) > 0.5:
        for i4 in range(n, 1, 2):
            u2[a > s1] = x
    elif u2[n] > 0.0:
        s1 = min(math.exp(s1), (m @ b).max())
    else:
        mask6 = a > 1.25
        u2[mask6] = bound(a[mask6])
        view7 = u2
        view7[:] = bound(min(x, (m @ u2).max()))
    a[0], a[1] = (u2.mean(), s1)
    return np.sum(a)


SEED = 9560001
GRADIENT = True
