from tracejit import script


def counter():
    total = 0.0

    @script
    def add(v):
        nonlocal total
        total += v
        return total

    return add


counter()(1.0)
