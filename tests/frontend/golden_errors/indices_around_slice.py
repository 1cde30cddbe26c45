import numpy as np

from tracejit import script


@script
def f(a, i):
    return a[i, :, i]


f(np.ones((3, 3, 3)), np.array([0, 1]))
