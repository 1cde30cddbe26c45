"""Calling an exported library through ctypes: for tests, the demo, and Python programs without a compiler.

    library = NativeLibrary("model.so")
    y = library(x, 0.5)

What the library expects is read from the manifest beside it. Nothing here uses the rest of the compiler.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import tempfile
from ctypes import POINTER, Structure, c_char_p, c_int, c_int32, c_int64, c_void_p
from pathlib import Path
from typing import Any

import numpy as np

from tracejit.errors import ExportError

MANIFEST_VERSION = 1


class CTensor(Structure):
    """`tj_tensor` of the header."""

    _fields_ = (
        ("data", c_void_p),
        ("ndim", c_int64),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("dtype", c_int32),
    )


class NativeError(RuntimeError):
    """A call of an exported function failed; `status` is its code, the text its message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class NativeLibrary:
    """An exported shared library with its manifest."""

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        self.manifest = read_manifest(path)
        self._library = _open(path.resolve())
        name = self.manifest["name"]
        self._function = self._symbol(name, c_int, POINTER(CTensor), POINTER(CTensor), c_void_p)
        self._message = self._symbol(f"{name}_message", c_char_p)
        self._free = self._symbol(f"{name}_free", None, c_void_p)
        self._arena_size = self._symbol(f"{name}_arena_size", c_int64, POINTER(CTensor))

    def _symbol(self, name: str, result: Any, *arguments: Any) -> Any:
        function = getattr(self._library, name)
        function.restype, function.argtypes = result, arguments
        return function

    def set_threads(self, count: int) -> None:
        """How many threads large loops use from now on (0: one for each processor), in a library that has some."""
        if not self.manifest.get("threads"):
            raise TypeError(f"{self.manifest['name']} was exported without threads=True")
        self._symbol(f"{self.manifest['name']}_set_threads", None, c_int32)(count)

    def __call__(self, *args: Any, arena: bool = False) -> Any:
        """Run the function; gives its one result or a tuple. Arrays the function changes are changed in place.

        `arena` lends it the working memory it asks for. Raises NativeError with the library's message.
        """
        inputs, keep = self._inputs(args)
        outputs = (CTensor * max(len(self.manifest["outputs"]), 1))()
        working = np.empty(self._arena_size(inputs) + 64, np.uint8) if arena else None
        start = None if working is None else (working.ctypes.data + 63) & ~63
        status = self._function(inputs, outputs, start)
        del keep
        if status != 0:
            raise NativeError(status, self._message().decode())
        results = [self._take(outputs[i], slot) for i, slot in enumerate(self.manifest["outputs"])]
        return results[0] if len(results) == 1 else tuple(results)

    def arena_size(self, *args: Any) -> int:
        """Bytes of working memory the function can use for these arguments."""
        inputs, keep = self._inputs(args)
        size = self._arena_size(inputs)
        del keep
        return size

    def _inputs(self, args: tuple[Any, ...]) -> tuple[Any, list[Any]]:
        slots = self.manifest["inputs"]
        if len(args) != len(slots):
            raise TypeError(f"{self.manifest['name']} takes {len(slots)} arguments, got {len(args)}")
        inputs = (CTensor * max(len(slots), 1))()
        keep: list[Any] = []
        for record, slot, arg in zip(inputs, slots, args, strict=False):
            array = _as_array(arg, slot)
            keep += [array, _describe(record, array, slot)]
        return inputs, keep

    def _take(self, record: CTensor, slot: dict[str, Any]) -> Any:
        """A copy of an output as a NumPy array or scalar; the library's block is freed."""
        dtype = _dtype(slot["dtype"])
        shape = [record.shape[i] for i in range(record.ndim)]
        count = int(np.prod(shape, dtype=np.int64))
        held = memoryview((ctypes.c_byte * (count * dtype.itemsize)).from_address(record.data))
        array = np.frombuffer(held, dtype).reshape(shape).copy()
        self._free(record.data)
        return array[()] if slot["scalar"] else array


_opened: dict[Path, tuple[int, int]] = {}


def _open(path: Path) -> ctypes.CDLL:
    """The library in a file. The system's loader knows libraries by path, so one that was written anew since it was
    opened is opened through a copy. Raises ExportError where it cannot be loaded."""
    try:
        status = path.stat()
        identity = status.st_ino, status.st_mtime_ns
        if _opened.setdefault(path, identity) == identity:
            return ctypes.CDLL(str(path))
        with tempfile.TemporaryDirectory(prefix="tracejit-") as folder:
            return ctypes.CDLL(str(shutil.copy(path, folder)))
    except OSError as error:
        raise ExportError(f"cannot load {path}: {error}") from error


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest beside an artefact. Raises ExportError where it is missing or of another version."""
    beside = path.with_suffix(".json")
    try:
        manifest = json.loads(beside.read_text())
    except FileNotFoundError:
        raise ExportError(f"{path} has no manifest: {beside} is missing") from None
    except ValueError as error:
        raise ExportError(f"{beside} is not a manifest: {error}") from error
    version = manifest.get("version") if isinstance(manifest, dict) else None
    if version != MANIFEST_VERSION:
        raise ExportError(f"{beside} has version {version}, this tracejit reads {MANIFEST_VERSION}")
    return manifest


def _dtype(name: str) -> np.dtype[Any]:
    if name != "bfloat16":
        return np.dtype(name)
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)


def _as_array(arg: Any, slot: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The argument as an array of the slot's dtype; only Python numbers are converted."""
    dtype = _dtype(slot["dtype"])
    if isinstance(arg, bool | int | float | complex) and not isinstance(arg, np.generic):
        return np.array(arg, dtype)
    array = np.asarray(arg)
    if array.dtype != dtype:
        raise TypeError(f"{slot['name']} has dtype {array.dtype}, expected {dtype}")
    return array


def _describe(record: Any, array: np.ndarray[Any, Any], slot: dict[str, Any]) -> list[Any]:
    """Fill a tj_tensor; gives what must stay alive."""
    rank = array.ndim
    if any(stride % array.itemsize for stride in array.strides):
        raise ValueError(f"{slot['name']} has strides that are no multiples of its element size")
    shape = (c_int64 * max(rank, 1))(*array.shape)
    strides = (c_int64 * max(rank, 1))(*(s // array.itemsize for s in array.strides))
    record.data, record.ndim, record.dtype = array.ctypes.data, rank, 0
    record.shape = shape
    record.strides = None if array.flags.c_contiguous else strides
    return [shape, strides]
