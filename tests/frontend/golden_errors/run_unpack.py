import numpy as np

from tracejit import script


@script
def f(a):
    x, y = a
    return x + y


f(np.ones(3))
