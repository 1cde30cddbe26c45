"""Errors say what Python says in the version that runs: programs show the text of what they caught."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.programs.compare import observe
from tracejit.scripted import script


def divisions(x, n):
    if n == 0:
        return 1 // n
    if n == 1:
        return 1 % (n - 1)
    if n == 2:
        return 1 / (n - 2)
    if n == 3:
        return x // 0.0
    if n == 4:
        return x % (x - x)
    if n == 5:
        return x / (x - x)
    if n == 6:
        return (x - x) ** (2 - n)
    if n == 7:
        return (n - 7) ** -1
    return 0


def roots(x, n):
    return math.sqrt(-x) if n == 0 else math.sqrt(-1 - n)


def logarithms(x, n):
    return math.log(-x) if n == 0 else math.log2(-n) if n == 1 else math.log10(x - x) if n == 2 else math.log1p(-x)


def arcs(x, n):
    return math.acos(2 + x) if n == 0 else math.asin(-x - 1) if n == 1 else math.acosh(-x) if n == 2 else math.atanh(x)


def waves(x, n):
    return math.sin(x * math.inf) if n == 0 else math.gamma(-n) if n == 1 else math.lgamma(1 - n)


def unpacked(x, n):
    made = [x] * n
    a, b = made
    return a + b


def unpacked_known(x, n):
    if n == 0:
        a, b = (x, x, x)
    elif n == 1:
        a, b = [x]
    elif n == 2:
        a, b = {1: x, 2: x, 3: x}
    else:
        a, b = np.zeros(n)
    return a + b


PROGRAMS = (divisions, roots, logarithms, arcs, waves, unpacked, unpacked_known)


@pytest.mark.parametrize("fn", PROGRAMS)
@pytest.mark.parametrize("n", range(8))
def test_it_is_what_python_says(fn, n):
    def shown(x, n):
        try:
            return fn(x, n)
        except ZeroDivisionError as e:
            print(e)
            return -1.0
        except ValueError as e:
            print(e)
            return -2.0

    assert observe(script(shown), (1.5, n)).output == observe(shown, (1.5, n)).output
    plain, compiled = (observe(f, (1.5, n)).error for f in (fn, script(fn)))
    assert (type(plain), str(plain)) == (type(compiled), str(compiled))
