from tracejit import script


@script(fast=True)
def f(x):
    return x
