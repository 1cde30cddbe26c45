from tracejit import script


class Point:
    __match_args__ = ("x",)


@script
def f(p):
    match p:
        case Point(1.0):
            return 1
    return 2


f(Point())
