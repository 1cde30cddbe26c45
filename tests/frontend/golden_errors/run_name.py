import numpy as np

from tracejit import script


@script
def f(x):
    return x + offset


f(1.0)
