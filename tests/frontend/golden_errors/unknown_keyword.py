import numpy as np

from tracejit import script


@script
def f(a):
    return np.exp(a, order="F")


f(np.ones(3))
