"""Truncated backpropagation: a `backward()` under a condition in a loop, behind which what it hands on is detached.

Its derivative goes through the trips since the condition held last. So a loop

    loop i { A; if c { B, with a gradient } else { C }; D }

becomes a loop over segments. A segment is a loop over the trips before c holds, each of which is A, C and D; then the
trip where it does, which is A, B and D. To the gradient in it these trips are a loop that ran before, whose derivative
is an ordinary one, at the cost of its trips. The trips behind the last segment lead to no gradient in the loop, but
to some behind it: what they hand on is detached for the former, and carried once more for the latter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tracejit.ir.builder import Rebuilder, Visit, rebuild, values_like
from tracejit.ir.core import Block, Graph, Op, Value, walk
from tracejit.ir.types import BOOL, I64, ListType, ScalarType
from tracejit.ops.control import gradient_parts
from tracejit.transforms.earlier_trips import carried_to
from tracejit.transforms.effects import without_effects
from tracejit.transforms.residuals import live

_SIZE, _FLAG = ScalarType(I64), ScalarType(BOOL)


def truncated(graph: Graph) -> Graph:
    """The graph with loops over segments where derivatives are taken under a condition in a loop and go through its
    earlier trips."""
    found = {op: branch for op, branch in _branches(graph) if branch.can_move}
    if not found:
        return graph

    def visit(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        return _Segments(op, found[op]).emit(b, operands) if op in found else None

    return rebuild(graph, visit)


@dataclass(frozen=True, slots=True)
class _Branch:
    """An `if` in the body of a loop, the side of it that takes a derivative, what the condition needs, and what the
    loop carries of that on which the derivative depends."""

    op: Op
    side: int
    condition: Sequence[Op]
    carried: Sequence[Value]

    @property
    def can_move(self) -> bool:
        made = [*walk(Block((), tuple(self.condition), ()))]
        return not any(isinstance(p.type, ListType) for p in self.carried) and not any(
            op.name in ("gradient", "tangent") for op in made
        )


def _branches(graph: Graph) -> Iterator[tuple[Op, _Branch]]:
    for loop in walk(graph.body):
        if loop.name == "loop":
            found = _branch(graph, loop)
            if found is not None:
                yield loop, found


def _branch(graph: Graph, loop: Op) -> _Branch | None:
    body = loop.block("body")
    for at, op in enumerate(body.ops):
        if op.name != "if":
            continue
        for side, block in enumerate(op.blocks):
            for inner in walk(block):
                if inner.name != "gradient" or inner.attrs.get("retain", False):
                    continue
                carried = carried_to(graph.body, loop, inner)
                if carried:
                    return _Branch(op, side, live(body.ops[:at], op.operands, effects=False), carried)
    return None


class _Segments:
    """One loop as a loop over segments."""

    def __init__(self, loop: Op, branch: _Branch) -> None:
        self.loop = loop
        self.body = loop.block("body")
        self.carried = self.body.params[1:]
        self.branch = branch

    def emit(self, b: Rebuilder, operands: tuple[Value, ...]) -> list[Value]:
        """Emit the loop over segments; gives what the loop gave."""
        limit, go, *inits = operands
        cut = [self.carried.index(p) for p in self.branch.carried]
        outer = Rebuilder(None, dict(b.mapping), b.span)
        index, first = Value(_SIZE, "segment"), Value(_SIZE, "first")
        heads = outer.params_like(self.carried)
        finals = values_like(self.branch.carried, outer.mapping)
        trips, reached, *state = self.trips_before(outer, limit, first, heads)
        here = (outer.wrap(first) + outer.wrap(trips)).value
        then, orelse = Rebuilder(self.visit_with(heads), dict(outer.mapping), b.span), outer.nested()
        going, *following = then.inline(self.body, (here, *state))
        after = then.wrap(here) + 1
        goes_on = then.logical_and(then.wrap(going), then.lt(after, then.wrap(limit)))
        blocks = [
            then.block((), (goes_on.value, after.value, *following, *(following[i] for i in cut)), "then"),
            orelse.block(
                (),
                (
                    orelse.constant(False, _FLAG),
                    here,
                    *(orelse.detach(orelse.wrap(v)).value if i in cut else v for i, v in enumerate(state)),
                    *(state[i] for i in cut),
                ),
                "else",
            ),
        ]
        like = (first, *heads, *finals)
        results = outer.emit("if", (reached,), blocks=blocks, like=(Value(_FLAG, "go"), *like), mapping={})
        block = outer.block((index, *like), results, "body")
        zero = b.constant(0, _SIZE)
        operands = (limit, go, zero, *inits, *(inits[i] for i in cut))
        found = b.emit("loop", operands, blocks=[block], like=like, mapping={}, span=self.loop.span)[1:]
        last = dict(zip(cut, found[len(heads) :], strict=True))
        return [last.get(i, v) for i, v in enumerate(found[: len(heads)])]

    def trips_before(self, b: Rebuilder, limit: Value, first: Value, heads: Sequence[Value]) -> tuple[Value, ...]:
        """Emit the trips from `first` on before the condition holds: their number, whether it does then, and what they
        leave."""
        inner = Rebuilder(without_effects, dict(b.mapping), b.span)
        index, trips, reached = Value(_SIZE, self.body.params[0].name), Value(_SIZE, "trips"), Value(_FLAG, "reached")
        params = inner.params_like(self.carried)
        here = (inner.wrap(first) + inner.wrap(index)).value
        inner.mapping[self.body.params[0]] = here
        for op in self.branch.condition:
            inner.step(op)
        holds = inner.value(self.branch.op.operands[0])
        then, orelse = inner.nested(), Rebuilder(self.visit_without, dict(inner.mapping), b.span)
        going, *following = orelse.inline(self.body, (here, *params))
        more = (orelse.wrap(trips) + 1).value
        blocks = [
            then.block((), (then.constant(False, _FLAG), trips, then.constant(True, _FLAG), *params), "then"),
            orelse.block((), (going, more, orelse.constant(False, _FLAG), *following), "else"),
        ]
        if self.branch.side:
            holds = inner.logical_not(inner.wrap(holds)).value
        like = (trips, reached, *params)
        results = inner.emit("if", (holds,), blocks=blocks, like=(Value(_FLAG, "go"), *like), mapping={})
        block = inner.block((index, *like), results, "body")
        left, none = b.wrap(limit) - b.wrap(first), b.constant(0, _SIZE)
        yes, no = b.constant(True, _FLAG), b.constant(False, _FLAG)
        operands = (left.value, yes, none, no, *heads)
        return b.emit("loop", operands, blocks=[block], like=like, mapping={}, span=self.loop.span)

    def visit_without(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        """A trip that takes the other side of the branch."""
        return b.inline(op.blocks[1 - self.branch.side]) if op is self.branch.op else None

    def visit_with(self, heads: Sequence[Value]) -> Visit:
        """A trip that takes the side with the derivative, by what leaves held when the segment began."""
        began = dict(zip(self.carried, heads, strict=True))

        def visit(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if op is self.branch.op:
                return b.inline(op.blocks[self.branch.side])
            if op.name != "gradient":
                return None
            leaves = len(gradient_parts(op)[2])
            at = len(operands) - leaves
            return b.copy(
                op,
                (*operands[:at], *(began.get(x, new) for x, new in zip(op.operands[at:], operands[at:], strict=True))),
            )

        return visit
