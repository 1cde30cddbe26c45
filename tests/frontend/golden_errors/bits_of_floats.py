import numpy as np

from tracejit import script


@script
def f(x, y):
    return x & y


f(1.0, 2)
