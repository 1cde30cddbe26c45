import numpy as np

from tracejit import script


@script
def f(k):
    match k:
        case 0:
            return 1
        case _:
            return 2
