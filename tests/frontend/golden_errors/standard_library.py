import statistics

import numpy as np

from tracejit import script


@script
def f(x):
    y = x * 2
    return y + statistics.mean([1.0, 2.0])


f(np.zeros(3))
