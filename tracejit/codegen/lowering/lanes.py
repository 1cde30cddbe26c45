"""Loops whose trips do not see each other, as the transform `independent` marked them.

`lanes`: trips run side by side in the lanes of vectors, in blocks that threads share. `rows`: threads share the trips
of a loop around such loops. Arrays stay where they are: a trip writes in its own place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Axis, Const, Expr, For, If, Launch, Let, Stmt, Var
from tracejit.codegen.lowering import schedule
from tracejit.codegen.lowering.elements import ONE, ZERO
from tracejit.errors import Span
from tracejit.ir.aliasing import has_storage
from tracejit.ir.core import Block, Op, walk
from tracejit.ir.types import BOOL, I64

if TYPE_CHECKING:
    from tracejit.codegen.lowering.entry import Lowering

#: Trips in lanes that are one trip of a parallel loop.
BLOCK = 256

#: Up to so many trips of a loop in a loop are not worth a vector.
SHORT = 4


def independent(lowering: Lowering, op: Op) -> bool:
    """Lower a loop of independent trips as a kernel; False where it is none."""
    if op.attrs.get("rows") and lowering.parallel:
        _rows(lowering, op)
    elif op.attrs.get("lanes"):
        extent = lowering.scalar(op.operands[0])
        spread = lowering.parallel and not lowering.in_kernel and not schedule.is_small([extent], BLOCK)
        body = _blocks(lowering, op, extent) if spread else _trips(lowering, op, extent, "lanes")
        if op.attrs.get("repeated") and not isinstance(extent, Const):
            short = lowering.k.le(extent, SHORT)
            body = (If(short, _trips(lowering, op, extent, "serial"), body),)
        lowering.launch("lanes", body, _spans(op))
    else:
        return False
    return True


def _trips(lowering: Lowering, op: Op, extent: Expr, axis: Axis, start: Expr = ZERO) -> tuple[Stmt, ...]:
    """Trips `start` to `start + extent`."""
    body = op.block("body")
    index = Var(body.params[0].name, I64)
    stmts = _body(lowering, op, body, lowering.k.add(start, index))
    return (For(index, extent, stmts, axis, (), None, op.span),)


def _blocks(lowering: Lowering, op: Op, extent: Expr) -> tuple[Stmt, ...]:
    """All trips, in blocks."""
    k = lowering.k
    block, start, length = Var("block", I64), Var("start", I64), Var("length", I64)
    size = Const(BLOCK, I64)
    lets = Let(start, k.mul(block, size)), Let(length, k.minimum(k.sub(extent, start), size))
    count = k.ceildiv(extent, size)
    return (For(block, count, (*lets, *_trips(lowering, op, length, "lanes", start)), "parallel", (), None, op.span),)


def _rows(lowering: Lowering, op: Op) -> None:
    """One kernel for all trips, or (where a check will fail) for one at a time, each before the checks."""
    k, body = lowering.k, op.block("body")
    checks = [inner for inner in body.ops if inner.name == "check"]
    rest = replace(body, ops=tuple(inner for inner in body.ops if inner not in checks))
    first, count, row = Var("first", I64), Var("count", I64), Var(body.params[0].name, I64)
    lowering.in_kernel = True
    stmts = _body(lowering, op, rest, k.add(first, row))
    lowering.in_kernel = False
    trips = lowering.scalar(op.operands[0])
    lowering.emit(Let(first, ZERO), Let(count, trips))
    lowering.launch("rows", (For(row, count, stmts, "parallel", (), None, op.span),), _spans(op))
    if not checks:
        return
    launch = lowering.body.pop()
    assert isinstance(launch, Launch)
    fine: Expr = Const(True, BOOL)
    for check in checks:
        fine = k.logical_and(fine, lowering.scalar(check.operands[0]))
    trip = Var(row.name, I64)
    lowering.env[body.params[0]] = trip
    _, failing = lowering.inside(lambda: _checked(lowering, launch, {first: trip, count: ONE}, checks))
    lowering.emit(If(fine, (launch,), (For(trip, trips, failing, "serial", (), None, op.span),)))


def _checked(lowering: Lowering, launch: Launch, given: dict[Var, Expr], checks: Sequence[Op]) -> None:
    args = tuple(given.get(a, a) if isinstance(a, Var) else a for a in launch.args)
    lowering.emit(replace(launch, args=args))
    for check in checks:
        lowering.span = check.span or lowering.span
        lowering.op(check)


def _body(lowering: Lowering, op: Op, body: Block, index: Expr) -> tuple[Stmt, ...]:
    """A trip's statements. The arrays a loop carries are those it starts from."""
    lowering.env[body.params[0]] = index
    for param, init in zip(body.params[1:], op.operands[2:], strict=True):
        lowering.env[param] = lowering.env[init]

    def run() -> None:
        lowering.block(body, filter(has_storage, body.params))

    _, stmts = lowering.inside(run)
    for result, init in zip(op.results, op.operands[2:], strict=True):
        lowering.env[result] = lowering.env[init]
    return stmts


def _spans(op: Op) -> list[Span]:
    return [inner.span for inner in walk(op.block("body")) if inner.span is not None]
