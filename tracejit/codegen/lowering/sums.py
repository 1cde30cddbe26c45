"""Adding an array to a strided part of another, whose elements may be met more than once."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Axis, Const, Expr
from tracejit.codegen.lowering.code import Code
from tracejit.codegen.lowering.elements import ONE, ZERO, Array, load, stores
from tracejit.ir.types import BOOL

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering


def add_into(lowering: Lowering, target: Array, source: Array) -> None:
    """Add elements of an array to those of another, in order: elements of the target may be met twice. Lanes of a
    vector never are where its last step is 1. Trips along the first axis are shared by threads where no two meet: that
    is known when it runs, and else there is one trip that makes them all."""
    code = Code()
    code.volatile = {target.buffer, source.buffer}
    dtype, rank = source.type.dtype, len(source.shape)
    trips, each = (
        _trips(lowering, target) if rank > 1 and lowering.parallel else (ONE, source.shape[0] if rank else ONE)
    )
    with ExitStack() as stack:
        index: list[Expr] = []
        for axis, size in enumerate(source.shape):
            if axis == 0 and trips != ONE:
                trip = stack.enter_context(code.loop(trips, "parallel", "block"))
                inner = stack.enter_context(code.loop(each, "serial", "i"))
                index.append(code.bind(code.k.add(code.k.mul(trip, each), inner), "row"))
                continue
            dense = axis == rank - 1 and target.steps(code.k)[-1] == ONE
            kind: Axis = "vector" if dense else "serial"
            index.append(stack.enter_context(code.loop(size, kind, "ijklmn"[axis % 6])))
        at = code.bind(target.address(code.k, index), "at")
        old, new = (
            load(target.buffer, at, dtype, code.k),
            load(source.buffer, source.address(code.k, index), dtype, code.k),
        )
        code.emit(*stores(target.buffer, at, code.k.add(old, new), code.k))
    lowering.launch("add", code.scopes[0].stmts)


def _trips(lowering: Lowering, target: Array) -> tuple[Expr, Expr]:
    """How many trips along the first axis may be made at the same time, and how much of the axis is in each: all of it,
    unless each step along it leaves behind what the other axes reach."""
    k = lowering.k
    first, *others = target.steps(k)
    reach: Expr = ZERO
    apart: Expr = Const(True, BOOL)
    for size, step in zip(target.shape[1:], others, strict=True):
        apart = k.logical_and(apart, k.ge(step, ZERO))
        reach = k.add(reach, k.mul(k.sub(size, ONE), step))
    apart = k.logical_and(apart, k.gt(first, reach))
    rows = target.shape[0]
    trips = lowering.let(k.select(apart, rows, ONE), "trips")
    return trips, lowering.let(k.select(apart, ONE, rows), "each")
