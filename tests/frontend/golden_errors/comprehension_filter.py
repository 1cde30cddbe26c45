import numpy as np

from tracejit import script


@script
def f(x):
    return [v for v in (1.0, 2.0, 3.0) if v > x]


f(1.5)
