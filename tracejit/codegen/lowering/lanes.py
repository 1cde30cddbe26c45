"""Loops whose trips do not see each other, as the transform `independent` marked them.

`lanes`: trips run side by side in the lanes of vectors, in blocks that threads share. `rows`: threads share the trips
of a loop around such loops. Arrays stay where they are: a trip writes in its own place. What trips add to numbers is
added in their order, by one thread, and the sums come back in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Axis, Carried, Const, Expr, For, If, Launch, Let, Stmt, Store, Var
from tracejit.codegen.lowering import schedule
from tracejit.codegen.lowering.code import Fold, carried_by
from tracejit.codegen.lowering.elements import ONE, ZERO
from tracejit.errors import Span
from tracejit.ir.aliasing import has_storage
from tracejit.ir.core import Block, Op, walk
from tracejit.ir.sums import Sum, sums_of
from tracejit.ir.types import BOOL, I64, ScalarType, TensorType

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
        totals = [_Total(lowering, op, k, each) for k, each in sums_of(op.block("body")).items()]
        spread = lowering.parallel and not (lowering.in_kernel or totals) and not schedule.is_small([extent], BLOCK)
        body = _blocks(lowering, op, extent) if spread else _trips(lowering, op, extent, "lanes", totals=totals)
        if op.attrs.get("repeated") and not isinstance(extent, Const):
            short = lowering.k.le(extent, SHORT)
            body = (If(short, _trips(lowering, op, extent, "serial", totals=totals), body),)
        lowering.launch("lanes", body, _spans(op))
        for total in totals:
            lowering.env[total.result] = lowering.load(total.array, (), total.result.name)
    else:
        return False
    return True


class _Total:
    """A sum, its start, and the array that it is left in."""

    def __init__(self, lowering: Lowering, loop: Op, place: int, each: Sum) -> None:
        self.sum = each
        self.start = lowering.scalar(loop.operands[2 + place])
        self.result = loop.results[place]
        assert isinstance(self.result.type, ScalarType)
        self.array = lowering.new_array(TensorType(self.result.type.dtype, ()), self.result.name, stack=True)

    def carried(self, element: Expr) -> Carried:
        """The sum as a loop carries it that adds an element in each trip."""
        var, result = (Var(v.name, self.array.type.dtype) for v in (self.sum.param, self.result))
        return carried_by(Fold(self.start, "add"), var, element, result)


def _trips(
    lowering: Lowering, op: Op, extent: Expr, axis: Axis, start: Expr = ZERO, totals: Sequence[_Total] = ()
) -> tuple[Stmt, ...]:
    """Trips `start` to `start + extent`; sums are left in `totals`."""
    body = op.block("body")
    index = Var(body.params[0].name, I64)
    added = [total.sum.op for total in totals]
    rest = replace(body, ops=tuple(inner for inner in body.ops if inner not in added))
    elements: list[Expr] = []

    def add() -> None:
        for total in totals:
            element = lowering.scalar(total.sum.element)
            elements.append(element if total.sum.adds else lowering.k.op("neg", element))

    stmts = _body(lowering, op, rest, lowering.k.add(start, index), add)
    carried = tuple(total.carried(e) for total, e in zip(totals, elements, strict=True))
    stores = (Store(t.array.buffer, ZERO, c.result) for t, c in zip(totals, carried, strict=True))
    return For(index, extent, stmts, axis, carried, None, op.span), *stores


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


def _body(
    lowering: Lowering, op: Op, body: Block, index: Expr, behind: Callable[[], None] = lambda: None
) -> tuple[Stmt, ...]:
    """A trip's statements, those that `behind` emits last. The arrays a loop carries are those it starts from."""
    lowering.env[body.params[0]] = index
    for param, init in zip(body.params[1:], op.operands[2:], strict=True):
        if has_storage(param):
            lowering.env[param] = lowering.env[init]

    def run() -> None:
        lowering.block(body, filter(has_storage, body.params))
        behind()

    _, stmts = lowering.inside(run)
    for result, init in zip(op.results, op.operands[2:], strict=True):
        if has_storage(result):
            lowering.env[result] = lowering.env[init]
    return stmts


def _spans(op: Op) -> list[Span]:
    return [inner.span for inner in walk(op.block("body")) if inner.span is not None]
