import numpy as np

from tracejit import script


@script
def f(a):
    if a > 0:
        return 1
    return 0


f(np.ones(3))
