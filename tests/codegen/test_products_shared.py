"""Products of stacks of matrices: shared out among threads where each is too small to be shared itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.codegen.packed_products import put_product
from tests.threads import each_number_of_threads
from tracejit.codegen.evaluate import evaluate
from tracejit.codegen.loop_ir import Call, For, If
from tracejit.codegen.lowering.entry import lower
from tracejit.codegen.products.tiles import Shape
from tracejit.ir.parser import parse
from tracejit.runtime.machines import host_options

STACKED = """graph @f(%x: f64[p, q, n, k], %y: f64[p, q, k, m]) on cpu {
  %z = matmul(%x, %y) : f64[p, q, n, m]
  yield %z
}"""


@tj.script
def product(x: Any, y: Any) -> Any:
    return x @ y


@pytest.mark.parametrize("lead", [(1, 4), (3, 1), (3, 40), (0, 2), (2, 0), (1, 1)])
@pytest.mark.parametrize("sizes", [(32, 64, 48), (3, 5, 2), (1, 70, 33), (170, 160, 180)])
def test_stacks_have_the_same_products_on_any_number_of_threads(
    lead: tuple[int, ...], sizes: tuple[int, int, int]
) -> None:
    m, k, n = sizes
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(*lead, m, k)), rng.normal(size=(*lead, n, k)).swapaxes(-1, -2)
    with each_number_of_threads(1, 3) as counts:
        found = [product(x, y) for _ in counts]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(found[0], x @ y, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("columns", [400, 434, 437, 480])
def test_blocks_of_columns_have_the_bits_of_a_product_of_few(columns: int) -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(171, 150)), rng.normal(size=(150, columns))
    with each_number_of_threads(1, 3) as counts:
        found = [product(x, y) for _ in counts]
    narrow = [product(x[:16], np.ascontiguousarray(y[:, at : at + 20])) for at in range(0, columns - 19, 17)]
    for one in found:
        np.testing.assert_allclose(one, x @ y, rtol=1e-9, atol=1e-9)
        for at, few in zip(range(0, columns - 19, 17), narrow, strict=True):
            np.testing.assert_array_equal(one[:16, at : at + 20], few)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(9, 7), (40, 65), (150, 140)])
def test_an_element_has_the_same_bits_for_every_number_of_columns(sizes: tuple[int, int], dtype: str) -> None:
    m, k = sizes
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, 300)).astype(dtype)
    whole = product(x, y)
    np.testing.assert_allclose(whole, x.astype(float) @ y, rtol=1e-4, atol=1e-4)
    for columns in range(16, 260):
        found = product(x, np.ascontiguousarray(y[:, :columns]))
        np.testing.assert_array_equal(found, whole[:, :columns], err_msg=str(columns))


def test_one_parallel_loop_runs_over_all_leading_axes() -> None:
    program = lower(parse(STACKED))
    (choice,) = [stmt for stmt in program.entry.body if isinstance(stmt, If) and isinstance(stmt.then[0], For)]
    (shared,), (in_turn,) = choice.then, choice.orelse
    assert isinstance(shared, For) and isinstance(in_turn, For)
    assert (shared.axis, in_turn.axis) == ("parallel", "serial")
    assert isinstance(shared.body[-1], Call) and isinstance(in_turn.body[-1], For)
    x, y = np.random.default_rng(0).normal(size=(2, 3, 4, 2, 5)), np.ones((3, 4, 5, 2))
    (found,) = evaluate(program, [x[0], y])
    np.testing.assert_allclose(found, x[0] @ y, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(40, 1001, 100), (8, 1020, 120), (88, 900, 46), (16, 1000, 67)])
@pytest.mark.parametrize("across", [False, True])
def test_long_sums_of_few_elements_are_those_of_two_halves(
    sizes: tuple[int, int, int], dtype: str, across: bool
) -> None:
    m, k, n = sizes
    rng = np.random.default_rng(3)
    x = rng.normal(size=(k, m)).T.astype(dtype, order="F") if across else rng.normal(size=(m, k)).astype(dtype)
    y = rng.normal(size=(k, n)).astype(dtype)
    half = (k + 1) // 2
    reads_where_it_lies = m < Shape.of({"float32": "f32", "float64": "f64"}[dtype], host_options()).packs.rows
    with each_number_of_threads(1, 2, 5) as counts:
        found = [product(x, y) for _ in counts]
    halves = product(x[:, :half], y[:half]) + product(x[:, half:], y[half:])
    np.testing.assert_allclose(found[0], x.astype(np.float64) @ y, rtol=1e-4, atol=1e-4)
    for other in found:
        np.testing.assert_array_equal(other, halves if reads_where_it_lies else found[0])


@pytest.mark.parametrize("columns", [100, 128])
def test_halves_are_written_where_the_product_goes(columns: int) -> None:
    """Into a part of an array, beside what else is there."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(32, 1000)), rng.normal(size=(1000, 70))
    with each_number_of_threads(1, 2) as counts:
        for _ in counts:
            whole = np.ones((40, columns))
            put_product(x, y, whole[3:35, 10:80])
            np.testing.assert_allclose(whole[3:35, 10:80], x @ y, rtol=1e-9, atol=1e-9)
            whole[3:35, 10:80] = 1
            assert (whole == 1).all()
