import numpy as np

from tracejit import script


@script
def f(a, x):
    if x > 0:
        return a
    return a.shape[0], x


f(np.ones(3), 1.0)
