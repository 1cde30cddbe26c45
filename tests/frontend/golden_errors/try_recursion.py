from tracejit import script


def depth(n):
    if n < 0:
        raise ValueError(n)
    return 0 if n == 0 else 1 + depth(n - 2)


@script
def f(n):
    try:
        return depth(n)
    except ValueError:
        return -1


f(4)
