import numpy as np

from tracejit import script


@script
def f(n):
    return np.zeros(n)


f(-1)
