"""Views: ops whose result is their operand's memory, read with other strides.

The strides come from the op's own lowering rule: it is run on an operand that records the address it is read at, and
an address that is affine in the result's index is an offset and a stride for each axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracejit.codegen.loop_ir import Expr, Var
from tracejit.codegen.lowering.elements import ZERO, Affine, Array, Element, ElementBuilder, Index, affine, stores
from tracejit.codegen.lowering.kernels import Target
from tracejit.ir.aliasing import has_storage, is_flat
from tracejit.ir.core import Op, Value
from tracejit.ir.opdef import Opaque, Pointwise
from tracejit.ir.types import I64, TensorType

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering


def view(lowering: Lowering, op: Op) -> None:
    """Let a view's result be strides over its operand's buffer; a kernel computes it where it cannot be."""
    if repeats(lowering, op):
        lowering.env[op.results[0]] = _repeated(lowering, op)
        return
    (result,), source = op.results, lowering.array(op.operands[0])
    assert isinstance(result.type, TensorType)
    is_joined = lowering.written.get(op.operands[0]) is op  # which `cat` is told by the buffer alone
    if is_flat(op) and (source.contiguous or is_joined):
        lowering.env[result] = Array(source.buffer, result.type, lowering.shape(result.type))
        return
    made = _strided(lowering, op, source)
    if made is None and not source.contiguous:
        made = _strided(lowering, op, lowering.contiguous(source))
    if made is None:
        made = _computed(lowering, op)
    lowering.env[result] = lowering.contiguous(made, result.name) if result in lowering.uses.dense else made


def repeats(lowering: Lowering, op: Op) -> bool:
    """Whether an op makes an array of one host scalar which is only read, in any layout: one element will do."""
    if op.name != "broadcast" or has_storage(op.operands[0]) or lowering.target != "cpu":
        return False
    (result,), uses = op.results, lowering.uses
    readers = uses.readers.get(result, ())
    return result not in uses.dense and all(r is not None and isinstance(r.defn.lower, Opaque) for r in readers)


def _repeated(lowering: Lowering, op: Op) -> Array:
    """An array whose elements all lie at one place."""
    (result,) = op.results
    assert isinstance(result.type, TensorType)
    one = lowering.new_array(TensorType(result.type.dtype, (1,)), result.name)
    lowering.emit(*stores(one.buffer, ZERO, lowering.scalar(op.operands[0]), lowering.k))
    return Array(one.buffer, result.type, lowering.shape(result.type), (ZERO,) * result.type.rank)


def _computed(lowering: Lowering, op: Op) -> Array:
    """A view whose index is not affine, computed; it lives to the end of the block, as its operand does."""
    (result,) = op.results
    assert isinstance(result.type, TensorType)
    if is_flat(op):
        dense = lowering.contiguous(lowering.array(op.operands[0]))
        return Array(dense.buffer, result.type, lowering.shape(result.type))
    made = lowering.new_array(result.type, result.name)
    lowering.kernel(op.name, (op,), [Target(result, made)])
    lowering.temporaries.append(made)
    return made


def _strided(lowering: Lowering, op: Op, source: Array) -> Array | None:
    """The result of a view as strides over `source`; None where its index is not affine."""
    assert isinstance(op.defn.lower, Pointwise) and isinstance(op.results[0].type, TensorType)
    k = ElementBuilder(lambda e, name: e)
    index = tuple(Var("i", I64) for _ in op.results[0].type.shape)
    probe = _Probe(k, source)
    operands: list[Any] = [probe, *(HostOperand(lowering, v) for v in op.operands[1:])]
    found = op.defn.lower.fn(k, index, *op.defn.group(operands), **op.attrs)
    if found is not probe or probe.address is None:
        return None
    form: Affine | None = affine(k, probe.address, set(index))
    if form is None:
        return None
    meanings = [form.coefficients.get(i, ZERO) for i in index]
    steps = tuple(lowering.let(e, "step") for e in meanings)
    named = ((step, e) for step, e in zip(steps, meanings, strict=True) if isinstance(step, Var) and step is not e)
    lowering.steps.update(named)
    return Array(
        source.buffer, op.results[0].type, lowering.shape(op.results[0].type), steps, lowering.let(form.rest, "offset")
    )


class HostOperand:
    """A host scalar (or a tensor's sizes) as a lowering rule sees it in the entry."""

    __slots__ = ("lowering", "shape", "type", "value")

    def __init__(self, lowering: Lowering, value: Value) -> None:
        self.lowering = lowering
        self.value = value
        self.type = value.type
        self.shape: Index = lowering.shape(value.type) if isinstance(value.type, TensorType) else ()

    def __call__(self, index: Sequence[Expr]) -> Element:
        return self.lowering.scalar(self.value)


class _Probe:
    """An operand that records where a view reads it; it is its own element."""

    def __init__(self, k: ElementBuilder, array: Array) -> None:
        self.k = k
        self.array = array
        self.type = array.type
        self.shape = array.shape
        self.address: Expr | None = None

    def __call__(self, index: Sequence[Expr]) -> _Probe:
        self.address = self.array.address(self.k, index)
        return self

    def flat(self, at: Expr) -> _Probe:
        """A read by C-order index."""
        self.address = at if self.array.contiguous else None
        return self
