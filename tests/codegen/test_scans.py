"""Running totals along an axis; lines beside each other are the lanes of vectors, shared by threads in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads


@tj.script
def totals(x: Any) -> Any:
    return np.cumsum(x, 0)


@tj.script
def products(x: Any) -> Any:
    return np.cumprod(x, 0)


@tj.script
def greatest(x: Any) -> Any:
    return np.maximum.accumulate(x, 0)


@tj.script
def middle(x: Any) -> Any:
    return np.cumsum(x, 1)


PAIRS: list[tuple[Any, Any]] = [
    (totals, np.cumsum),
    (products, np.cumprod),
    (greatest, np.maximum.accumulate),  # complex numbers have no order
]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "complex64", "bool"])
def test_down_the_columns(dtype: str) -> None:
    rng = np.random.default_rng(1)
    for rows, columns in ((0, 3), (1, 1), (3, 0), (5, 7), (40, 33), (9, 520), (3, 1100)):
        x = (rng.standard_normal((rows, columns)) * (0.5 if dtype == "float16" else 2)).astype(dtype)
        with each_number_of_threads(1, 3) as counts:
            for _ in counts:
                for fn, plain in PAIRS[: 2 if dtype == "complex64" else 3]:
                    for y in (x, np.asfortranarray(x), x[:, ::-1], x[::2]):
                        expected: Any = plain(y, 0)
                        found = fn(y)
                        assert found.dtype == expected.dtype
                        tolerance = {"rtol": 1e-2 if dtype == "float16" else 1e-5, "atol": 1e-5}
                        np.testing.assert_allclose(found, expected, **tolerance)


def test_along_an_axis_between() -> None:
    x = np.random.default_rng(2).standard_normal((4, 6, 37))
    np.testing.assert_allclose(middle(x), np.cumsum(x, 1), rtol=1e-12)
    np.testing.assert_allclose(middle(x.transpose(2, 0, 1)), np.cumsum(x.transpose(2, 0, 1), 1), rtol=1e-12)


def test_recurrences_of_the_gradient() -> None:
    def loss(x: Any) -> Any:
        return (np.cumprod(x, 0) * np.cumsum(x, 0)).sum()

    x = np.random.default_rng(3).uniform(0.5, 1.5, (5, 40))
    gradient = tj.grad(loss)(x)
    step = 1e-6
    for place in ((0, 0), (2, 7), (4, 39)):
        moved = x.copy()
        moved[place] += step
        back = x.copy()
        back[place] -= step
        np.testing.assert_allclose(gradient[place], (loss(moved) - loss(back)) / (2 * step), rtol=1e-5)
