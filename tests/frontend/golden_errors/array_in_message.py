import numpy as np

from tracejit import script


@script
def f(a):
    assert a.sum() > 0, f"bad array {a}"
    return a


f(np.ones(3))
