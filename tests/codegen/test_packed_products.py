"""Products over packed panels: every layout and edge, for registers of any width, to the same bits always."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.codegen.packed_products import NAMES, PackedProduct
from tests.threads import each_number_of_threads
from tracejit.codegen.products.packing import TOGETHER
from tracejit.codegen.products.panels import OFTEN, PANELS_BYTES
from tracejit.codegen.products.tiles import Shape
from tracejit.runtime.engine import engine


@tj.script
def product(x: Any, y: Any) -> Any:
    return x @ y


def _shape(dtype: str, bits: int) -> Shape:
    return Shape.of(NAMES[dtype], replace(engine().options, vector_bits=bits))


def _sizes(shape: Shape) -> list[tuple[int, int, int]]:
    """m, k, n: a tile, more and fewer rows; a term, a piece of a panel, several, slices of them; thin and whole panels,
    as many as make A be packed, more than are packed at once."""
    rows, width, lanes, depth = shape.rows, shape.widths[0], shape.lanes, shape.depth
    few, often, wide = shape.packs.few, OFTEN * width, (TOGETHER + 2) * width
    lots = PANELS_BYTES // (4 * depth) + width
    return [
        (rows, 1, width),
        (rows - 1, 7, lanes),
        (few, depth, 2 * width + 1),
        (few + 1, depth - 1, 2 * width),
        (2 * rows + 1, depth + 1, width + lanes),
        (few + 3, 3 * depth + 5, width + lanes + 1),
        (few + 1, rows - 1, often + 1),
        (few + 2, depth + rows + 1, often),
        (rows + 1, 2 * depth, wide + lanes - 1),
        (few + 5, depth + 3, lots),
        (TOGETHER * rows + 2, 33, often + 3),
        (TOGETHER * rows + rows, 2 * depth + 9, 2 * width + 3),
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bits", [128, 256, 512])
def test_registers_of_any_width_multiply_all_layouts(bits: int, dtype: str) -> None:
    packed = PackedProduct(dtype, replace(engine().options, vector_bits=bits))
    rng = np.random.default_rng(bits)
    tolerance = 1e-5 if dtype == "float32" else 1e-14
    for m, k, n in _sizes(_shape(dtype, bits)):
        x, y = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
        spaced = np.full((m, 3 * k), np.nan, dtype)
        spaced[:, ::3] = x
        expected = x.astype(np.float64) @ y
        scale = np.abs(x).astype(np.float64) @ np.abs(y)
        for left in (x, np.asfortranarray(x), spaced[:, ::3]):
            for right in (y, np.asfortranarray(y), y[::-1].copy()[::-1]):
                assert np.all(np.abs(packed(left, right) - expected) <= tolerance * scale), (m, k, n)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", ["C", "F"])
def test_packed_products_have_the_same_bits_on_any_number_of_threads(layout: Any, dtype: str) -> None:
    rng = np.random.default_rng(3)
    for m, k, n in ((64, 1000, 100), (301, 700, 500), (33, 300, 1000)):
        x, y = (np.asarray(rng.normal(size=s), dtype, order=layout) for s in ((m, k), (k, n)))
        with each_number_of_threads(1, 3) as counts:
            found = [product(x, y) for _ in counts]
        np.testing.assert_array_equal(found[0], found[1], err_msg=f"{m} x {k} x {n}")
        np.testing.assert_allclose(found[0], x.astype(np.float64) @ y, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_element_of_packed_panels_depends_on_its_row_and_column_only(dtype: str) -> None:
    packed = PackedProduct(dtype, engine().options)
    shape = _shape(dtype, engine().options.vector_bits)
    rng = np.random.default_rng(4)
    depth, width = 2 * shape.depth + 3, shape.widths[0]
    x, y = rng.normal(size=(90, depth)).astype(dtype), rng.normal(size=(depth, 20 * width)).astype(dtype)
    whole = packed(x, y)
    for rows in (1, shape.rows, 5 * shape.rows + 1):
        for columns in (1, width - 1, width + 1, 2 * width, 13 * width + shape.lanes):
            found = packed(np.asfortranarray(x[:rows]), np.ascontiguousarray(y[:, :columns]))
            np.testing.assert_array_equal(found, whole[:rows, :columns], err_msg=f"{rows}, {columns}")
