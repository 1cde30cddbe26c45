import numpy as np

from tracejit import script


@script
def f(a):
    return a + 1


f(np.array([None, "text"]))
