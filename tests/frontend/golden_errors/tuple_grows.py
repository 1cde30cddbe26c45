import numpy as np

from tracejit import script


@script
def f(n):
    items = ("first", 0)
    for i in range(n):
        items = items + (i,)
    return items


f(3)
