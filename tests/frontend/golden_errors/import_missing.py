import numpy as np

from tracejit import script


@script
def f(x):
    import no_such_module

    return x


f(1.0)
