import numpy as np

from tracejit import script


import os


@script
def f(x):
    os.remove("data")
    return x


f(1.0)
