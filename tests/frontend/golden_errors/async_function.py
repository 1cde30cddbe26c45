import numpy as np

from tracejit import script


@script
async def f(x):
    return x
