import numpy as np

from tracejit import script


@script
def f(x):
    if x > 0:
        word = "positive"
    else:
        word = "negative"
    return word


f(1.0)
