import numpy as np

from tracejit import script


@script
def f(a):
    return [*a]


f(np.ones(3))
