import numpy as np

from tracejit import script


@script
def f(a):
    a[0] = 1.0


a = np.ones(3)
a.flags.writeable = False
f(a)
