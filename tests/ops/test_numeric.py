"""NumPy's smaller functions, compared with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.ops.function_cases import check

RNG = np.random.default_rng(6)
X = RNG.normal(size=(4, 5))
V = RNG.normal(size=(6,))
HOLES = np.where(X > 0.8, np.nan, X)


def test_rounding() -> None:
    for decimals in (0, 2, -1):
        check("numpy round", np.round(X * 30, decimals), X * 30, decimals)
    check("numpy round", np.array([1, 2]), np.array([1, 2]), 2)
    check("numpy fix", np.trunc(X), X)


@pytest.mark.parametrize("name", ["fmin", "fmax"])
def test_extrema_that_ignore_nan(name: str) -> None:
    check(f"numpy {name}", getattr(np, name)(HOLES, X[0]), HOLES, X[0])


def test_sinc_and_angle() -> None:
    x = np.array([0.0, 0.5, -1.25])
    check("numpy sinc", np.sinc(x), x)
    check("numpy angle", np.angle(x + 1j), x + 1j)


@pytest.mark.parametrize("other", [X, X + 1, X[:, :4], X[0], X.astype("float32")])
def test_array_equal(other: Any) -> None:
    check("numpy array_equal", np.asarray(np.array_equal(X, other)), X, other)


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_statistics(axis: Any) -> None:
    check("numpy ptp", np.ptp(X, axis), X, axis)
    check("numpy average", np.average(X, axis), X, axis)
    weights = np.abs(X) if axis is None else np.arange(1.0, 1 + X.shape[axis])
    check("numpy average", np.average(X, axis, weights), X, axis, weights)
    for name in ("nansum", "nanprod", "nanmax", "nanmin", "nanmean"):
        check(f"numpy {name}", getattr(np, name)(HOLES, axis), HOLES, axis)
    for q in (0.0, 0.3, 1.0):
        check("numpy quantile", np.quantile(X, q, axis), X, q, axis)
    check("numpy percentile", np.percentile(X, 25, axis, keepdims=True), X, 25, axis, keepdims=True)


@pytest.mark.parametrize("bins", [1, 4, 10])
@pytest.mark.parametrize("limits", [(None, None), (-1.0, 1.0)])
def test_histogram(bins: int, limits: Any) -> None:
    first, last = limits
    given = limits if first is not None else None
    check("numpy histogram", np.histogram(X, bins, given), X, bins, first, last)
    check("numpy histogram", np.histogram(X, bins, given, weights=X), X, bins, first, last, weights=X)
    check("numpy histogram", np.histogram(X, bins, given, density=True), X, bins, first, last, True)


def test_histogram_of_equal_elements_and_of_integers() -> None:
    check("numpy histogram", np.histogram(np.ones(3)), np.ones(3))
    whole = np.array([1, 2, 2, 7])
    check("numpy histogram", np.histogram(whole, 3), whole, 3)


def test_digitize_and_interp() -> None:
    bounds = np.array([-1.0, 0.0, 0.5])
    for right in (False, True):
        check("numpy digitize", np.digitize(V, bounds, right), V, bounds, right)
    places, heights = np.array([-1.0, 0.0, 1.0]), np.array([2.0, 0.0, 5.0])
    check("numpy interp", np.interp(V, places, heights), V, places, heights)
    check("numpy interp", np.interp(places, places, heights), places, places, heights)


def test_lines() -> None:
    check("numpy trapezoid", np.trapezoid(X, axis=0), X, axis=0)
    check("numpy trapezoid", np.trapezoid(X, dx=0.5), X, dx=0.5)
    steps = np.sort(V[:5])
    check("numpy trapezoid", np.trapezoid(X, steps), X, steps)
    for mode in ("full", "same", "valid"):
        check("numpy convolve", np.convolve(V, X[0, :3], mode), V, X[0, :3], mode)
    check("numpy gradient", np.gradient(V), V)
    check("numpy gradient", np.gradient(X, 0.5, axis=0), X, 0.5, axis=0)


def test_turning() -> None:
    check("numpy flipud", np.flipud(X), X)
    check("numpy fliplr", np.fliplr(X), X)
    for k in range(4):
        check("numpy rot90", np.rot90(X, k), X, k)


@pytest.mark.parametrize("q", [0.3, [0.0, 0.25, 1.0], np.array([0.5])])
def test_quantiles_agree_with_numpy(q: Any) -> None:
    x = np.random.default_rng(0).normal(size=(3, 5))
    wanted = q if isinstance(q, float) else np.asarray(q)
    for axis in (None, 0, 1):
        for keep in (False, True):
            expected = np.asarray(np.quantile(x, q, axis=axis, keepdims=keep))
            check("numpy quantile", expected, x, wanted, axis, keep)
    x[1, 1] = np.nan
    check("numpy quantile", np.quantile(x, q, axis=1), x, wanted, 1)
