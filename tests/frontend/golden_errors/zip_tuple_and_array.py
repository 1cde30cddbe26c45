import numpy as np

from tracejit import script


@script
def f(a):
    total = 0.0
    for w, v in zip((1.0, 2.0), a):
        total += w * v
    return total


f(np.ones(3))
