"""What stands in a subscript, as the parts of an index: lists and ranges as arrays, slice objects as slices."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tracejit.frontend.values import FrontValue, GrowingList, ListValue, SequenceValue, SliceValue, Static
from tracejit.ir.types import I64

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def index_item(c: Calls, item: FrontValue, node: ast.AST) -> FrontValue:
    """One part of an index."""
    from tracejit.frontend.arrays import function

    if isinstance(item, SequenceValue) and item.range is not None:
        return function(c, "arange", list(item.range), {}, node)
    if isinstance(item, ListValue | GrowingList):
        is_empty = isinstance(item, ListValue) and not item.items
        is_unfilled = isinstance(item, GrowingList) and item.kind is None
        return c.array_of(item, I64 if is_empty or is_unfilled else None, node)
    if isinstance(item, Static) and isinstance(item.value, list | range):
        return c.array_of(Static(list(item.value)), None, node)
    if isinstance(item, Static) and isinstance(item.value, slice):
        s = item.value
        return SliceValue(*(None if p is None else Static(p) for p in (s.start, s.stop, s.step)))
    return c.as_operand(item)
