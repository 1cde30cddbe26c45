"""The errors a user can meet, and the source spans they point at.

Every error about the user's code knows file, line and column, so that Python itself draws the caret.
`VerifyError` is always a bug of tracejit; user errors never come from `assert`.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import linecache
from collections.abc import Callable, Sequence
from typing import Any

from tracejit.messages import filled
from tracejit.records import record


@record
class Span:
    """A place in the user's source: lines count from 1, columns from 0 (as in `ast`)."""

    filename: str
    line: int
    column: int = 0
    end_line: int | None = None
    end_column: int | None = None
    function: str = "<module>"

    def text(self) -> str:
        """The source line the span starts on, without its newline ("" where the file is not readable)."""
        return linecache.getline(self.filename, self.line).rstrip("\n")

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}"


class ScriptError(SyntaxError):
    """The user's code is outside the language: file, line, caret, one reason, and what to write instead."""

    def __init__(
        self, reason: str, span: Span | None = None, *, instead: str | None = None, notes: Sequence[str] = ()
    ) -> None:
        lines = [reason, *notes, *([] if instead is None else [f"instead: {instead}"])]
        message = "\n  ".join(lines)
        if span is None:
            super().__init__(message)
        else:
            text = span.text()
            end = span.end_column
            if span.end_line not in (None, span.line):  # a caret can underline one line: the first
                end = len(text)
            details = (span.filename, span.line, span.column + 1, text, span.line, None if end is None else end + 1)
            super().__init__(message, details)
        self.reason = reason
        self.span = span
        self.instead = instead
        self.notes = tuple(notes)

    def __reduce__(self) -> tuple[Any, ...]:
        make = functools.partial(type(self), instead=self.instead, notes=self.notes)
        return make, (self.reason, self.span), self.__dict__


class TypeMismatch(ScriptError):
    """Operand dtypes or shapes do not fit; the message shows both."""


class ShapeMismatch(TypeMismatch, ValueError):
    """A `TypeMismatch` that plain Python would report as `ValueError`."""


class DTypeMismatch(TypeMismatch, TypeError):
    """A `TypeMismatch` that plain Python would report as `TypeError`."""


class OfNumPyOnly(DTypeMismatch):
    """Arguments that a function of NumPy's takes and tracejit's does not: scripts have a definition for them."""


class NotDifferentiable(RuntimeError):
    """A derivative that cannot be had; names the op, the reason and the user's line."""

    def __init__(self, op: str, reason: str, span: Span | None = None) -> None:
        place = "" if span is None else f" (line {span.line} of {span.filename}: {span.text().strip()})"
        super().__init__(f"{op} has no derivative: {reason}{place}")
        self.op = op
        self.reason = reason
        self.span = span

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.op, self.reason, self.span), self.__dict__


class ParseError(ValueError):
    """Text IR that does not follow the grammar; names line and column."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {message}")
        self.message = message
        self.line = line
        self.column = column

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.line, self.column), self.__dict__


class VerifyError(AssertionError):
    """An invalid graph: always a bug of tracejit. Shows the graph and the transform that made it."""


class ExportError(RuntimeError):
    """A program that cannot be exported as asked."""


_factories: dict[str, Callable[[Sequence[Any]], BaseException]] = {}


def error_factory(name: str, make: Callable[[Sequence[Any]], BaseException]) -> str:
    """Let `name` be the kind of exceptions that `make` makes of the values an error reports."""
    _factories[name] = make
    return name


class KeyText(str):
    """The text of a key that a KeyError names, which is shown as the key is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def key_error(template: str) -> str:
    """The kind of KeyErrors that name a key by its text alone."""
    return error_factory(f"KeyError: {template}", lambda values: KeyError(KeyText(filled(template, values))))


def make_error(kind: str, message: str, values: Sequence[Any]) -> BaseException:
    """The exception of a kind; `message` is a `str.format` template for the values, empty for one without arguments."""
    made = _factories.get(kind)
    if made is not None:
        return made(values)
    return error_class(kind)(filled(message, values)) if message else error_class(kind)()


#: NumPy's own exceptions, by name, and where they are.
_NUMPY_ERRORS = {"LinAlgError": "numpy.linalg", "AxisError": "numpy.exceptions"}

_user_errors: dict[str, type[BaseException]] = {}


def error_kind(cls: type[BaseException]) -> str:
    """The name a graph uses for an exception class: its own for builtins and NumPy's, else a qualified one."""
    if cls is getattr(builtins, cls.__name__, None) or cls.__module__ == _NUMPY_ERRORS.get(cls.__name__):
        return cls.__name__
    name = f"{cls.__module__}.{cls.__qualname__}"
    while _user_errors.setdefault(name, cls) is not cls:
        name += "'"
    return name


def user_error(kind: str) -> type[BaseException] | None:
    """The class of a kind that is neither a builtin's nor NumPy's. Raises `KeyError` for exceptions that only this
    process can make."""
    if kind in _factories:
        raise KeyError(kind)
    return _user_errors.get(kind)


def adopt_error(kind: str, cls: type[BaseException]) -> bool:
    """Let a kind be that class, as it was in another process; whether it is."""
    return _user_errors.setdefault(kind, cls) is cls


def error_class(kind: str) -> type[BaseException]:
    """The exception class of a name that `error_kind` gave; RuntimeError for one this process does not know."""
    if kind in _NUMPY_ERRORS:
        return getattr(importlib.import_module(_NUMPY_ERRORS[kind]), kind)
    found = _user_errors.get(kind) or getattr(builtins, kind, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else RuntimeError
