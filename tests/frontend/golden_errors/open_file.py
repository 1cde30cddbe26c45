import numpy as np

from tracejit import script


@script
def f(x):
    with open("log") as log:
        log.write("called")
    return x


f(1.0)
