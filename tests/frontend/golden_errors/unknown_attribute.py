import numpy as np

from tracejit import script


@script
def f(a):
    return a.ctypes


f(np.ones(3))
