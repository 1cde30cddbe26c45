"""Ranges with bounds known at run time: their numbers, and ranges that meet where paths do."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tracejit.frontend.tensors.slices import slice_bounds
from tracejit.frontend.values import FrontValue, Number, SequenceValue, Size, SliceValue, Static

if TYPE_CHECKING:
    from tracejit.frontend.context import Context
    from tracejit.frontend.control.joins import Join
    from tracejit.frontend.expressions import Expressions

#: The attributes of a range.
PARTS = ("start", "stop", "step")


def made(ctx: Context, first: Size, last: Size, by: Size) -> SequenceValue:
    """`range(first, last, by)`."""
    return SequenceValue(_trip_count(ctx, first, last, by), _item(ctx, first, last, by), range=(first, last, by))


def bounds(ctx: Context, found: SequenceValue) -> list[FrontValue]:
    """The start, stop and step of a range, as Python ints."""
    assert found.range is not None
    return [ctx.size_number(s) for s in found.range]


def item(e: Expressions, found: SequenceValue, at: FrontValue, node: ast.AST) -> FrontValue:
    """`found[at]`: a number, or the range of a slice."""
    ctx = e.ctx
    if not isinstance(at, SliceValue) or found.range is None:
        message = "range object index out of range" if found.range is not None else None
        return found.item(e.indexing.checked_index(at, found.length, 0, node, message))
    first, _, by = found.range
    b, sizes = ctx.b, ctx.sizes
    start, count, step = slice_bounds(ctx, at, sizes.maximum(b, found.length, 0), node)
    first, by = sizes.add(b, first, sizes.mul(b, start, by)), sizes.mul(b, by, step)
    last = sizes.add(b, first, sizes.mul(b, count, by))
    return SequenceValue(count, _item(ctx, first, last, by), range=(first, last, by))


def joined(join: Join, a: FrontValue | None, b: FrontValue | None) -> SequenceValue | None:
    """The range that is `a` on one path and `b` on the other (None: unspecified); None where one is no range. Its
    length is not computed from the joined bounds: where a range is unspecified, its step may be 0."""
    parts: list[tuple[Size | None, ...]] = []
    for x in (a, b):
        match x:
            case None:
                parts.append((None,) * 4)
            case SequenceValue(length, once=None, range=(first, last, by)):
                parts.append((length, first, last, by))
            case _:
                return None
    length, first, last, by = (join.size(x, y) for x, y in zip(*parts, strict=True))
    return SequenceValue(length, _item(join.ctx, first, last, by), range=(first, last, by))


def _trip_count(ctx: Context, first: Size, last: Size, by: Size) -> Size:
    """How many numbers the range holds; may be negative where it holds none."""
    sizes, b = ctx.sizes, ctx.b
    if isinstance(by, int):
        span = sizes.sub(b, last, first) if by > 0 else sizes.sub(b, first, last)
        return sizes.floordiv(b, sizes.add(b, span, abs(by) - 1), abs(by)) if abs(by) > 1 else span
    step = ctx.size_value(by)
    zero = ctx.size_value(0)
    ctx.check(b.emit("ne", (step, zero))[0], "ValueError", "range() arg 3 must not be zero")
    up = b.emit("gt", (step, zero))[0]
    span = b.emit("sub", (ctx.size_value(last), ctx.size_value(first)))[0]
    rounding = b.emit(
        "select", (up, b.emit("sub", (step, ctx.size_value(1)))[0], b.emit("add", (step, ctx.size_value(1)))[0])
    )[0]
    return b.emit("floordiv", (b.emit("add", (span, rounding))[0], step))[0]


def _item(ctx: Context, first: Size, last: Size, by: Size) -> Callable[[Any], FrontValue]:
    def item(i: Any) -> FrontValue:
        sizes, b = ctx.sizes, ctx.b
        place = sizes.add(b, first, sizes.mul(b, i, by))
        if isinstance(place, int):
            return Static(place)
        if isinstance(by, int) and by > 0:
            if sizes.at_least(first, 0):
                sizes.note_lower(place, 0)
            sizes.note_below(place, last)
        elif isinstance(by, int):
            if sizes.at_least(last, -1):
                sizes.note_lower(place, 0)
            sizes.note_below(place, sizes.add(b, first, 1))
        return Number(place, weak=True)

    return item
