import numpy as np

from tracejit import script


@script
def f(n):
    items = [0.0]
    for i in range(n):
        items.append(i * 0.5)
    return items


f(3)
