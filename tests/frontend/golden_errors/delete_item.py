import numpy as np

from tracejit import script


@script
def f(a):
    d = {"a": 1.0}
    del d["a"]
    return d


f(np.ones(3))
