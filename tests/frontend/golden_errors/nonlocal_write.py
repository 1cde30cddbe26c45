import numpy as np

from tracejit import script


@script
def f(x):
    total = 0.0

    def add(v):
        nonlocal total
        total += v

    add(x)
    return total
