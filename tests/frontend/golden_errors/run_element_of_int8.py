import numpy as np

from tracejit import script


@script
def f(a, v):
    a[0] = v


f(np.zeros(3, dtype=np.int8), 300)
