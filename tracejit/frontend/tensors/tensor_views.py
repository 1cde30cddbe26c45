"""Functions and methods of Tensors under PyTorch's names: windows, parts, masks, conversions."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tracejit.eager.conversions import DTYPE_METHODS
from tracejit.frontend.control.dependence import decided_by, require_known
from tracejit.frontend.functions.arguments import Arguments, as_array
from tracejit.frontend.tensors.arrays import METHODS, PYTORCH, define, function
from tracejit.frontend.tensors.devices import require_device
from tracejit.frontend.tensors.memory_order import by_columns
from tracejit.frontend.tensors.reshaping import reshaped
from tracejit.frontend.tensors.slices import permuted
from tracejit.frontend.texts.python_words import too_many
from tracejit.frontend.values import ArrayView, FrontValue, ListValue, Number, Size, SliceValue, Static, TupleValue

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

Method = Callable[["Calls", FrontValue, list[FrontValue], dict[str, FrontValue], ast.AST], FrontValue]


def method(names: str) -> Callable[[Method], Method]:
    """Register a method under one or more names."""

    def register(handler: Method) -> Method:
        METHODS.update(dict.fromkeys(names.split(), handler))
        return handler

    return register


# -- parts along an axis -------------------------------------------------------------------------------------------


def part(c: Calls, x: ArrayView, axis: int, item: FrontValue, node: ast.AST) -> ArrayView:
    """`x[..., item, ...]` at one axis."""
    full = SliceValue(None, None, None)
    return c.indexing.view(x, [*[full] * axis, item], node)[0]


def _require_order(
    c: Calls, pairs: Iterable[tuple[Size, Size]], kind: str, message: str, shown: Iterable[Size]
) -> None:
    """Of each pair the first is at most the second, or an exception of that kind shows the sizes."""
    payload = [c.ctx.size_value(size) for size in shown]
    for low, high in pairs:
        fits = c.ctx.b.emit("le", (c.ctx.size_value(low), c.ctx.size_value(high)))[0]
        c.ctx.check(fits, kind, message, *payload)


def _slice(c: Calls, start: Size, stop: Size) -> SliceValue:
    return SliceValue(c.ctx.size_number(start), c.ctx.size_number(stop), None)


@define("narrow", "x dim start length")
def _narrow(c: Calls, a: Arguments) -> FrontValue:
    """`length` places from `start` on; both must lie within the axis."""
    x, b, sizes = a.array(), c.ctx.b, c.ctx.sizes
    axis = a.axis(x.rank, "dim")
    n, length = x.lengths[axis], c.ctx.as_size(a["length"], a.node)
    start = c.ctx.as_size(a["start"], a.node)
    if isinstance(start, int) and start < 0:
        start = sizes.add(b, n, start)
    stop = sizes.add(b, start, length)
    text = "narrow: {0} places from {1} on do not fit an axis of size {2}"
    _require_order(c, [(0, start), (0, length), (stop, n)], "IndexError", text, (length, start, n))
    return part(c, x, axis, _slice(c, start, stop), a.node)


@define("select", "x dim index")
def _select(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    return part(c, x, a.axis(x.rank, "dim"), a["index"], a.node)


@define("unbind unstack", "x axis=0")
def _unbind(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    axis = a.axis(x.rank)
    count = _unpacked(c, x.lengths[axis], a.node)
    if count is None:
        count = known_size(c, x, axis, a.node)
    else:
        _require_count(c, x.lengths[axis], count, a.node)
    return TupleValue(tuple(part(c, x, axis, Static(i), a.node) for i in range(count)))


@define("chunk", "x chunks axis=0")
def _chunk(c: Calls, a: Arguments) -> FrontValue:
    x, chunks = a.array(), a.integer(a.static("chunks"))
    axis = a.axis(x.rank)
    if chunks < 1:
        c.arith.mismatch(ValueError("chunk: the number of parts is at least 1"), a.node)
    b, sizes, n = c.ctx.b, c.ctx.sizes, x.lengths[axis]
    count = _unpacked(c, n, a.node)
    if count is None:
        n = known_size(c, x, axis, a.node)
    step = sizes.maximum(b, sizes.floordiv(b, sizes.add(b, n, chunks - 1), chunks), 1)
    return _cut(c, x, axis, step, n, count, a.node)


def _cut(c: Calls, x: ArrayView, axis: int, step: Size, size: Size, count: int | None, node: ast.AST) -> FrontValue:
    """Parts of one size, of which the last may be smaller. Where the size of the axis depends on data, they are to be
    `count`."""
    b, sizes = c.ctx.b, c.ctx.sizes
    if count is None:
        assert isinstance(size, int) and isinstance(step, int)
        bounds: list[Size] = [*range(0, max(size, 1), step), size]
    else:
        rounded = sizes.sub(b, sizes.add(b, size, step), 1)
        parts = b.emit("floordiv", (c.ctx.size_value(rounded), c.ctx.size_value(step)))[0]
        _require_count(c, sizes.maximum(b, parts, 1), count, node)
        bounds = [*(sizes.mul(b, i, step) for i in range(count)), size]
    return TupleValue(tuple(part(c, x, axis, _slice(c, i, j), node) for i, j in pairwise(bounds)))


@define("split", "x split_size_or_sections axis=0")
def _split(c: Calls, a: Arguments) -> FrontValue:
    """PyTorch's: parts of one size, the last may be smaller, or parts of the sizes in a list."""
    if not c.ctx.tensors:
        return function(c, "numpy.split", [a["x"], a["split_size_or_sections"], a["axis"]], {}, a.node)
    x = a.array()
    axis, sections = a.axis(x.rank), a["split_size_or_sections"]
    if isinstance(sections, TupleValue | ListValue):
        bounds: list[Size] = [0]
        for n in a.sizes(sections):
            bounds.append(c.ctx.sizes.add(c.ctx.b, bounds[-1], n))
        total, n = c.ctx.size_value(bounds[-1]), c.ctx.size_value(x.lengths[axis])
        c.ctx.check(
            c.ctx.b.emit("eq", (total, n))[0], "ValueError", "split: the sizes sum to {0}, not to {1}", total, n
        )
    else:
        step = a.integer(a.static("split_size_or_sections"))
        if step < 1:
            c.arith.mismatch(ValueError("split: the size of a part is at least 1"), a.node)
        count = _unpacked(c, x.lengths[axis], a.node)
        size = known_size(c, x, axis, a.node) if count is None else x.lengths[axis]
        return _cut(c, x, axis, step, size, count, a.node)
    return TupleValue(tuple(part(c, x, axis, _slice(c, i, j), a.node) for i, j in pairwise(bounds)))


