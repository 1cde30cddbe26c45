"""Found by fuzzing: crash KeyError: _ in storage.py:<genexpr>."""

import math
import numpy as np


def program(a, b, m, q, x, y, k):
    n, p = m.shape
    for i1 in range(n, 1, 1):
        a, b = (b, a)
    m[m > b] = 0.5


SEED = 18827536
GRADIENT = True
