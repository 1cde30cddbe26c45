"""What stands in a subscript, as the parts of an index: lists and ranges as arrays, slice objects as slices. Items of
sequences of known length by an index known at run time. Index arrays that name places together."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tracejit.frontend.containers.ranges import bounds
from tracejit.frontend.control.choices import picked
from tracejit.frontend.control.dependence import may_become_known
from tracejit.frontend.instances.objects import is_object
from tracejit.frontend.instances.pooled_objects import pool_if_possible
from tracejit.frontend.values import (
    ArrayView,
    FrontValue,
    GrowingList,
    ListValue,
    Number,
    SequenceValue,
    SharedObject,
    Size,
    SliceValue,
    Static,
    TupleValue,
)
from tracejit.ir.types import BOOL, I64, ScalarType
from tracejit.ops import coerce

if TYPE_CHECKING:
    from tracejit.frontend.arith import Arithmetic
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.expressions import Expressions


def index_item(c: Calls, item: FrontValue, node: ast.AST) -> FrontValue:
    """One part of an index."""
    from tracejit.frontend.tensors.arrays import function

    if isinstance(item, SequenceValue) and item.range is not None:
        return function(c, "arange", bounds(c.ctx, item), {}, node)
    if isinstance(item, TupleValue | ListValue | GrowingList):
        is_empty = not isinstance(item, GrowingList) and not item.items
        is_unfilled = isinstance(item, GrowingList) and item.kind is None
        return c.array_of(item, I64 if is_empty or is_unfilled else None, node)
    if isinstance(item, Static) and isinstance(item.value, list | range):
        return c.array_of(Static(list(item.value)), None, node)
    if isinstance(item, Static) and isinstance(item.value, slice):
        s = item.value
        return SliceValue(*(None if p is None else Static(p) for p in (s.start, s.stop, s.step)))
    own = c.objects.special(item, "__index__", [], node)
    return c.as_operand(item) if own is None else own


def bound(c: Calls, node: ast.expr) -> FrontValue:
    """A part of a slice, which may be an object with an `__index__`."""
    value = c.expressions.value(node)
    own = c.objects.special(value, "__index__", [], node)
    return value if own is None else own


def place_in_sequence(c: Calls, item: FrontValue, node: ast.AST) -> FrontValue:
    """The index of a list or tuple, where a bool of Python is 0 or 1."""
    at = index_item(c, item, node)
    if isinstance(at, ArrayView) and not at.rank:
        at = c.ctx.element(at, ())
    if isinstance(at, Number) and at.weak and at.dtype == BOOL:
        return Number(c.arith.scalar(at, I64), weak=True)
    return at


def pick(
    e: Expressions, items: list[FrontValue], at: Number, node: ast.AST, message: str = "list index out of range"
) -> FrontValue:
    """One item of a sequence of known length, by an index known at run time: branches, by halves. `message` says that
    there is none."""
    if not items:
        e.arith.mismatch(IndexError(message), node)
    if any(map(is_object, items)) and e.ctx.loops_to_unroll():
        if may_become_known(e.ctx, at):
            return e.unknown_index(node)
        with e.ctx.unrolling.of_no_use():
            pool_if_possible(e.ctx, items)
        if not all(isinstance(x, SharedObject) for x in items):
            return e.unknown_index(node)
    place = e.indexing.checked_index(at, len(items), 0, node, message)
    if isinstance(place, int):
        return items[place]
    if (text := picked(e.calls, items, place)) is not None:
        return text

    def among(low: int, high: int) -> FrontValue:
        if low == high - 1:
            return items[low]
        middle = low + 1 if high - low <= _FEW else (low + high) // 2
        below = e.ctx.b.emit("lt", (place, e.ctx.b.constant(middle, ScalarType(I64))))[0]
        return e.choose(node, below, lambda: among(low, middle), lambda: among(middle, high))

    return among(0, len(items))


def is_condition(item: FrontValue) -> bool:
    """Whether an index item is one truth value: a mask over a new axis of length 1."""
    match item:
        case Static(value):
            return isinstance(value, bool | np.bool_)
        case Number() | ArrayView():
            return item.dtype == BOOL and not (isinstance(item, ArrayView) and item.rank)
        case _:
            return False


def is_view_index(items: Sequence[FrontValue]) -> bool:
    """Whether an index denotes a view: it has no array indices."""
    return not any(is_condition(i) or (isinstance(i, ArrayView) and i.rank > 0) for i in items)


def condition_mask(arith: Arithmetic, item: FrontValue, node: ast.AST) -> ArrayView:
    """A truth value in an index as a mask of one element."""
    ctx = arith.ctx
    truth = arith.truth(item, node)
    value = ctx.b.constant(truth, ScalarType(BOOL)) if isinstance(truth, bool) else truth
    return ctx.fresh(ctx.b.emit("broadcast", (value, ctx.size_value(1)))[0])


#: Of so many items each is compared with the index.
_FEW = 8


def places_together(
    arith: Arithmetic, places: Sequence[ArrayView], lengths: Sequence[Size], node: ast.AST
) -> ArrayView:
    """Checked places along several axes of these lengths as places in all of them, in C order."""
    ctx = arith.ctx
    if len(places) > 1:
        ctx.at(node)
        try:
            shapes = [ctx.b.shape(arith.operand(place, node)[0]) for place in places]
            coerce.broadcast_shapes(ctx.b, shapes, coerce.INDEX_ARRAYS)
        except IndexError as error:
            arith.mismatch(error, node)
    together: FrontValue = places[0]
    for place, length in zip(places[1:], lengths[1:], strict=True):
        together = arith.typed("add", node, arith.typed("mul", node, together, ctx.size_number(length)), place)
    assert isinstance(together, ArrayView)
    return together