PYTORCH.add("split")


def known_size(c: Calls, x: ArrayView, axis: int, node: ast.AST) -> int:
    """A size that decides how many results there are."""
    n = x.lengths[axis]
    if isinstance(n, int):
        return n
    return require_known(c.ctx, n, node)


def _unpacked(c: Calls, size: Size, node: ast.AST) -> int | None:
    """How many values a call is unpacked into, where the size that says how many it has depends on data."""
    count = c.ctx.unpacked.get(node)
    return None if count is None or isinstance(size, int) or not decided_by(c.ctx, size).by_data else count


def _require_count(c: Calls, found: Size, count: int, node: ast.AST) -> None:
    """As many values as are unpacked."""
    c.ctx.at(node)
    number = c.ctx.size_value(found)
    enough = c.ctx.b.emit("ge", (number, c.ctx.size_value(count)))[0]
    c.ctx.check(enough, "ValueError", f"not enough values to unpack (expected {count}, got {{0}})", number)
    few = c.ctx.b.emit("le", (number, c.ctx.size_value(count)))[0]
    c.ctx.check(few, "ValueError", too_many(count))


@define("unfold", "x dimension size step")
def _unfold(c: Calls, a: Arguments) -> FrontValue:
    """All windows of `size` elements along an axis, `step` apart, as a view whose last axis is the window."""
    x, b, sizes = a.array(), c.ctx.b, c.ctx.sizes
    axis = a.axis(x.rank, "dimension")
    size, step = (c.ctx.as_size(a[k], a.node) for k in ("size", "step"))
    n = x.lengths[axis]
    text = "unfold: windows of {0} every {1} do not fit an axis of size {2}"
    _require_order(c, [(1, size), (1, step), (size, n)], "ValueError", text, (size, step, n))
    span = sizes.sub(b, n, size)
    if isinstance(step, int):
        count = sizes.add(b, sizes.floordiv(b, span, step), 1)
    else:
        count = sizes.add(b, b.emit("floordiv", (c.ctx.size_value(span), c.ctx.size_value(step)))[0], 1)
    strides, lengths = list(x.strides), list(x.lengths)
    strides[axis], lengths[axis] = sizes.mul(b, x.strides[axis], step), count
    return x.viewed(x.offset, (*strides, x.strides[axis]), (*lengths, size))


