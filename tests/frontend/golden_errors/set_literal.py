import numpy as np

from tracejit import script


@script
def f(x):
    return {1, 2, x}


f(3)
