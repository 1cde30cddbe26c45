"""Products of a column and a row: elements times elements, without the library of matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads


@tj.script
def outer(x: Any, y: Any) -> Any:
    return x.T @ y


@tj.script
def outer_of_rows(x: Any, y: Any) -> Any:
    return x[:, :, None] @ y[:, None, :]


@tj.script
def updated(w: Any, x: Any, g: Any, rate: Any) -> Any:
    w -= rate * (x.T @ g)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex128", "int8", "int64"])
def test_columns_by_rows_are_products_of_elements(dtype: str) -> None:
    rng = np.random.default_rng(7)
    for m, n in ((0, 3), (3, 0), (1, 1), (1, 40), (40, 1), (37, 50), (300, 1001)):
        x, y = (rng.integers(-3, 4, (1, size)).astype(dtype) for size in (m, n))
        for a, b in ((x, y), (x[:, ::-1], y), (np.repeat(x, 2, 1)[:, ::2], y)):
            with each_number_of_threads(1, 3) as counts:
                for _ in counts:
                    found = outer(a, b)
                    assert found.dtype == dtype
                    np.testing.assert_array_equal(found, a.T @ b)
    rows = rng.integers(-3, 4, (5, 8)).astype(dtype)
    np.testing.assert_array_equal(outer_of_rows(rows, rows), rows[:, :, None] * rows[:, None, :])
    assert "tj_gemm" not in outer.llvm or dtype not in ("float32", "float64")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_times_rows_of_zeros_are_not_minus_zero(dtype: str) -> None:
    x, y = np.array([[-1.0, 1.0]], dtype), np.array([[0.0, -0.0, 2.0]], dtype)
    found = outer(x, y)
    np.testing.assert_array_equal(found, x.T @ y)
    assert not np.signbit(found[:, :2]).any()
    special = np.array([[np.inf, np.nan, -1.0]], dtype)
    with np.errstate(invalid="ignore"):
        expected = special.T @ y
    np.testing.assert_array_equal(outer(special, y), expected)


def test_a_weight_is_updated_by_one_row_in_one_kernel() -> None:
    rng = np.random.default_rng(3)
    w, x, g = (rng.normal(size=size).astype(np.float32) for size in ((70, 33), (1, 70), (1, 33)))
    expected = w - np.float32(0.1) * (x.T @ g)
    updated(w, x, g, np.float32(0.1))
    np.testing.assert_array_equal(w, expected)
    assert updated.ir("after:fuse").count(" = fused(") == 1 and "matmul" not in updated.ir("after:fuse")
    assert "alloc" not in updated.explain().split("memory:")[1].split("checks:")[0].replace("allocated", "")


def test_gradients_of_one_row() -> None:
    def loss(w: Any, v: Any, x: Any) -> Any:
        return (np.tanh(x @ w) @ v).sum()

    rng = np.random.default_rng(4)
    w, v, x = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=(1, 5))
    _, (dw, dv) = tj.value_and_grad(loss, argnums=(0, 1))(w, v, x)
    h, ones = np.tanh(x @ w), np.ones((1, 3))
    np.testing.assert_allclose(dv, h.T @ ones, rtol=1e-12)
    np.testing.assert_allclose(dw, x.T @ ((ones @ v.T) * (1 - h * h)), rtol=1e-12)
