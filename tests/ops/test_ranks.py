"""Elements at places of the order of a vector: medians and quantiles of all elements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj

FRACTIONS = (0.05, 0.5, 0.95, 0.5, 0.0, 1.0, 0.333)


@tj.script
def middle(x: Any) -> Any:
    return np.median(x)


@tj.script
def three(x: Any) -> Any:
    return np.quantile(x, [0.25, 0.5, 0.9])


@tj.script
def many(x: Any) -> Any:
    return np.quantile(x, FRACTIONS)


def _arrays(n: int, dtype: str) -> list[np.ndarray]:
    rng = np.random.default_rng(n)
    x = rng.normal(size=n) * 50
    few = np.round(x / 20)
    made = [x, few, np.full(n, 3.0), np.where(rng.random(n) < 0.5, 0.0, -0.0), few + 60]
    return [(np.abs(a) if dtype == "uint8" else a).astype(dtype) for a in made]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "uint8"])
@pytest.mark.parametrize("n", [1, 2, 3, 64, 65, 257, 5001])
def test_medians_and_quantiles_of_all_elements(n: int, dtype: str) -> None:
    tolerance = 2e-2 if dtype == "float16" else 1e-6
    for x in _arrays(n, dtype):
        np.testing.assert_allclose(middle(x), np.median(x), rtol=tolerance)
        np.testing.assert_allclose(three(x), np.quantile(x, [0.25, 0.5, 0.9]), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(many(x), np.quantile(x, FRACTIONS), rtol=tolerance, atol=tolerance)


def test_a_strided_vector_and_a_matrix() -> None:
    x = np.random.default_rng(0).normal(size=(40, 30))
    np.testing.assert_allclose(middle(x[::2, 3]), np.median(x[::2, 3]))
    np.testing.assert_allclose(middle(x[::-1, ::3]), np.median(x[::-1, ::3]))
    np.testing.assert_allclose(three(x), np.quantile(x, [0.25, 0.5, 0.9]))


@pytest.mark.parametrize("n", [2, 64, 65, 400])
def test_one_nan_is_the_median_and_each_quantile(n: int) -> None:
    x = np.random.default_rng(1).normal(size=n)
    x[n // 3] = np.nan
    assert np.isnan(middle(x)) and np.isnan(three(x)).all() and np.isnan(many(x)).all()


@pytest.mark.parametrize("n", [9, 100, 301])
def test_gradients_go_to_the_elements_at_the_places(n: int) -> None:
    x = np.random.default_rng(2).normal(size=n)
    order = np.argsort(x)
    expected = np.zeros(n)
    np.add.at(expected, order[[(n - 1) // 2, n // 2]], 0.5)
    np.testing.assert_allclose(tj.grad(lambda x: np.median(x))(x), expected)
    place = 0.3 * (n - 1)
    low = int(place)
    expected = np.zeros(n)
    expected[order[low]], expected[order[low + 1]] = 1 - (place - low), place - low
    np.testing.assert_allclose(tj.grad(lambda x: np.quantile(x, 0.3))(x), expected, atol=1e-12)


@pytest.mark.compiled
@pytest.mark.parametrize("shape", [(100,), (10, 10)])
def test_a_median_of_all_elements_does_not_order_them(shape: tuple[int, ...]) -> None:
    @tj.script
    def middle(x: Any) -> Any:
        return np.median(x)

    middle(np.arange(100.0).reshape(shape))
    assert " ranked(" in middle.ir() and " ordered(" not in middle.ir()


def test_the_median_of_nothing() -> None:
    with np.errstate(all="ignore"):
        assert np.isnan(middle(np.zeros((0, 3))))
        assert np.isnan(middle(np.zeros(0)))
