"""Tall tiles: the last columns of a product, to the bits of other tiles, written where they belong and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.codegen.packed_products import NAMES, DirectProduct, PackedProduct, find_tall_tiles, put_product
from tests.threads import each_number_of_threads
from tracejit.codegen.products.tall import LINES, TALL, tall_text
from tracejit.codegen.products.tiles import Shape
from tracejit.runtime.engine import engine
from tracejit.runtime.machines import host_options

needs_tall = pytest.mark.skipif(
    not Shape.of("f32", host_options()).tall, reason="registers of this machine are too short for tall tiles"
)


@pytest.fixture(scope="module", autouse=True)
def tall_tiles() -> None:
    find_tall_tiles()


@tj.script
def product(x: Any, y: Any) -> Any:
    return x @ y


def layouts(x: Any) -> Iterator[Any]:
    """A matrix with rows that lie together, columns that do, each also inside a larger one, and neither."""
    m, k = x.shape
    yield x
    yield np.asfortranarray(x)
    for order in ("C", "F"):
        around = np.full((m + 3, k + 5), np.nan, x.dtype, order)
        around[1 : 1 + m, 2 : 2 + k] = x
        yield around[1 : 1 + m, 2 : 2 + k]
    yield np.repeat(x, 2, 1)[:, ::2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bits", [256, 512])
def test_packed_panels_have_the_bits_of_other_tiles(bits: int, dtype: str) -> None:
    options = replace(engine().options, vector_bits=bits)
    packed, without = (PackedProduct(dtype, options, tall=tall) for tall in (None, ""))
    shape, rng = Shape.of(NAMES[dtype], options), np.random.default_rng(bits)
    for tiles in (LINES, TALL, TALL + 1, 3 * TALL - 1):
        for more, k, thin in ((0, 1, 1), (3, shape.depth, 2), (shape.rows - 1, 2 * shape.depth + 7, shape.lanes // 4)):
            m, n = tiles * shape.rows + more, 2 * shape.widths[0] + thin
            x, y = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
            expected = without(x, y)
            for left in layouts(x):
                np.testing.assert_array_equal(packed(left, y), expected, err_msg=f"{m} x {k} x {n}")
            scale = np.abs(x).astype(np.float64) @ np.abs(y)
            assert np.all(np.abs(expected - x.astype(np.float64) @ y) <= 1e-5 * scale), (m, k, n)


def test_packed_panels_use_them() -> None:
    """Results are the same without them: here they leave a mark behind."""
    options = replace(engine().options, vector_bits=512)
    tall, mark = tall_text("f32", options), 99.0
    packed = PackedProduct("float32", options, tall=tall.replace("\nout:\n", f"\nout:\n  store float {mark}, ptr %c\n"))
    x, y = np.ones((64, 500), "float32"), np.ones((500, 50), "float32")
    assert np.argwhere(packed(np.asfortranarray(x), y) == mark).tolist() == [[0, 48], [32, 48]]
    assert np.argwhere(packed(x, y) == mark).tolist() == [[0, 48], [16, 48], [32, 48], [48, 48]]
    assert not (packed(np.repeat(x, 2, 1)[:, ::2], y) == mark).any()


@needs_tall
@pytest.mark.parametrize("grain", [1, 3, 6, 100])
def test_products_of_what_lies_in_the_caches_use_them_in_any_chunks(grain: int) -> None:
    """Also where a chunk has the end of the first half of a long sum and the begin of the other one."""
    rng, mark, lanes = np.random.default_rng(grain), 99.0, Shape.of("f32", engine().options).lanes
    tall = tall_text("f32", engine().options)
    marked = DirectProduct("float32", grain, tall.replace("\nout:\n", f"\nout:\n  store float {mark}, ptr %c\n", 2))
    plain = DirectProduct("float32", grain)
    for m, k, n in ((64, 1000, 100), (63, 894, 34), (301, 40, 50), (33, 20, lanes + 1)):
        x, y = rng.normal(size=(m, k)).astype("float32"), rng.normal(size=(k, n)).astype("float32")
        for left in (x, np.asfortranarray(x)):
            np.testing.assert_array_equal(plain(left, y), product(x, y))
            if k < 512:  # what marks a half is added to the other
                assert (marked(left, y)[0] == mark).any()
        assert not (marked(np.repeat(x, 2, 1)[:, ::2], y) == mark).any()


#: m, k, panels, columns beyond them. Of what lies in the caches: a last tile that lacks rows, the fewest rows of a tall
#: tile and one less, a step of terms and parts of one, sums in two halves. Of packed panels: one row alone, later
#: slices of which a piece has room in the nearest cache, many panels, so that A is packed.
SIZES = [
    (1019, 64, 2, 4),
    (301, 37, 1, 2),
    (16, 3, 1, 1),
    (15, 20, 1, 4),
    (33, 2, 0, 3),
    (64, 1000, 2, 4),
    (61, 1001, 2, 1),
    (129, 600, 0, 2),
    (1023, 700, 2, 4),
    (319, 2100, 1, 1),
    (1011, 2148, 2, 4),
    (1000, 2148, 12, 4),
    (1003, 2088, 13, 1),
]


@pytest.mark.parametrize(("m", "k", "panels", "more"), SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_write_what_is_theirs_once(dtype: str, m: int, k: int, panels: int, more: int) -> None:
    """All columns have the bits of the same in a wider matrix, where no tile has few."""
    shape, rng = Shape.of(NAMES[dtype], engine().options), np.random.default_rng(6)
    n = panels * shape.widths[0] + (0 if panels else shape.lanes) + min(more, max(shape.lanes // 4, 1))
    check(rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype))


@pytest.mark.parametrize("more", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_more_columns_than_they_have_are_others(dtype: str, more: int) -> None:
    lanes, rng = Shape.of(NAMES[dtype], engine().options).lanes, np.random.default_rng(more)
    for m, k, panels in ((64, 64, 3), (64, 1000, 6), (300, 700, 6)):
        n = panels * lanes + lanes // 4 + more
        check(rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "k"), [(24, 37), (16, 40), (15, 40), (40, 3), (24, 1)])
def test_rows_and_columns_that_lie_together(m: int, k: int, dtype: str) -> None:
    """Both have steps of 1 in windows of a line, and where there is one column."""
    rng = np.random.default_rng(m)
    x = np.lib.stride_tricks.sliding_window_view(rng.normal(size=m + k - 1).astype(dtype), k)
    for n in (50, 34, 18):
        check(x, rng.normal(size=(k, n)).astype(dtype))


def check(x: Any, y: Any) -> None:
    """Products have the bits of a wider one, where no tile has few columns, and nothing else is written."""
    (m, _), (k, n), dtype = x.shape, y.shape, x.dtype
    shape = Shape.of(NAMES[str(dtype)], engine().options)
    wider = np.hstack([y, np.zeros((k, -n % shape.lanes), dtype)])
    expected = product(x, wider)[:, :n]
    for left in layouts(x):
        with each_number_of_threads(1, 2, 3) as counts:
            for _ in counts:
                whole = np.full((m + 9, n + 9), 7, dtype)
                part = whole[3 : 3 + m, 5 : 5 + n]
                put_product(left, y, part)
                np.testing.assert_array_equal(part, expected)
                part[:] = 7
                assert (whole == 7).all()


def test_columns_of_rows_have_the_values_of_numpy() -> None:
    x, y = np.arange(24.0, dtype="float32")[:, None], np.arange(50.0, dtype="float32")[None, :]
    np.testing.assert_array_equal(product(x, y), x @ y)


PAYING = """
from pathlib import Path
import numpy as np
from tests.codegen.test_tall_tiles import product
from tracejit.codegen.products import tall
from tracejit.runtime import shipped
from tracejit.runtime.engine import engine

tall.WORTH, shipped.FOLDER = {worth}, Path("nowhere")
rng = np.random.default_rng(0)
x, y = rng.random((640, 64), np.float32), rng.random((64, 100), np.float32)
first = product(x, y)
assert ("tall", "f32") not in engine()._parts
for _ in range(20):  # stacks that threads share out do not look for them, however much there is to multiply
    product(rng.random((400, 40, 12), np.float32), rng.random((400, 12, 17), np.float32))
assert ("tall", "f32") not in engine()._parts
second = product(np.asfortranarray(x), y)
assert ("tall", "f32") in engine()._parts
assert (first == second).all() and (first == product(x, y)).all()
"""


@needs_tall
@pytest.mark.compiled
def test_a_process_links_them_when_they_pay(tmp_path: Path) -> None:
    environment = os.environ | {"TRACEJIT_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    code = PAYING.format(worth=640 * 64 * 100 + 1)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
