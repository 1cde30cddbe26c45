import numpy as np

from tracejit import script


@script
def f(x):
    g = lambda y: y  # noqa: E731
    if g:
        return x
    return -x


f(1.0)
