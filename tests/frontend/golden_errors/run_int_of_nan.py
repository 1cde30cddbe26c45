import numpy as np

from tracejit import script


@script
def f(x):
    return int(x)


f(float("nan"))
