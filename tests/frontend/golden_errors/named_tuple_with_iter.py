from typing import NamedTuple

import tracejit as tj


class Turned(NamedTuple):
    x: float
    y: float

    def __iter__(self):
        return iter([self.y, self.x])


@tj.script
def f(a, b):
    x, y = Turned(a, b)
    return x - y


f(1.0, 2.0)
