from tracejit import script


@script(static=("axis",))
def f(x):
    return x
