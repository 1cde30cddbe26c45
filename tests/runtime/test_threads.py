"""Compiled calls and Python's threads."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

import tracejit as tj


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
