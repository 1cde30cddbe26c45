import numpy as np

from tracejit import script


@script
def factorial(n):
    if n < 2:
        return 1
    return n * factorial(n - 1)


factorial(5)