@define("diagonal", "x offset=0 axis1=0 axis2=1")
def _diagonal(c: Calls, a: Arguments) -> FrontValue:
    """The elements at i, i + offset of two axes, as a view whose last axis they are; NumPy's may not be written."""
    x, b, sizes = a.array(), c.ctx.b, c.ctx.sizes
    if x.rank < 2:
        c.arith.mismatch(ValueError("diag requires an array of at least two dimensions"), a.node)
    i, j = a.axis(x.rank, "axis1"), a.axis(x.rank, "axis2")
    if i == j:
        c.arith.mismatch(ValueError("axis1 and axis2 cannot be the same"), a.node)
    shift = c.ctx.as_size(a["offset"], a.node)
    start, count = x.offset, []
    for axis, skipped in ((i, sizes.sub(b, 0, shift)), (j, shift)):
        skipped = sizes.minimum(b, sizes.maximum(b, skipped, 0), x.lengths[axis])
        start = sizes.add(b, start, sizes.mul(b, skipped, x.strides[axis]))
        count.append(sizes.sub(b, x.lengths[axis], skipped))
    keep = [k for k in range(x.rank) if k not in (i, j)]
    strides = (*(x.strides[k] for k in keep), sizes.add(b, x.strides[i], x.strides[j]))
    lengths = (*(x.lengths[k] for k in keep), sizes.minimum(b, *count))
    made = x.viewed(start, strides, lengths)
    return made if c.ctx.tensors else dataclasses.replace(made, readonly=True)


# -- shapes ---------------------------------------------------------------------------------------------------------


@define("flatten", "x start_dim=0 end_dim=-1 order='C'")
def _flatten(c: Calls, a: Arguments) -> FrontValue:
    """The axes from `start_dim` to `end_dim` as one; NumPy's method takes an order instead."""
    if not c.ctx.tensors or isinstance(a.static("start_dim"), str):
        columns = "F" in (a.static("start_dim"), a.static("order"))
        x = by_columns(a.array()) if columns else a.array()
        flat = reshaped(c, x, [-1], a.node)
        return flat if c.ctx.tensors else c.ctx.fresh(c.ctx.load(flat))
    x = a.array()
    if not x.rank:
        return reshaped(c, x, [1], a.node)
    first, last = a.axis(x.rank, "start_dim"), a.axis(x.rank, "end_dim")
    if first > last:
        c.arith.mismatch(ValueError("flatten: start_dim is behind end_dim"), a.node)
    merged: Size = 1
    for n in x.lengths[first : last + 1]:
        merged = c.ctx.sizes.mul(c.ctx.b, merged, n)
    return reshaped(c, x, [*x.lengths[:first], merged, *x.lengths[last + 1 :]], a.node)


