from tracejit import script


def depth(n):
    return 0 if n == 0 else 1 + depth(n - 2)


@script
def f(n):
    try:
        return depth(n)
    except RecursionError:
        return -1


f(4)
