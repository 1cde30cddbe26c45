from tracejit import script


@script
def f(n):
    items = [1, 2, 3]
    for i in range(n):
        del items[0:1]
    return items


f(2)
