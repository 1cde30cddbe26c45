import numpy as np

from tracejit import script


@script
def f(n, k):
    total = 0
    for i in range(0, n, k):
        total += i
    return total


f(3, 0)
