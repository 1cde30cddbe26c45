"""Linking where free places in the address space are small and far from each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import ctypes
import mmap

import numpy as np

import tracejit as tj

PRIVATE_ANONYMOUS_UNRESERVED = 0x4022

libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def reserve(size):
    place = libc.mmap(None, size, 0, PRIVATE_ANONYMOUS_UNRESERVED, -1, 0)
    assert place != ctypes.c_void_p(-1).value
    return place


def products(x, w):
    return (np.tanh(x @ w) * 2).sum()


def above(x):
    found = []
    for i in range(len(x)):
        if x[i] > 0.2:
            found.append(np.cos(x[i]))
    return sum(found), len(found)


x, w = np.linspace(0, 1, 1000).reshape(10, 100), np.ones((100, 5))
tj.script(lambda x: x + 1)(x)
low = reserve(3 << 30)  # the system goes downwards: what is mapped below this is far from what lies above
size = 1 << 30
while size > mmap.PAGESIZE:  # fill what is free above
    while reserve(size) > low:
        pass
    size //= 2
pages = [reserve(mmap.PAGESIZE) for _ in range(1000)]
above_low = [page for page in pages if page > low]
for page in above_low[::2]:  # and leave single pages free
    libc.munmap(page, mmap.PAGESIZE)
np.testing.assert_allclose(tj.script(products)(x, w), products(x, w))
np.testing.assert_allclose(tj.script(above)(x[3]), above(x[3]))
value, gradient = tj.value_and_grad(products)(x, w)
np.testing.assert_allclose(gradient, 2 * (1 - np.tanh(x @ w) ** 2) @ w.T, atol=1e-12)
print(len(above_low) > 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reserves address space as Linux does")
def test_code_is_linked_where_free_places_are_small_and_far_apart(tmp_path: Path) -> None:
    """The parts of a program must reach each other, although the system would give each a place of its own."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr[-2000:]
