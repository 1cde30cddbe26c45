import numpy as np

from tracejit import script


@script
def squares(n):
    for i in range(n):
        yield i * i
