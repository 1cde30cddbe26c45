import numpy as np

from tracejit import script


@script
def safe_divide(x, y):
    try:
        return x / y
    except ZeroDivisionError:
        return 0.0
