import numpy as np

from tracejit import script


@script
def f(x):
    class Pair:
        pass

    return x
