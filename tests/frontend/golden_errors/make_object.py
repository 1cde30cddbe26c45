import numpy as np

from tracejit import script


class Thing:
    def __init__(self, value):
        self.value = value


@script
def f(x):
    return Thing(x)


f(1.0)
