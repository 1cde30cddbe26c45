"""Conventions at kinks, ties and poles, in reverse and forward mode and to second order (docs/differentiation.md)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj

ONES = np.array([1.0, 1.0, 0.0])

#: Function, point, slope.
NUMBERS: list[tuple[str, Callable[[Any], Any], Any, Any]] = [
    ("abs", lambda x: abs(x), 0.0, 0.0),
    ("relu", lambda x: tj.relu(x), 0.0, 0.0),
    ("maximum of equals", lambda x: np.maximum(x, 1.0), 1.0, 0.5),
    ("minimum of equals", lambda x: np.minimum(x, 1.0), 1.0, 0.5),
    ("clip on a bound", lambda x: np.clip(x, 0.0, 1.0), 1.0, 1.0),
    ("clip beyond", lambda x: np.clip(x, 0.0, 1.0), 2.0, 0.0),
    ("relu6 at 0", lambda x: tj.relu6(x), 0.0, 0.0),
    ("relu6 at 6", lambda x: tj.relu6(x), 6.0, 0.0),
    ("hardtanh on a bound", lambda x: tj.hardtanh(x), -1.0, 0.0),
    ("hardtanh inside", lambda x: tj.hardtanh(x, -2.0, 3.0), 2.5, 1.0),
    ("root of a maximum not taken", lambda x: np.sqrt(np.maximum(x, 0.0)), -1.0, 0.0),
    ("root of a minimum not taken", lambda x: np.sqrt(-np.minimum(0.0, x)), 1.0, 0.0),
    ("root of a max not taken", lambda x: math.sqrt(max(x, 0.0)), -1.0, 0.0),
    ("root of a relu", lambda x: tj.sqrt(tj.relu(x)), -1.0, 0.0),
    ("root of what is clipped", lambda x: np.sqrt(np.clip(x, 0.0, 1.0)), -1.0, 0.0),
    ("sqrt at 0", lambda x: math.sqrt(x), 0.0, math.inf),
    ("x ** 0", lambda x: x**0, 0.0, 0.0),
    ("x ** 0.0", lambda x: x**0.0, 0.0, 0.0),
    ("x ** 1", lambda x: x**1.0, 0.0, 1.0),
    ("x ** 2", lambda x: x**2.0, 0.0, 0.0),
    ("0 ** y", lambda y: 0.0**y, 2.0, 0.0),
    ("floor", lambda x: math.floor(x) * x, 1.5, 1.0),
    ("sign", lambda x: np.sign(x) * x, -2.0, -1.0),
]
ARRAYS: list[tuple[str, Callable[[Any], Any], Any, Any]] = [
    ("max of equals", lambda x: np.max(x), ONES, [0.5, 0.5, 0.0]),
    ("min of equals", lambda x: np.min(x), -ONES, [0.5, 0.5, 0.0]),
    ("norm at 0", lambda x: np.linalg.norm(x), np.zeros(3), [0.0, 0.0, 0.0]),
    ("norm of order 1/2 with a zero", lambda x: np.linalg.norm(x, 0.5), np.array([1.0, 4.0, 0.0]), [3.0, 1.5, 0.0]),
    ("product with a zero", lambda x: np.prod(x), np.array([0.0, 2.0, 3.0]), [6.0, 0.0, 0.0]),
    ("product with two", lambda x: np.prod(x), np.array([0.0, 0.0, 3.0]), [0.0, 0.0, 0.0]),
]


@pytest.mark.parametrize(("fn", "x", "slope"), [c[1:] for c in NUMBERS], ids=[c[0] for c in NUMBERS])
def test_slopes_of_numbers(fn: Callable[[Any], Any], x: float, slope: float) -> None:
    assert tj.grad(fn)(x) == slope
    assert tj.jvp(fn, (x,), (1.0,))[1] == slope


@pytest.mark.parametrize(("fn", "x", "slope"), [c[1:] for c in ARRAYS], ids=[c[0] for c in ARRAYS])
def test_slopes_of_arrays(fn: Callable[[Any], Any], x: Any, slope: Any) -> None:
    np.testing.assert_array_equal(tj.grad(fn)(x), slope)
    along = np.array([0.3, -0.7, 1.1])
    np.testing.assert_allclose(tj.jvp(fn, (x,), (along,))[1], np.dot(slope, along), rtol=1e-12)


def test_curvature_of_powers_at_zero() -> None:
    for power, curvature in ((2, 2.0), (2.0, 2.0), (3, 0.0), (3.0, 0.0), (1, 0.0)):
        found = tj.hessian(lambda x, power=power: (x**power).sum())(np.zeros(2))
        np.testing.assert_array_equal(found, curvature * np.eye(2))


def test_curvature_of_a_norm_where_an_element_is_zero() -> None:
    x = np.array([3.0, 0.0, 4.0])
    expected = (np.eye(3) - np.outer(x, x) / 25.0) / 5.0
    np.testing.assert_allclose(tj.hessian(lambda x: np.linalg.norm(x))(x), expected, rtol=1e-12, atol=1e-15)
    found = tj.hessian(lambda x: np.abs(np.linalg.norm(x + 0j * x)))(x)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


POLES: list[Callable[[Any], Any]] = [
    lambda x: np.where(x > 0, np.log(x) / x, x),
    lambda x: np.where(x > 0, np.sqrt(x), 0.0),
    lambda x: np.where(x > 0, x**0.5, x * x),
    lambda x: np.where(x != 0, np.sin(x) / x, 1.0),
    lambda x: np.where(x > 0, np.linalg.norm(x) / x, 0.0),
    lambda x: np.where(np.abs(x) < 1, x, 1.0 / (x * x)),
    lambda x: np.sqrt(np.maximum(x - 1.0, 0.0)),
]


@pytest.mark.parametrize("fn", POLES)
def test_no_nan_from_the_side_not_taken(fn: Callable[[Any], Any]) -> None:
    """Up to third order, in every mixture of modes."""
    x = np.array([0.0, 0.5, 2.0])

    def total(x: Any) -> Any:
        return fn(x).sum()

    first = tj.grad(total)
    second = tj.grad(lambda x: first(x).sum())
    with np.errstate(all="ignore"):
        for found in (
            first(x),
            tj.jvp(total, (x,), (np.ones(3),))[1],
            tj.hessian(total)(x),
            second(x),
            tj.jvp(first, (x,), (np.ones(3),))[1],
            tj.jvp(second, (x,), (np.ones(3),))[1],
            tj.grad(lambda x: second(x).sum())(x),
        ):
            assert np.all(np.isfinite(found)), found
