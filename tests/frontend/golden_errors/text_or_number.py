import numpy as np

from tracejit import script


@script
def f(x):
    if x > 0:
        word = "positive"
    else:
        word = 0
    return word


f(1.0)
