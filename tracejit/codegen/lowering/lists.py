"""Growing lists: handles that support functions change in place.

A tensor element is a pointer that the list owns; a complex scalar takes two slots, real part first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tracejit.codegen.loop_ir import Call, Const, Expr, For, If, Var
from tracejit.codegen.lowering.complex import Complex
from tracejit.codegen.lowering.elements import Array
from tracejit.codegen.lowering.sums import add_into
from tracejit.codegen.support.names import BUFFERS, SCALARS
from tracejit.codegen.support.names import LISTS as NESTED
from tracejit.ir.core import Op, Value
from tracejit.ir.types import BOOL, I64, ListType, ScalarType, TensorType, Type, real_dtype

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering


def _kind(element: Type) -> Const:
    match element:
        case ScalarType():
            return Const(SCALARS, I64)
        case TensorType():
            return Const(BUFFERS, I64)
        case ListType():
            return Const(NESTED, I64)


def _new(lowering: Lowering, op: Op) -> list[Any]:
    return [_new_list(lowering, op.results[0].type, op.results[0].name)]


def _new_list(lowering: Lowering, type: Type, name: str) -> Var:
    assert isinstance(type, ListType)
    handle = lowering.pointer(type, name)
    lowering.emit(Call("list_new", (_kind(type.element),), (handle,)))
    return handle


def _push(lowering: Lowering, op: Op) -> list[Any]:
    handle, value = lowering.env[op.operands[0]], lowering.place(op.operands[1])
    for part in _parts(value):
        lowering.emit(Call("list_push", (handle, part)))
    return [handle]


def _parts(value: Any) -> tuple[Expr, ...]:
    if isinstance(value, Array):
        return (value.buffer,)
    return (value.re, value.im) if isinstance(value, Complex) else (value,)


def _is_complex(type: Type) -> bool:
    return isinstance(type, ScalarType) and type.dtype.is_complex


def _slot(lowering: Lowering, value: Value) -> Var:
    """A var for one slot of a list of such values."""
    if isinstance(value.type, ScalarType):
        return Var(value.name, real_dtype(value.type.dtype))
    return lowering.pointer(value.type, value.name)


def _place(lowering: Lowering, value: Value, slot: Any) -> Any:
    """What a slot's content stands for."""
    return Array(slot, value.type, lowering.shape(value.type)) if isinstance(value.type, TensorType) else slot


def _take(lowering: Lowering, op: Op, function: str) -> list[Any]:
    handle, value = lowering.env[op.operands[0]], op.results[1]
    if _is_complex(value.type):
        im, re = _slot(lowering, value), _slot(lowering, value)
        lowering.emit(Call(function, (handle,), (im,)), Call(function, (handle,), (re,)))
        return [handle, Complex(re, im)]
    slot = _slot(lowering, value)
    lowering.emit(Call(function, (handle,), (slot,)))
    return [handle, _place(lowering, value, slot)]


def _pop(lowering: Lowering, op: Op) -> list[Any]:
    return _take(lowering, op, "list_pop")


def _pop0(lowering: Lowering, op: Op) -> list[Any]:
    """`list_pop`; where there is none, zeros or an empty list take the place of the null pointer."""
    handle, place = _take(lowering, op, "list_pop0")
    value = op.results[1]
    if isinstance(value.type, ScalarType):
        return [handle, place]
    slot = place.buffer if isinstance(place, Array) else place
    missing = Var("missing", BOOL)
    lowering.emit(Call("is_null", (slot,), (missing,)))
    made, then = lowering.inside(lambda: _neutral(lowering, value))
    found = lowering.pointer(value.type, value.name)
    lowering.emit(If(missing, then, (), (found,), (made,), (slot,)))
    return [handle, _place(lowering, value, found)]


def _neutral(lowering: Lowering, value: Value) -> Var:
    """Zeros, or an empty list."""
    if isinstance(value.type, ListType):
        return _new_list(lowering, value.type, "empty")
    return zeros(lowering, value).buffer


def zeros(lowering: Lowering, like: Value) -> Array:
    """A tensor of zeros of a value's type."""
    assert isinstance(like.type, TensorType)
    array = lowering.new_array(like.type, "zeros")
    width = 2 if like.type.dtype.is_complex else 1
    lowering.emit(Call("zero", (array.buffer, lowering.k.mul(lowering.k.product(array.shape), width))))
    return array


def _len(lowering: Lowering, op: Op) -> list[Any]:
    return [length(lowering, op.operands[0])]


def length(lowering: Lowering, of: Value) -> Expr:
    """The number of elements of a list."""
    count = Var("length", I64)
    lowering.emit(Call("list_len", (lowering.env[of],), (count,)))
    assert isinstance(of.type, ListType)
    return lowering.let(lowering.k.quotient(count, 2), "length") if _is_complex(of.type.element) else count


def _get(lowering: Lowering, op: Op) -> list[Any]:
    handle, index, value = lowering.env[op.operands[0]], lowering.scalar(op.operands[1]), op.results[0]
    if _is_complex(value.type):
        re, im = _slot(lowering, value), _slot(lowering, value)
        first = lowering.k.mul(index, 2)
        lowering.emit(
            Call("list_get", (handle, first), (re,)),
            Call("list_get", (handle, lowering.k.add(first, 1)), (im,)),
        )
        return [Complex(re, im)]
    slot = _slot(lowering, value)
    lowering.emit(Call("list_get", (handle, index), (slot,)))
    return [_place(lowering, value, slot)]


