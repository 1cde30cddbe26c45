"""Ranges that start at a number of unknown sign, like `range(starts[i], starts[i + 1])`.

Indices below 0 count from the end, so each `a[k]` of such a loop asks for the sign of `k`, and no check of it can stop
the loop. An innermost loop is made twice, for either sign of its start: where that is not below 0, no index is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Graph, Op, Value, captures, walk
from tracejit.ir.types import I64, ScalarType
from tracejit.transforms.numbers.linear import Linear
from tracejit.transforms.numbers.meanings import meaning
from tracejit.transforms.numbers.rules import Condition

SIZE = ScalarType(I64)

#: Loops of more operations are not made twice.
LONGEST = 60


def split_by_sign(graph: Graph, is_open: Callable[[Op], bool]) -> Graph:
    """The graph with two versions of loops that ask for signs; itself where there are none. `is_open`: whether the
    outcome of a comparison is not known already."""
    if graph.device != "cpu":
        return graph
    made = {r: op for op in walk(graph.body) for r in op.results}
    ranges = {op: found for op in walk(graph.body) if (found := _range_of(op, made, is_open))}
    return rebuild(graph, _Versions(ranges).visit) if ranges else graph


def _range_of(loop: Op, made: Mapping[Value, Op], is_open: Callable[[Op], bool]) -> tuple[Value, Value] | None:
    """The start and the end of a range whose innermost loop compares its indices with 0."""
    length = meaning(made.get(loop.operands[0])) if loop.name == "loop" else None
    if not isinstance(length, Linear) or length.constant or sorted(length.terms.values()) != [-1, 1]:
        return None
    start, end = sorted(length.terms, key=length.terms.__getitem__)
    body = loop.block("body")
    ops = [*walk(body)]
    if len(ops) > LONGEST or any(op.name == "loop" for op in ops) or start not in captures(body):
        return None
    index = Linear({start: 1, body.params[0]: 1})
    return (start, end) if any(_asks_sign(op, index, made) and is_open(op) for op in ops) else None


def _asks_sign(op: Op, index: Linear, made: Mapping[Value, Op]) -> bool:
    """Whether an op is `index < 0`."""
    asked = meaning(op)
    if not isinstance(asked, Condition) or len(asked.then) != 1:
        return False
    (part,) = asked.then
    return part.y.known == 0 and part.slack == 1 and meaning(made.get(part.x)) == index


class _Versions:
    def __init__(self, ranges: Mapping[Op, tuple[Value, Value]]) -> None:
        self.ranges = ranges

    def visit(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op not in self.ranges:
            return None
        start, end = map(b.value, self.ranges[op])
        then, orelse = (Rebuilder(b.visit, dict(b.mapping), b.span) for _ in range(2))
        zero = b.constant(0, SIZE)
        positive = b.emit("ge", (start, zero))[0]
        last = then.emit("maximum", (end, start))[0]  # the difference cannot overflow
        trips = then.emit("sub", (last, start))[0]
        blocks = [
            then.block((), then.copy(op, (trips, *operands[1:])), "then"),
            orelse.block((), orelse.copy(op, operands), "else"),
        ]
        return b.emit("if", (positive,), blocks=blocks, like=op.results, mapping=b.mapping, span=op.span)
