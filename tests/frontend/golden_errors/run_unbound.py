import numpy as np

from tracejit import script


@script
def f(x):
    if x > 0:
        y = x
    return y + 1


f(-1.0)
