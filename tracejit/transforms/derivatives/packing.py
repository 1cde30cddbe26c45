"""Lists as arrays, so that residuals can leave a graph and enter another: the elements along a new first axis."""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.ir.builder import Builder, Handle, Rebuilder
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, I64, Dim, DType, ListType, ScalarType, TensorType
from tracejit.transforms.strides import c_strides

SIZE = ScalarType(I64)


def size_value(b: Rebuilder, dim: Dim | None, params: Sequence[Value]) -> Value:
    """A size of an old graph as a value of the new one; a named one is that of a parameter of the old graph."""
    if isinstance(dim, Value):
        return b.value(dim)
    if isinstance(dim, int):
        return b.constant(dim, SIZE)
    shapes = ((p, p.type.shape) for p in params if isinstance(p.type, TensorType))
    param, axis = next((p, shape.index(dim)) for p, shape in shapes if dim in shape)
    return b.emit("dim", (b.value(param),), {"axis": axis})[0]


def pack(b: Builder, items: Value, sizes: Sequence[Value], dtype: DType) -> Value:
    """The elements of a list, arrays of these sizes or (without any) numbers, as one array."""
    count = b.emit("list_len", (items,))[0]
    stacked = TensorType(dtype, (None,) * (1 + len(sizes)))
    room = b.emit("undef", (count, *sizes), {"type": stacked}, names=(items.name,))[0]
    index, filled = Value(SIZE, "i"), Value(room.type, items.name)
    inner = b.nested()
    item = inner.emit("list_get", (items, index, *sizes))[0]
    target, i = inner.wrap(filled), inner.wrap(index)
    if not sizes:
        number = inner.wrap(item) if isinstance(item.type, ScalarType) else inner.fetch(inner.wrap(item), ())
        written = inner.index_update(target, number, (i,)).value
    else:
        step, strides = _steps(inner, target)
        written = inner.vwrite(target, inner.wrap(item), i * step, strides).value
    return _loop(b, count, room, inner, (index, filled), written)


def unpack(b: Builder, packed: Value, type: ListType) -> Value:
    """The list of that type that was packed into an array."""
    empty = b.emit("list_new", (), {"element": type.element}, names=(packed.name,))[0]
    index, filled = Value(SIZE, "i"), Value(type, packed.name)
    inner = b.nested()
    i, array = inner.wrap(index), inner.wrap(packed)
    if inner.rank(array) > 1:
        step, strides = _steps(inner, array)
        item = inner.vread(array, i * step, strides, inner.shape(array)[1:])
    else:
        item = inner.fetch(array, (i,))
        item = item if isinstance(type.element, ScalarType) else inner.broadcast(item, ())
    pushed = inner.emit("list_push", (filled, item.value))[0]
    return _loop(b, b.dim_of(packed, 0), empty, inner, (index, filled), pushed)


def _steps(b: Builder, whole: Handle) -> tuple[Handle, Sequence[Handle]]:
    """How far apart elements lie in an array of them, and the strides inside one."""
    strides = c_strides(b, b.shape(whole))
    return strides[0], strides[1:]


def _loop(
    b: Builder, count: Value, start: Value, inner: Builder, params: tuple[Value, Value], following: Value
) -> Value:
    go = b.constant(True, ScalarType(BOOL))
    body = inner.block(params, (go, following), "body")
    return b.emit("loop", (count, go, start), blocks=[body], types=[start.type], names=[start.name])[0]
