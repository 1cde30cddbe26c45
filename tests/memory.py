"""Memory of tests that ends where nothing may be read."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np


class AtTheEnd:
    """Memory behind which nothing may be read."""

    def __init__(self, size: int) -> None:
        page = mmap.PAGESIZE
        self.length = -(-size // page) * page
        self.map = mmap.mmap(-1, self.length + page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        libc = ctypes.CDLL(None)
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        assert libc.mprotect(start + self.length, page, 0) == 0

    def array(self, count: int, dtype: str) -> Any:
        """The last elements before the end."""
        return np.frombuffer(self.map, dtype, count, self.length - count * np.dtype(dtype).itemsize)
