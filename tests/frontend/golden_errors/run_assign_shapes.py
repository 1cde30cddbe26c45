import numpy as np

from tracejit import script


@script
def f(a, b):
    a[1:] = b


f(np.ones(3), np.ones(4))
