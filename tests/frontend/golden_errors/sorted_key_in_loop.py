from tracejit import script


@script
def f(n):
    items = [i * 3 % 5 for i in range(n)]
    return sorted(items, key=lambda v: -v)


f(4)
