from tracejit import script


class Listed:
    def __init__(self, known):
        known.append(self)


@script
def f(n):
    known = []
    for _ in range(n):
        Listed(known)
    return len(known)


f(3)
