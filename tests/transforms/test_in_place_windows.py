"""Results that kernels write into arrays which they read elsewhere: as plain Python, without arrays of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads
from tests.transforms import random_in_place


def steps_in_time(u: Any, c: Any) -> None:
    for t in range(len(u) - 1):
        u[t + 1, 1:-1] = u[t, 1:-1] + c * (u[t, 2:] - 2 * u[t, 1:-1] + u[t, :-2])


def waves(u: Any, c: Any) -> None:
    for t in range(1, len(u) - 1):
        u[t + 1, 1:-1, 1:-1] = (
            2 * u[t, 1:-1, 1:-1]
            - u[t - 1, 1:-1, 1:-1]
            + c * (u[t, 2:, 1:-1] + u[t, :-2, 1:-1] + u[t, 1:-1, 2:] + u[t, 1:-1, :-2] - 4 * u[t, 1:-1, 1:-1])
        )


def fields(e: Any, c: Any) -> None:
    for t in range(len(e) - 1):
        e[t + 1, 0, :-1] = e[t, 0, :-1] + c * (e[t, 1, 1:] - e[t, 1, :-1])
        e[t + 1, 1, 1:-1] = e[t, 1, 1:-1] + c * (e[t + 1, 0, 1:-1] - e[t + 1, 0, :-2])


def states(h: Any, c: Any) -> None:
    for t in range(1, len(h)):
        h[t] = np.tanh(h[t - 1] * c)


def backwards(h: Any, c: Any) -> None:
    for t in range(len(h) - 2, -1, -1):
        h[t] += c * h[t + 1]


def eliminated(a: Any, c: Any) -> None:
    n = a.shape[0]
    for k in range(n - 1):
        a[k + 1 :, k] /= a[k, k] + c + 9
        a[k + 1 :, k + 1 :] -= a[k + 1 :, k : k + 1] * a[k : k + 1, k + 1 :]


def rows_eliminated(a: Any, c: Any) -> None:
    for k in range(len(a)):
        for i in range(k + 1, len(a)):
            a[i] -= a[k] * (c * a[i, k])


def columns_orthogonal(q: Any, c: Any) -> None:
    for j in range(q.shape[1]):
        for k in range(j):
            q[:, j] -= c * (q[:, k] * q[:, j]).max() * q[:, k]


def halves(x: Any, c: Any) -> None:
    n = len(x) // 2
    x[:n] += c * x[n : 2 * n]


def in_a_branch(u: Any, c: Any) -> None:
    for t in range(len(u)):
        if t > 1:
            u[t, 1:] = u[t - 2, :-1] * c


APART = (
    (steps_in_time, (6, 70)),
    (waves, (5, 9, 8)),
    (fields, (5, 2, 40)),
    (states, (6, 5)),
    (backwards, (6, 5)),
    (eliminated, (20, 20)),
    (rows_eliminated, (7, 9)),
    (columns_orthogonal, (9, 7)),
    (halves, (100,)),
    (in_a_branch, (6, 20)),
)


@pytest.mark.parametrize(("fn", "shape"), APART, ids=[fn.__name__ for fn, _ in APART])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_nothing_is_made_aside(fn: Any, shape: tuple[int, ...], dtype: str) -> None:
    if fn is columns_orthogonal and dtype == "complex128":
        pytest.skip("complex numbers have no order")
    start = np.random.default_rng(5).uniform(0.1, 1, shape).astype(dtype)
    expected = start.copy()
    fn(expected, 0.25)
    compiled = tj.script(fn)
    with each_number_of_threads(1, 3) as counts:
        for _ in counts:
            found = start.copy()
            compiled(found, 0.25)
            np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert "0 array(s) allocated" in compiled.explain()


def shifted(x: Any, c: Any) -> None:
    x[1:] = x[:-1] * c


def mirrored(x: Any, c: Any) -> None:
    x[:] = x[::-1] * c + x


def other_row(u: Any, rows: Any) -> None:
    for t in range(len(rows)):
        u[t] += u[rows[t]] * 2


def next_rows(u: Any, c: Any) -> None:
    u[1:] += c * u[:-1]


def every_second(u: Any, c: Any) -> None:
    n = u.shape[1] // 2
    for i in range(len(u)):
        u[i, n : 2 * n] = u[i, : 2 * n : 2] * c


@pytest.mark.parametrize(
    ("fn", "start", "given"),
    [
        (shifted, np.arange(50.0), 3.0),
        (mirrored, np.arange(50.0), 3.0),
        (other_row, np.arange(20.0).reshape(4, 5), np.array([2, 1, 2, 0])),
        (next_rows, np.arange(600.0).reshape(30, 20), 0.5),
        (every_second, np.arange(8000.0).reshape(2, 4000), 3.0),
    ],
)
def test_what_may_meet_is_made_aside(fn: Any, start: Any, given: Any) -> None:
    expected, found = start.copy(), start.copy()
    fn(expected, given)
    compiled = tj.script(fn)
    compiled(found, given)
    np.testing.assert_array_equal(found, expected)
    assert "1 array(s) allocated" in compiled.explain()


def two_windows_at_once(a: Any) -> None:
    for t in range(a.shape[0] - 1):
        for s in range(0, a.shape[1], 2):
            a[s + 1, s:-1:2], a[t + 1, t + 1 :: 2] = a[0, s + 1 :: 2] + a[0, s : s + 1], a[s + 2, s : s + 1] * 2


@pytest.mark.parametrize("shape", [(6, 6), (2, 3)])
def test_kernels_wait_for_the_sizes_of_the_views_that_they_take_in(shape: tuple[int, ...]) -> None:
    expected, found = np.ones(shape), np.ones(shape)
    for fn, a in ((two_windows_at_once, expected), (tj.script(two_windows_at_once), found)):
        with pytest.raises(IndexError):
            fn(a)
    np.testing.assert_array_equal(found, expected)


def outcome(fn: Any, start: Any) -> tuple[Any, str]:
    """What a call leaves of an array, and what it raises."""
    a = start.copy()
    try:
        fn(a, 0.25)
    except (ValueError, IndexError) as error:
        return a, str(error)
    return a, ""


@pytest.mark.parametrize(("fn", "shape"), APART, ids=[fn.__name__ for fn, _ in APART])
def test_sizes_at_the_ends(fn: Any, shape: tuple[int, ...]) -> None:
    compiled = tj.script(fn)
    for smaller in range(4):
        sizes = tuple(min(n, smaller) for n in shape)
        start = np.random.default_rng(1).uniform(0.1, 1, sizes)
        (expected, error), (found, raised) = outcome(fn, start), outcome(compiled, start)
        assert raised == error, sizes
        np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("seed", range(60))
def test_random_functions(seed: int) -> None:
    random_in_place.check(seed)
