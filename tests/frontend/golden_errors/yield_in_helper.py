from tracejit import script


def helper(x):
    yield 1 + (yield x)


@script
def f(x):
    return sum(helper(x))


f(1.0)
