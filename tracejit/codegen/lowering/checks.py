"""Checks: what leaves the entry with an error where a condition does not hold."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Any

from tracejit.codegen.loop_ir import If
from tracejit.ir.core import Op, Value
from tracejit.ir.opdef import REGISTRY

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering

#: What may lie between the two checks that are decided together.
_BETWEEN = ("abs", "lt", "const")


def check(lowering: Lowering, op: Op) -> list[Any]:
    """A check. One that a number is not nan waits for the next one, where that holds for no nan: one comparison decides
    about both, and which of them fails is asked where one does."""
    cond, *payload = (lowering.scalar(v) for v in op.operands)
    kind, message = op.attrs["kind"], op.attrs["message"]
    here = lowering.here
    if lowering.way is None and _next_is_stricter(lowering, op):
        here.waiting = cond, lowering.failure(kind, message)
    elif here.waiting is not None:
        number, failure = here.waiting
        here.waiting = None
        neither = If(lowering.k.logical_not(number), failure)
        lowering.emit(If(lowering.k.logical_not(cond), (neither, *lowering.failure(kind, message, payload))))
    else:
        lowering.fail_unless(cond, kind, message, payload)
    return []


def check_eq(lowering: Lowering, op: Op) -> list[Any]:
    """A check that two numbers are equal."""
    a, b, *payload = (lowering.scalar(v) for v in op.operands)
    lowering.fail_unless(lowering.k.eq(a, b), op.attrs["kind"], op.attrs["message"], payload or (a, b))
    return []


def _next_is_stricter(lowering: Lowering, op: Op) -> bool:
    """Whether a check is that a number is not nan, and the next one that its size is less than something."""
    tested = _made(lowering, _made(lowering, op.operands[0], "logical_not"), "isnan")
    if tested is None or len(op.operands) > 1:
        return False
    following = lowering.here.block.ops[lowering.here.at + 1 :]
    between = list(takewhile(lambda other: other.defn in [REGISTRY[name] for name in _BETWEEN], following))
    after = following[len(between) : len(between) + 1]
    if not after or after[0].name != "check":
        return False
    return _made(lowering, _made(lowering, after[0].operands[0], "lt"), "abs") is tested


def _made(lowering: Lowering, value: Value | None, name: str) -> Value | None:
    """The first operand of the op that made a value, where it is of that name."""
    maker = None if value is None else lowering.uses.makers.get(value)
    return maker.operands[0] if maker is not None and maker.defn is REGISTRY[name] else None
