"""Sorting and what is made of it, compared with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
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
    check("method topk", (np.take_along_axis(X, order, 0), order), X, 2, axis=0, largest=False)


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
def test_searchsorted(side: Any) -> None:
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


KINDS = ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint8", "bool")


def lines(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Elements that occur several times, with nan, infinities and both zeros, and the extremes of integers."""
    rng = np.random.default_rng(len(dtype) + sum(shape))
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.startswith("float"):
        some = np.concatenate([rng.normal(size=20), [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-7, -1e-7]])
    else:
        limits = np.iinfo(dtype)
        some = np.array([limits.min, limits.max, 0, 1, limits.max - 1, *rng.integers(0, 100, 20)], dtype)
    return rng.choice(some, shape).astype(dtype)


@pytest.mark.parametrize("dtype", KINDS)
def test_lines_of_any_length_keep_the_order_of_equal_elements(dtype: str) -> None:
    for shape, axis in (((64,), 0), ((65,), 0), ((700,), 0), ((3, 90), 1), ((90, 3), 0), ((2, 66, 2), 1)):
        x = lines(dtype, shape)
        check("numpy argsort", np.argsort(x, axis, kind="stable"), x, axis)
        size = x.shape[axis]
        backward = size - 1 - np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
        check("function argsort", backward, x, axis, descending=True)
        check("numpy sort", np.sort(x, axis), x, axis)
        check("function sort", np.flip(np.sort(x, axis), axis), x, axis, descending=True)


@tj.script
def sorted_elements(x: Any) -> Any:
    return np.sort(x)


def test_nan_of_either_sign_come_last_and_both_zeros_stay() -> None:
    for size in (5, 100):
        x = np.resize(np.array([1.0, -np.nan, 0.0, -0.0, np.nan, -np.inf]), size)
        found = sorted_elements(x)
        np.testing.assert_array_equal(found, np.sort(x))
        assert np.signbit(found[found == 0]).sum() == np.signbit(x[x == 0]).sum()


@pytest.mark.compiled
def test_elements_are_ordered_without_their_places() -> None:
    sorted_elements(np.zeros(3))
    assert "argsort" not in sorted_elements.ir()


def test_numbers_that_differ_in_few_bytes_are_ordered() -> None:
    for x in (np.arange(300)[::-1] << 40, np.full(300, 7), np.repeat([5, 3], 200)):
        check("numpy argsort", np.argsort(x, kind="stable"), x)


@pytest.mark.parametrize("side", ["left", "right"])
def test_searching_many_values_and_nan(side: Any) -> None:
    for size in (1, 2, 3, 31, 32, 33, 1000):
        for dtype in ("float64", "float32", "int64", "int8"):
            line = np.sort(lines(dtype, (size,)))
            values = lines(dtype, (70,))
            check("numpy searchsorted", np.searchsorted(line, values, side), line, values, side)
