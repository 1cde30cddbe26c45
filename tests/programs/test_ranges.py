"""Ranges that are chosen by the path taken, their parts and slices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

X = np.arange(9.0)


def by_sign(x: Any, n: int) -> Any:
    """The numbers of either direction, and what a range is made of."""
    if x[0] + n > 0:
        r = range(1, n * 2)
    else:
        r = range(-n, -2, -1)
    s = 0.0
    for i in r:
        s = s * 2 + x[i]
    return s, len(r), r[0], r[-1], list(r), r.start, r.stop, r.step, 2 in r


def changed_on_one_path(x: Any, n: int) -> Any:
    r = range(abs(n))
    if x[1] * n > 0:
        r = range(1, n * 2)
    s = 0.0
    for i in r:
        for j in r:
            s = s * 0.5 + x[i] * x[j]
    return s


def or_an_error(x: Any, n: int) -> Any:
    if x[1] * n > 0:
        r = range(1, n * 2)
    else:
        raise ValueError("no")
    s = 0.0
    for i in r:
        s += x[i]
    return s, len(r)


def or_unbound(x: Any, n: int) -> Any:
    """A range with a step that is no number where it is unbound."""
    if x[1] * n > 0:
        r = range(0, 8, n)
    s = 0.0
    if n > 2:
        for i in r:  # pyright: ignore[reportPossiblyUnboundVariable]
            s += x[i]
    return s


def of_a_function(x: Any, n: int) -> Any:
    def pick() -> range:
        if x[1] * n > 0:
            return range(n)
        return range(-n, 9)

    s = 0.0
    for i in pick():
        s = 2 * s + x[i]
    for i in range(n) if x[2] * n > 0 else range(-n, -1, -2):
        s = 3 * s + x[i]
    return s


def returned(x: Any, n: int) -> Any:
    r = range(n)
    if x[1] * n < 0:
        r = range(0, n, -2)
    return r


def diagonals(x: Any, chosen: bool) -> Any:
    """A range chosen in a loop, by a flag, with bounds of the loop."""
    out = np.zeros(x.size)
    for g in range(-3, 4):
        if chosen:
            rows = range(0, min(x.size, x.size - g))
        else:
            rows = range(-g, min(x.size, x.size - g))
        for i in rows:
            out[i] += x[i + g]
    return out


def parts(x: Any, n: int) -> Any:
    r = range(1, 9)[n:]
    q = range(8, n, -2)[::2]
    return list(r), len(r), r[-1], list(q), [x[i] for i in range(9)[-2:]], range(n, 9)[:3].start


CASES = [
    *((fn, (X, n)) for fn in (by_sign, changed_on_one_path, or_an_error, or_unbound, of_a_function) for n in (3, -3)),
    *((returned, (X, n)) for n in (3, -3)),
    *((diagonals, (X, chosen)) for chosen in (True, False)),
    *((parts, (X, n)) for n in (0, 2, -3)),
]


@pytest.mark.parametrize(("fn", "args"), CASES)
def test_ranges(fn: Any, args: Any) -> None:
    check(fn, *args)


@pytest.mark.compiled
def test_a_range_that_a_loop_changes_is_refused() -> None:
    def carried(x: Any, n: int) -> Any:
        s, r = 0.0, range(1)
        for k in range(n):
            for i in r:
                s += x[i]
            r = range(k, n)
        return s

    with pytest.raises(tj.ScriptError, match="'r' is a range before the loop and a range after an iteration"):
        tj.script(carried)(X, 3)


def test_arrays_of_ranges() -> None:
    def made(n: int, u: Any) -> Any:
        u[:] = range(n, n + 2)
        rows = np.array([range(3), range(n, n + 3)])
        return (
            np.array(range(5)),
            np.array(range(n), dtype=float),
            np.array(range(1, n, 2), np.int8),
            rows,
            np.sum(range(n)),
            u,
        )

    check(made, 4, np.zeros(2, np.uint8))
    check(lambda n: np.array(range(1, n), np.uint8), 300)
    check(lambda n: np.uint8([1, n]), 300)
