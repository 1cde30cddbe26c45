import numpy as np

from tracejit import script


@script
def f(a):
    try:
        return np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return np.zeros_like(a)


f(np.eye(2))
