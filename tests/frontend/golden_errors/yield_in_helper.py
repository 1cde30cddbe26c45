import numpy as np

from tracejit import script


def helper(x):
    got = yield x
    yield got


@script
def f(x):
    return sum(helper(x))


f(1.0)
