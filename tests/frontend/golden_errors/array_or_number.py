import numpy as np

from tracejit import script


@script
def f(a, x):
    if x > 0:
        y = a
    else:
        y = x
    return y + 1


f(np.ones(3), 1.0)
