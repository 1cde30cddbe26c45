import numpy as np

from tracejit import script


@script
def f(x):
    return round(x, 2)


f(1.234)
