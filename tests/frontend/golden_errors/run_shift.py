import numpy as np

from tracejit import script


@script
def f(n, k):
    return n << k


f(1, -1)
