"""Tuples whose length is known at run time only: where the program makes them.

A tuple is known when the function is compiled as long as its length is. Where it meets one that is not, or one of
another length, lowering starts again (`ListGrows`) with the place that made it marked as making a long one
(`written/tuples.py`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING

from tracejit.frontend.containers import list_calls, tables
from tracejit.frontend.functions.handlers import handles
from tracejit.frontend.kinds import number_type
from tracejit.frontend.values import ArrayView, DictView, FrontValue, ListValue, SliceValue, TupleValue, spread

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.context import Context


@handles(tuple)
def _tuple(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if not args:
        return made(c, (), node)
    x = args[0]
    if tables.is_long_tuple(x):
        return x
    if list_calls.is_unknown(c, x) and not isinstance(c.as_operand(x), ArrayView):
        return tables.new_table(c, tuple, [x], node)
    return made(c, c.expressions.known_items(x, node), node)


def made(c: Calls, items: Iterable[FrontValue], node: ast.AST) -> FrontValue:
    """The tuple of these items that a node of the program makes."""
    place = c.ctx.place(node)
    known = TupleValue(tuple(items), None, frozenset((place,)))
    return tables.new_table(c, tuple, [known], node) if c.ctx.growing.covers(("tuple", place)) else known


def as_long(c: Calls, value: FrontValue, node: ast.AST) -> FrontValue:
    """A tuple as one of unknown length; others unchanged."""
    value = spread(value)
    is_plain = isinstance(value, TupleValue) and value.cls is None and not isinstance(value, DictView)
    return tables.new_table(c, tuple, [value], node) if is_plain else value


def can_be_cut(ctx: Context, value: TupleValue | ListValue) -> bool:
    """Whether a list or tuple of known length may be cut at places known at run time only."""
    is_plain = isinstance(value, ListValue) or value.cls is None
    are_alike = isinstance(value, ListValue) or len(set(map(number_type, value.items))) == 1
    return is_plain and are_alike and not ctx.loops_to_unroll()


def cut(c: Calls, value: TupleValue | ListValue, at: SliceValue, node: ast.AST) -> FrontValue:
    """Such a part of one."""
    if isinstance(value, ListValue):
        return c.lists.item(c.lists.growing(value.items, node), at, node)
    part = c.objects.special(as_long(c, value, node), "__getitem__", [at], node)
    assert part is not None
    return part


def items_of(c: Calls, value: FrontValue, node: ast.AST) -> FrontValue:
    """The list of the items of a tuple whose length is known at run time only; other values unchanged."""
    return c.attribute(value, "_data", node) if tables.is_long_tuple(value) else value
