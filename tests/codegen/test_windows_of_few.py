"""Reductions over windows of a known few elements, as of pooling: the lanes of vectors are windows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.sources import defined
from tests.threads import each_number_of_threads

SHAPES = [(0, 4, 4), (1, 2, 2), (3, 4, 6), (2, 34, 66), (5, 8, 128), (40, 32, 32)]
DTYPES = ["float64", "float32", "float16", "int8", "int32", "bool", "complex64"]


def blocks(x: Any) -> Any:
    n, h, w = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2)


@tj.script
def greatest(x: Any) -> Any:
    return blocks(x).max((2, 4)), blocks(x + x).min((2, 4))


@tj.script
def sums(x: Any) -> Any:
    y = blocks(x)
    return y.sum((2, 4)), y.prod(4), y.mean((2, 4)), y.sum(4) * 2


@tj.script
def logic(x: Any) -> Any:
    y = blocks(x)
    return y.any((2, 4)), y.all(4)


@tj.script
def spread(x: Any) -> Any:
    return blocks(x).var((2, 4)), blocks(x).sum(axis=(0, 2, 4))


@tj.script
def centred(x: Any) -> Any:
    y = blocks(x)
    return y - y.mean((2, 4), keepdims=True)


@tj.script
def shares(x: Any) -> Any:
    """Three folds, one after the other, and what is made of every element."""
    y = x.reshape(-1, 4)
    e = np.exp(y - y.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True), y * 2 - y.min(1, keepdims=True), y.sum(1)


@tj.script
def pooled(x: Any) -> Any:
    return (blocks(x).max((2, 4)) ** 2).sum() + (blocks(x).mean((2, 4)) ** 3).sum()


@tj.script
def pooled_in_place(x: Any) -> None:
    y = x.reshape(-1, 5)
    y -= y.mean(1, keepdims=True)


@tj.script
def rows(x: Any) -> Any:
    y = x.reshape(-1, 3)
    return y.max(1), np.sqrt((y * y).sum(1)), (y * y).sum(1, keepdims=True)


def made(rng: np.random.Generator, shape: Any, dtype: str) -> Any:
    if dtype == "complex64":
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
    return (rng.normal(size=shape) * 5).astype(dtype) if dtype != "bool" else rng.integers(0, 2, shape).astype(bool)


def compare(found: Any, expected: Any, dtype: str) -> None:
    tolerance = {"float16": 2e-2, "float32": 1e-5, "complex64": 1e-5}.get(dtype, 1e-12)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * 10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_windows(shape: tuple[int, ...], dtype: str) -> None:
    x = made(np.random.default_rng(0), shape, dtype)
    functions = [sums, logic]
    functions += [greatest] if dtype != "complex64" else []
    functions += [spread, centred] if dtype in ("float64", "float32") else []
    for view in (x, x[::-1], np.asfortranarray(x), x[:, ::-1, ::-1]):
        for function in functions:
            with each_number_of_threads(1, 3) as counts:
                for _ in counts:
                    compare(_several(function(view)), _several(function.__wrapped__(view)), dtype)


def _several(x: Any) -> tuple[Any, ...]:
    return x if isinstance(x, tuple) else (x,)


@pytest.mark.parametrize("count", [0, 3, 6, 45, 48, 51, 99, 30_000])
def test_rows_of_three(count: int) -> None:
    x = np.random.default_rng(0).normal(size=count)
    compare(rows(x), rows.__wrapped__(x), "float64")


@tj.script
def without_elements(a: Any) -> Any:
    b = a[:, 1::9]
    return np.any(b, 1), b.prod(1), b.sum(1), b * b.sum(1, keepdims=True)


def test_windows_without_elements() -> None:
    """A size is known to be 0 where an argument has an axis of size 1."""
    for shape in ((3, 1), (0, 1), (40, 1), (3, 30)):
        a = np.ones(shape)
        compare(without_elements(a), without_elements.__wrapped__(a), "float64")


@pytest.mark.parametrize("count", [4, 5, 6, 7, 8, 45])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "bool"])
def test_means_of_bytes(count: int, dtype: str) -> None:
    for width in range(2, 9):
        x = np.random.default_rng(0).integers(0, 2, (count, width)).astype(dtype)
        names = defined(f"def mean(x): return x.reshape(-1, {width}).mean(1)", f"mean_{width}_{dtype}_{count}.py")
        compare((tj.script(names["mean"])(x.ravel()),), (x.mean(1),), "float64")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 33, 64, 1000])
def test_every_element_of_a_window(count: int, dtype: str) -> None:
    x = np.random.default_rng(count).normal(size=count * 4).astype(dtype)
    with each_number_of_threads(1, 3) as counts:
        for _ in counts:
            compare(shares(x), shares.__wrapped__(x), dtype)
    x = np.random.default_rng(count).normal(size=count * 5).astype(dtype)
    mine, theirs = x.copy(), x.copy()
    pooled_in_place(mine)
    pooled_in_place.__wrapped__(theirs)
    compare((mine,), (theirs,), dtype)


def test_derivative_of_pooling() -> None:
    rng = np.random.default_rng(0)
    x = rng.permutation(2 * 6 * 34).reshape(2, 6, 34) / 100.0
    found = tj.grad(pooled)(x)
    for place in [(0, 0, 0), (1, 5, 33), (0, 3, 16), *map(tuple, np.argwhere(x > 3.9)[:5])]:
        step = np.zeros_like(x)
        step[place] = 1e-6
        slope = (pooled.__wrapped__(x + step) - pooled.__wrapped__(x - step)) / 2e-6
        np.testing.assert_allclose(found[place], slope, rtol=1e-6, atol=1e-6)


def test_nan_and_signed_zeros() -> None:
    """A NaN in a window is its extremum; a sum of -0 starts from 0, as all sums do."""
    x = np.zeros((1, 4, 64), np.float32)
    x[0, 1, ::3] = np.nan
    x[0, 2:] = -0.0
    for found, expected in zip(greatest(x), greatest.__wrapped__(x), strict=True):
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    assert not np.signbit(sums(x)[0][0, 1]).any()


@tj.script
def regrouped(x: Any, y: Any) -> Any:
    """Axes of an array in C order are others without a division."""
    return x.reshape(y.shape) * y, (x + 1).reshape(-1, y.shape[0]) * 2


def test_other_axes_of_the_same_elements() -> None:
    rng = np.random.default_rng(0)
    for have, want in (((6, 4), (3, 8)), ((2, 3, 4), (24,)), ((24,), (4, 3, 2)), ((1, 24), (2, 12)), ((0, 3), (3, 0))):
        x, y = rng.normal(size=have), rng.normal(size=want)
        for view in (x, x[::-1], np.asfortranarray(x)):
            for found, expected in zip(regrouped(view, y), regrouped.__wrapped__(view, y), strict=True):
                np.testing.assert_array_equal(found, expected, strict=True)
