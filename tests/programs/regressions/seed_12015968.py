"""Found by fuzzing: compiled ShapeMismatch: lt: operands __ and __ differ in shape."""

import numpy as np


def bound(v):
    return 1.0


def helper1(c, z, j0=2, left=2):
    mask2 = c < (bound(helper1(c, z, 1, left)) if left > 0 else z)
    c[mask2] = c


def program(a, b, m, q, x, y, k):
    n, p = m.shape
    for i3 in range(n):
        if (b > a).any():
            a[0], a[0] = np.tanh(helper1(b, x))
        else:
            a, b = (b, a)
    else:
        pass


SEED = 12015968
GRADIENT = False
