"""Rows that are read and written in place are gone through in another order where they are short: each once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads


@tj.script
def added(w: Any, x: Any, y: Any) -> None:
    w += x[..., None] * y


@tj.script
def fitted(w: Any) -> None:
    w -= w.max(axis=-1, keepdims=True)


@tj.script
def counted(w: Any, y: Any) -> Any:
    w += y
    return w > 0, w.sum(axis=-1)


WIDTHS = [1, 2, 3, 15, 16, 17, 31, 33, 63, 255, 256, 257, 5000]
HEIGHTS = [1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 200, 1025]


def numbers(shape: tuple[int, ...], dtype: Any, seed: int) -> Any:
    """Whole numbers: sums of them are exact in any order."""
    return np.random.default_rng(seed).integers(-9, 10, shape).astype(dtype)


@pytest.mark.parametrize("width", WIDTHS)
def test_each_row_is_written_once(width: int) -> None:
    for height in HEIGHTS:
        w, x, y = (numbers(shape, np.float32, 7) for shape in ((height, width), (height,), (width,)))
        with each_number_of_threads(1, 3) as counts:
            for _ in counts:
                for function, operands in ((added, (x, y)), (fitted, ()), (counted, (y,))):
                    found, expected = w.copy(), w.copy()
                    results, wanted = function(found, *operands), function.__wrapped__(expected, *operands)
                    np.testing.assert_array_equal(found, expected)
                    for one, other in zip(results or (), wanted or (), strict=True):
                        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64", "int8", "complex64"])
@pytest.mark.parametrize("shape", [(100, 3), (40, 17), (2, 70, 5), (3, 5, 33), (70, 1, 6), (0, 4), (4, 0)])
def test_rows_of_any_dtype_and_layout(shape: tuple[int, ...], dtype: str) -> None:
    x, y = numbers(shape[:-1], dtype, 1), numbers(shape[-1:], dtype, 2)
    wide = numbers((*shape[:-1], 2 * shape[-1] + 3), dtype, 3)
    layouts = (
        lambda a: a[..., : shape[-1]],
        lambda a: a[..., : 2 * shape[-1] : 2],
        lambda a: a[::-1, ..., : shape[-1]],
        lambda a: a[..., : shape[-1]][..., ::-1],
    )
    for layout in layouts:
        found, expected = wide.copy(), wide.copy()
        added(layout(found), x, y)
        added.__wrapped__(layout(expected), x, y)
        np.testing.assert_array_equal(found, expected)


def schedule(compiled: Any, *args: Any) -> str:
    """The loops of the only kernel."""
    (kernel,) = [line for line in compiled.explain(*args).splitlines() if "launched at" in line]
    return kernel.split(": ")[1].split(", launched")[0]


def test_memory_that_is_reused_is_gone_through_in_blocks_too() -> None:
    def layer(x: Any, w: Any, b: Any) -> Any:
        return x @ w + b

    compiled = tj.script(layer)
    x, w, b = numbers((70, 5), np.float64, 4), numbers((5, 10), np.float64, 5), numbers((10,), np.float64, 6)
    np.testing.assert_array_equal(compiled(x, w, b), layer(x, w, b))
    assert schedule(compiled, x, w, b) == "parallel loop, serial loop, serial loop, vector loop"
    other = tj.script(lambda x, b: x + b)
    np.testing.assert_array_equal(other(x, b[:5]), x + b[:5])
    assert schedule(other, x, b[:5]) == "parallel loop, vector loop"
