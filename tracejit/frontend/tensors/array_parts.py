"""What shares memory with an array in Python, but is a copy here, whose writes go on into the array: the real and the
imaginary part, and the bits as numbers of another dtype."""

from __future__ import annotations

import ast
import dataclasses
from typing import TYPE_CHECKING, Any

from tracejit.frontend.tensors.array_facts import LAYOUT, note_asked
from tracejit.frontend.tensors.write_checks import Part
from tracejit.frontend.values import ArrayView, FrontValue, Number, describe
from tracejit.ir.types import DType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def part_of(calls: Calls, base: ArrayView, name: str, node: ast.AST) -> FrontValue:
    """`x.real`: x itself where it is real, else a copy whose writes go on into x."""
    if name == "real" and not base.dtype.is_complex:
        return base
    made = calls.arith.typed(name, node, base)
    if base.dtype.is_complex and isinstance(made, ArrayView):
        calls.ctx.parts[made.storage] = Part(base, name, f"with_{name}")
    return made


def viewed_as(calls: Calls, base: FrontValue, kind: Any, node: ast.AST) -> FrontValue:
    """`x.view(dtype)`: a copy of the bits whose writes go on into x."""
    ctx = calls.ctx
    dtype = ctx.dtype_of_object(kind, node)
    if not isinstance(base, ArrayView | Number) or ctx.tensors:
        ctx.refuse(node, f"{describe(base)} cannot be read as another dtype", "x.astype(dtype), which converts values")
    for each in (base.dtype, dtype):
        if each.is_float and each.bits == 16:
            ctx.refuse(node, f"the bits of {each.numpy_name} cannot be read as another dtype", "float32")
    if isinstance(base, Number):
        return _number_as(calls, base, dtype, node)
    if base.rank and dtype.bits != base.dtype.bits:
        note_asked(LAYOUT)
        if base.strides[-1] != 1 or base.storage in ctx.strided:
            ctx.refuse(node, "numbers that do not lie beside each other are read as another dtype", "copy them first")
    try:
        made = ctx.b.read_as(ctx.handle(ctx.load(base)), dtype)
    except ValueError as error:
        return calls.arith.mismatch(error, node)
    if dtype == base.dtype:
        return dataclasses.replace(base)
    view = ctx.fresh(made.value)
    ctx.parts[view.storage] = Part(base, "view(dtype)", "with_bits")
    return view


def _number_as(calls: Calls, base: Number, dtype: DType, node: ast.AST) -> FrontValue:
    if base.weak:
        calls.arith.mismatch(AttributeError(f"'{describe(base)}' object has no attribute 'view'"), node)
    if dtype.bits != base.dtype.bits or dtype.is_complex:
        calls.ctx.refuse(node, "a number is read as a dtype of another width", "an array of one element")
    return calls.arith.typed("bitcast", node, base, dtype=dtype)
