"""Memory that a kernel's result may be written into instead of new storage.

Two kinds: the part of an array that the result's only reader, a `vwrite`, would copy it into; and the storage of an
operand of the same size that dies at the kernel. What is found here is possible as far as the entry goes; whether
the kernel's own reads allow it is decided by `KernelLowering`, which knows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tracejit.codegen.lowering.elements import Array
from tracejit.ir.aliasing import is_flat, stored_uses
from tracejit.ir.core import Op, Value, has_effect
from tracejit.ir.types import TensorType

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering

#: How far behind a kernel its `vwrite` is looked for.
REACH = 60


def window_of(lowering: Lowering, op: Op) -> Array:
    """The strided part of a base that `vwrite` and `vadd` change, shaped like the value."""
    base, value = lowering.array(op.operands[0]), op.operands[1]
    offset, *steps = (lowering.scalar(v) for v in op.operands[2:])
    assert not isinstance(value.type, type(None))
    return Array(base.buffer, value.type, lowering.shape(value.type), tuple(steps), offset)  # type: ignore[arg-type]


def window(lowering: Lowering, op: Op, result: Value) -> Array | None:
    """The window that the result's only reader writes it into, if the kernel may do that at once."""
    readers = lowering.uses.readers.get(result, [])
    writer = readers[0] if len(readers) == 1 else None
    if writer is None or writer.name != "vwrite" or writer.operands[0] is result:
        return None
    between = _between(lowering, writer)
    if between is None or not _is_known(lowering, writer):
        return None
    base = set(lowering.lifetimes.roots.of(writer.operands[0]))
    if any(base & set(lowering.lifetimes.roots.of(v)) for each in between for v in stored_uses(each)):
        return None
    buffer = lowering.array(writer.operands[0]).buffer
    for value in stored_uses(op):
        if base & set(lowering.lifetimes.roots.of(value)) and lowering.array(value).buffer is not buffer:
            return None
    return window_of(lowering, writer)


def _between(lowering: Lowering, writer: Op) -> list[Op] | None:
    """The ops after the current one and before `writer`; None if it is not near, or an effect is between."""
    ops, at = lowering.here.block.ops, lowering.here.at
    for end in range(at + 1, min(at + REACH, len(ops))):
        if ops[end] is writer:
            return list(ops[at + 1 : end])
        if has_effect(ops[end]):
            return None
    return None


def _is_known(lowering: Lowering, writer: Op) -> bool:
    """Whether all that says where `writer` writes is computed already."""
    base, _, *numbers = writer.operands
    known = all(v in lowering.env or v.known is not None for v in numbers)
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
