from dataclasses import dataclass

from tracejit import script


@dataclass
class Point:
    x: float


@script
def f(first, x):
    chosen = first
    if x > 0:
        chosen = Point(2.0)
    chosen.x = 5.0
    return first.x


f(Point(1.0), 1.0)
