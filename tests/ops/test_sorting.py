"""Sorting and what is made of it, compared with NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ops.function_cases import check

RNG = np.random.default_rng(4)
X = RNG.integers(-5, 6, size=(4, 7)).astype("float64")
WITH_NAN = np.array([3.0, np.nan, 1.0, np.nan, 2.0])


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_sorting(axis: int | None) -> None:
    check("numpy sort", np.sort(X, axis), X, axis)
    check("numpy argsort", np.argsort(X, axis, kind="stable"), X, axis)
    check("function sort", -np.sort(-X, axis), X, axis, descending=True)
    check("numpy median", np.median(X, axis), X, axis)
    check("numpy median", np.median(X, axis, keepdims=True), X, axis, keepdims=True)


def test_nan_comes_last() -> None:
    check("numpy sort", np.sort(WITH_NAN), WITH_NAN)
    check("numpy median", np.asarray(np.nan), WITH_NAN)


def test_topk_gives_values_and_places() -> None:
    order = np.argsort(-X, axis=1, kind="stable")[:, :3]
    check("function topk", (np.take_along_axis(X, order, 1), order), X, 3)
    order = np.argsort(X, axis=0, kind="stable")[:2]
    check("method topk", (np.take_along_axis(X, order, 0), order), X, 2, dim=0, largest=False)


def test_places() -> None:
    x = np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 3.0]])
    check("numpy nonzero", np.nonzero(x), x)
    check("numpy flatnonzero", np.flatnonzero(x), x)
    check("numpy argwhere", np.argwhere(x), x)
    check("numpy nonzero", np.nonzero(x[0]), x[0])


@pytest.mark.parametrize(
    "x", [X, WITH_NAN, np.array([], "float64"), np.array([2, 2, 1]), np.array([True, False, True])]
)
def test_unique(x: np.ndarray) -> None:
    check("numpy unique", np.unique(x), x)


@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(side: str) -> None:
    line = np.sort(X[0])
    for values in (X[1], np.array([-99.0, 99.0]), X):
        check("numpy searchsorted", np.searchsorted(line, values, side), line, values, side)
    check("numpy searchsorted", np.searchsorted(line[:0], X[1], side), line[:0], X[1], side)


def test_counting() -> None:
    x = np.array([1, 4, 1, 0])
    check("numpy bincount", np.bincount(x), x)
    check("numpy bincount", np.bincount(x, X[0, :4], 9), x, X[0, :4], 9)
    check("numpy isin", np.isin(X, np.array([1.0, 2.0])), X, np.array([1.0, 2.0]))


def test_covariance() -> None:
    check("numpy cov", np.cov(X), X)
    check("numpy cov", np.cov(X, rowvar=False), X, rowvar=False)
