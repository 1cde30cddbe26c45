"""Writes at places that arrays of integers name: `x[array] = value`. Later duplicates win, as in NumPy."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tracejit.frontend.containers import array_memory
from tracejit.frontend.context import Context
from tracejit.frontend.sizes import key
from tracejit.frontend.values import ArrayView, FrontValue, Size
from tracejit.ir.types import I64

if TYPE_CHECKING:
    from tracejit.frontend.tensors.indexing import Indexing, Places


def write(indexing: Indexing, at: Places, value: FrontValue, node: ast.AST) -> None:
    """Write a value at places."""
    ctx, b, view = indexing.ctx, indexing.ctx.b, at.view
    assert at.index is not None
    if _is_part_of_known_memory(ctx, view):
        return _write_part(indexing, at, value, node)
    source = indexing.merged(view, at.axis, at.count)
    lengths = ctx.dim_sizes(source)
    want = [*lengths[: at.axis], *ctx.dim_sizes(at.index), *lengths[at.axis + 1 :]]
    content = indexing.content_for(value, want, view.dtype, node)
    made = b.emit("scatter_set", (source, at.index, content), {"axis": at.axis})[0]
    if made.type.shape != tuple(key(n) for n in view.lengths):  # type: ignore[union-attr]
        made = b.emit("reshape", (made, *map(ctx.size_value, view.lengths)))[0]
    ctx.store(view, made)


def _is_part_of_known_memory(ctx: Context, view: ArrayView) -> bool:
    """Whether a view is a part of an array that lies in C order, or that with its axes exchanged."""
    is_elsewhere = array_memory.lies_in_memory(ctx, view) or view.storage in ctx.strided
    return not (view.is_whole or is_elsewhere or view.via[:1] == ("reshape",))


def _write_part(indexing: Indexing, at: Places, value: FrontValue, node: ast.AST) -> None:
    """Write a value at places of a part, as places in the memory that it is a part of: that costs what is written, not
    the part."""
    ctx, b, view, axis = indexing.ctx, indexing.ctx.b, at.view, at.axis
    assert at.index is not None
    behind, named = axis + at.count, ctx.dim_sizes(at.index)
    shape = [*view.lengths[:axis], *named, *view.lengths[behind:]]
    content = indexing.content_for(value, shape, view.dtype, node)
    strides, lengths = ([ctx.handle(ctx.size_value(n)) for n in found] for found in (view.strides, view.lengths))
    place, rest = ctx.handle(ctx.size_value(view.offset)), ctx.handle(at.index)
    for k in range(behind - 1, axis, -1):
        place = place + b.mod(rest, lengths[k]) * strides[k]
        rest = b.floordiv(rest, lengths[k])
    place = place + rest * strides[axis]
    column = [*[1] * axis, *named, *[1] * (view.rank - behind)]
    place = ctx.handle(b.emit("reshape", (place.value, *map(ctx.size_value, column)))[0])
    place = ctx.handle(b.emit("broadcast", (place.value, *map(ctx.size_value, shape)), {"exact": True})[0])
    sizes = [ctx.handle(ctx.size_value(n)) for n in shape]
    others = [*range(axis), *range(axis + len(named), len(shape))]
    for k, stride in zip(others, (*strides[:axis], *strides[behind:]), strict=True):
        place = place + b.iota(sizes, axis=k, dtype=I64) * stride
    whole = ctx.whole_view(view.storage)
    count: Size = 1
    for n in whole.lengths:
        count = ctx.sizes.mul(b, count, n)
    line = b.emit("reshape", (ctx.load(whole), ctx.size_value(count)))[0]
    made = b.emit("scatter_set", (line, place.value, content), {"axis": 0})[0]
    ctx.store(whole, b.emit("reshape", (made, *map(ctx.size_value, whole.lengths)))[0])
