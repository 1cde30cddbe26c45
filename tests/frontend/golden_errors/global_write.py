import numpy as np

from tracejit import script


@script
def f(x):
    global counter
    counter = 1
    return x
