import numpy as np

from tracejit import script


@script
def f(x):
    return {v * 2 for v in (1, 2, 3)}
