"""Processes that fork while other threads compile."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

import tracejit as tj
from tests.frontend.test_source import module

pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork"), pytest.mark.compiled]


def test_a_child_compiles_whatever_another_thread_was_at(tmp_path: Path) -> None:
    lines = [f"    x = np.where(x > {k}, x * 2, x + {k})" for k in range(10)]
    text = "\n".join(["import numpy as np", "def f(x, k):", *lines, "    return x * k"])
    made = module(tmp_path, "forks_program", text)
    first = tj.script(made.f, cache=False)
    for _ in range(3):
        first(np.ones(3), 2)  # imports all modules: one that another thread imports at a fork is lost to the child
    stop, begun = threading.Event(), threading.Event()

    def compile_again_and_again() -> None:
        while not stop.is_set():
            script = tj.script(made.f, cache=False)
            begun.set()
            script(np.ones(3), 2)

    thread = threading.Thread(target=compile_again_and_again)
    thread.start()
    statuses: list[int] = []
    try:
        assert begun.wait(30)
        for _ in range(6):
            child = os.fork()
            if child == 0:
                signal.alarm(30)
                status = 1
                try:
                    found = tj.script(made.f, cache=False)(np.ones(3), 2)
                    status = 0 if np.array_equal(found, made.f(np.ones(3), 2)) else 2
                finally:
                    os._exit(status)
            statuses.append(os.waitpid(child, 0)[1])
    finally:
        stop.set()
        thread.join()
    assert statuses == [0] * 6
