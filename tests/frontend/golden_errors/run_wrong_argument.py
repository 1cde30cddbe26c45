import numpy as np

from tracejit import script


def helper(x, y):
    return x + y


@script
def f(x):
    return helper(x, 1, 2)


f(1.0)
