import numpy as np

from tracejit import script


@script
def f(x):
    assert x > 0, f"x must be positive, got {x}"
    return x


f(-1.5)
