"""NumPy's iterators, questions about dtypes, and other calls that are answered or unfolded when compiling."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit.eager import facts
from tracejit.frontend.functions.arguments import Arguments, as_array, bound_to
from tracejit.frontend.functions.handlers import handles
from tracejit.frontend.tensors.reshaping import reshaped, total_size
from tracejit.frontend.values import (
    ArrayView,
    DictValue,
    FrontValue,
    GeneratorValue,
    GrowingList,
    ListValue,
    MessageValue,
    Number,
    SequenceValue,
    SharedList,
    Size,
    Static,
    TupleValue,
)

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


# -- iterators --------------------------------------------------------------------------------------------------------


def _places(c: Calls, flat: Size, lengths: Sequence[Size]) -> TupleValue:
    """The places along every axis of an index into the flattened array."""
    b, sizes = c.ctx.b, c.ctx.sizes
    found: list[FrontValue] = []
    for axis in range(len(lengths) - 1, 0, -1):
        n = c.ctx.size_value(lengths[axis])
        place = b.emit("mod", (c.ctx.size_value(flat), n))[0]
        sizes.note_lower(place, 0)
        sizes.note_below(place, lengths[axis])
        found.insert(0, Number(place, weak=True))
        flat = b.emit("floordiv", (c.ctx.size_value(flat), n))[0]
        sizes.note_lower(flat, 0)
    if lengths:
        sizes.note_below(flat, lengths[0])
        found.insert(0, c.ctx.size_number(flat))
    return TupleValue(tuple(found))


@handles(np.ndindex)
def _ndindex(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """All places of an array of that shape, the last axis fastest."""
    shape = args[0] if len(args) == 1 and not c.arith.is_number(args[0]) else TupleValue(tuple(args))
    lengths: list[Size] = Arguments(c, "ndindex", "", [], {}, node).sizes(shape)
    total: Size = 1
    for n in lengths:
        total = c.ctx.sizes.mul(c.ctx.b, total, c.ctx.sizes.maximum(c.ctx.b, n, 0))
    return SequenceValue(total, lambda i: _places(c, i, lengths))


@handles(np.ndenumerate)
def _ndenumerate(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """Places and elements."""
    x = as_array(c, args[0], node)

    def item(i: Any) -> FrontValue:
        places = _places(c, i, x.lengths)
        return TupleValue((places, c.ctx.element(x, [c.ctx.as_size(p, node) for p in places.items])))

    return SequenceValue(total_size(c, x), item)


_BY_INDEX = "for i in np.ndindex(x.shape): x[i] = ..."


@handles(np.nditer)
def _nditer(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """The elements of an array, which may be written, or of several that are broadcast together, to be read."""
    order, flags = kwargs.pop("order", Static("K")), kwargs.pop("op_flags", None)
    writes = flags is not None and _flags(c, flags, node) in (["readwrite"], ["writeonly"])
    others = flags is not None and not writes and _flags(c, flags, node) != ["readonly"]
    if len(args) != 1 or kwargs or others or order not in (Static("C"), Static("K")):
        c.ctx.refuse(node, "np.nditer takes arrays, order and op_flags of one array in a script", _BY_INDEX)
    is_one = isinstance(args[0], ArrayView)
    given = args if is_one else list(c.expressions.known_items(args[0], node))
    for x in (as_array(c, value, node) for value in given):
        _require_elements(c, x)
        if order == Static("K"):
            _require_order(c, x, node)
    if writes:
        if not isinstance(args[0], ArrayView):
            c.ctx.refuse(node, "what np.nditer writes is one array in a script", _BY_INDEX)
        x = args[0]
        c.ctx.require_writeable(x)
        sources = frozenset([x.storage])
        return SequenceValue(
            total_size(c, x), lambda i: c.ctx.point(x, _indices(c, i, x, node)), sources=sources, is_manager=True
        )
    if isinstance(args[0], ArrayView):
        flat = reshaped(c, args[0], [-1], node)
        return SequenceValue(flat.lengths[0], lambda i: c.ctx.element(flat, [i]), is_manager=True)
    made = c.call_object(np.broadcast_arrays, given, {}, node)
    views = [v for v in c.expressions.known_items(made, node) if isinstance(v, ArrayView)]

    def item(i: Any) -> FrontValue:
        places = _indices(c, i, views[0], node)
        return TupleValue(tuple(c.ctx.element(v, places) for v in views))

    return SequenceValue(total_size(c, views[0]), item, is_manager=True)


def _flags(c: Calls, value: FrontValue, node: ast.AST) -> list[str]:
    """How one array is used, whether it is said for it or for each array."""
    items = c.expressions.known_items(value, node)
    if len(items) == 1 and isinstance(items[0], TupleValue | ListValue):
        items = c.expressions.known_items(items[0], node)
    return [c.static(item, node, "op_flags") for item in items]


def _indices(c: Calls, flat: Size, x: ArrayView, node: ast.AST) -> list[Size]:
    """The place of an index into the flattened array, as sizes."""
    return [c.ctx.as_size(p, node) for p in _places(c, flat, x.lengths).items]


def _require_elements(c: Calls, x: ArrayView) -> None:
    """NumPy refuses arrays of no elements."""
    zero = c.ctx.size_value(0)
    for n in x.lengths:
        some = c.ctx.b.emit("gt", (c.ctx.size_value(n), zero))[0]
        c.ctx.check(some, "ValueError", "Iteration of zero-sized operands is not enabled")


def _require_order(c: Calls, x: ArrayView, node: ast.AST) -> None:
    """NumPy goes in the order of memory: an error where that is not C order."""
    ctx, b = c.ctx, c.ctx.b
    other = "np.nditer follows the memory of an array that is not in C order"
    if x.storage in ctx.strided:
        ctx.refuse(node, f"{other}, which is not known in a script", "np.nditer(x, order='C')")
    one, zero = ctx.size_value(1), ctx.size_value(0)
    single_axes = [b.emit("eq", (ctx.size_value(n), one))[0] for n in x.lengths]
    axes = list(zip(single_axes, map(ctx.size_value, x.strides), strict=True))
    for (single, step), (also, inner) in (*combinations(axes, 2), *((axis, (axis[0], zero)) for axis in axes)):
        fine = b.emit("logical_or", (single, also))[0]
        fine = b.emit("logical_or", (fine, b.emit("ge", (step, inner))[0]))[0]
        ctx.check(fine, "RuntimeError", f"{other}: np.nditer(x, order='C') does not")


# -- questions about dtypes and kinds ---------------------------------------------------------------------------------


def _dtype_like(c: Calls, value: FrontValue, node: ast.AST) -> Any:
    """What NumPy's promotion is asked about: a dtype for arrays and NumPy scalars, some number of its type for a number
    of Python's, which follows the dtypes of others."""
    match value:
        case ArrayView() | Number(_, False):
            return np.dtype(value.dtype.numpy_name)
        case Number():
            return {"b": False, "i": 0, "f": 0.0, "c": 0j}[value.dtype.kind]
        case _:
            return c.static(value, node, "a dtype")


def _asked(question: Any) -> Any:
    def handler(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
        given = [_dtype_like(c, a, node) for a in args]
        options = {k: c.static(v, node, repr(k)) for k, v in kwargs.items()}
        return c.call_now(question, [Static(g) for g in given], {k: Static(v) for k, v in options.items()}, node)

    return handler


for _question in (
    *(np.result_type, np.promote_types, np.can_cast, np.issubdtype, np.isdtype, np.iinfo, np.finfo),
    *(facts.iinfo, facts.finfo),
):
    handles(_question)(_asked(_question))


@handles(np.isscalar)
def _isscalar(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    value = bound_to(c, np.isscalar, args, kwargs, node)["element"]
    return Static(isinstance(value, Number) or (isinstance(value, Static) and np.isscalar(value.value)))


@handles(np.iterable)
def _iterable(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    value = args[0]
    if isinstance(value, ArrayView):
        return Static(value.rank > 0)
    sequences = (
        TupleValue | ListValue | GrowingList | SharedList | SequenceValue | GeneratorValue | DictValue | MessageValue
    )
    known = isinstance(value, sequences) or (isinstance(value, Static) and np.iterable(value.value))
    return Static(known or any(c.objects.has(value, name) for name in ("__iter__", "__getitem__")))
