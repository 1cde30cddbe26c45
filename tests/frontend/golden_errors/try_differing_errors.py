from tracejit import script


@script
def f(items, n):
    try:
        return items[n] // n
    except (IndexError, ZeroDivisionError) as e:
        raise e


f([1, 2], 1)
