from tracejit import script


@script
def f(x):
    @property
    def g(y):
        return y

    return g(x)


f(1.0)
