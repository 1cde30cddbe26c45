"""Arrays that are read across their lines, or with gaps: in strips, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads
from tracejit.nn import functional as F

SIZES = [(1, 1), (3, 200), (200, 3), (63, 65), (64, 64), (130, 129), (5, 1)]


@tj.script
def combined(x: Any, y: Any) -> Any:
    return x.T * 2 + y, x + y.T


@tj.script
def turned(x: Any) -> Any:
    return x.transpose(2, 0, 1) * 2 + 1, x.transpose(1, 0, 2) + 1, x.transpose(2, 1, 0) - 1


@tj.script
def doubled(x: Any) -> Any:
    return x * 2


@tj.script
def spread(target: Any, x: Any, step: int) -> None:
    target[::step] = x


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "bool"])
def test_turned_matrices(shape: tuple[int, int], dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2 if dtype == "bool" else 50, shape).astype(dtype)
    y = rng.integers(0, 2 if dtype == "bool" else 50, shape[::-1]).astype(dtype)
    for a, b in ((x, y), (y.T, x.T), (np.asfortranarray(x), y), (x[::-1], y[:, ::-1])):
        with each_number_of_threads(1, 3) as counts:
            for _ in counts:
                for result, expected in zip(combined(a, b), (a.T * 2 + b, a + b.T), strict=True):
                    np.testing.assert_array_equal(result, expected, strict=True)


@pytest.mark.parametrize("shape", [(2, 3, 4), (65, 3, 70), (3, 66, 65), (70, 65, 2), (16, 17, 40), (17, 40, 16)])
def test_turned_blocks(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    for a in (x, x.transpose(1, 2, 0), x[:, ::-1], x[..., ::2]):
        expected = a.transpose(2, 0, 1) * 2 + 1, a.transpose(1, 0, 2) + 1, a.transpose(2, 1, 0) - 1
        for result, want in zip(turned(a), expected, strict=True):
            np.testing.assert_array_equal(result, want, strict=True)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int16", "int8", "bool", "complex64"])
@pytest.mark.parametrize("step", [-3, -2, 2, 3, 5, 17])
def test_elements_some_step_apart(step: int, dtype: str) -> None:
    x = np.random.default_rng(0).integers(0, 2, 2000).astype(dtype)
    with each_number_of_threads(1, 3) as counts:
        for _ in counts:
            np.testing.assert_array_equal(doubled(x[::step]), x[::step] * 2)
    target, expected = x.copy(), x.copy()
    value = np.zeros_like(x[:: abs(step)])
    spread(target, value, abs(step))
    expected[:: abs(step)] = 0
    np.testing.assert_array_equal(target, expected)


def test_a_part_of_a_transposition_is_read_in_strips() -> None:
    given = np.ones((100, 99)).T[:90]
    np.testing.assert_array_equal(doubled(given), 2)
    (kernel,) = [line for line in doubled.explain(given).splitlines() if "launched at" in line]
    assert "parallel loop, serial loop, serial loop, vector loop" in kernel


def test_every_other_element_is_read_in_vectors() -> None:
    """A read of every other element is two loads and a shuffle, also in short rows: no strips, no scalar version."""

    compiled = tj.script(lambda x: F.max_pool2d(tj.relu(x), 2))
    for size in (14, 28, 30, 34, 94):
        x = np.random.default_rng(0).normal(size=(3, 4, size)).astype(np.float32)
        expected = np.maximum(x, 0).reshape(3, 2, 2, size // 2, 2).max(axis=(2, 4))
        np.testing.assert_array_equal(compiled(tj.tensor(x)), expected)
    *_, kernel = [line for line in compiled.explain(tj.tensor(x)).splitlines() if "launched at" in line]
    assert "parallel loop, serial loop, vector loop, launched" in kernel


@tj.script
def flipped(x: Any) -> Any:
    return x.T.copy(), np.ascontiguousarray(x[1:].T), x.T.ravel()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.complex128, bool])
@pytest.mark.parametrize(
    "shape", [(3, 2), (1000, 10), (257, 31), (256, 32), (700, 33), (2, 300), (5, 1), (0, 3), (3, 0)]
)
def test_transposed_copies_of_columns_of_all_lengths(shape: tuple[int, int], dtype: Any) -> None:
    x = (np.random.default_rng(0).uniform(-9, 9, shape)).astype(dtype)
    for found, expected in zip(flipped(x), flipped.__wrapped__(x), strict=True):
        np.testing.assert_array_equal(found, expected)


@tj.script
def copied(x: Any) -> Any:
    return x.T.copy()


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int16", "uint8", "bool", "complex64"])
def test_copies_across_lines(dtype: str) -> None:
    """Squares of a few columns turn in registers; the last ones overlap those before."""
    rng = np.random.default_rng(0)
    shapes = [(0, 5), (1, 1), (7, 15), (8, 16), (9, 63), (8, 64), (17, 65), (100, 100), (71, 143), (15, 300), (300, 15)]
    shapes += [shape for few in (2, 3, 4, 5) for n in (1, 3, 33, 200) for shape in ((few, n), (n, few))]
    for shape in shapes:
        x = rng.integers(0, 2 if dtype == "bool" else 100, shape).astype(dtype)
        for view in (x, x[::-1], x[:, ::-1], x[::2], np.asfortranarray(x)):
            with each_number_of_threads(1, 3) as counts:
                for _ in counts:
                    np.testing.assert_array_equal(copied(view), view.T, strict=True)


@tj.script
def turned_fill(x: Any) -> Any:
    return np.full((len(x), 3), 2.0).T + x


def test_an_array_of_one_number_turns_without_a_copy() -> None:
    x = np.arange(5.0)
    np.testing.assert_array_equal(turned_fill(x), np.full((3, 5), 2.0) + x)
    assert "transpose" not in turned_fill.ir("after:canonicalize")


@tj.script
def permuted(x: Any) -> Any:
    return (
        x.transpose(2, 0, 1).copy(),
        x.transpose(1, 2, 0).copy(),
        x.transpose(0, 2, 1).copy(),
        x.transpose(2, 1, 0).copy(),
        x.transpose(1, 0, 2).copy(),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "complex64"])
@pytest.mark.parametrize(
    "shape", [(0, 2, 3), (5, 7, 3), (3, 5, 7), (16, 20, 3), (3, 20, 16), (2, 3, 4), (1, 9, 17), (17, 9, 1), (9, 1, 8)]
)
def test_copies_in_another_order_of_axes(shape: tuple[int, ...], dtype: str) -> None:
    """Axes that stay together are one: images that are turned are matrices of a few rows or columns."""
    x = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    for view in (x, x[:, ::-1], x[::2], np.asfortranarray(x)):
        with each_number_of_threads(1, 2) as counts:
            for _ in counts:
                for found, expected in zip(permuted(view), permuted.__wrapped__(view), strict=True):
                    np.testing.assert_array_equal(found, expected, strict=True)


@tj.script
def into_every_other_column(out: Any, x: Any) -> None:
    out.T[::2] = x.T


@tj.script
def into_every_third_column(out: Any, x: Any) -> None:
    out.T[::3] = x.T


@pytest.mark.parametrize("function", [into_every_other_column, into_every_third_column])
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 20, 100])
def test_rows_whose_elements_lie_apart(function: Any, rows: int, columns: int) -> None:
    """The step from one row of the window to the next is its number of columns, but these are no neighbours."""
    x = np.arange(float(rows * columns)).reshape(rows, columns)
    step = 2 if function is into_every_other_column else 3
    out, expected = (np.zeros((rows, step * columns)) for _ in range(2))
    function(out, x)
    function.__wrapped__(expected, x)
    np.testing.assert_array_equal(out, expected)
