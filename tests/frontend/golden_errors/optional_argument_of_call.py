import numpy as np

from tracejit import script


def first(a, limit):
    for i in range(len(a)):
        if a[i] > limit:
            return i
    return None


@script
def f(a, limit):
    return a[first(a, limit)]


f(np.ones(3), 0.5)
