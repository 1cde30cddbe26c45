"""Numbers that meet others under one name: of one dtype, and those that nobody reads."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tracejit.frontend.values import FrontValue, Number, Static
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, I64, DType, ListType, ScalarType, Type
from tracejit.ops.coerce import convert
from tracejit.ops.reduction import highest, lowest

if TYPE_CHECKING:
    from tracejit.frontend.arith import Arithmetic


def meeting(arith: Arithmetic, x: FrontValue, dtype: DType, where: str, node: ast.AST) -> Value:
    """A number where others of a dtype are, under one name or in one list, as one of these. A Python int has to fit;
    one of more than 64 bits is an OverflowError when its line is reached."""
    ctx = arith.ctx
    if isinstance(x, Static) and type(x.value) is int and dtype.is_integer and dtype != I64:
        if not lowest(dtype) <= x.value <= highest(dtype):
            ctx.refuse(
                node,
                f"{where} is the int {x.value} and elsewhere {dtype.numpy_name}, which cannot hold that",
                f"int(...) around what is {dtype.numpy_name}, or an int that it can hold",
            )
    elif isinstance(x, Number) and x.weak and x.dtype == I64 and dtype.is_integer:
        return convert(ctx.b, ctx.b.wrap(x.value), dtype, weak=True).value
    return arith.scalar(x, dtype)


def unread(b: Builder, type: Type) -> Value:
    """A number of a type, or a list, that nobody reads."""
    if isinstance(type, ListType):
        return b.emit("list_new", (), {"element": type.element})[0]
    assert isinstance(type, ScalarType)
    kinds = (type.dtype == BOOL, False), (type.dtype.is_integer, 0), (type.dtype.is_float, 0.0), (True, 0j)
    return b.constant(next(value for applies, value in kinds if applies), type)
