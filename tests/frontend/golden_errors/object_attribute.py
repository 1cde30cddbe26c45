from tracejit import script


class Counter:
    def __init__(self, n):
        self.seen = {"start": n, 3: [n]}


@script
def f(n):
    counters = [Counter(i) for i in range(n)]
    return len(counters)


f(3)
