"""Totals over rows that cannot be one flat loop: short rows are gone across in vectors, down the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads

WIDTHS = (0, 1, 2, 3, 8, 16, 17, 31, 32, 33, 100, 300)
HEIGHTS = (0, 1, 5, 127, 128, 129, 512, 3000)


@tj.script
def squares(x: Any, b: Any) -> Any:
    return ((x + b) ** 2).sum()


@tj.script
def largest(x: Any, b: Any) -> Any:
    return (x * b).max()


@tj.script
def mean_and_least(x: Any, b: Any) -> Any:
    y = x - b
    return y.mean(), y.min()


@tj.script
def kept(x: Any, b: Any) -> Any:
    y = x + b
    return y, y.sum()


@tj.script
def centred(x: Any, b: Any) -> Any:
    y = x * b
    return y - y.mean()


@tj.script
def of_boxes(x: Any, b: Any) -> Any:
    return (x[:, ::2] * b).sum()


def numbers(dtype: str, *shape: int) -> np.ndarray[Any, Any]:
    found = np.random.default_rng(sum(shape)).uniform(-2, 2, shape)
    found *= {"i": 4, "float16": 1 / 32}.get(dtype if dtype == "float16" else dtype[0], 1)
    return found.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "float16", "complex64"])
def test_totals_of_rows_with_an_offset_for_each_column(dtype: str) -> None:
    exact = {"f": "float64", "c": "complex128"}.get(dtype[0], dtype)
    tolerance = {"float16": 3e-3, "float32": 2e-5, "complex64": 2e-5}.get(dtype, 1e-12)
    for width in WIDTHS:
        for height in HEIGHTS:
            x, b = numbers(dtype, height, width), numbers(dtype, width)
            wide = (x.astype(exact) + b.astype(exact)) if dtype != "int32" else x + b
            results: set[bytes] = set()
            with each_number_of_threads(1, 3) as counts:
                for _ in counts:
                    found = squares(x, b)
                    results.add(np.asarray(found).tobytes())
                    size = (np.abs(wide) ** 2).sum() + 1
                    assert abs(found - (wide**2).sum()) <= tolerance * size, (height, width)
                    y, total = kept(x, b)
                    np.testing.assert_array_equal(y, x + b)
                    assert abs(total - wide.sum()) <= tolerance * (np.abs(wide).sum() + 1)
                    results.add(np.asarray(total).tobytes() + b" of kept")
            assert len(results) == 2, "the same bits for any number of threads"


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_extremes_and_what_needs_a_total(dtype: str) -> None:
    for width in WIDTHS[1:]:
        for height in HEIGHTS[1:]:
            x, b = numbers(dtype, height, width), numbers(dtype, width)
            assert largest(x, b) == (x * b).max()
            mean, least = mean_and_least(x, b)
            assert least == (x - b).min()
            np.testing.assert_allclose(mean, (x - b).astype("float64").mean(), rtol=1e-4, atol=1e-5)
            y = (x * b).astype("float64")
            np.testing.assert_allclose(centred(x, b), y - y.mean(), rtol=1e-4, atol=1e-4)


def test_totals_of_parts_and_of_three_axes() -> None:
    for shape in ((7, 9, 5), (3, 600, 20), (1, 2, 300), (4, 0, 3)):
        x, b = numbers("float64", *shape), numbers("float64", shape[-1])
        np.testing.assert_allclose(squares(x, b), ((x + b) ** 2).sum(), rtol=1e-12)
        columns = numbers("float64", shape[1], shape[2])
        np.testing.assert_allclose(squares(x, columns), ((x + columns) ** 2).sum(), rtol=1e-12)
        narrow = numbers("float64", shape[1], 1)
        np.testing.assert_allclose(squares(x, narrow), ((x + narrow) ** 2).sum(), rtol=1e-12)
    for height, width in ((5, 4), (700, 30), (20, 600)):
        x, b = numbers("float32", height, width), numbers("float32", width // 2)
        np.testing.assert_allclose(of_boxes(x, b), (x[:, ::2].astype("float64") * b).sum(), rtol=1e-4, atol=1e-3)


def test_no_number_is_the_extreme() -> None:
    x, b = numbers("float64", 600, 5), numbers("float64", 5)
    x[555, 3] = np.nan
    assert np.isnan(largest(x, b))
    assert np.isnan(squares(x, b))


@tj.script
def product(x: Any, y: Any) -> Any:
    return (x[:, None] * y).prod()


@tj.script
def product_of_mirrored(x: Any) -> Any:
    return x[:, ::-1].prod()


def test_products_meet_a_zero_before_they_overflow() -> None:
    assert product(np.arange(1.0, 3001.0), np.array([0.0, 1.0])) == 0
    x = np.full((3000, 2), 3.0)
    x[0, 0] = 0
    assert product_of_mirrored(x) == 0
