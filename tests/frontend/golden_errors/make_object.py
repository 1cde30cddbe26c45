from collections import deque

from tracejit import script


@script
def f(x):
    items = deque([x])
    return items[0]


f(1.0)
