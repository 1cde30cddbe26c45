import numpy as np

from tracejit import script


@script
def f(x):
    if x > 2:
        raise ValueError("too large")
    return x


f(3.0)
