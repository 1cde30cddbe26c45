"""Compiled calls and Python's threads."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads
from tracejit.runtime.blas import find_blas


def spin(n: int) -> int:
    total = 0
    for i in range(n):
        total = (total * 31 + i) % 1_000_003
    return total


def test_a_long_loop_lets_other_threads_run() -> None:
    compiled = tj.script(spin)
    assert compiled(1000) == spin(1000)
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(compiled(30_000_000)))
    thread.start()
    turns = 0
    while thread.is_alive():
        turns += 1
    thread.join()
    assert turns > 1000 and len(results) == 1


def test_many_threads_call_one_function() -> None:
    @tj.script
    def scale(x: Any, s: float) -> Any:
        return x * s + 1

    x = np.arange(20_000.0)
    wrong: list[float] = []

    def work(s: float) -> None:
        for _ in range(50):
            if not np.array_equal(scale(x, s), x * s + 1):
                wrong.append(s)

    threads = [threading.Thread(target=work, args=(float(s),)) for s in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and scale.compiles == 1


def test_products_leave_the_threads_of_the_blas_as_they_were() -> None:
    blas = find_blas()
    if blas is None or not blas.switch:
        pytest.skip("NumPy's BLAS has no switch for its threads")
    count = ctypes.CFUNCTYPE(ctypes.c_int)(blas.switch[0])
    switch = ctypes.CFUNCTYPE(None, ctypes.c_int)(blas.switch[1])
    product = tj.script(lambda a, b: a @ b)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(700, 600)), rng.normal(size=(600, 1))  # beyond the caches: a BLAS multiplies these
    expected = a @ b
    before = count()
    switch(3)
    try:
        found: list[np.ndarray] = []
        threads = [threading.Thread(target=lambda: found.extend(product(a, b) for _ in range(20))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert count() == 3
    finally:
        switch(before)
    assert len(found) == 80
    np.testing.assert_allclose(np.array(found), np.broadcast_to(expected, (80, 700, 1)), rtol=1e-10, atol=1e-12)
    assert all(np.array_equal(x, found[0]) for x in found), "the same bits, shared or not"


def steps(x: np.ndarray, w: np.ndarray, n: int) -> np.ndarray:
    """Products and elements of some microseconds each, shared while the workers are awake."""
    total = (np.ones((2048, 64), np.float32) @ w).sum() * 0
    for _ in range(n):
        x = np.tanh(x @ w) + 0.5 * np.exp(-x * x) + total
        x[:, 0] = x.mean(1)
    return x


def test_small_work_has_the_same_bits_however_it_is_shared() -> None:
    fast = tj.script(steps)
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=shape).astype(np.float32) * np.float32(0.1) for shape in ((48, 64), (64, 64)))
    found: list[bytes] = []
    with each_number_of_threads(1, 2, 4) as counts:
        for _ in counts:
            found += [fast(x, w, 100).tobytes() for _ in range(3)]
    assert len(set(found)) == 1
    expected = steps(x.astype(np.float64), w.astype(np.float64), 100)
    np.testing.assert_allclose(np.frombuffer(found[0], np.float32).reshape(48, 64), expected, atol=1e-4)


def overlapping(x: Any) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(x, 64)
    return (windows * windows * windows).sum()


def apart(x: Any) -> Any:
    return (x[:, ::3] ** 3).sum() + (x[::2, 1::3] ** 2).sum()


@pytest.mark.parametrize("fn", [overlapping, apart])
def test_sums_into_parts_of_an_array_have_the_same_bits_for_any_number_of_threads(fn: Any) -> None:
    """Only parts whose rows have no element in common are shared."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=5000 if fn is overlapping else (900, 700))
    if fn is overlapping:
        places = np.arange(5000)
        expected = 3 * x**2 * np.minimum(np.minimum(places + 1, 64), 5000 - places)
    else:
        expected = np.zeros_like(x)
        expected[:, ::3] = 3 * x[:, ::3] ** 2
        expected[::2, 1::3] += 2 * x[::2, 1::3]
    gradient = tj.grad(fn)
    found: list[bytes] = []
    with each_number_of_threads(1, 2, 4) as counts:
        found += [gradient(x).tobytes() for _ in counts for _ in range(3)]
    assert len(set(found)) == 1
    np.testing.assert_allclose(np.frombuffer(found[0]).reshape(x.shape), expected, rtol=1e-12)
