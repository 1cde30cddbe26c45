import numpy as np

from tracejit import script


@script
def f(x):
    if x > 0:
        d = {"a": x}
    else:
        d = [x]
    return d


f(1.0)
