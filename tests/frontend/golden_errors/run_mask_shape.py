import numpy as np

from tracejit import script


@script
def f(a, m):
    return a[m]


f(np.ones(3), np.ones(4, dtype=bool))
