import numpy as np

from tracejit import script


@script
def f(a, x):
    if x > 0:
        b = a
    else:
        b = a[0]
    return b * 2


f(np.ones((3, 4)), 1.0)
