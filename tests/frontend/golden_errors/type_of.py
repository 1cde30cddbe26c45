import numpy as np

from tracejit import script


@script
def f(x):
    return type(x) is float


f(1.0)
