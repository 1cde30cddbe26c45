"""Results larger than the caches, which are written past them where the target can do so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.memory import AtTheEnd
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


def chain(x: Any, w: Any) -> Any:
    return np.tanh(x * w) * np.exp(-x * x) + np.sin(w), x + np.cos(w) > 0.5


def chain_into(y: Any, x: Any) -> Any:
    y[3:] = np.tanh(x[3:]) * np.exp(-x[3:]) + np.sin(x[3:])
    y[:3] = 7
    return y[-1]


def branches(y: Any, x: Any) -> None:
    for i in range(len(x)):
        y[i] = np.sin(x[i]) * np.cos(x[i]) + np.exp(-x[i]) * np.tanh(x[i])
        if x[i] > 0.5:
            y[i] = np.exp(x[i])


@pytest.mark.parametrize("extra", [0, 1, 21])
def test_results_that_are_much_to_compute(extra: int) -> None:
    rng = np.random.default_rng(extra)
    compiled, n = tj.script(chain), LARGE // 4 + 4096 + extra
    x, w = (rng.uniform(-2, 2, n).astype(np.float32) for _ in range(2))
    expected = chain(x, w)
    with each_number_of_threads(1, 3) as counts:
        for _ in counts:
            found = compiled(x, w)
            np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-6)
            assert (found[1] != expected[1]).mean() < 1e-5
    assert ("nontemporal" in compiled.llvm) == (host_options().vector_bits == 512)


def test_gradients_larger_than_the_caches() -> None:
    def total(x: Any, w: Any) -> Any:
        return (np.tanh(x * w) * np.exp(-x * x)).sum()

    rng, n = np.random.default_rng(2), LARGE // 4 + 1000
    x, w = (rng.uniform(-2, 2, n) for _ in range(2))
    compiled = tj.value_and_grad(total, argnums=(0, 1))
    t, e = np.tanh(x * w), np.exp(-x * x)
    with each_number_of_threads(1, 3) as counts:
        for _ in counts:
            value, (dx, dw) = compiled(x.astype(np.float32), w.astype(np.float32))
            np.testing.assert_allclose(value, (t * e).sum(), rtol=1e-4)
            np.testing.assert_allclose(dw, (1 - t * t) * x * e, rtol=1e-3, atol=1e-5)
            np.testing.assert_allclose(dx, (1 - t * t) * w * e - 2 * x * t * e, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("function", [chain_into, branches])
@pytest.mark.parametrize("start", [0, 1, 5])
def test_places_that_begin_anywhere_and_writes_under_conditions(function: Any, start: int) -> None:
    n = LARGE // 4 + 5000
    x = np.linspace(-1, 1, n, dtype=np.float32)
    found = np.zeros(n + 8, np.float32)
    tj.script(function)(found[start : start + n], x)
    expected = np.zeros(n + 8, np.float32)
    if function is chain_into:
        chain_into(expected[start : start + n], x)
    else:
        many = np.sin(x) * np.cos(x) + np.exp(-x) * np.tanh(x)
        expected[start : start + n] = np.where(x > 0.5, np.exp(x), many)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_what_is_asked_for_ahead_is_not_read() -> None:
    compiled, memory = tj.script(chain), AtTheEnd(1 << 12)
    for n in (1, 15, 16, 17, 33, 1000):
        x = memory.array(n, "float32")
        x[:] = np.linspace(-1, 1, n)
        np.testing.assert_allclose(compiled(x, x)[0], chain(x, x)[0], rtol=1e-5, atol=1e-6)
