import numpy as np

from tracejit import script


def helper(x):
    try:
        return 1 / x
    finally:
        pass


@script
def f(x):
    return helper(x) + 1


f(1.0)
