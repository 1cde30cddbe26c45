import numpy as np

from tracejit import script


@script
def f(x):
    if x > 0:
        raise x
    return x


f(1.0)
