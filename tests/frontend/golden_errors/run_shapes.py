import numpy as np

from tracejit import script


@script
def f(a, b):
    a[0] = 7.0
    return a + b


f(np.ones(3), np.ones(4))
