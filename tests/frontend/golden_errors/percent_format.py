import numpy as np

from tracejit import script


@script
def f(x):
    print("%d items" % x)


f(3)
