"""Finds the BLAS that NumPy has loaded: the addresses of its matrix products and the width of its integers.

Wheels of NumPy carry OpenBLAS with 64-bit integers and prefixed names, distributions link a plain one; Apple's
Accelerate and MKL have names of their own. What is found is whatever loaded library answers to a known spelling.
"""

from __future__ import annotations

import ctypes
import sys
from ctypes import c_char_p, c_int, c_size_t, c_uint64, c_void_p
from functools import cache
from typing import Any

import numpy

from tracejit.codegen.support.lapack import ROUTINES
from tracejit.records import record
from tracejit.runtime.addresses import address_of

#: Parts of the names of libraries that may be one, in small letters.
_LIBRARIES = ("openblas", "mkl_rt", "blis", "cblas", "libblas", "accelerate", "veclib", "_multiarray_umath")

#: Spellings of a CBLAS function: prefix, suffix, bits of its integers.
_SPELLINGS = (
    ("scipy_", "64_", 64),
    ("", "64_", 64),
    ("", "_64", 64),
    ("", "$NEWLAPACK$ILP64", 64),
    ("scipy_", "", 32),
    ("", "", 32),
)

#: What is used of it, without the `cblas_` in front.
FUNCTIONS = ("sgemm", "dgemm", "sgemv", "dgemv")


@record
class Blas:
    """Addresses by CBLAS name (`sgemm dgemm sgemv dgemv`) and by LAPACK's; `switch` are those of the functions that
    get and set the number of its threads, or None where the library has no such pair."""

    integer_bits: int
    functions: dict[str, int]
    lapack: dict[str, int]
    switch: tuple[int, int] | None
    path: str


@cache
def find_blas() -> Blas | None:
    """The BLAS of this process, or None."""
    for path in _loaded_libraries():
        if not any(name in path.lower() for name in _LIBRARIES):
            continue
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for prefix, suffix, bits in _SPELLINGS:
            functions = {name: address_of(library, f"{prefix}cblas_{name}{suffix}") for name in FUNCTIONS}
            if all(functions.values()):
                switch = _thread_switch(library, prefix, suffix)
                return Blas(bits, functions, _lapack(library, prefix, suffix), switch, path)
    return None


def _lapack(library: ctypes.CDLL, prefix: str, suffix: str) -> dict[str, int]:
    """The addresses of LAPACK's routines in a library, Fortran's underscore after the name or not."""
    found: dict[str, int] = {}
    for name in ROUTINES:
        for spelling in (f"{prefix}{name}_{suffix}", f"{prefix}{name}{suffix}"):
            if name not in found and (address := address_of(library, spelling)):
                found[name] = address
    return found


def _thread_switch(library: ctypes.CDLL, prefix: str, suffix: str) -> tuple[int, int] | None:
    """OpenBLAS's functions; builds differ in which names get the prefix and suffix."""
    for front, back in ((prefix, suffix), (prefix, ""), ("", suffix), ("", "")):
        names = (f"{front}openblas_{verb}_num_threads{back}" for verb in ("get", "set"))
        get, set = (address_of(library, name) for name in names)
        if get and set:
            return get, set
    return None


def _loaded_libraries() -> list[str]:
    """Paths of the shared libraries of this process."""
    if sys.platform == "darwin":
        return _loaded_on_darwin()
    if sys.platform == "win32":
        return _next_to_numpy()
    return _loaded_on_elf()


class _PhdrInfo(ctypes.Structure):
    _fields_ = [("address", c_uint64), ("name", c_char_p)]


def _loaded_on_elf() -> list[str]:
    names: list[str] = []

    @ctypes.CFUNCTYPE(c_int, ctypes.POINTER(_PhdrInfo), c_size_t, c_void_p)
    def visit(info: Any, size: int, data: Any) -> int:
        if info.contents.name:
            names.append(info.contents.name.decode(errors="replace"))
        return 0

    try:
        # Holding the interpreter's lock: `visit` runs with the lock of the dynamic linker, which an import in another
        # thread waits for while it holds that of the interpreter.
        ctypes.PyDLL(None).dl_iterate_phdr(visit, None)
    except AttributeError:
        return []
    return names


def _loaded_on_darwin() -> list[str]:
    system = ctypes.CDLL(None)
    system._dyld_get_image_name.restype = c_char_p
    count = system._dyld_image_count()
    return [(system._dyld_get_image_name(i) or b"").decode(errors="replace") for i in range(count)]


def _next_to_numpy() -> list[str]:
    from pathlib import Path

    folder = Path(numpy.__file__).parent.parent / "numpy.libs"
    return [str(p) for p in sorted(folder.glob("*.dll"))]
