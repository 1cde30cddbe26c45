"""The call that a function is lowered for: what decides the program is compiled in, behind a guard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from tracejit.frontend.boundary.signature import NumberSpec, StaticSpec
from tracejit.frontend.values import Size
from tracejit.ir.core import Value
from tracejit.ir.types import I64

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

ARGUMENTS: ContextVar[Sequence[Any] | None] = ContextVar("arguments", default=None)


@contextmanager
def called_with(arguments: Sequence[Any] | None) -> Iterator[None]:
    """What is lowered inside is for a call with these arguments: what their `.grad` holds may be compiled in. Without
    a call (an exported program) nothing is held."""
    token = ARGUMENTS.set(arguments)
    try:
        yield
    finally:
        ARGUMENTS.reset(token)


def with_sign_told(calls: Calls, size: Size) -> Size:
    """A size that is not negative, or a negative one as an int, where it is an argument of the call; calls with the
    other sign are compiled anew."""
    access = calls.ctx.number_access.get(size) if isinstance(size, Value) else None
    arguments = ARGUMENTS.get()
    if access is None or arguments is None or calls.ctx.sizes.at_least(size, 0):
        return size
    value = access.fetch(arguments)
    if type(value) is not int:
        return size
    guards = calls.statics.guards
    if value < 0:
        guards[access] = StaticSpec(value)
        return value
    guards[access] = NumberSpec(I64, weak=True, least=0)
    calls.ctx.sizes.note_lower(size, 0)
    return size
