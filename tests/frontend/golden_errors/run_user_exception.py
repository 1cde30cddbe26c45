import numpy as np

from tracejit import script


class TooHot(Exception):
    pass


@script
def f(x):
    if x > 2:
        raise TooHot(f"{x} degrees")
    return x


f(3.0)
