"""A native failure as the Python exception that plain Python would have raised at that line.

Native code reports the index of an `ErrorSite` and its payload as bits. The exception made from them carries a
traceback whose last frame is the user's file, function and line: a code object with that name and those
positions is run once to raise it, so every tool that shows tracebacks finds the source by itself.
"""

from __future__ import annotations

import ast
import struct
from collections.abc import Callable, Sequence
from ctypes import c_int64
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np

from tracejit.codegen.llvm.entry import INTERRUPTED, NO_MEMORY
from tracejit.codegen.loop_ir import ErrorSite
from tracejit.codegen.numeric import numpy_dtype
from tracejit.errors import Span, make_error
from tracejit.ir.types import DType
from tracejit.runtime.engine import memory_trim
from tracejit.runtime.interrupts import interruption


def failure(site: ErrorSite, payload: Sequence[Any]) -> BaseException:
    """The exception of a site, with its traceback; `payload` are Python numbers."""
    error = make_error(site.kind, site.message, payload)
    return error if site.span is None else thrown_at(error, site.span)


def no_memory() -> MemoryError:
    """The exception of a call that ran out of memory; what freed blocks hold goes back to the system."""
    memory_trim()
    return MemoryError("no memory for an array or a list")


def error_hook(sites: Sequence[ErrorSite]) -> Callable[[int, int], BaseException]:
    """What the call path asks for the exception of `(status, address of the context)`."""

    def hook(status: int, context: int) -> BaseException:
        if status == NO_MEMORY:
            return no_memory()
        if status == INTERRUPTED:
            return interruption(context)
        site = sites[status - 1]
        bits = (c_int64 * len(site.payload)).from_address(context)
        return failure(site, payload_values(list(bits), site.payload))

    return hook


def payload_values(bits: Sequence[int], dtypes: Sequence[DType]) -> list[Any]:
    """Payload words as numbers: floats are the bits of a float64, narrower ones become NumPy's, which show fewer
    digits."""
    return [_payload_value(word, dtype) for word, dtype in zip(bits, dtypes, strict=False)]


def _payload_value(word: int, dtype: DType) -> Any:
    return payload_number(struct.unpack("d", struct.pack("q", word))[0] if dtype.kind == "f" else word, dtype)


def payload_scalar(word: int, dtype: DType) -> Any:
    """A payload word as a NumPy scalar."""
    return numpy_dtype(dtype).type(_payload_value(word, dtype))


def payload_number(word: Any, dtype: DType) -> Any:
    """A value that was widened to i64 or f64 as it is shown."""
    match dtype.kind:
        case "f":
            return word if dtype.bits == 64 else np.dtype(dtype.numpy_name).type(word)
        case "b":
            return bool(word)
        case "u":
            return word % (1 << 64)
        case _:
            return word


def thrown_at(error: BaseException, span: Span) -> BaseException:
    """The exception with a traceback that ends in the user's function at `span`."""
    try:
        exec(_raise_code(span), {"errors": [error], "__name__": span.function})
    except BaseException as raised:
        traceback = raised.__traceback__
        assert traceback is not None
        return error.with_traceback(traceback.tb_next)
    raise AssertionError("the raising code did not raise")


@lru_cache(maxsize=256)
def _raise_code(span: Span) -> CodeType:
    """`raise errors.pop()` as if it stood at `span`; without columns, the whole line.

    (The frame must not keep the error it raises, or each would wait for the cycle collector.)
    """
    text = span.text()
    start = span.column if span.end_column is not None else len(text) - len(text.lstrip())
    end = span.end_column if span.end_column is not None else len(text)
    place: Any = {
        "lineno": span.line,
        "col_offset": start,
        "end_lineno": span.end_line if span.end_line is not None else span.line,
        "end_col_offset": max(end, start) if span.end_line in (None, span.line) else end,
    }
    errors = ast.Name("errors", ast.Load(), **place)
    error = ast.Call(ast.Attribute(errors, "pop", ast.Load(), **place), [], [], **place)
    body: list[ast.stmt] = [ast.Raise(exc=error, **place)]
    code = compile(ast.Module(body, []), span.filename, "exec", dont_inherit=True)
    name = span.function.rsplit(".", 1)[-1]
    return code.replace(co_name=name, co_qualname=span.function)
