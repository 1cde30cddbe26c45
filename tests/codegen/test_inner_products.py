"""Products of a row and a column: sums of products, without the library of matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads


@tj.script
def inner(x: Any, y: Any) -> Any:
    return x @ y


@tj.script
def inner_of_rows(x: Any, y: Any) -> Any:
    return (x[:, None, :] @ y[:, :, None])[:, 0, 0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex128", "int8", "int64"])
def test_rows_by_columns_are_sums_of_products(dtype: str) -> None:
    rng = np.random.default_rng(7)
    for n in (0, 1, 5, 100, 30_000):
        x, y = (rng.integers(-3, 4, n).astype(dtype) for _ in range(2))
        for a, b in ((x, y), (x[::-1], y), (x[::2], y[::2]), (x.reshape(-1, 1)[:, 0], y)):
            with each_number_of_threads(1, 3) as counts:
                for _ in counts:
                    found = inner(a, b)
                    assert (found, found.dtype) == (a @ b, np.dtype(dtype))
        rows = x[: n // 5 * 5].reshape(5, -1)
        np.testing.assert_array_equal(inner_of_rows(rows, rows), (rows * rows).sum(axis=1, dtype=dtype))
    assert "tj_gemm" not in inner.llvm or dtype == "float16"
