"""Results larger than the caches, which are written past them where the target can do so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads
from tracejit.codegen.llvm.streams import LARGE
from tracejit.runtime.machines import host_options


def line(x: Any, w: Any) -> Any:
    return x * 2 + w


def compare(x: Any, w: Any) -> Any:
    return x < w, x - w


def into(y: Any, x: Any) -> None:
    y[3:] = x[3:] * 2
    y[:3] = 7


def bias(x: Any, b: Any) -> Any:
    return x + b


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_flat_results(dtype: Any) -> None:
    compiled = tj.script(line)
    for extra in (0, 5):
        n = LARGE // np.dtype(dtype).itemsize + 10_000 + extra
        x, w = np.arange(n).astype(dtype), np.arange(n)[::-1].astype(dtype)
        with each_number_of_threads(1, 3) as counts:
            for _ in counts:
                np.testing.assert_array_equal(compiled(x, w), line(x, w))
    assert ("nontemporal" in compiled.llvm) == (host_options().vector_bits == 512)


def test_results_of_other_layouts() -> None:
    n = LARGE // 4 + 1000
    x, w = np.arange(n, dtype=np.float32), np.full(n, n / 2, np.float32)
    for found, expected in zip(tj.script(compare)(x, w), compare(x, w), strict=True):
        np.testing.assert_array_equal(found, expected)
    found, expected = np.zeros(n, np.float32), np.zeros(n, np.float32)
    tj.script(into)(found, x)
    into(expected, x)
    np.testing.assert_array_equal(found, expected)
    for width in (1024, 1000):
        matrix, b = x[: n // width * width].reshape(-1, width), x[:width].copy()
        np.testing.assert_array_equal(tj.script(bias)(matrix, b), matrix + b)
