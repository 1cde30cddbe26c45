import numpy as np

from tracejit import script


@script
def f(a, i):
    a[0] = 7.0
    return a[i] * 2


f(np.ones(3), 5)
