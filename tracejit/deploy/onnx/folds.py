"""Reductions as nodes.

onnxruntime's `ReduceSum` and `ReduceProd` compute integers as floats: these are added up by a product of matrices and
multiplied in a loop, which wrap around as integers do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracejit.deploy.onnx.model import Handle
from tracejit.ir.opdef import Reduction
from tracejit.ir.types import BOOL, I32

if TYPE_CHECKING:
    from tracejit.deploy.onnx.translate import Translation

#: What picks one of the elements.
_EXTREMA = {"minimum": "ReduceMin", "maximum": "ReduceMax", "logical_and": "ReduceMin", "logical_or": "ReduceMax"}


def folded(t: Translation, lower: Reduction, x: Handle, axes: Sequence[int]) -> Handle:
    """x folded over axes, in its dtype or a wider one."""
    if lower.combine in _EXTREMA:
        return _extremum(t, lower, x, axes)
    m, is_sum = t.model, lower.combine == "add"
    x = m.summable(x)
    if x.dtype.is_float:
        operator = "ReduceSum" if is_sum else "ReduceProd"
        return m.node(operator, x, m.ints(*axes), rank=x.rank - len(axes), keepdims=0)
    for axis in sorted(axes, reverse=True):
        x = _integers_added(t, x, axis) if is_sum else _integers_multiplied(t, x, axis)
    return x


def _integers_added(t: Translation, x: Handle, axis: int) -> Handle:
    m = t.model
    lines = m.transpose(x, (*(a for a in range(x.rank) if a != axis), axis))
    ones = m.expand(m.constant(1, x.dtype), m.unsqueeze(m.size(x, axis), 0), 1)
    return m.node("MatMul", lines, ones, rank=x.rank - 1)


def _integers_multiplied(t: Translation, x: Handle, axis: int) -> Handle:
    m = t.model
    rows = m.transpose(x, (axis, *(a for a in range(x.rank) if a != axis)))
    shape = m.node("Slice", m.shape_of(rows), m.ints(1), m.ints(x.rank))
    ones, go = m.expand(m.constant(1, x.dtype), shape, x.rank - 1), m.constant(True, BOOL)
    return t.loop(
        m.size(rows, 0), go, (ones,), lambda i, carried: (go, (m.node("Mul", carried[0], m.gather(rows, i)),), ())
    )[0]


def _extremum(t: Translation, lower: Reduction, x: Handle, axes: Sequence[int]) -> Handle:
    """The least or greatest element, or nan if any is, among those of x and one more: the fold's identity."""
    m, rank = t.model, x.rank - len(axes)
    ends = m.ints(*(0,) * x.rank, *(int(a in axes) for a in range(x.rank)))
    padded = m.node("Pad", m.ordered(x), ends, m.ordered(m.constant(lower.identity(x.dtype), x.dtype)))
    found = m.node(_EXTREMA[lower.combine], padded, m.ints(*axes), rank=rank, keepdims=0)
    if x.dtype.is_float:
        marks = m.cast(m.node("IsNaN", padded, dtype=BOOL), I32)
        is_any = m.cast(m.node("ReduceMax", marks, m.ints(*axes), rank=rank, keepdims=0), BOOL)
        found = m.where(is_any, m.constant(float("nan"), found.dtype), found)
    return m.unordered(found, x.dtype)
