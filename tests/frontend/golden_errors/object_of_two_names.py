from tracejit import script


class Point:
    def __init__(self, x):
        self.x = x


@script
def f(x):
    first = Point(x)
    chosen = first
    if x > 0:
        chosen = Point(2.0)
    chosen.x = 5.0
    return first.x


f(1.0)