def _get0(lowering: Lowering, op: Op) -> list[Any]:
    """`list_get`; a tensor that was cleared is put back as zeros first, so that the list owns it."""
    value = op.results[0]
    if not isinstance(value.type, TensorType):
        return _get(lowering, op)
    handle, index = lowering.env[op.operands[0]], lowering.scalar(op.operands[1])
    return [_place(lowering, value, _present(lowering, handle, index, value))]


def _present(lowering: Lowering, handle: Var, index: Expr, like: Value) -> Var:
    """The tensor in a slot of a list; zeros of the type of `like` are put there if it was cleared."""
    slot = lowering.pointer(like.type, "slot")
    missing = Var("missing", BOOL)
    lowering.emit(Call("list_get", (handle, index), (slot,)), Call("is_null", (slot,), (missing,)))
    _, put = lowering.inside(lambda: lowering.emit(Call("list_set", (handle, index, zeros(lowering, like).buffer))))
    lowering.emit(If(missing, put))
    found = lowering.pointer(like.type, like.name)
    lowering.emit(Call("list_get", (handle, index), (found,)))
    return found


# -- cotangents of lists, and assignment ----------------------------------------------------------------------------


def assign(lowering: Lowering, handle: Var, index: Expr, value: Any) -> None:
    """Replace an element; a tensor is copied, the list owns the copy."""
    if isinstance(value, Array):
        value = lowering.copy(value, "element")
    parts = _parts(value)
    for i, part in enumerate(parts):
        at = lowering.k.add(lowering.k.mul(index, len(parts)), i)
        lowering.emit(Call("list_set", (handle, at, part)))


def clear(lowering: Lowering, handle: Var, like: Value, index: Expr) -> None:
    """Make an element zero: a null pointer in the place of a tensor."""
    assert isinstance(like.type, ListType)
    match like.type.element:
        case TensorType():
            lowering.emit(Call("list_clear", (handle, index)))
        case ListType():
            lowering.emit(Call("list_set", (handle, index, _new_list(lowering, like.type.element, "empty"))))
        case ScalarType(dtype):
            zero = lowering.k.const(0, real_dtype(dtype))
            assign(lowering, handle, index, Complex(zero, zero) if dtype.is_complex else zero)


def accumulate(lowering: Lowering, handle: Var, like: Value, value: Any, index: Expr, count: Expr) -> None:
    """Add to an element of a list that has `count` elements once zeros have been put below those it has; `index` counts
    from the lowest of the upper `count` elements where it has more."""
    width = len(_parts(value))
    index = lowering.let(lowering.k.add(index, fill(lowering, handle, like, count)), "place")
    if isinstance(value, Array):
        slot = _present(lowering, handle, index, like)
        add_into(lowering, Array(slot, value.type, value.shape), value)
        return
    for i, part in enumerate(_parts(value)):
        at = lowering.k.add(lowering.k.mul(index, width), i)
        old = Var("old", part.type)
        lowering.emit(Call("list_get", (handle, at), (old,)), Call("list_set", (handle, at, lowering.k.add(old, part))))


def fill(lowering: Lowering, handle: Var, like: Value, count: Expr) -> Expr:
    """Put zeros below what a list of elements like this one holds, until there are `count`; gives how many more there
    are."""
    width = 2 if _is_complex(like.type) else 1
    have = Var("have", I64)
    lowering.emit(Call("list_len", (handle,), (have,)))
    missing = lowering.let(lowering.k.sub(lowering.k.mul(count, width), have), "missing")
    _, filling = lowering.inside(lambda: _fill(lowering, handle, like, have, missing))
    lowering.emit(If(lowering.k.gt(missing, 0), filling))
    return lowering.k.maximum(lowering.k.quotient(lowering.k.sub(0, missing), width), 0)


def _fill(lowering: Lowering, handle: Var, like: Value, have: Expr, missing: Expr) -> None:
    """Move what a list holds away, push zeros, move it back. The tensors among them are null pointers, as their sizes
    may be others than those of `like`."""
    aside = Var("aside", handle.type)
    lowering.emit(Call("list_new", (_kind(like.type),), (aside,)))
    _move(lowering, like, have, handle, aside)

    if isinstance(like.type, TensorType):
        push = Call("list_push_null", (handle,))
    else:
        assert isinstance(like.type, ScalarType)
        push = Call("list_push", (handle, lowering.k.const(0, real_dtype(like.type.dtype))))
    lowering.emit(For(Var("i", I64), missing, (push,)))
    _move(lowering, like, have, aside, handle)
    lowering.emit(Call("list_free", (aside,)))


def _move(lowering: Lowering, like: Value, count: Expr, source: Var, target: Var) -> None:
    """Move slots from the end of one list to the end of another."""
    slot = _slot(lowering, like)
    body = (Call("list_pop", (source,), (slot,)), Call("list_push", (target, slot)))
    lowering.emit(For(Var("i", I64), count, body))


def copy_part(lowering: Lowering, function: str, handle: Var, start: Expr, array: Array) -> None:
    """Copy the numbers of a list from `start` on into a dense array (`list_read`), or from there (`list_write`)."""
    width = 2 if array.type.dtype.is_complex else 1
    place, count = (lowering.k.mul(n, width) for n in (start, array.shape[0]))
    lowering.emit(Call(function, (handle, place, count, lowering.start_of(array))))


#: Structural list ops: `rule(lowering, op)` gives what stands for each result.
LISTS: dict[str, Callable[[Lowering, Op], list[Any]]] = {
    "list_new": _new,
    "list_push": _push,
    "list_pop": _pop,
    "list_pop0": _pop0,
    "list_len": _len,
    "list_get": _get,
    "list_get0": _get0,
}
