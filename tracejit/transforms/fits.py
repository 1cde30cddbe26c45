"""Checks in the branches of a loop, like that of `y[i] = x[i]` under `if x[i] > 0`.

Which trip reaches such a check is known in that trip only, so it cannot stop the loop, and a loop that may stop in its
midst does not become vectors. An innermost loop is made twice: where no trip's index is out of bounds, whether it is
asked for or not, there is nothing to check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Block, Graph, Op, Value, captures, walk
from tracejit.ir.types import I64, ScalarType
from tracejit.records import record
from tracejit.transforms.linear import Linear
from tracejit.transforms.range_rules import Condition
from tracejit.transforms.starts import LONGEST, meaning

SIZE = ScalarType(I64)

#: Constants in an index that are taken into account, and how many different limits may be asked for ahead of a loop.
_NEAR, _MOST = 1 << 20, 4


@record
class _Fit:
    """`least <= limit - distance`, for the number of a loop's trips (None) or a value from outside."""

    least: Value | None
    limit: Value
    distance: int


def split_by_fit(graph: Graph, is_open: Callable[[Op], bool]) -> Graph:
    """The graph with two versions of loops that check indices in branches; itself where there are none. `is_open`:
    whether the outcome of a check is not known already."""
    if graph.device != "cpu":
        return graph
    made = {r: op for op in walk(graph.body) for r in op.results}
    fits = {op: found for op in walk(graph.body) if op.name == "loop" and (found := _fits_of(op, made, is_open))}
    return rebuild(graph, _Versions(fits).visit) if fits else graph


def _fits_of(loop: Op, made: Mapping[Value, Op], is_open: Callable[[Op], bool]) -> list[_Fit]:
    """What must hold so that no check in the branches of an innermost loop fails; nothing where that is not known."""
    body = loop.block("body")
    ops = [*walk(body)]
    if len(ops) > LONGEST or any(op.name == "loop" for op in ops):
        return []
    outside = captures(body)
    checks = [op for op in _in_branches(body) if op.name == "check" and is_open(op)]
    if not checks or any(op.name == "check" and is_open(op) for op in body.ops):
        return []
    found: dict[_Fit, None] = {}
    for check in checks:
        asked = meaning(made.get(check.operands[0]))
        if not isinstance(asked, Condition) or not asked.exact:
            return []
        for part in asked.then:
            fit = _fit(part.x, part.y, part.slack, body.params[0], outside, made)
            if fit is None:
                return []
            found[fit] = None
    return [*found] if len(found) <= _MOST else []


def _in_branches(body: Block) -> list[Op]:
    return [inner for op in body.ops for block in op.blocks for inner in walk(block)]


def _fit(
    x: Value, y: Value, slack: int, trip: Value, outside: Sequence[Value], made: Mapping[Value, Op]
) -> _Fit | None:
    """What `x + slack <= y` asks ahead of the loop, for x of the loop's trip and a constant, or of neither."""
    if y not in outside or y.type != SIZE:
        return None
    if x is trip:
        return _Fit(None, y, slack - 1)
    if x in outside and x.type == SIZE:
        return _Fit(x, y, slack)
    form = meaning(made.get(x))
    if not isinstance(form, Linear) or form.terms != {trip: 1} or abs(form.constant) > _NEAR:
        return None
    return _Fit(None, y, form.constant + slack - 1)


class _Versions:
    def __init__(self, fits: Mapping[Op, Sequence[_Fit]]) -> None:
        self.fits = fits

    def visit(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op not in self.fits:
            return None
        fine: Value | None = None
        for fit in self.fits[op]:
            least = operands[0] if fit.least is None else b.value(fit.least)
            limit = b.value(fit.limit)
            if fit.distance:
                limit = b.emit("sub", (limit, b.constant(fit.distance, SIZE)))[0]
            holds = b.emit("le", (least, limit))[0]
            fine = holds if fine is None else b.emit("logical_and", (fine, holds))[0]
        assert fine is not None
        then, orelse = (Rebuilder(b.visit, dict(b.mapping), b.span) for _ in range(2))
        blocks = [
            then.block((), then.copy(op, operands), "then"),
            orelse.block((), orelse.copy(op, operands), "else"),
        ]
        return b.emit("if", (fine,), blocks=blocks, like=op.results, mapping=b.mapping, span=op.span)
