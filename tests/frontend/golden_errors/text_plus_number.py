import numpy as np

from tracejit import script


@script
def f(x):
    return x + "1"


f(1.0)
