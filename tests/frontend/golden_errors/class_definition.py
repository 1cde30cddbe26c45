from tracejit import script


@script
def f(x):
    class Pair:
        def total(self):
            return x

    return Pair().total()


f(1.0)
