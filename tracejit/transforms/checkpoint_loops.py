"""`checkpoint-loops`: loops in segments, so that a derivative keeps the state where each starts and repeats the rest.

Runs where the graph has a memory budget (the policy `memory`, in bytes) and a derivative is about to be taken. A loop
becomes a loop over segments, marked `checkpoint`, around a loop over the trips of one: reverse mode of a marked loop
(`derivatives/vjp_control.py`) saves what it carries and repeats its body. With S bytes of carried values, R bytes that
one trip leaves for the backward and T trips, segments of sqrt(S T / R) trips need least: 2 sqrt(S R T) bytes. Where
that is too much, or T is not known, a segment gets a share of the budget. A loop that carries arrays has three levels,
so that memory grows with the third root of T where the second does not fit; each level runs the loop once more.

R is estimated from the types in the body: an update in place leaves its elements, not the array. A loop with so many
trips that three levels need more than the budget gets what they need least. Where all the trips fit into half the
budget, or leave less than segments would need, the loop runs as it is: that is found out when it starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tracejit.ir.aliasing import consumed
from tracejit.ir.builder import Handle, Rebuilder, rebuild
from tracejit.ir.core import Block, Graph, Op, Value, captures, walk
from tracejit.ir.opdef import Opaque, Pointwise
from tracejit.ir.types import BOOL, F64, I64, ListType, ScalarType, TensorType, Type, is_differentiable
from tracejit.transforms.pipeline import transform

SIZE = ScalarType(I64)

#: Trips of a loop that are not worth segments.
FEW = 32
#: Pointwise ops up to this cost leave nothing of their own.
CHEAP = 2
#: A limit that stands for none: that of a `while`.
ENDLESS = 1 << 62


@transform("checkpoint-loops")
def checkpoint_loops(graph: Graph) -> Graph:
    """Segments for the loops of a graph that takes derivatives under a memory budget."""
    return segmented(graph) if any(op.name == "gradient" for op in walk(graph.body)) else graph


def segmented(graph: Graph) -> Graph:
    """Segments for the loops of a graph with a memory budget."""
    budget = graph.policy.get("memory")
    if budget is None or not any(op.name == "loop" for op in walk(graph.body)):
        return graph
    return rebuild(graph, _Segments(graph, budget).visit)


def _lasting_lists(graph: Graph) -> set[Value]:
    """The lists made outside all loops and branches that nothing takes over."""
    ops = [*walk(graph.body)]
    taken = {op.operands[i] for op in ops for i in consumed(op)}
    taken.update(v for op in ops for block in op.blocks for v in block.results)
    made = {r for op in graph.body.ops for r in op.results if isinstance(r.type, ListType)}
    return made - taken


class _Segments:
    def __init__(self, graph: Graph, budget: int) -> None:
        self.budget = budget
        self.definitions = {r: op for op in walk(graph.body) for r in op.results}
        params = ((p, p.type) for p in graph.params if isinstance(p.type, TensorType))
        self.lasting = _lasting_lists(graph)
        self.places = {dim: (p, axis) for p, type in params for axis, dim in enumerate(type.shape)}
        self.first: dict[Value, Value] = {}  #: what numbers that loops carry start from, which sizes may be

    def visit(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op.name != "loop" or not self.is_eligible(op):
            return None
        limit, go, *inits = operands
        body = op.block("body")
        self.first.update((p, v) for p, v in zip(body.params[1:], inits, strict=True) if isinstance(p.type, ScalarType))
        carries_go = not (self.is_true(op.operands[1]) and self.is_true(body.results[0]))
        whole, lengths = self.lengths(b, op, b.wrap(limit))
        then, orelse = Rebuilder(_as_it_is, dict(b.mapping), b.span), b.nested()
        found = then.copy(op, operands, {**op.attrs, "checkpoint": False})
        start = orelse.wrap(orelse.constant(0, SIZE))
        _, results = _Nest(op, carries_go).build(orelse, lengths, start, b.wrap(limit), go, inits)
        blocks = [then.block((), found, "then"), orelse.block((), results, "else")]
        return b.emit("if", (whole.value,), blocks=blocks, like=results, mapping={}, span=op.span)

    def is_eligible(self, op: Op) -> bool:
        """Whether a loop carries floats, carries no list, reads none that will be gone when its trips run again, and
        may make more than a few trips."""
        body = op.block("body")
        made_by = self.definitions.get(op.operands[0])
        if made_by is not None and made_by.name == "const" and made_by.attrs["value"] <= FEW:
            return False
        carried = body.params[1:]
        if any(isinstance(v.type, ListType) for v in carried) or "checkpoint" in op.attrs:
            return False
        if any(isinstance(v.type, ListType) and v not in self.lasting for v in captures(body)):
            return False
        return any(is_differentiable(v.type) for v in carried)

    def is_true(self, value: Value) -> bool:
        made_by = self.definitions.get(value)
        return made_by is not None and made_by.name == "const" and made_by.attrs["value"] is True

    # -- how long segments are ------------------------------------------------------------------------------------

    def lengths(self, b: Rebuilder, op: Op, limit: Handle) -> tuple[Handle, list[Handle]]:
        """Whether there should be no segments, and the trips of one, outermost level first."""
        body = op.block("body")
        state = self.sum(b, [self.bytes_of(b, v.type, set()) for v in body.params[1:]])
        trip = self.sum(b, self.left_by(b, body))
        total = b.cast(limit, dtype=ScalarType(F64))
        best = b.sqrt(state * total / trip)
        has_arrays = any(isinstance(v.type, TensorType) for v in body.params[1:])
        share = b.wrap(b.constant(self.budget / (3 if has_arrays else 2), ScalarType(F64)))
        endless = b.ge(limit, ENDLESS)
        # segments keep 2 sqrt(S R T) bytes: more than the R T of all trips where R T < 4 S
        whole = b.le(trip * total, b.maximum(state * 4.0, self.budget / 2))
        if not has_arrays:
            return whole, [self.whole(b, b.select(endless, share / trip, best), limit)]
        fits = b.logical_and(b.logical_not(endless), b.le(b.sqrt(state * trip * total) * 2.0, float(self.budget)))
        least = b.pow(state * state * trip * total, 1 / 3)  # of the three levels each, however large the budget is
        share = b.select(endless, share, b.maximum(share, least))
        inner = self.whole(b, b.select(fits, best, share / trip), limit)
        segments = self.whole(b, b.select(fits, total, share / state), limit)
        outer = self.whole(b, b.cast(inner, dtype=ScalarType(F64)) * b.cast(segments, dtype=ScalarType(F64)), limit)
        return whole, [b.floordiv(outer + inner - 1, inner) * inner, inner]

    def whole(self, b: Rebuilder, x: Handle, limit: Handle) -> Handle:
        """A number of trips between 1 and the limit (or 2**40, of more than which no segment is made)."""
        bounded = b.minimum(b.maximum(x, 1.0), float(1 << 40))
        return b.maximum(b.minimum(b.cast(bounded, dtype=ScalarType(I64)), limit), 1)

    def sum(self, b: Rebuilder, terms: Iterable[Handle]) -> Handle:
        total = b.wrap(b.constant(8.0, ScalarType(F64)))
        for term in terms:
            total = total + term
        return total

    def left_by(self, b: Rebuilder, body: Block) -> list[Handle]:
        """What one trip leaves for the backward: what it carries, and results that are dear to compute again. Arrays
        that are updated in place leave the slices they get; their elements leave what is read of them. What does not
        depend on the trips before is computed again."""
        inside = {*body.params, *(r for op in walk(body) for r in op.results)}
        kept = [v for v in body.results[1:] if v not in self.definitions or not _updates(self.definitions[v])]
        moving = set(body.params[1:])
        for op in walk(body):
            moving.update(p for block in op.blocks for p in block.params)
            if not op.blocks and moving.isdisjoint(op.operands):
                continue
            moving.update(op.results)
            if _updates(op):
                kept += [v for v in op.operands[1:2] if isinstance(v.type, TensorType)]
            elif not op.blocks and not (isinstance(op.defn.lower, Pointwise) and op.defn.cost <= CHEAP):
                kept += op.results
        return [self.bytes_of(b, v.type, inside) for v in kept if is_differentiable(v.type)]

    def bytes_of(self, b: Rebuilder, type: Type, inside: set[Value]) -> Handle:
        """The bytes of a value, of those sizes that are known outside the loop; those that change are what they are
        first."""
        assert not isinstance(type, ListType)
        size = b.wrap(b.constant(float(max(type.dtype.bits // 8, 1)), ScalarType(F64)))
        for dim in type.shape if isinstance(type, TensorType) else ():
            if not isinstance(dim, Value) or self.is_fixed(dim, inside):
                size = size * b.cast(b.wrap(self.size(b, dim, inside)), dtype=ScalarType(F64))
        return size

    def is_fixed(self, value: Value, inside: set[Value]) -> bool:
        """Whether a number can be computed before the loop: made of others that can, and of what is there then."""
        op = self.definitions.get(value)
        if value not in inside or value in self.first:
            return True
        if op is None or op.blocks or op.defn.effect or len(op.results) != 1:
            return False
        return all(isinstance(v.type, ScalarType) and self.is_fixed(v, inside) for v in op.operands)

    def size(self, b: Rebuilder, dim: Any, inside: set[Value]) -> Value:
        """A size, computed before the loop."""
        if isinstance(dim, str):
            param, axis = self.places[dim]
            return b.dim_of(b.value(param), axis)
        if not isinstance(dim, Value):
            return b.size(dim)
        if dim in self.first:
            return self.first[dim]
        if dim not in inside:
            return b.value(dim)
        op = self.definitions[dim]
        return b.emit(op.defn, [self.size(b, v, inside) for v in op.operands], op.attrs)[0]


def _updates(op: Op) -> bool:
    return isinstance(op.defn.lower, Opaque) and op.defn.lower.updates


def _as_it_is(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
    """Mark loops inside a loop that has no segments: they have none either."""
    return b.copy(op, operands, {**op.attrs, "checkpoint": False}) if op.name == "loop" else None


class _Nest:
    """One loop as loops over ever shorter segments."""

    def __init__(self, op: Op, carries_go: bool) -> None:
        self.op = op
        self.body = op.block("body")
        self.carries_go = carries_go

    def build(
        self, b: Rebuilder, lengths: Sequence[Handle], start: Handle, count: Handle, go: Value, inits: Sequence[Value]
    ) -> tuple[Value, Sequence[Value]]:
        """Emit at most `count` trips from `start` on; whether the loop would go on, and what it carries."""
        inner = b.nested()
        index, flag = Value(SIZE, self.body.params[0].name), Value(ScalarType(BOOL), "go")
        params = inner.params_like(self.body.params[1:])
        if lengths:
            trips = b.floordiv(count - 1, lengths[0]) + 1
            first = inner.wrap(index) * inner.wrap(lengths[0].value)
            here = inner.minimum(inner.wrap(lengths[0].value), inner.wrap(count.value) - first)
            begin = inner.wrap(start.value) + first
            going, results = self.build(inner, lengths[1:], begin, here, flag if self.carries_go else go, params)
        else:
            trips = count
            place = (inner.wrap(start.value) + inner.wrap(index)).value
            going, *results = inner.inline(self.body, (place, *params))
        flags = (flag,) if self.carries_go else ()
        block = inner.block((index, *flags, *params), (going, *(going for _ in flags), *results), "body")
        operands = (trips.value, go, *(go for _ in flags), *inits)
        found = b.emit(
            "loop",
            operands,
            {"checkpoint": bool(lengths)},
            blocks=[block],
            like=(*flags, *params),
            span=self.op.span,
        )
        return (found[0], found[1:]) if self.carries_go else (go, found)


def is_checkpointed(op: Op) -> bool:
    """Whether the trips of a loop are repeated in the backward."""
    return bool(op.attrs.get("checkpoint", False))
