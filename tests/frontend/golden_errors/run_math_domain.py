import numpy as np

from tracejit import script


import math


@script
def f(x):
    return math.sqrt(x)


f(-1.0)
