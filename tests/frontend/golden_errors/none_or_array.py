import numpy as np

from tracejit import script


@script
def f(a, x):
    found = None
    if x > 0:
        found = a
    return found + 1


f(np.ones(3), 1.0)
