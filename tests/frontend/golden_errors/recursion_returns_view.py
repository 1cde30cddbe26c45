import numpy as np

from tracejit import script


@script
def rotated(a):
    if len(a) < 2:
        return a
    return np.concatenate((rotated(a[1:]), a[:1]))


@script
def changed(a):
    made = rotated(a)
    made[0] = 7.0
    return made


changed(np.arange(4.0))
