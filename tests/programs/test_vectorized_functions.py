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


@case((A(6),), (A(2, 3),), (2.5,), (0.25,))
def floats_of_python_and_of_numpy_meet(x):
    def clipped(v):
        if v > 0.5:
            return v * v
        return 0.0

    return np.vectorize(clipped)(x)


@case((A(6), 2.0), (A(2, 3), A(3)), (np.arange(3), 2))
def several_results(x, k):
    low, high = np.vectorize(lambda v, w: (min(v, w), v > w))(x, k)
    return low, high, np.vectorize(lambda v: (v, v * 2), otypes=[float, np.float32])(x)


powers = np.vectorize(lambda x, n, shift=0: x**n + shift, excluded={"shift"})


@case((A(6),), (A(2, 3),))
def by_name_and_excluded(x):
    horner = np.vectorize(lambda p, x, scale: (p[0] * x + p[1]) * scale, excluded=["p", 0])
    return horner([1.0, 2.0], x, scale=3), powers(x, n=2, shift=1), powers(x, 2), np.vectorize(powers.pyfunc)(x, n=x)


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
        (lambda v: v * 0.5 if v > 1 else v > 0, "depends on the first element"),
    ],
)
def test_results_of_no_one_dtype_are_refused(fn, message) -> None:
    with pytest.raises(ScriptError, match=message):
        script(lambda x: np.vectorize(fn)(x))(A(3))
