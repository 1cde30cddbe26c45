import numpy as np

from tracejit import script


@script
def f(a, n):
    total = 0.0
    for i in range(n):
        total = total + a
    return total


f(np.ones(3), 2)
