"""Statistics of arrays with nan, of nan alone, and of no elements; dtypes and kinds of their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.programs.compare import check

ARRAYS = {
    "none": np.zeros(0),
    "no rows": np.zeros((0, 3)),
    "nan": np.array([np.nan, np.nan]),
    "some": np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]]),
    "float32": np.array([1, np.nan, 3.5], np.float32),
    "ints": np.array([3, 1, 2]),
}


def middles(a: Any) -> Any:
    return np.median(a), np.median(a, axis=0), np.nanmedian(a), np.nanmedian(a, axis=0)


def spreads(a: Any) -> Any:
    return np.nanvar(a), np.nanvar(a, axis=0), np.nanstd(a), np.nanstd(a, axis=0, ddof=1)


def fractions(a: Any) -> Any:
    return np.nanquantile(a, 0.3), np.nanquantile(a, 0.5, axis=0, keepdims=True), np.nanpercentile(a, 40)


def extremes(a: Any) -> Any:
    return np.nanmax(a), np.nanmin(a), np.nanmax(a, axis=0), np.nanmin(a, axis=0, keepdims=True)


def quantile(a: Any) -> Any:
    return np.quantile(a, 0.3)


def counted(a: Any) -> Any:
    return np.histogram(a, 4)


@pytest.mark.parametrize("program", [middles, spreads, fractions, extremes, quantile, counted])
@pytest.mark.parametrize("name", ARRAYS)
def test_statistics(program: Callable[..., Any], name: str) -> None:
    check(program, ARRAYS[name])


def of_several(a: Any) -> Any:
    return np.nanquantile(a, [0.3, 0.5]), np.nanpercentile(a, [30, 50], axis=0), np.nanquantile(a, np.array([0.5]))


def test_several_fractions() -> None:
    check(of_several, ARRAYS["some"])
    check(of_several, ARRAYS["ints"])


def of_chosen(a: Any, low: float) -> Any:
    return np.median(a[a > low]), np.mean(a[a > low])


@pytest.mark.parametrize("low", [0.0, 9.0])
def test_median_of_a_number_of_elements_known_at_run_time(low: float) -> None:
    check(of_chosen, np.array([1.0, 5.0, 2.0, 8.0]), low)


def compared(a: Any) -> Any:
    return max(a), min(a)


@pytest.mark.parametrize("values", [[1.0, np.nan, 3.5], [np.nan, 1.0], [2.0, 1.0], [np.nan]])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_extremes_as_python_compares(values: list[float], dtype: str) -> None:
    check(compared, np.array(values, dtype))


def covariances(a: Any) -> Any:
    return np.cov(a), np.corrcoef(a, a[::-1])


def test_covariances_are_in_64_bits() -> None:
    check(covariances, np.array([1, 4, 2], np.float32))


def largest_of_each(x: Any, n: int) -> Any:
    for _ in range(n):
        v = x + 1
        if np.max(v) < 1:
            break
    return v


def largest_in_turn(x: Any, n: int) -> Any:
    total = 0.0
    for i in range(n):
        for j in range(i + 1):
            v = x * j
            total += v.max()
        total += v.sum()
    return total, v


def rows_before_the_largest(x: Any, n: int) -> Any:
    while n > 0:
        rows = []
        for k in range(n):
            rows.append(x[:k])
        n -= len(rows)
        print(x.max())
    return rows


@pytest.mark.parametrize("n", [0, 2])
@pytest.mark.parametrize("program", [largest_of_each, largest_in_turn, rows_before_the_largest])
def test_what_a_body_binds_that_never_ends(program: Callable[..., Any], n: int) -> None:
    check(program, np.zeros((0, 0)), n)
    check(program, np.ones((2, 3)), n)
