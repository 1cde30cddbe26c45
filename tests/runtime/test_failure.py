"""Native failures become the exceptions plain Python would raise, at the user's line."""

from __future__ import annotations

import linecache
import struct
import traceback
from ctypes import addressof
from pathlib import Path

import numpy as np
import pytest

from tracejit.codegen.loop_ir import ErrorSite
from tracejit.errors import Span, error_class, error_kind
from tracejit.ir.types import BOOL, F64, I64, U64
from tracejit.runtime.dispatch_tables import NativeContext
from tracejit.runtime.failure import error_hook, failure, payload_values

SOURCE = """\
def divide(a, b):
    return a // b

class Model:
    def forward(self, x):
        y = x[10]
        return y
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "user_code.py"
    file.write_text(SOURCE)
    linecache.checkcache(str(file))
    return str(file)


@pytest.mark.parametrize(
    "kind",
    [
        "ValueError",
        "IndexError",
        "ZeroDivisionError",
        "OverflowError",
        "UnboundLocalError",
        "AssertionError",
        "RecursionError",
        "TypeError",
        "RuntimeError",
        "MemoryError",
    ],
)
def test_builtin_kinds(kind: str) -> None:
    error = failure(ErrorSite(kind, "message {0}", (I64,), None), [3])
    assert type(error).__name__ == kind and str(error) == "message 3"


def test_numpy_and_user_kinds() -> None:
    class Custom(ValueError):
        pass

    assert error_class(error_kind(np.linalg.LinAlgError)) is np.linalg.LinAlgError
    assert error_class(error_kind(Custom)) is Custom
    first = error_kind(Custom)

    class Other(Exception):
        __qualname__ = Custom.__qualname__

    assert error_kind(Other) != first
    assert error_class(first) is Custom and error_class(error_kind(Other)) is Other
    assert error_class("some.module.Unknown") is RuntimeError


def test_the_last_frame_is_the_users_line(path: str) -> None:
    site = ErrorSite("ZeroDivisionError", "integer division by zero", (), Span(path, 2, 11, 2, 17, "divide"))
    with pytest.raises(ZeroDivisionError, match="integer division by zero") as raised:
        raise failure(site, [])
    last = traceback.extract_tb(raised.tb)[-1]
    assert (last.filename, last.lineno, last.name, last.line) == (path, 2, "divide", "return a // b")
    assert (last.colno, last.end_colno) == (11, 17)


def test_a_method_and_a_span_without_columns(path: str) -> None:
    site = ErrorSite(
        "IndexError", "index {0} is out of bounds for size {1}", (I64, I64), Span(path, 6, function="Model.forward")
    )
    error = failure(site, [10, 3])
    frames = traceback.extract_tb(error.__traceback__)
    assert len(frames) == 1 and frames[0].name == "forward" and frames[0].line == "y = x[10]"
    assert str(error) == "index 10 is out of bounds for size 3"
    text = "".join(traceback.format_exception(error))
    assert "line 6, in forward" in text or "line 6, in Model.forward" in text


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    error = failure(ErrorSite("ValueError", "no", (), Span(str(tmp_path / "gone.py"), 7, function="f")), [])
    assert error.__traceback__ is not None and error.__traceback__.tb_lineno == 7


def test_a_failure_inside_an_except_block_keeps_its_context(path: str) -> None:
    site = ErrorSite("ValueError", "inner", (), Span(path, 2, function="divide"))
    try:
        try:
            raise KeyError("outer")
        except KeyError:
            raise failure(site, [])
    except ValueError as error:
        assert isinstance(error.__context__, KeyError)


def test_payload_bits() -> None:
    (bits,) = struct.unpack("q", struct.pack("d", -2.5))
    assert payload_values([bits, 1, -1, -1], [F64, BOOL, U64, I64]) == [-2.5, True, 2**64 - 1, -1]


def test_the_hook_reads_the_context() -> None:
    context = NativeContext()
    context.payload[0], context.payload[1] = 5, 4
    sites = (ErrorSite("ValueError", "", (), None), ErrorSite("IndexError", "{0} of {1}", (I64, I64), None))
    error = error_hook(sites)(2, addressof(context))
    assert isinstance(error, IndexError) and str(error) == "5 of 4"
