"""The number of threads of the pool, for tests."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

from tracejit import config
from tracejit.runtime.engine import engine


@contextmanager
def each_number_of_threads(*counts: int) -> Iterator[Iterator[int]]:
    """Numbers of threads, each in force while it is the current one."""
    change = ctypes.CFUNCTYPE(None, ctypes.c_int32)(engine().support["tj_set_threads"])

    def each() -> Iterator[int]:
        for count in counts:
            change(count)
            yield count

    try:
        yield each()
    finally:
        change(config.get("num_threads"))
