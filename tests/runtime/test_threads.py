"""Compiled calls and Python's threads."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np
import pytest

import tracejit as tj
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
    if blas is None or not blas.set_threads_local:
        pytest.skip("NumPy's BLAS has no switch for its threads")
    switch = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(blas.set_threads_local)
    product = tj.script(lambda a, b: a @ b)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(700, 600)), rng.normal(size=(600, 1))  # beyond the caches: a BLAS multiplies these
    expected = a @ b
    before = switch(3)
    try:
        found: list[np.ndarray] = []
        threads = [threading.Thread(target=lambda: found.extend(product(a, b) for _ in range(20))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert switch(3) == 3
    finally:
        switch(before)
    assert len(found) == 80
    np.testing.assert_allclose(np.array(found), np.broadcast_to(expected, (80, 700, 1)), rtol=1e-10, atol=1e-12)
    assert all(np.array_equal(x, found[0]) for x in found), "the same bits, shared or not"
