"""np.vectorize against NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.programs.cases import A, Cases, Program, run
from tracejit import ScriptError, script

case = Cases()


@np.vectorize
def stepped(a):
    return a + 1 if a > 1 else a - 1


faded = np.vectorize(lambda a, k: math.exp(a) / k if a < k else 0, otypes=[float])


@case((A(6),), (A(2, 3)[:, ::-1],), (np.zeros(0),))
def made_inside(x):
    def bent(a):
        return a * 2 if a > 2 else -a

    greater = np.vectorize(lambda a, b: max(a, b) + 1)
    return np.vectorize(bent)(x), greater(x, 2.0), greater(x[..., None], x), greater(1, 2)


@case((A(2, 3),), (np.arange(4),), (np.arange(6, dtype=np.float32),), ([1, 2, 3],), (3.5,))
def made_outside(x):
    return stepped(x)


@case((A(6), 3), (np.arange(6).reshape(2, 3), 2.5), (np.zeros(0), 3))
def with_the_dtype_of_results(x, k):
    return faded(x, k), np.vectorize(lambda v: v * 1.9, otypes="l")(x)


@case((np.arange(4),), (np.arange(4) - 1,))
def the_first_element_is_asked_twice(x):
    def checked(v):
        print("at", v)
        if v < 0:
            raise ValueError(f"{v} is negative")
        return v > 1

    return np.vectorize(checked)(x)


@case((np.arange(4),), (np.arange(4) + 3,))
def elements_are_numbers_of_python(x):
    return np.vectorize(lambda v: 1 / (v - 2))(x)


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_against_numpy(fn: Program, calls: tuple[tuple[object, ...], ...]) -> None:
    run(fn, calls)


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda v: 0 if v < 1 else v * 0.5, "depends on the first element"),
        (lambda v: (v, v), "several values"),
    ],
)
def test_results_of_no_one_dtype_are_refused(fn, message) -> None:
    with pytest.raises(ScriptError, match=message):
        script(lambda x: np.vectorize(fn)(x))(A(3))
