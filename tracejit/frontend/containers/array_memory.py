"""Reading and writing the memory of arrays that change in lists (`placed_arrays.py`): the content of
its storage class is a list of numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tracejit.frontend.sizes import key
from tracejit.frontend.values import ArrayView, Size
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, I64, ListType, ScalarType, TensorType

if TYPE_CHECKING:
    from tracejit.frontend.context import Context


def same_memory(ctx: Context, storage: int) -> Iterator[int]:
    """A class and those that may be the same memory."""
    yield storage
    yield from (c for c, _ in ctx.storage.partners(storage))


def lies_in_memory(ctx: Context, view: ArrayView) -> bool:
    """Whether a view is one of a memory."""
    base = ctx.storage.bases.get(view.storage)
    return base is not None and isinstance(base.type, ListType)


def is_dense(ctx: Context, view: ArrayView) -> bool:
    """Whether the elements of a view lie one after the other."""
    return _dense_axes(ctx, view) == view.rank


def _dense_axes(ctx: Context, view: ArrayView) -> int:
    """How many of the last axes have elements that lie one after the other."""
    pairs = zip(view.strides, ctx.contiguous_strides(view.lengths), strict=True)
    apart = [axis for axis, (have, dense) in enumerate(pairs) if key(have) != key(dense)]
    return view.rank - 1 - apart[-1] if apart else view.rank


def load(ctx: Context, view: ArrayView) -> Value:
    """The present content of a view of a memory."""
    return stored(ctx, _read(ctx, view), view.offset)


def stored(ctx: Context, content: Value, place: Size, new: int | None = None) -> Value:
    """Content that lies at a place of a memory, marked as such for derivatives. `new`: an array of this class has just
    been put there."""
    if not ctx.notes_writes or not content.type.dtype.is_inexact:  # type: ignore[union-attr]
        return content
    if any(content is base and c != new for c, base in ctx.storage.bases.items()):  # another array, which is copied
        content = ctx.b.emit("fresh", (content,), names=(content.name,))[0]
    attrs = {} if new is None else {"new": True}
    return ctx.b.emit("stored", (content, ctx.size_value(place)), attrs, names=(content.name,))[0]


def _read(ctx: Context, view: ArrayView) -> Value:
    if view.via and view.via[0] == "broadcast":
        source = load(ctx, dataclasses.replace(view.via[1], storage=view.storage))
        return ctx.b.emit("broadcast", (source, *map(ctx.size_value, view.lengths)), {"exact": True})[0]
    memory = ctx.storage.bases[view.storage]
    if not view.rank:
        found = ctx.b.emit("list_get", (memory, ctx.size_value(view.offset)))[0]
        return ctx.b.emit("broadcast", (found,))[0]
    count = total_size(ctx, view.lengths)
    if is_dense(ctx, view):
        made = ctx.b.emit("list_part", (memory, ctx.size_value(view.offset), count), names=("item",))[0]
    else:
        made = _gathered(ctx, view, memory, count)
    if view.rank == 1:
        return made
    return ctx.b.emit("reshape", (made, *map(ctx.size_value, view.lengths)), names=("item",))[0]


def _gathered(ctx: Context, view: ArrayView, memory: Value, count: Value) -> Value:
    """The elements of a view one after the other."""
    empty = ctx.b.emit("undef", (count,), {"type": TensorType(view.dtype, (None,))}, names=("item",))[0]

    width = _row_size(ctx, view)

    def read(b: Builder, place: Value, i: Value, item: Value) -> Value:
        if width is None:
            return b.emit("index_update", (item, b.emit("list_get", (memory, place))[0], i), names=("item",))[0]
        row = b.emit("list_part", (memory, place, width), names=("row",))[0]
        return b.emit("vwrite", (item, row, b.emit("mul", (i, width))[0], ctx.size_value(1)), names=("item",))[0]

    return _for_each_row(ctx, view, empty, read)


def store(ctx: Context, view: ArrayView, value: Value) -> None:
    """Write a whole view of a memory."""
    if not view.rank:
        set_element(ctx, view, ctx.b.emit("fetch", (value,))[0])
        return
    if not ctx.grad_enabled or ctx.notes_writes:
        value = ctx.recorded(stored(ctx, value, view.offset), load(ctx, view))
    content, bases = flat(ctx, value, view.lengths), ctx.storage.bases
    if is_dense(ctx, view):
        operands = (bases[view.storage], ctx.size_value(view.offset), content)
        bases[view.storage] = ctx.b.emit("list_set_part", operands, names=("memory",))[0]
        return

    width = _row_size(ctx, view)

    def write(b: Builder, place: Value, i: Value, memory: Value) -> Value:
        if width is None:
            return b.emit("list_set", (memory, place, b.emit("fetch", (content, i))[0]), names=("memory",))[0]
        one = ctx.size_value(1)
        row = b.emit("vread", (content, b.emit("mul", (i, width))[0], one, width), names=("row",))[0]
        return b.emit("list_set_part", (memory, place, row), names=("memory",))[0]

    bases[view.storage] = _for_each_row(ctx, view, bases[view.storage], write)


def element(ctx: Context, point: ArrayView) -> Value:
    """The element that a view of rank 0 is."""
    place = ctx.size_value(point.offset)
    found = ctx.b.emit("list_get", (ctx.storage.bases[point.storage], place), names=("item",))[0]
    return stored(ctx, found, place)


def set_element(ctx: Context, point: ArrayView, value: Value) -> None:
    """Write the element that a view of rank 0 is."""
    if not ctx.grad_enabled or ctx.notes_writes:
        value = ctx.recorded(stored(ctx, value, point.offset), element(ctx, point))
    bases = ctx.storage.bases
    operands = (bases[point.storage], ctx.size_value(point.offset), value)
    bases[point.storage] = ctx.b.emit("list_set", operands, names=("memory",))[0]


def flat(ctx: Context, content: Value, lengths: Sequence[Size]) -> Value:
    """All elements of a tensor in C order."""
    return content if len(lengths) == 1 else ctx.b.emit("reshape", (content, total_size(ctx, lengths)))[0]


def total_size(ctx: Context, lengths: Sequence[Size]) -> Value:
    """The number of elements."""
    found: Size = 1
    for n in lengths:
        found = ctx.sizes.mul(ctx.b, found, n)
    return ctx.size_value(found)


def _row_size(ctx: Context, view: ArrayView) -> Value | None:
    """How many elements lie one after the other in each row of a view; None if its last axis has steps between them."""
    dense = _dense_axes(ctx, view)
    return total_size(ctx, view.lengths[-dense:]) if dense else None


def _for_each_row(
    ctx: Context, view: ArrayView, start: Value, step: Callable[[Builder, Value, Value, Value], Value]
) -> Value:
    """`start` after a step for each row of a view (each element if its last axis has steps), which is given the place
    where the row begins and its number in C order."""
    offset, axes = ctx.size_value(view.offset), view.rank - _dense_axes(ctx, view)
    pairs = zip(view.lengths[:axes], view.strides[:axes], strict=True)
    *leading, (count, stride) = (tuple(map(ctx.size_value, pair)) for pair in pairs)

    def along_last_axis(b: Builder, first: Value, number: Value, carried: Value) -> Value:
        def at(b: Builder, i: Value, carried: Value) -> Value:
            return step(b, _moved(b, first, i, stride), b.emit("add", (number, i))[0], carried)

        return repeated(b, count, carried, at)

    def line(b: Builder, i: Value, carried: Value) -> Value:
        first, rest = offset, i
        for k, (n, stride) in reversed(list(enumerate(leading))):
            at = b.emit("mod", (rest, n))[0] if k else rest
            rest = b.emit("floordiv", (rest, n))[0] if k else rest
            first = _moved(b, first, at, stride)
        return along_last_axis(b, first, b.emit("mul", (i, count))[0], carried)

    if leading:
        return repeated(ctx.b, total_size(ctx, view.lengths[: axes - 1]), start, line)
    return along_last_axis(ctx.b, offset, ctx.size_value(0), start)


def _moved(b: Builder, place: Value, by: Value, stride: Value) -> Value:
    """The place so many steps further."""
    return b.emit("add", (place, b.emit("mul", (by, stride))[0]))[0]


def repeated(around: Builder, count: Value, start: Value, step: Callable[[Builder, Value, Value], Value]) -> Value:
    """`start` after `count` steps."""
    b = around.nested()
    index, carried = Value(ScalarType(I64), "i"), Value(start.type, start.name)
    made = step(b, index, carried)
    block = b.block((index, carried), (b.constant(True, ScalarType(BOOL)), made), "body")
    go = around.constant(True, ScalarType(BOOL))
    return around.emit("loop", (count, go, start), blocks=(block,), like=[carried])[0]
