import numpy as np

from tracejit import script


@script
def f(n):
    items = [1.0, 2.0, 3.0]
    items[n] = 0.0
    return items[0]


f(1)
