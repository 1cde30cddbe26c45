"""Texts that meet where paths do: one text that shows the one or the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracejit.frontend.values import FrontValue, MessageValue, Static
from tracejit.ir.types import BOOL, ScalarType
from tracejit.messages import escape, hidden

if TYPE_CHECKING:
    from tracejit.frontend.joins import Join


def joined(join: Join, a: FrontValue | None, b: FrontValue | None) -> MessageValue | None:
    """The text that is `a` on one path and `b` on the other (None: unspecified); None where one is no text, or where
    two show arrays."""
    if a is None or b is None:
        return _brought_out(join, a, b)
    first, second = _text(a), _text(b)
    if first is None or second is None:
        return None
    if first.template == second.template:
        pairs = zip(first.values, second.values, strict=True)
        return MessageValue(first.template, tuple(join.yield_pair(x, y, x.type, "shown") for x, y in pairs))
    kind = ScalarType(BOOL)
    yes, no = join.then.b.constant(True, kind), join.orelse.b.constant(False, kind)
    values = [join.yield_pair(yes, no, kind, "first")]
    values += [join.yield_pair(x, None, x.type, "shown") for x in first.values]
    values += [join.yield_pair(None, y, y.type, "shown") for y in second.values]
    named = "".join(f",v{i}" for i in range(1, len(values)))
    count = len(first.values)
    template = f"{{either(v0,'{hidden(first.template)}','{hidden(second.template)}',{count}{named})}}"
    return MessageValue(template, tuple(values))


def _brought_out(join: Join, a: FrontValue | None, b: FrontValue | None) -> MessageValue:
    """The text of the only side that has one."""
    known = a if a is not None else b
    assert isinstance(known, MessageValue)
    values = [join.yield_pair(*((v, None) if b is None else (None, v)), v.type, "shown") for v in known.values]
    arrays = [join.base(*((v, None) if b is None else (None, v)), "shown") for v in known.arrays]
    return MessageValue(known.template, tuple(values), tuple(arrays))


def _text(value: FrontValue) -> MessageValue | None:
    match value:
        case MessageValue(arrays=()):
            return value
        case Static(str() as text):
            return MessageValue(escape(text), ())
        case _:
            return None
