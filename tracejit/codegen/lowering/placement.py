"""Memory that a kernel's result may be written into instead of new storage.

Three kinds: the part of an array that the result's only reader, a `vwrite`, would copy it into; the part of an array
that the reader makes of several (`np.concatenate`), which is taken ahead for that; and the storage of an operand of the
same size that dies at the kernel. What is found here is possible as far as the entry goes; whether the kernel's own
reads allow it is decided by `KernelLowering`, which knows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tracejit.codegen.lowering.elements import Array
from tracejit.ir.aliasing import is_flat, is_joint, stored_uses
from tracejit.ir.core import Op, Value, has_effect
from tracejit.ir.types import I64, TensorType

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering

#: How far behind a kernel its `vwrite` is looked for.
REACH = 60


def window_of(lowering: Lowering, op: Op, base: Value | None = None) -> Array:
    """The strided part of a base (that of the op, as a rule) that `vwrite` and `vadd` change, shaped like the value."""
    array, value = lowering.array(base or op.operands[0]), op.operands[1]
    offset, *steps = (lowering.scalar(v) for v in op.operands[2:])
    assert isinstance(value.type, TensorType)
    return Array(array.buffer, value.type, lowering.shape(value.type), tuple(steps), offset)


def window(lowering: Lowering, op: Op, result: Value) -> Array | None:
    """The window that the result's only reader writes it into, if the kernel may do that at once."""
    writer = _only_reader(lowering, result)
    if writer is None or writer.name != "vwrite" or writer.operands[0] is result:
        return None
    between = _between(lowering, writer)
    if between is None:
        return None
    own, base = _windows_before(op, writer, between)
    if not _is_known(lowering, base, writer):
        return None
    versions = (base, *(each.results[0] for each in own))
    roots = {root for value in versions for root in lowering.lifetimes.roots.of(value)}
    if any(
        roots & set(lowering.lifetimes.roots.of(v)) for each in between if each not in own for v in stored_uses(each)
    ):
        return None
    buffer = lowering.array(base).buffer
    for value in stored_uses(op):
        if roots & set(lowering.lifetimes.roots.of(value)) and (own or lowering.array(value).buffer is not buffer):
            return None
    return window_of(lowering, writer, base)


def _windows_before(op: Op, writer: Op, between: Sequence[Op]) -> tuple[list[Op], Value]:
    """The writes of other results of an op just before that of one of them, into windows apart from each other, and
    what the first of them writes into."""
    writes = [each for each in between if each.name == "vwrite" and each.operands[1] in op.results]
    made = {each.results[0]: each for each in writes}
    own: list[Op] = []
    last = writer
    while "apart" in last.attrs and last.operands[0] in made:
        last = made[last.operands[0]]
        own.append(last)
    return own, last.operands[0]


def joined(lowering: Lowering, result: Value) -> Array | None:
    """The part of a joined array that the result's only reader makes of it, itself or with an axis of size 1 more."""
    view, joint = _joint(lowering, result)
    if joint is None or _between(lowering, joint) is None:
        return None
    if not all(_has_known_sizes(lowering, v) for v in (*joint.operands, *joint.results)):
        return None
    (whole,), axis, k = joint.results, joint.attrs["axis"], lowering.k
    array = lowering.ahead.get(whole)
    if array is None:
        assert isinstance(whole.type, TensorType)
        array = lowering.ahead[whole] = lowering.new_array(whole.type, whole.name)
    part = result if view is None else view.results[0]
    start = k.const(0, I64)
    for value in joint.operands[: joint.operands.index(part)]:
        if isinstance(value.type, TensorType):
            start = k.add(start, lowering.size(value.type.shape[axis]))
    steps = array.steps(k)
    offset = lowering.let(k.mul(start, steps[axis]), "offset")
    steps = steps if view is None else _without(steps, axis)
    assert isinstance(result.type, TensorType)
    return Array(array.buffer, result.type, lowering.shape(result.type), steps, offset)


def _joint(lowering: Lowering, result: Value) -> tuple[Op | None, Op | None]:
    """The op that alone reads a value and joins it with others, and a view between them."""
    reader = _only_reader(lowering, result)
    if reader is None or is_joint(reader):
        return None, reader
    joint = _only_reader(lowering, reader.results[0]) if is_flat(reader) and reader.operands[0] is result else None
    if joint is None or not is_joint(joint):
        return None, None
    shape = reader.results[0].type.shape  # type: ignore[union-attr]
    adds_axis = _without(shape, joint.attrs["axis"]) == result.type.shape  # type: ignore[union-attr]
    return (reader, joint) if adds_axis else (None, None)


def _without(items: Sequence[Any], axis: int) -> tuple[Any, ...]:
    return tuple(x for i, x in enumerate(items) if i != axis)


def _only_reader(lowering: Lowering, value: Value) -> Op | None:
    readers = lowering.uses.readers.get(value, [])
    return readers[0] if len(readers) == 1 else None


def _has_known_sizes(lowering: Lowering, value: Value) -> bool:
    """Whether the sizes of a tensor are computed already, or a scalar is."""
    if not isinstance(value.type, TensorType):
        return _is_computed(lowering, value)
    return all(
        _is_computed(lowering, d) if isinstance(d, Value) else isinstance(d, int) or d in lowering.sizes
        for d in value.type.shape
    )


def _is_computed(lowering: Lowering, number: Value) -> bool:
    return number in lowering.env or number.known is not None


def _between(lowering: Lowering, writer: Op) -> list[Op] | None:
    """The ops after the current one and before `writer`; None if it is not near, or an effect is between."""
    ops, at = lowering.here.block.ops, lowering.here.at
    for end in range(at + 1, min(at + REACH, len(ops))):
        if ops[end] is writer:
            return list(ops[at + 1 : end])
        if has_effect(ops[end]):
            return None
    return None


def _is_known(lowering: Lowering, base: Value, writer: Op) -> bool:
    """Whether all that says where `writer` writes is computed already."""
    known = all(_is_computed(lowering, v) for v in writer.operands[2:])
    return known and base in lowering.env and lowering.array(base).contiguous


def dying(lowering: Lowering, op: Op, ops: Sequence[Op], array: Array) -> list[Array]:
    """Arrays like `array` that the op, whose kernel is of `ops`, reads last. One that the kernel reshapes is like the
    array if what it becomes is."""
    read = set(stored_uses(op))
    found: list[Array] = []
    for root in lowering.here.dying:
        place = lowering.env.get(root)
        is_free = root in read and root not in lowering.kept and lowering.lifetimes.origins(root) == {None}
        if is_free and isinstance(place, Array) and place.contiguous and place.type.dtype == array.type.dtype:
            if place.shape == array.shape:
                found.append(place)
            elif any(is_flat(o) and o.operands[0] is root and _has_shape(o.results[0], array) for o in ops):
                found.append(replace(place, type=array.type, shape=array.shape))
    return found


def _has_shape(value: Value, array: Array) -> bool:
    return isinstance(value.type, TensorType) and value.type.shape == array.type.shape
