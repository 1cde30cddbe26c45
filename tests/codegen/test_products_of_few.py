"""Products of a few rows or columns: all layouts and sizes against NumPy, on any number of threads to the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.gemm import LARGE, PARTS
from tracejit.codegen.support.native import gemm_module

DEPTHS = (1, 2, 5, 8, 9, 31, 511, 513, 1100)
WIDTHS = (1, 2, 7, 8, 9, 16, 17, 33, 100, 128, 257, 530)


@tj.script
def product(x: Any, y: Any) -> Any:
    return x @ y


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [2, 3, 4, 5, 6, 7, 8])
def test_few_rows_times_matrices_of_all_layouts(rows: int, dtype: str) -> None:
    rng = np.random.default_rng(rows)
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    for depth in DEPTHS:
        for width in WIDTHS:
            x, y = rng.normal(size=(rows, depth)).astype(dtype), rng.normal(size=(depth, width)).astype(dtype)
            wide = np.full((depth, width + 3), np.nan, dtype)
            wide[:, 1 : width + 1] = y
            expected = x.astype(np.float64) @ y
            scale = np.abs(x).astype(np.float64) @ np.abs(y)
            for left in (x, np.asfortranarray(x)):
                for right in (y, np.asfortranarray(y), wide[:, 1 : width + 1]):
                    found = product(left, right)
                    assert np.all(np.abs(found - expected) <= tolerance * scale), (depth, width)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [2, 3, 4, 5, 6, 7, 8])
def test_matrices_of_all_layouts_times_few_columns(columns: int, dtype: str) -> None:
    rng = np.random.default_rng(columns)
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    for depth in (1, 2, 4, 8, 9, 16, 31, 100, 513):
        for rows in (1, 2, 3, 4, 5, 7, 16, 18, 65, 130):
            x, y = rng.normal(size=(rows, depth)).astype(dtype), rng.normal(size=(depth, columns)).astype(dtype)
            wide = np.full((rows, depth + 3), np.nan, dtype)
            wide[:, 1 : depth + 1] = x
            expected = x.astype(np.float64) @ y
            scale = np.abs(x).astype(np.float64) @ np.abs(y)
            for left in (x, np.asfortranarray(x), wide[:, 1 : depth + 1]):
                for right in (y, np.asfortranarray(y)):
                    found = product(left, right)
                    assert np.all(np.abs(found - expected) <= tolerance * scale), (depth, rows)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("sizes", [(3, 400, 1000), (1000, 400, 3), (7, 64, 5), (5000, 5, 6)])
def test_few_vectors_have_the_same_products_on_any_number_of_threads(turned: bool, sizes: tuple[int, ...]) -> None:
    rows, depth, columns = sizes
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, depth)), rng.normal(size=(depth, columns))
    y = np.asfortranarray(y) if turned else y
    with each_number_of_threads(1, 3) as counts:
        found = [product(x, y) for _ in counts]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(found[0], x @ y, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rows", [2, 3, 7])
@pytest.mark.parametrize("sizes", [(400, 1000), (2000, 333), (7, 100_000)])
def test_few_rows_have_the_same_products_on_any_number_of_threads(rows: int, sizes: tuple[int, int]) -> None:
    depth, width = sizes
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, depth)), rng.normal(size=(depth, width))
    with each_number_of_threads(1, 3) as counts:
        found = [product(x, y) for _ in counts]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(found[0], x @ y, rtol=1e-9, atol=1e-9)


def test_an_element_depends_on_its_row_and_its_column_alone() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(7, 1300)), rng.normal(size=(1300, 400))
    whole = product(x, y)
    # 2, 3 and 5 rows fill no tiles of registers, of 4 or of 8 rows, whose sums are one chain each.
    for rows, columns in ((slice(0, 2), slice(0, 400)), (slice(4, 7), slice(5, 90)), (slice(1, 6), slice(200, 333))):
        np.testing.assert_array_equal(product(x[rows], y[:, columns]), whole[rows, columns])


@pytest.mark.parametrize("rows", [7, 12, 16, 17, 20])
def test_rows_times_a_matrix_beyond_the_caches(rows: int) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(rows, 20_000)), rng.normal(size=(20_000, 219))
    with each_number_of_threads(1, 3) as counts:
        found = [product(x, y) for _ in counts]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(found[0], x @ y, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("lead", [(5,), (0,), (2, 3)])
def test_stacks_of_few_rows(lead: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(*lead, 3, 120)), rng.normal(size=(*lead, 120, 40))
    np.testing.assert_allclose(product(x, y), x @ y, rtol=1e-9, atol=1e-9)


def test_numbers_that_are_no_numbers_stay_in_their_columns() -> None:
    x, y = np.ones((3, 20)), np.ones((20, 50))
    y[4, 7], y[9, 49] = np.nan, np.inf
    for right in (y, np.asfortranarray(y)):
        found = product(x, right)
        assert np.isnan(found[:, 7]).all() and np.isinf(found[:, 49]).all()
        assert (np.delete(found, [7, 49], axis=1) == 20.0).all()


def test_a_library_of_its_own_has_no_large_parts() -> None:
    text = gemm_module(LlvmOptions("x86-64-v4", "", 512, 8), ["f32"])
    for part in PARTS.keys() - {"packed"}:
        assert (f"@tj_{part}_f32(" in text) == (part not in LARGE), part
