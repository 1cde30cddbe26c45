from tracejit import script


@script
def f(n):
    seen = {1, 2}
    seen.add(n)
    return len(seen)


f(3)
