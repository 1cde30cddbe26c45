"""Sums that loops make: carried numbers to which each trip adds one, and which it does not look at."""

from __future__ import annotations

from dataclasses import dataclass

from tracejit.ir.core import Block, Op, Value, uses
from tracejit.ir.types import F32, F64, ScalarType


@dataclass(frozen=True, slots=True)
class Sum:
    """A carried number, the op that adds to it or subtracts, and what."""

    param: Value
    op: Op
    element: Value


def sums_of(body: Block) -> dict[int, Sum]:
    """The sums of a loop's body, by their places among what it carries. Integers wrap."""
    made = {r: op for op in body.ops for r in op.results}
    reads = uses(body)
    found: dict[int, Sum] = {}
    for place, (param, result) in enumerate(zip(body.params[1:], body.results[1:], strict=True)):
        op = made.get(result)
        if op is None or op.name not in ("add", "sub") or param not in op.operands or not _is_number(param):
            continue
        element = op.operands[op.operands[0] is param]
        is_left = op.operands[0] is param or op.name == "add"
        if is_left and element is not param and reads[param] == reads[result] == 1:
            found[place] = Sum(param, op, element)
    return found


def _is_number(value: Value) -> bool:
    type = value.type
    return isinstance(type, ScalarType) and (type.dtype in (F32, F64) or type.dtype.is_integer)
