import numpy as np

from tracejit import script


@script
def f(x):
    d = {"a": x}
    if x > 0:
        d["b"] = (x, x)
    return d["a"]


f(1.0)
