import numpy as np

from tracejit import script


@script
def f(x):
    return {"a": x}["b"]


f(1.0)
