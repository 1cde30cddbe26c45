from tracejit import script


@script
def f(x):
    return len(f"value {x}")


f(1.0)
