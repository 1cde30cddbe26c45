import numpy as np

from tracejit import script


@script
def f(x):
    label = f"value {x}"
    return label


f(1.0)
