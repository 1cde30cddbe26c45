import numpy as np

from tracejit import script


@script
def f(a):
    a += 0.5


f(np.ones(3, dtype=np.int64))
