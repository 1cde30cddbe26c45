"""What transforms of matrix products ask of values and of the ops that make them."""

from __future__ import annotations

from tracejit.ir.core import Op, Value
from tracejit.ir.types import F32, F64, TensorType


def is_matrix(value: Value) -> bool:
    """Whether a value is a matrix of a dtype that has products of its own."""
    return isinstance(value.type, TensorType) and value.type.rank == 2 and value.type.dtype in (F32, F64)


def renames(op: Op) -> bool:
    """Whether the op only gives the sizes of a matrix other names."""
    return op.name == "broadcast" and bool(op.attrs.get("exact")) and is_matrix(op.operands[0])


def swaps(op: Op) -> bool:
    """Whether the op transposes a matrix."""
    return op.attrs.get("perm") == (1, 0)
