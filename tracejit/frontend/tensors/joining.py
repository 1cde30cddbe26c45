"""Functions that join arrays: those of a tuple or list of known length, and those of a list that grew."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracejit.frontend.containers import list_arrays
from tracejit.frontend.functions.arguments import Arguments, as_array
from tracejit.frontend.sizes import check_equal
from tracejit.frontend.tensors.arrays import converted, define
from tracejit.frontend.tensors.elementwise import require_cast, require_same_kind
from tracejit.frontend.tensors.reshaping import reshaped
from tracejit.frontend.tensors.slices import permuted
from tracejit.frontend.values import ArrayView, FrontValue, GrowingList, Size
from tracejit.ops import coerce

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


_OTHER_SHAPES = "all input arrays must have the same shape"


def _arrays(c: Calls, a: Arguments, value: FrontValue) -> list[ArrayView]:
    items = c.expressions.known_items(value, a.node)
    if not items:
        c.arith.mismatch(ValueError("need at least one array to concatenate"), a.node)
    return [as_array(c, i, a.node) for i in items]


def concatenated(c: Calls, a: Arguments, arrays: list[ArrayView], axis: int) -> ArrayView:
    """Arrays one after the other along an axis; other sizes must agree."""
    handles = coerce.promote_operands(c.ctx.b, [c.ctx.handle(c.ctx.load(x)) for x in arrays])
    first = arrays[0]
    fitted = [handles[0].value]
    for i, (x, h) in enumerate(zip(arrays[1:], handles[1:], strict=True), 1):
        if x.rank != first.rank:
            ranks = (f"the array at index {k} has {y.rank} dimension(s)" for k, y in ((0, first), (i, x)))
            text = f"all the input arrays must have same number of dimensions, but {' and '.join(ranks)}"
            c.arith.mismatch(ValueError(text), a.node)
        want = [x.lengths[k] if k == axis else n for k, n in enumerate(first.lengths)]
        _require_sizes(c, x, want, i)
        fitted.append(c.indexing.fit(h.value, list(x.lengths), want, a.node))
    total: Size = 0
    for x in arrays:
        total = c.ctx.sizes.add(c.ctx.b, total, x.lengths[axis])
    return c.ctx.fresh(c.ctx.b.emit("cat", (c.ctx.size_value(total), *fitted), {"axis": axis})[0])


def _require_sizes(c: Calls, x: ArrayView, want: Sequence[Size], i: int) -> None:
    """Raise a ValueError where array i has not the sizes of the first one."""
    for k, (have, n) in enumerate(zip(x.lengths, want, strict=True)):
        if not c.ctx.same_lengths([have], [n]):
            text = (
                "all the input array dimensions except for the concatenation axis must match exactly, but along "
                f"dimension {k}, the array at index 0 has size {{0}} and the array at index {i} has size {{1}}"
            )
            check_equal(c.ctx, n, have, "ValueError", text, c.ctx.size_value(n), c.ctx.size_value(have))


def _rows(c: Calls, lst: GrowingList, node: ast.AST) -> ArrayView:
    """The items of a list along a new first axis."""
    c.lists.require_filled(lst, "ValueError", "need at least one array to concatenate")
    return list_arrays.array_of(c, lst, None, node, _OTHER_SHAPES)


@define("cat concat concatenate", "arrays axis=0 out=None dtype=None casting='same_kind'")
def _cat(c: Calls, a: Arguments) -> FrontValue:
    made = _cat_of(c, a)
    if a.is_none("out"):
        return made
    require_same_kind(c, "concatenate", made, a.array("out"), a.node)
    c.indexing.assign(a.array("out"), made, a.node)
    return a["out"]


def _cat_of(c: Calls, a: Arguments) -> FrontValue:
    if isinstance(lst := a["arrays"], GrowingList) and list_arrays.items_rank(c, lst):
        if a.is_none("axis"):
            c.lists.require_filled(lst, "ValueError", "need at least one array to concatenate")
            return list_arrays.flat_items(c, lst, a.node)[0]
        return list_arrays.concatenated_items(c, lst, a.axis(list_arrays.items_rank(c, lst)), a.node)
    arrays = _arrays(c, a, a["arrays"])
    if not a.is_none("dtype"):
        dtype = c.ctx.dtype_of_object(a.static("dtype"), a.node)
        for x in arrays if a.static("casting") != "unsafe" else ():
            require_cast(c, "Cannot cast array data", x, dtype, a.node)
        arrays = [converted(c, x, dtype) for x in arrays]
    if a.is_none("axis"):
        return concatenated(c, a, [reshaped(c, x, [-1], a.node) for x in arrays], 0)
    if any(x.rank == 0 for x in arrays):
        c.arith.mismatch(ValueError("zero-dimensional arrays cannot be concatenated"), a.node)
    return concatenated(c, a, arrays, a.axis(arrays[0].rank))


@define("stack", "arrays axis=0")
def _stack(c: Calls, a: Arguments) -> FrontValue:
    if isinstance(lst := a["arrays"], GrowingList):
        c.lists.require_filled(lst, "ValueError", "need at least one array to stack")
        made = list_arrays.array_of(c, lst, None, a.node, _OTHER_SHAPES)
        axis = a.axis(made.rank)
        return permuted(made, (*range(1, axis + 1), 0, *range(axis + 1, made.rank)))
    arrays = _arrays(c, a, a["arrays"])
    for x in arrays[1:]:
        if x.rank != arrays[0].rank:
            c.arith.mismatch(ValueError(_OTHER_SHAPES), a.node)
        list_arrays.require_same(c, x.lengths, arrays[0].lengths, _OTHER_SHAPES)
    axis = a.axis(arrays[0].rank + 1)
    return concatenated(c, a, [with_axis(x, axis) for x in arrays], axis)


def with_axis(x: ArrayView, axis: int) -> ArrayView:
    """The view with a new axis of size 1."""
    strides, lengths = list(x.strides), list(x.lengths)
    strides.insert(axis, 0)
    lengths.insert(axis, 1)
    return dataclasses.replace(
        x,
        strides=tuple(strides),
        lengths=tuple(lengths),
        prefix=(),
        plain=False,
        via=("reshape",) if x.is_whole else (),
    )


@define("hstack", "arrays")
def _hstack(c: Calls, a: Arguments) -> FrontValue:
    if isinstance(lst := a["arrays"], GrowingList):
        if list_arrays.items_rank(c, lst) == 0:
            return _rows(c, lst, a.node)
        return list_arrays.concatenated_items(c, lst, 0 if list_arrays.items_rank(c, lst) == 1 else 1, a.node)
    arrays = [with_axis(x, 0) if x.rank == 0 else x for x in _arrays(c, a, a["arrays"])]
    return concatenated(c, a, arrays, 0 if arrays[0].rank == 1 else 1)


@define("vstack", "arrays")
def _vstack(c: Calls, a: Arguments) -> FrontValue:
    if isinstance(lst := a["arrays"], GrowingList):
        if list_arrays.items_rank(c, lst) > 1:
            return list_arrays.concatenated_items(c, lst, 0, a.node)
        made = _rows(c, lst, a.node)
        return with_axis(made, 1) if list_arrays.items_rank(c, lst) == 0 else made
    arrays = [with_axis(x, 0) if x.rank == 0 else x for x in _arrays(c, a, a["arrays"])]
    return concatenated(c, a, [with_axis(x, 0) if x.rank == 1 else x for x in arrays], 0)


@define("column_stack", "arrays")
def _column_stack(c: Calls, a: Arguments) -> FrontValue:
    if isinstance(lst := a["arrays"], GrowingList):
        if list_arrays.items_rank(c, lst) > 1:
            return list_arrays.concatenated_items(c, lst, 1, a.node)
        made = _rows(c, lst, a.node)
        return with_axis(made, 0) if list_arrays.items_rank(c, lst) == 0 else permuted(made, (1, 0))
    arrays = [with_axis(x, 0) if x.rank == 0 else x for x in _arrays(c, a, a["arrays"])]
    return concatenated(c, a, [with_axis(x, 1) if x.rank == 1 else x for x in arrays], 1)
