import numpy as np

from tracejit import script


@script
def f(x):
    x = eval("x + 1")
    return x


f(np.ones(3))
