import numpy as np

from tracejit import script


@script
def f(a):
    total = 0.0
    for w, v in zip((a, 2 * a), a):
        total += w.sum() * v
    return total


f(np.ones(3))
