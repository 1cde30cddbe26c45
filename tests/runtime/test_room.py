"""Where too little memory is left for LLVM, which would end the process, there is a MemoryError before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import cmath
import ctypes
import mmap
import resource

import numpy as np

import tracejit as tj

PRIVATE_ANONYMOUS_UNRESERVED = 0x4022


def f(x, w):
    return (np.tanh(x @ w) * 2).sum()


def g(x):
    return np.sin(x) + x.sum()


def outcome(function, *args):
    try:
        return type(tj.script(function)(*args)).__name__
    except MemoryError:
        return "MemoryError"


x, w = np.ones((2, 3)), np.ones((3, 2))
tj.script(lambda x: x + 1)(x)

libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
most = int(open("/proc/sys/vm/max_map_count").read())
if most < 1 << 20:
    pages = libc.mmap(None, 3 * most * mmap.PAGESIZE, 0, PRIVATE_ANONYMOUS_UNRESERVED, -1, 0)
    page = 1
    while libc.mprotect(pages + page * mmap.PAGESIZE, mmap.PAGESIZE, 1) == 0:  # a mapping of its own
        page += 2
    assert outcome(g, x) in ("MemoryError", "ndarray")  # memory beside its like needs no mapping
    libc.munmap(pages, 3 * most * mmap.PAGESIZE)
with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (8 << 20), resource.RLIM_INFINITY))
found = outcome(f, x, w)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(found, outcome(g, x), outcome(f, x, w))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux keeps them")
@pytest.mark.compiled
def test_too_little_memory_and_too_few_mappings_to_compile(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    environment = os.environ | {"TRACEJIT_CACHE_DIR": str(tmp_path)}  # what is found on the disk needs less
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120, env=environment)
    expected = "MemoryError ndarray float64\n"
    assert (done.returncode, done.stdout) == (0, expected), done.stderr[-2000:]
