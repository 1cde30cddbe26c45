"""Products whose second factor a loop lays out once (`transforms/lay_factors.py`, `products/laid.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracejit.codegen.loop_ir import Call, Expr, Var
from tracejit.codegen.lowering.elements import ONE, Array
from tracejit.ir.core import Op
from tracejit.ir.types import I64

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering


def with_unit_stride(lowering: Lowering, array: Array) -> Array:
    """The array, or a copy where neither rows nor columns are known to be dense, as the library needs it."""
    return array if ONE in array.steps(lowering.k)[-2:] else lowering.contiguous(array)


def lay_out(lowering: Lowering, op: Op) -> list[Any]:
    """The room that a matrix takes, and the matrix laid out in it."""
    factor, rows, trips = op.operands
    matrix = with_unit_stride(lowering, lowering.array(factor))
    (depth, width), call = matrix.shape, f"gemm_{matrix.type.dtype}"
    room = Var("room", I64)
    lowering.emit(Call(f"{call}_room", (lowering.scalar(rows), width, depth, lowering.scalar(trips)), (room,)))
    lowering.env[op.results[0]] = room
    laid = lowering.new_result(op.results[1])
    lowering.emit(Call(f"{call}_lay", (width, depth, *_matrix(lowering, matrix), laid.buffer, room)))
    return [room, laid]


def laid_product(lowering: Lowering, op: Op) -> list[Any]:
    """A product with a matrix that is laid out, if there is room for it."""
    *factors, laid = (lowering.array(v) for v in op.operands)
    left, right = (with_unit_stride(lowering, array) for array in factors)
    result = lowering.new_result(op.results[0])
    sizes = (*result.shape, left.shape[1])
    operands = (*_matrix(lowering, left), *_matrix(lowering, right), result.buffer, result.shape[1])
    lowering.emit(Call(f"gemm_{result.type.dtype}_laid", (*sizes, *operands, laid.buffer, laid.shape[0])))
    return [result]


def _matrix(lowering: Lowering, array: Array) -> tuple[Expr, ...]:
    """Where a matrix begins, and the steps of its rows and columns."""
    return (lowering.start_of(array), *(lowering.let(step, "step") for step in array.steps(lowering.k)))
