"""Room for LLVM: it ends the process where memory runs out, so there must be enough before it begins.

Tried is what it may take at most, by reserving that and giving it back.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

#: What LLVM takes beside what grows with its work, and for each byte of IR text, of object code: twice what was seen.
_LEAST, _PER_TEXT, _PER_CODE = 16 << 20, 128, 32

#: A thread's stack and what the C library sets aside for it.
_THREAD = 80 << 20

#: Mappings that an object takes at most: code, constants, variables and what lies between.
_MAPPINGS = 6


def room_to_compile(text: str) -> None:
    """MemoryError if there may be too little for a module of IR."""
    _reserve(_LEAST + _PER_TEXT * len(text), 0)


def has_room_beside(text: str) -> bool:
    """Whether another thread may compile a module of IR while this one goes on."""
    try:
        _reserve(_THREAD + 2 * (_LEAST + _PER_TEXT * len(text)), 0)
    except MemoryError:
        return False
    return True


def room_to_link(objects: Sequence[bytes]) -> None:
    """MemoryError if there may be too little for object code."""
    _reserve((_LEAST >> 2) + _PER_CODE * sum(map(len, objects)), _MAPPINGS * len(objects))


@contextmanager
def asked_already() -> Iterator[None]:
    """Inside, this thread takes the room for granted: what native code waits for cannot be refused."""
    _state.asked = True
    try:
        yield
    finally:
        _state.asked = False


_state = threading.local()


def _reserve(size: int, mappings: int) -> None:
    if getattr(_state, "asked", False):
        return
    try:
        held = mmap.mmap(-1, size) if sys.platform == "win32" else mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANON)
    except (OSError, ValueError):  # more than there is, or can be
        raise MemoryError("no memory to compile") from None
    with held:
        protect = _protect()
        if protect is None or not mappings:
            return
        page = mmap.PAGESIZE
        place = ctypes.c_char.from_buffer(held)
        start = ctypes.addressof(place)
        del place
        # every second page apart from its neighbours
        if any(protect(start + k * page, page, mmap.PROT_READ) for k in range(1, mappings + 1, 2)):
            raise MemoryError("the system has no more mappings of memory for compiled code")


@cache
def _protect() -> Any:
    """The C library's `mprotect`, where there is one."""
    if sys.platform == "win32":
        return None
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return protect
