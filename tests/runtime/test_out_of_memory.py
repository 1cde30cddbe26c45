"""Programs that ask for more memory than the process may have: MemoryError, and what they held is given back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import resource

import numpy as np

import tracejit as tj

A = np.linspace(0.1, 1.0, 1000)


def numbers(x):
    items = [x]
    while x > 0:
        items.append(x)
    return len(items)


def arrays(x):
    items = [x]
    while x[0] > 0:
        items.append(x * 2)
    return len(items)


def lists(x):
    items = [[x]]
    while x > 0:
        items.append([x, 2 * x])
    return len(items)


def doubled(x):
    items = [x]
    while x > 0:
        items = items + items
    return len(items)


def endless(x):
    while x < 100:
        x = np.sin(x) + 0.5 * x
    return x


def sweeps(x):
    while np.sum(x) < 1e9:
        x = np.tanh(x) + 0.5 * np.sin(x)
    return np.sum(x)


def short(x):
    items = [x]
    while len(items) < 10:
        items.append(x * len(items))
    return sum(items)


programs = [(tj.script(f), x, -x) for f, x in ((numbers, 1.5), (arrays, A), (lists, 1.5), (doubled, 1.5))]
programs += [(tj.grad(endless), 0.3, 1e3), (tj.grad(tj.grad(endless)), 0.3, 1e3), (tj.grad(sweeps), A, A * 1e9)]
for function, _, short_run in programs:
    function(short_run)
tj.grad(short)(1.0)
with open("/proc/self/statm") as file:
    pages = int(file.read().split()[0])
limit = pages * resource.getpagesize() + (200 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for function, x, _ in programs:
    try:
        function(x)
    except MemoryError:
        print("MemoryError")
print(tj.grad(short)(1.0))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="sets a limit that only Linux keeps")
def test_lists_and_residuals_without_memory(tmp_path: Path) -> None:
    file = tmp_path / "endless.py"
    file.write_text(PROGRAM)
    command = [sys.executable, "-X", "faulthandler", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.split() == ["MemoryError"] * 7 + ["46.0"]
