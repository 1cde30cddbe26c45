import numpy as np

from tracejit import script


@script
def f(x):
    np.save("x.npy", x)
    return x


f(np.ones(3))
