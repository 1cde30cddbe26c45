import numpy as np

from tracejit import script


@script
def f(x):
    @abs
    def g(y):
        return y

    return g(x)


f(1.0)
