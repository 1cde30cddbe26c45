"""Loops over elements that call functions run in vectors; what a function may refuse is looked at first."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.programs.compare import check
from tests.threads import each_number_of_threads
from tracejit.scripted import script

pytestmark = pytest.mark.compiled


def of_an_array(x, y):
    for i in range(len(x)):
        y[i] = np.tanh(x[i]) + np.exp(-x[i] * x[i])


def rows(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[j] = np.tanh(y[j] * 0.5 + x[i, j])


def chosen(x, y):
    for i in range(len(x)):
        t = x[i]
        if t > 0.5:
            t = np.sin(t)
        y[i] = t


def roots(x, y):
    for i in range(len(x)):
        y[i] = math.sqrt(x[i])


def in_place(x, y):
    for i in range(len(x)):
        x[i] = math.log(x[i]) + y[i]


def two_functions(x, y):
    for i in range(len(x)):
        y[i] = math.exp(x[i]) + math.sqrt(4.0 - x[i])


def halves(x, y):
    for i in range(1, len(x)):
        y[i - 1] = math.sqrt(x[i]) / 2


def squares(x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            y[i, j] = math.sqrt(x[i, j])


def gathered(x, places, y):
    for i in range(len(places)):
        y[i] = np.exp(-x[places[i]])


def says_no(x, y):
    for i in range(len(x)):
        if x[i] < 0.0:
            raise ValueError(f"a negative number at {i}")
        y[i] = np.sqrt(x[i])


def neighbours(x, y):
    for i in range(1, len(x)):
        x[i] = math.sqrt(x[i] + x[i - 1])


def _in_lanes(scripted) -> bool:
    return "lanes = True" in scripted.ir("after:independent")


@pytest.mark.parametrize("program", [of_an_array, chosen])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_numbers(program, dtype) -> None:
    scripted = script(program)
    for size in (0, 1, 2, 17, 300):
        x = np.random.default_rng(size).standard_normal(size).astype(dtype)
        check(program, x, x * 0, scripted=scripted, tolerance=1e-6 if dtype == np.float32 else 1e-14)
    assert _in_lanes(scripted)


@pytest.mark.parametrize("width", [2, 3, 4, 5, 40])
def test_short_rows_in_a_loop(width) -> None:
    scripted = script(rows)
    x = np.random.default_rng(width).standard_normal((7, width))
    check(rows, x, x[0] * 0, scripted=scripted, tolerance=1e-14)
    assert "repeated = True" in scripted.ir("after:independent")


@pytest.mark.parametrize("program", [roots, in_place, two_functions, halves, says_no])
def test_the_first_refused_number_ends_the_loop(program) -> None:
    scripted = script(program)
    x = np.random.default_rng(0).random(50)
    check(program, x, x * 0, scripted=scripted, tolerance=1e-14)
    assert _in_lanes(scripted)
    for bad in (-1.0, math.inf, math.nan, 710.0):
        for places in ((0,), (49,), (30, 7)):
            y = x.copy()
            y[list(places)] = bad
            check(program, y, x * 0, scripted=scripted, tolerance=1e-14)


@pytest.mark.parametrize("program", [roots, in_place, halves, says_no])
def test_numbers_and_indices_fail_in_order(program) -> None:
    scripted = script(program)
    for length in (0, 1, 5, 6, 7, 20):
        x = np.random.default_rng(0).random(20)
        x[6] = -1.0
        check(program, x, np.zeros(length), scripted=scripted, tolerance=1e-14)


def test_rows_of_refused_numbers() -> None:
    scripted = script(squares)
    for bad in (None, (0, 0), (2, 6), (4, 39)):
        x = np.random.default_rng(0).random((5, 40))
        if bad is not None:
            x[bad] = -0.5
        check(squares, x, x * 0, scripted=scripted, tolerance=1e-14)
        check(squares, x[:, :3], x[:, :3] * 0, scripted=scripted, tolerance=1e-14)
    check(squares, np.ones((3, 5)), np.ones((2, 5)), scripted=scripted)
    check(squares, np.ones((3, 5)), np.ones((3, 4)), scripted=scripted)
    assert _in_lanes(scripted)


def test_indices_that_are_read() -> None:
    scripted = script(gathered)
    for bad in (0, 9, 10, -10, -11):
        x = np.random.default_rng(0).random(10)
        places = np.array([3, 1, 4, 1, 5, bad, 2, 6, 5, 3])
        check(gathered, x, places, x * 0, scripted=scripted, tolerance=1e-14)
    assert _in_lanes(scripted)


def test_a_loop_that_reads_what_it_wrote_runs_in_order() -> None:
    scripted = script(neighbours)
    x = np.random.default_rng(0).random(30)
    check(neighbours, x, x, scripted=scripted, tolerance=1e-14)
    x[9] = -20.0
    check(neighbours, x, x, scripted=scripted, tolerance=1e-14)
    assert not _in_lanes(scripted)


def test_threads_do_not_change_bits() -> None:
    scripted = script(two_functions)
    x = np.random.default_rng(0).random(40_000)
    scripted(x[:3], np.zeros(3))
    found = []
    with each_number_of_threads(1, 2, 5) as counts:
        for _ in counts:
            y = np.zeros(len(x))
            scripted(x, y)
            found.append(y.tobytes())
    assert found[0] == found[1] == found[2]


def exponentials(x, y):
    for i in range(len(x)):
        y[i] = math.exp(x[i])


def of_sizes(x, y):
    for i in range(len(x)):
        y[i] = math.sinh(x[i]) + math.cosh(-x[i])


def powers_of_two(x, y):
    for i in range(len(x)):
        y[i] = math.exp2(x[i])


@pytest.mark.skipif(not hasattr(math, "exp2"), reason="Python 3.11")
@pytest.mark.parametrize(
    "program, largest",
    [(exponentials, 709.782712893384), (of_sizes, 710.4758600739439), (powers_of_two, 1023.9999999999999)],
)
def test_results_are_finite_up_to_the_largest_argument(program, largest) -> None:
    scripted = script(program)
    for x in (largest / 2, math.nextafter(largest, math.inf), -largest, -2.0 * largest, math.inf, -math.inf, math.nan):
        check(program, np.full(3, x), np.zeros(3), scripted=scripted, tolerance=1e-13)
    y = np.zeros(3)
    scripted(np.full(3, largest / (2 if program is of_sizes else 1)), y)
    assert np.isfinite(y).all()
