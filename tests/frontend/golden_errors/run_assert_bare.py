import numpy as np

from tracejit import script


@script
def f(x):
    assert x > 0
    return x


f(-1.5)
