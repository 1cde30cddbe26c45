"""`digitize` with decreasing bounds; `interp` in 64 bits, of complex values, and beside infinities; `polyval`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

X = np.array([0.0, 0.5, 1.0, 2.5, 9.0, -1.0, np.nan])
XP, FP = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0, 2.0])


def binned(x: Any, bins: Any, right: bool) -> Any:
    return np.digitize(x, bins, right=right)


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("bins", [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0], [3.0], [3.0, 2.0], []])
def test_digitize(bins: list[float], right: bool) -> None:
    check(binned, X, np.array(bins), right)


def between(x: Any, xp: Any, fp: Any) -> Any:
    return np.interp(x, xp, fp)


@pytest.mark.parametrize(
    ("x", "xp", "fp"),
    [
        (X, XP, FP),
        (np.array([0.5, 1.5], np.float32), XP.astype(np.float32), FP.astype(np.float32)),
        (X[:4], XP, FP * 1j),
        (1.5, XP, FP),
        (np.array([0.5, 2.5]), XP, np.array([np.inf, 1, np.nan, 2])),
        (np.array([1, 2]), np.array([0, 4]), np.array([5, 9])),
        (np.array([0.5, 1.0]), np.array([-np.inf, 1.0]), np.array([2.0, 3.0])),
        (np.array([0.5, -0.5]), np.array([0.0, np.inf]), np.array([2.0, 2.0])),
    ],
)
def test_interp(x: Any, xp: Any, fp: Any) -> None:
    check(between, x, xp, fp)


@tj.script
def polynomials(p: Any, x: Any) -> Any:
    return np.polyval(p, x), np.polyval([1.5, 2.0, -3.0], x)


@pytest.mark.parametrize("p", [np.array([1.0, 2, 3]), np.array([1, 2, 3]), np.array([2.5]), np.array([1 + 2j, 3])])
def test_polynomials_are_evaluated_as_numpy_does(p: Any) -> None:
    grid = np.arange(12.0).reshape(3, 4) / 7
    for x in (grid, grid[0].astype(np.float32), np.arange(5), grid.astype(complex), 2.0, 3):
        for found, expected in zip(polynomials(p, x), polynomials.__wrapped__(p, x), strict=True):
            np.testing.assert_array_equal(found, expected)
            assert np.asarray(found).dtype == np.asarray(expected).dtype


def test_slopes_of_a_polynomial() -> None:
    x = np.arange(4.0) / 7
    by_p, by_x = tj.grad(lambda p, x: np.polyval(p, x).sum(), argnums=(0, 1))(np.array([1.0, 2.0, 3.0]), x)
    np.testing.assert_allclose(by_p, [(x * x).sum(), x.sum(), 4])
    np.testing.assert_allclose(by_x, 2 * x + 2)


@tj.script
def powers(x: Any) -> Any:
    return np.vander(x), np.vander(x, 4), np.vander(x, 3, increasing=True), np.vander(x, 1), np.vander(x, 0)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.float32, np.float64, np.complex128, bool])
def test_powers_are_products_as_numpy_makes_them(dtype: Any) -> None:
    for x in (np.arange(5).astype(dtype) / dtype(1), np.arange(-2, 3).astype(dtype)):
        for found, expected in zip(powers(x), powers.__wrapped__(x), strict=True):
            np.testing.assert_array_equal(found, expected, strict=True)


def test_a_fit_and_its_slopes() -> None:
    x = np.linspace(0, 1, 20)
    y = np.sin(9 * x)

    def sizes(x: Any, y: Any) -> Any:
        return (np.polyfit(x, y, 3) ** 2).sum()

    np.testing.assert_allclose(tj.script(sizes)(x, y), sizes(x, y))
    steps = 1e-6 * np.eye(20)
    for k, slope in enumerate(tj.grad(sizes)(x, y)):
        difference = sizes(x + steps[k], y) - sizes(x - steps[k], y)
        np.testing.assert_allclose(slope, difference / 2e-6, rtol=1e-4)
