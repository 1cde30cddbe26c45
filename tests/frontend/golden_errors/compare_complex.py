import numpy as np

from tracejit import script


@script
def f(z):
    return z < 1j


f(2j)
