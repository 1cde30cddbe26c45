from typing import NamedTuple

import tracejit as tj


class Place(NamedTuple):
    x: float
    y: float

    def __eq__(self, other):
        return self.x == other.x

    def __hash__(self):
        return hash(self.x)


@tj.script
def f(a, b):
    found = {Place(a, b): 1}
    return found[Place(a, 0.0)]


f(1.0, 2.0)
