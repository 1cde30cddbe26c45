import numpy as np

from tracejit import script


@script
def f(x):
    return np.no_such_function(x)


f(1.0)
