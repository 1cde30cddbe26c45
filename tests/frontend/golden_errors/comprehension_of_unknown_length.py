import numpy as np

from tracejit import script


@script
def f(n):
    return [i * 2 for i in range(n)]


f(3)
