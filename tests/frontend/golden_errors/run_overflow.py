import numpy as np

from tracejit import script


@script
def f(n):
    product = 1
    for i in range(1, n):
        product *= i
    return product


f(50)