@define("unflatten", "x dim shape")
def _unflatten(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    axis, inner = a.axis(x.rank, "dim"), a.sizes(a["shape"])
    free = [i for i, n in enumerate(inner) if isinstance(n, int) and n == -1]
    if len(free) > 1:
        c.arith.mismatch(ValueError("unflatten: at most one size may be -1"), a.node)
    return reshaped(c, x, [*x.lengths[:axis], *inner, *x.lengths[axis + 1 :]], a.node)


@define("broadcast_tensors broadcast_arrays", "x *more")
def _broadcast_tensors(c: Calls, a: Arguments) -> FrontValue:
    given = [a["x"], *a.rest]
    total = as_array(c, given[0], a.node)
    for x in given[1:]:
        total = as_array(
            c,
            c.arith.typed("select", a.node, Static(True), c.arith.typed("ne", a.node, total, x), Static(False)),
            a.node,
        )
    arrays = [as_array(c, x, a.node) for x in given]
    if not c.ctx.tensors and all(c.ctx.same_lengths(x.lengths, total.lengths) for x in arrays):
        return TupleValue(tuple(arrays))
    return TupleValue(tuple(function(c, "broadcast_to", [x, _shape(c, total)], {}, a.node) for x in arrays))


def _shape(c: Calls, x: ArrayView) -> TupleValue:
    return TupleValue(tuple(map(c.ctx.size_number, x.lengths)))


@define("matrix_transpose", "x")
def _matrix_transpose(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    if x.rank < 2:
        c.arith.mismatch(ValueError("matrix_transpose needs two axes or more"), a.node)
    return permuted(x, (*range(x.rank - 2), x.rank - 1, x.rank - 2))


@define("t", "x")
def _t(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    if x.rank > 2:
        c.arith.mismatch(ValueError("t() takes at most two axes"), a.node)
    return permuted(x, tuple(reversed(range(x.rank))))


@define("expand_as view_as reshape_as", "x other")
def _as_other(c: Calls, a: Arguments) -> FrontValue:
    x, other = a.array(), a.array("other")
    if a.name == "expand_as":
        return function(c, "broadcast_to", [x, _shape(c, other)], {}, a.node)
    return reshaped(c, x, list(other.lengths), a.node)


@define("cartesian_prod", "x *more")
def _cartesian_prod(c: Calls, a: Arguments) -> FrontValue:
    if not a.rest:
        return a["x"]
    grids = function(c, "meshgrid", [a["x"], *a.rest], {"indexing": Static("ij")}, a.node)
    assert isinstance(grids, TupleValue)
    flat = tuple(function(c, "reshape", [g, Static(-1)], {}, a.node) for g in grids.items)
    return function(c, "stack", [TupleValue(flat)], {"axis": Static(1)}, a.node)


# -- masks ------------------------------------------------------------------------------------------------------------


@define("masked_fill", "x mask value")
def _masked_fill(c: Calls, a: Arguments) -> FrontValue:
    x = a.array()
    made = as_array(c, c.arith.typed("select", a.node, a["mask"], a["value"], x), a.node)
    return function(c, "astype", [made, Static(x.dtype.numpy_name)], {}, a.node) if made.dtype != x.dtype else made


@define("masked_select", "x mask")
def _masked_select(c: Calls, a: Arguments) -> FrontValue:
    both = function(c, "broadcast_tensors", [a["x"], a["mask"]], {}, a.node)
    assert isinstance(both, TupleValue)
    x, mask = (as_array(c, item, a.node) for item in both.items)
    return c.indexing.read(x, [mask], a.node)


# -- conversions ------------------------------------------------------------------------------------------------------


@define("astype", "x dtype copy=True")
def _astype(c: Calls, a: Arguments) -> FrontValue:
    """The array API's function."""
    if not a.static("copy"):
        return in_dtype(c, a.array(), a.static("dtype"), a.node)
    return METHODS["astype"](c, a.array(), [a["dtype"]], {}, a.node)


def _cast_method(dtype: str) -> Method:
    def handler(
        c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue:
        return in_dtype(c, x, dtype, node)

    return handler


def in_dtype(c: Calls, x: FrontValue, dtype: Any, node: ast.AST) -> FrontValue:
    """The value in a dtype; itself where it has it."""
    target = c.ctx.dtype_of_object(dtype, node)
    if isinstance(x, ArrayView | Number) and x.dtype == target:
        return x
    return METHODS["astype"](c, x, [Static(dtype)], {}, node)


for _name, _dtype in DTYPE_METHODS.items():
    METHODS[_name] = _cast_method(_dtype)


@method("repeat")
def _repeat(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """Of a Tensor PyTorch's `repeat`, which is `tile`; of an array NumPy's."""
    if not c.ctx.tensors:
        return function(c, "repeat", [x, *args], kwargs, node)
    counts = args[0] if len(args) == 1 and isinstance(args[0], TupleValue | ListValue) else TupleValue(tuple(args))
    return function(c, "tile", [x, counts], kwargs, node)


@method("flip")
def _flip(c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """The axes may be given one by one, or as `dims`."""
    axes = [TupleValue(tuple(args))] if len(args) > 1 else args
    named = {"axis" if name == "dims" else name: value for name, value in kwargs.items()}
    return function(c, "flip", [x, *axes], named, node)


@method("where")
def _where(c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """The value where a condition holds, else another."""
    a = Arguments(c, "where", "condition other", args, kwargs, node)
    return function(c, "where", [a["condition"], x, a["other"]], {}, node)


@method("type_as")
def _type_as(
    c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    other = Arguments(c, "type_as", "other", args, kwargs, node).array("other")
    return in_dtype(c, x, other.dtype.numpy_name, node)


@method("to")
def _to(c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """Another dtype, or that of another array; the device stays."""
    copy = bool(c.static(kwargs.pop("copy", Static(False)), node, "'copy'"))
    result = x
    for value in (*args, *kwargs.values()):
        if isinstance(value, ArrayView):
            result = in_dtype(c, result, value.dtype.numpy_name, node)
            continue
        wanted = c.static(value, node, "a dtype or device")
        if isinstance(wanted, str) and wanted.partition(":")[0] in ("cpu", "cuda"):
            require_device(c.ctx, str(wanted), node)
        elif wanted is not None and not isinstance(wanted, bool):
            result = in_dtype(c, result, wanted, node)
    return METHODS["copy"](c, result, [], {}, node) if copy and result is x else result


def _define_moves() -> None:
    def to(device: str) -> Method:
        def handler(
            c: Calls, x: FrontValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
        ) -> FrontValue:
            require_device(c.ctx, device, node)
            return x

        return handler

    for device in ("cpu", "cuda"):
        method(device)(to(device))


_define_moves()
