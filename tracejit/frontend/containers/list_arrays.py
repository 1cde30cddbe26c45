"""Growing lists as arrays: `np.array(items)`, `np.stack`, `np.concatenate`, and as results of a function."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracejit.frontend.containers.lists import known_kind
from tracejit.frontend.control.optionals import as_element
from tracejit.frontend.kinds import ArrayKind, NumberKind, OptionalKind, TupleKind, slots
from tracejit.frontend.sizes import check_equal
from tracejit.frontend.values import ArrayView, FrontValue, GrowingList, Number, OptionalValue, Size, Static
from tracejit.ir.core import Value
from tracejit.ir.types import F32, F64, I64, DType, ScalarType, TensorType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_RAGGED = "setting an array element with a sequence. The requested array has an inhomogeneous shape"


def items_rank(c: Calls, lst: GrowingList) -> int:
    """The rank of the items of a list; 0 of numbers."""
    kind = known_kind(c.ctx, lst) if c.lists.is_stale(lst) else lst.kind
    return len(kind.sizes) if isinstance(kind, ArrayKind) else 0


def array_of(c: Calls, lst: GrowingList, dtype: DType | None, node: ast.AST, error: str = _RAGGED) -> ArrayView:
    """The items along a new first axis; a ValueError `error` where their shapes differ."""
    from tracejit.frontend.tensors.arrays import converted

    if dtype is None and c.ctx.tensors and lst.kind == NumberKind(F64, weak=True):
        dtype = F32
    made = stacked(c, lst, node, error, dtype)
    return made if dtype is None else converted(c, made, dtype)


def columns(lst: GrowingList) -> list[GrowingList]:
    """A list of tuples as one list for each position."""
    assert isinstance(lst.kind, TupleKind)
    found: list[GrowingList] = []
    at = 0
    for kind in lst.kind.items:
        width = len(slots(kind))
        found.append(GrowingList(lst.storages[at : at + width], kind, frozenset()))
        at += width
    return found


def stacked(c: Calls, lst: GrowingList, node: ast.AST, error: str = _RAGGED, wanted: DType | None = None) -> ArrayView:
    """The items along a new first axis, arrays of the dtype they have in the list; numbers may be wanted in another
    one."""
    if c.lists.is_stale(lst):
        made = _placeholder(c, lst, wanted)
        if made is not None:
            return made
    match lst.kind:
        case NumberKind(dtype) | OptionalKind(NumberKind(dtype)):
            return _filled(c, lst, dtype, (), node, error, wanted)
        case ArrayKind(dtype, sizes):
            lengths = [_first_size(c, lst, k) if n is None else _fixed(c, n) for k, n in enumerate(sizes)]
            return _filled(c, lst, dtype, lengths, node, error)
        case TupleKind(items) if items:
            parts = [stacked(c, part, node, error, wanted) for part in columns(lst)]
            if len({p.rank for p in parts}) == 1:
                return _beside(c, parts, node)
            return c.arith.mismatch(ValueError(_RAGGED), node)
        case _:
            c.ctx.refuse(node, "the items of this list make no array", "put numbers or arrays into the list")


def _placeholder(c: Calls, lst: GrowingList, wanted: DType | None) -> ArrayView | None:
    """What stands for the items of a list, whose slots are of another kind, along a new first axis."""
    match known_kind(c.ctx, lst):
        case NumberKind(dtype) | OptionalKind(NumberKind(dtype)):
            return c.lists.any_array(wanted or dtype, [c.lists.length(lst)])
        case ArrayKind(dtype, sizes):
            return c.lists.any_array(dtype, [c.lists.length(lst), *map(c.lists.any_size, sizes)])
        case _:
            return None


def _beside(c: Calls, parts: Sequence[ArrayView], node: ast.AST) -> ArrayView:
    """Arrays side by side along a new second axis."""
    from tracejit.frontend.functions.arguments import Arguments
    from tracejit.frontend.tensors.joining import concatenated, with_axis

    return concatenated(c, Arguments(c, "array", "", [], {}, node), [with_axis(p, 1) for p in parts], 1)


def _fixed(c: Calls, size: int | str) -> Size:
    return size if isinstance(size, int) else c.ctx.dims[size]


def _first_size(c: Calls, lst: GrowingList, axis: int) -> Value:
    """The size of the first array along an axis that varies; 0 for an empty list."""
    assert isinstance(lst.kind, ArrayKind)
    slot = 1 + sum(n is None for n in lst.kind.sizes[:axis])
    some = c.arith.truth(lst, ast.Pass())
    assert isinstance(some, Value)
    with c.ctx.nested() as then:
        zero = then.constant(0, ScalarType(I64))
        found = then.emit("list_get", (c.ctx.storage.bases[lst.storages[slot]], zero))[0]
    orelse = c.ctx.b.nested()
    blocks = (
        then.block((), (found,), "then"),
        orelse.block((), (orelse.constant(0, ScalarType(I64)),), "else"),
    )
    made = c.ctx.b.emit("if", (some,), blocks=blocks, types=(ScalarType(I64),), names=("n",))[0]
    c.ctx.sizes.note_lower(made, 0)
    return made


def _undefined(c: Calls, dtype: DType, lengths: Sequence[Size]) -> ArrayView:
    """A new array that is going to be filled."""
    type = TensorType(dtype, (None,) * len(lengths))
    sizes = tuple(map(c.ctx.size_value, lengths))
    return c.ctx.fresh(c.ctx.b.emit("undef", sizes, {"type": type}, names=("filled",))[0])


def _filled(
    c: Calls,
    lst: GrowingList,
    dtype: DType,
    lengths: Sequence[Size],
    node: ast.AST,
    error: str,
    wanted: DType | None = None,
) -> ArrayView:
    """An array with a row for each item; numbers as those of the dtype that is wanted, if one is."""
    out = _undefined(c, wanted or dtype, (c.lists.length(lst), *lengths))

    def put(i: Value, item: FrontValue) -> None:
        if isinstance(item, OptionalValue):
            absent = "None beside numbers makes an array of objects, which is outside the language: give a dtype"
            item = c.as_operand(item, absent) if wanted is None else as_element(c.indexing, item, wanted, node)
        if isinstance(item, Number):
            value = item.value if wanted is None else c.indexing.element_value(item, wanted, node)
            c.ctx.set_element(out, (i,), value)
            return
        assert isinstance(item, ArrayView)
        if item.rank == 0:
            c.ctx.set_element(out, (i,), c.ctx.element(item, ()).value)
            return
        require_same(c, item.lengths, lengths, error)
        row = c.indexing.read(out, [Number(i, weak=True)], node)
        assert isinstance(row, ArrayView)
        c.ctx.store(row, c.ctx.load(item))

    c.lists.each(c.lists.items(lst), put, node)
    return out


def require_same(c: Calls, have: Sequence[Size], want: Sequence[Size], error: str) -> None:
    """Raise a ValueError where sizes differ."""
    for m, n in zip(have, want, strict=True):
        if not c.ctx.same_lengths([m], [n]):
            check_equal(c.ctx, m, n, "ValueError", error)


def concatenated_items(c: Calls, lst: GrowingList, axis: int, node: ast.AST) -> ArrayView:
    """Arrays of a list one after the other along an axis."""
    if c.lists.is_stale(lst):
        return _placeholder_joined(c, lst, items_rank(c, lst))
    kind = lst.kind
    assert isinstance(kind, ArrayKind)
    c.lists.require_filled(lst, "ValueError", "need at least one array to concatenate")
    lengths = [_first_size(c, lst, k) if n is None else _fixed(c, n) for k, n in enumerate(kind.sizes)]
    n = kind.sizes[axis]
    if n is None:
        lengths[axis] = _sum(c, lst, lambda item: item.lengths[axis], node)
    else:
        lengths[axis] = c.ctx.sizes.mul(c.ctx.b, c.lists.length(lst), _fixed(c, n))
    return _laid_out(c, lst, lengths, axis, node)


def _placeholder_joined(c: Calls, lst: GrowingList, rank: int) -> ArrayView:
    """What stands for the arrays of a list, whose slots are of another kind, one after the other."""
    kind = known_kind(c.ctx, lst)
    assert isinstance(kind, ArrayKind)
    return c.lists.any_array(kind.dtype, [c.lists.any_size(None) for _ in range(rank)])


def _sum(c: Calls, lst: GrowingList, size: Any, node: ast.AST) -> Value:
    """The sum of a size over all items."""

    def step(total: FrontValue, _: Value, item: FrontValue) -> FrontValue:
        assert isinstance(item, ArrayView)
        return c.ctx.size_number(c.ctx.sizes.add(c.ctx.b, c.ctx.as_size(total, node), size(item)))

    made = c.arith.scalar(c.lists.folded(c.lists.items(lst), Static(0), step, node), I64)
    c.ctx.sizes.note_lower(made, 0)
    return made


def _laid_out(c: Calls, lst: GrowingList, lengths: Sequence[Size], axis: int, node: ast.AST) -> ArrayView:
    """Items one after the other along an axis of an array of these lengths."""
    assert isinstance(lst.kind, ArrayKind)
    out = _undefined(c, lst.kind.dtype, lengths)
    text = "all the input array dimensions except for the concatenation axis must match exactly"

    def put(at: FrontValue, _: Value, item: FrontValue) -> FrontValue:
        assert isinstance(item, ArrayView)
        others = [k for k in range(item.rank) if k != axis]
        require_same(c, [item.lengths[k] for k in others], [lengths[k] for k in others], text)
        start, sizes = c.ctx.as_size(at, node), c.ctx.sizes
        strides = c.ctx.contiguous_strides(lengths)
        offset = sizes.mul(c.ctx.b, start, strides[axis])
        part = ArrayView(out.storage, out.dtype, offset, strides, item.lengths)
        c.ctx.store(part, c.ctx.load(item))
        return c.ctx.size_number(sizes.add(c.ctx.b, start, item.lengths[axis]))

    c.lists.folded(c.lists.items(lst), Static(0), put, node)
    return out


# -- results of a function --------------------------------------------------------------------------------------


def flat_items(c: Calls, lst: GrowingList, node: ast.AST) -> tuple[ArrayView, list[ArrayView]]:
    """Arrays of varying sizes as one flat array of all elements, and the sizes along each axis that varies."""
    from tracejit.frontend.tensors.reshaping import reshaped, total_size

    if c.lists.is_stale(lst):
        return _placeholder_joined(c, lst, 1), []
    kind = lst.kind
    assert isinstance(kind, ArrayKind)
    total = _sum(c, lst, lambda item: total_size(c, item), node)
    out = _undefined(c, kind.dtype, (total,))

    def put(at: FrontValue, _: Value, item: FrontValue) -> FrontValue:
        assert isinstance(item, ArrayView)
        start, sizes = c.ctx.as_size(at, node), c.ctx.sizes
        flat = reshaped(c, item, [-1], node)
        c.ctx.store(ArrayView(out.storage, out.dtype, start, (1,), flat.lengths), c.ctx.load(flat))
        return c.ctx.size_number(sizes.add(c.ctx.b, start, flat.lengths[0]))

    c.lists.folded(c.lists.items(lst), Static(0), put, node)
    counts = [GrowingList((storage,), NumberKind(I64, weak=True), frozenset()) for storage in lst.storages[1:]]
    return out, [_filled(c, count, I64, (), node, "") for count in counts]
