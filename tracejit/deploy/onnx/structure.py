"""The structural ops as ONNX nodes: constants, sizes, single elements, views, checks, control flow, lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tracejit.codegen.loop_ir import Expr
from tracejit.deploy.onnx.elements import Elements
from tracejit.deploy.onnx.model import Handle, element_type
from tracejit.deploy.onnx.translate import Rule, Translation
from tracejit.errors import ExportError
from tracejit.ir.core import Op
from tracejit.ir.types import BOOL, I64, ListType, Type


def _const(t: Translation, op: Op) -> Handle:
    return t.model.constant(op.attrs["value"], op.results[0].type.dtype)  # type: ignore[union-attr]


def _same(t: Translation, op: Op) -> Handle:
    return t.handle(op.operands[0])


def _dim(t: Translation, op: Op) -> Handle:
    return t.model.size(t.handle(op.operands[0]), op.attrs["axis"])


def _broadcast(t: Translation, op: Op) -> Handle:
    """Stretched, unless the sizes are known to agree."""
    (result,) = op.results
    x = t.handle(op.operands[0])
    if op.attrs.get("exact") and x.rank == result.type.rank and 1 not in op.operands[0].type.shape:  # type: ignore[union-attr]
        return x
    return t.model.expand(x, t.shape(result.type), result.type.rank) if result.type.rank else x  # type: ignore[union-attr]


def _place(t: Translation, op: Op, skip: int) -> Handle:
    """The index operands as a vector."""
    return t.model.vector([t.handle(v) for v in op.operands[skip:]])


def _fetch(t: Translation, op: Op) -> Handle:
    x = t.handle(op.operands[0])
    return t.model.node("GatherND", x, _place(t, op, 1), rank=0) if x.rank else x


def _put(t: Translation, x: Handle, place: Handle, value: Handle) -> Handle:
    m = t.model
    return m.node("ScatterND", x, m.unsqueeze(place, 0), m.unsqueeze(value, 0)) if x.rank else value


def _index_update(t: Translation, op: Op) -> Handle:
    x, value = map(t.handle, op.operands[:2])
    return _put(t, x, _place(t, op, 2), value)


def _index_add(t: Translation, op: Op) -> Handle:
    x, value = map(t.handle, op.operands[:2])
    place = _place(t, op, 2)
    old = t.model.node("GatherND", x, place, rank=0) if x.rank else x
    elements = Elements(t.model)
    return _put(t, x, place, elements(t.k.add(elements.bind(old), elements.bind(value))))


def _view_places(t: Translation, op: Op) -> tuple[Handle, Handle]:
    """The value and its places in the flattened base, both as vectors."""
    frame = t.frame(op.operands[1].type)
    offset, *strides = (frame.elements.bind(t.handle(v)) for v in op.operands[2:])
    at: Expr = offset
    for i, stride in zip(frame.index, strides, strict=True):
        at = t.k.add(at, t.k.mul(i, stride))
    places = t.model.expand(frame.elements(at), frame.shape(), frame.rank) if frame.rank else frame.elements(at)
    return t.model.flat(t.handle(op.operands[1])), t.model.flat(places)


def _vwrite(t: Translation, op: Op) -> Handle:
    m, base = t.model, t.handle(op.operands[0])
    value, places = _view_places(t, op)
    written = m.node("ScatterND", m.flat(base), m.unsqueeze(places, 1), value)
    return m.reshape(written, m.shape_of(base), base.rank)


def _vadd(t: Translation, op: Op) -> Handle:
    m, base = t.model, t.handle(op.operands[0])
    value, places = _view_places(t, op)
    added = m.node("ScatterElements", m.flat(base), places, value, axis=0, reduction="add")
    return m.reshape(added, m.shape_of(base), base.rank)


def _undef(t: Translation, op: Op) -> Handle:
    kind = op.attrs["type"]
    if isinstance(kind, ListType):
        return _empty(t, kind)
    zero = t.model.constant(0, kind.dtype)
    return t.model.expand(zero, t.shape(op.results[0].type), kind.rank) if kind.rank else zero


def _sync(t: Translation, op: Op) -> Handle:
    flag, new, old = map(t.handle, op.operands)
    return t.branch(flag, lambda: (new,), lambda: (old,))[0]


def _check(t: Translation, op: Op) -> list[Handle]:
    t.model.require(t.handle(op.operands[0]), _message(op))
    return []


def _check_eq(t: Translation, op: Op) -> list[Handle]:
    a, b = map(t.handle, op.operands[:2])
    t.model.require(t.model.node("Equal", a, b, dtype=BOOL), _message(op))
    return []


def _message(op: Op) -> str:
    line = f" (line {op.span.line})" if op.span is not None else ""
    return f"{op.attrs['kind']}: {op.attrs['message']}{line}"


def _broadcast_dim(t: Translation, op: Op) -> Handle:
    m = t.model
    a, b = map(t.handle, op.operands)
    one = m.constant(1, I64)
    first = m.node("Equal", a, one, dtype=BOOL)
    other = m.node("Or", m.node("Equal", b, one, dtype=BOOL), m.node("Equal", a, b, dtype=BOOL))
    m.require(m.node("Or", first, other), "ValueError: operands could not be broadcast together")
    return m.node(
        "Add", m.where(first, b, a), m.scopes[-1].guards[-1]
    )  # so that the check comes before the size is used


def _if(t: Translation, op: Op) -> Sequence[Handle]:
    return t.branch(t.handle(op.operands[0]), lambda: t.block(op.block("then")), lambda: t.block(op.block("else")))


def _loop(t: Translation, op: Op) -> Sequence[Handle]:
    body = op.block("body")
    limit, go, *initial = map(t.handle, op.operands)

    def trip(index: Handle, carried: Sequence[Handle]) -> tuple[Handle, Sequence[Handle], Sequence[Handle]]:
        t.values.update(zip(body.params, (index, *carried), strict=True))
        again, *following = t.block(body)
        return again, following, ()

    return t.loop(limit, go, initial, trip)


def _custom(t: Translation, op: Op) -> Sequence[Handle]:
    primal = op.block("primal")
    t.values.update(zip(primal.params, map(t.handle, op.operands), strict=True))
    return t.block(primal)


def _refused(why: str) -> Callable[[Translation, Op], Any]:
    def refuse(t: Translation, op: Op) -> Any:
        raise ExportError(f"ONNX has no {why}")

    return refuse


# -- lists ------------------------------------------------------------------------------------------------------


def _empty(t: Translation, type: Type) -> Handle:
    made = t.fresh(type, "list")
    t.model.emit("SequenceEmpty", (), (made,), dtype=element_type(made.dtype))
    return made


def _list_new(t: Translation, op: Op) -> Handle:
    return _empty(t, op.results[0].type)


def _list_push(t: Translation, op: Op) -> Handle:
    return t.list_op("SequenceInsert", *map(t.handle, op.operands))


def _list_pop(t: Translation, op: Op) -> Sequence[Handle]:
    of, last = t.handle(op.operands[0]), t.model.constant(-1, I64)
    return t.list_op("SequenceErase", of, last), t.model.item(of, last)


def _list_len(t: Translation, op: Op) -> Handle:
    return t.model.node("SequenceLength", t.handle(op.operands[0]), dtype=I64, rank=0)


def _list_get(t: Translation, op: Op) -> Handle:
    return t.model.item(*map(t.handle, op.operands[:2]))


RULES: Mapping[str, Rule] = {
    "const": _const,
    "dim": _dim,
    "broadcast": _broadcast,
    "fetch": _fetch,
    "index_update": _index_update,
    "index_add": _index_add,
    "vwrite": _vwrite,
    "vadd": _vadd,
    "undef": _undef,
    "sync": _sync,
    "fresh": _same,
    "copy": _same,
    "check": _check,
    "check_eq": _check_eq,
    "broadcast_dim": _broadcast_dim,
    "if": _if,
    "loop": _loop,
    "custom": _custom,
    "report": lambda t, op: [],  # only for the objects of a Python caller
    "pending": lambda t, op: [None],
    "print": _refused("print"),
    "call": _refused("functions that call themselves"),
    "list_new": _list_new,
    "list_push": _list_push,
    "list_pop": _list_pop,
    "list_len": _list_len,
    "list_get": _list_get,
}
