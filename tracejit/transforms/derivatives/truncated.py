"""Truncated backpropagation: a `backward()` under a condition in a loop, behind which what it hands on is detached.

Its derivative goes through the trips since the condition held last. So a loop

    loop i { A; if c { B, with a gradient } else { C }; D }

becomes a loop over segments. A segment is a loop over the trips before c holds, each of which is A, C and D; then the
trip where it does, which is A, B and D. To the gradient in it these trips are a loop that ran before, whose derivative
is an ordinary one, at the cost of its trips. The trips behind the last segment lead to no gradient in the loop, but
to some behind it: what they hand on is detached for the former, and carried once more for the latter.

Where D makes something of parameters again, the segments are cut in front of it: each begins with the D of the trip
that ended the one before, and hands on what D needs. Several conditions, and such inside of others, are one: whether
one of them holds. A derivative under none ends the segment in each trip.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

from tracejit.ir.builder import Rebuilder, Visit, rebuild, values_like
from tracejit.ir.core import Block, Graph, Op, Value, all_reads, type_values, walk
from tracejit.ir.types import BOOL, I64, ListType, ScalarType, TensorType, unsized
from tracejit.ops.control import gradient_parts
from tracejit.transforms.derivatives.earlier_trips import carried_to, versions_of_leaves
from tracejit.transforms.derivatives.effects import without_effects
from tracejit.transforms.derivatives.lengths import lengths_by_counting
from tracejit.transforms.derivatives.packing import size_value
from tracejit.transforms.derivatives.residuals import live

_SIZE, _FLAG = ScalarType(I64), ScalarType(BOOL)

#: The `if`s from the body of a loop to a derivative, outermost first, each with the side that leads there; none where
#: each trip takes it.
Path = tuple[tuple[Op, int], ...]


def truncated(graph: Graph) -> Graph:
    """The graph with loops over segments where derivatives are taken under a condition in a loop and go through its
    earlier trips."""
    at = 0
    if any(op.name == "gradient" for op in walk(graph.body)):
        graph = lengths_by_counting(graph)
    while True:
        found = [(loop, paths) for loop in walk(graph.body) if loop.name == "loop" and (paths := _paths(graph, loop))]
        if at >= len(found):
            return graph
        before = _count(graph)
        made = (_with_segments(graph, *found[at], kind) for kind in (_Segments, _EarlySegments))
        better = next((new for new in made if new is not None and _count(new) < before), None)
        if better is None:
            at += 1
        else:
            graph = better


def _with_segments(graph: Graph, loop: Op, paths: Sequence[Path], kind: type[_Segments]) -> Graph | None:
    """The graph with a loop over segments; None where it cannot be had."""
    segments = kind(graph, loop, paths)
    if not segments.are_possible:
        return None

    def visit(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        return segments.emit(b, operands) if op is loop else None

    return rebuild(graph, visit)


def _count(graph: Graph) -> int:
    """How many derivatives go through earlier trips of loops around that they may not go through again."""
    loops = (op for op in walk(graph.body) if op.name == "loop")
    return sum(bool(_carried(graph, loop, op)) for loop in loops for op in _taken(loop))


def _taken(loop: Op) -> Iterator[Op]:
    """The derivatives in a loop that end what they go through."""
    return (op for op in walk(loop.block("body")) if op.name == "gradient" and not op.attrs.get("retain", False))


def _carried(graph: Graph, loop: Op, op: Op) -> Sequence[Value]:
    return carried_to(graph.body, loop, op)


def _paths(graph: Graph, loop: Op) -> list[Path]:
    """The ways to the derivatives in a loop that go through its earlier trips."""
    wanted = {op for op in _taken(loop) if _carried(graph, loop, op)}
    found = {path: None for path, op in _ways(loop.block("body"), ()) if op in wanted}
    paths = [path for path in found if not any(path[:n] in found for n in range(1, len(path)))]
    ends = [path[-1][0] for path in paths if path]
    return sorted(paths, key=lambda path: not path) if len(set(ends)) == len(ends) else []


def _ways(block: Block, path: Path) -> Iterator[tuple[Path, Op]]:
    """The ops in a block, each with the `if`s that lead to it, loops apart, and what a `try` makes of a derivative."""
    asked = {r for op in block.ops if op.name in ("unspent", "intact") for r in op.results}
    for op in block.ops:
        if op.name == "if" and op.operands[0] not in asked:
            for side, nested in enumerate(op.blocks):
                yield from _ways(nested, (*path, (op, side)))
        else:
            yield from ((path, inner) for inner in walk(Block((), (op,), ())))


def _needed(block: Block, path: Path) -> list[list[Op]]:
    """What the conditions of a path need, of the ops in front of each."""
    if not path:
        return []
    (op, side), *rest = path
    inner = _needed(op.blocks[side], tuple(rest)) if rest else []
    wanted = {*op.operands, *(v for cond, _ in rest for v in cond.operands)}.union(
        *(all_reads(o) for ops in inner for o in ops)
    )
    return [live(block.ops[: block.ops.index(op)], wanted, effects=False), *inner]


class _Segments:
    """One loop as a loop over segments."""

    def __init__(self, graph: Graph, loop: Op, paths: Sequence[Path]) -> None:
        self.graph = graph
        self.loop = loop
        self.paths = paths
        self.body = loop.block("body")
        self.carried = self.body.params[1:]
        self.ends = dict(path[-1] for path in paths if path)
        on_the_way = {p for op in _taken(loop) for p in _carried(graph, loop, op)}
        self.cut = [i for i, p in enumerate(self.carried) if p in on_the_way]

    @property
    def are_possible(self) -> bool:
        return not any(
            op.name in ("gradient", "tangent") or any(isinstance(r.type, ListType) for r in op.results)
            for op in self.conditions()
        )

    def conditions(self) -> Iterator[Op]:
        """All ops that the conditions need, with what is in them."""
        for op in (op for path in self.paths for ops in _needed(self.body, path) for op in ops):
            yield op
            blocks = (op.blocks[1 - self.ends[op]],) if op in self.ends else op.blocks
            yield from (inner for nested in blocks for inner in walk(nested))

    def emit(self, b: Rebuilder, operands: tuple[Value, ...]) -> list[Value]:
        """Emit the loop over segments; gives what the loop gave."""
        limit, go, *inits = operands
        cut = self.cut
        outer = Rebuilder(None, dict(b.mapping), b.span)
        index, first = Value(_SIZE, "segment"), Value(_SIZE, "first")
        heads = outer.params_like(self.carried)
        finals = values_like([self.carried[i] for i in cut], outer.mapping)
        trips, ways, state = self.trips_before(outer, limit, first, outer.constant(True, _FLAG), heads)
        here = (outer.wrap(first) + outer.wrap(trips)).value

        def trip(then: Rebuilder) -> Sequence[Value]:
            going, *following = then.inline(self.body, (here, *state))
            after = then.wrap(here) + 1
            goes_on = then.logical_and(then.wrap(going), then.lt(after, then.wrap(limit)))
            left, last = self.parted(then, goes_on.value, following)
            return goes_on.value, after.value, *left, *last

        def none(orelse: Rebuilder) -> Sequence[Value]:
            left = [_nothing_of(orelse, v) if i in cut else v for i, v in enumerate(state)]
            return orelse.constant(False, _FLAG), here, *left, *(state[i] for i in cut)

        like = (first, *heads, *finals)
        began = dict(zip(self.carried, heads, strict=True))
        results = self.last_trip(outer, ways, (Value(_FLAG, "go"), *like), began, trip, none)
        block = outer.block((index, *like), results, "body")
        zero = b.constant(0, _SIZE)
        runs = b.logical_and(b.wrap(go), b.lt(0, b.wrap(limit)))
        left, last = self.parted(b, runs.value, inits)
        operands = (limit, go, zero, *left, *last)
        found = b.emit("loop", operands, blocks=[block], like=like, mapping={}, span=self.loop.span)[1:]
        last = dict(zip(cut, found[len(heads) :], strict=True))
        return [last.get(i, v) for i, v in enumerate(found[: len(heads)])]

    def parted(self, b: Rebuilder, goes_on: Value, state: Sequence[Value]) -> tuple[list[Value], list[Value]]:
        """What the next segment begins with, and what the loop leaves if there is none, of what it cuts: a list is one
        of these."""
        left, last = list(state), [state[i] for i in self.cut]
        lists = [(at, i) for at, i in enumerate(self.cut) if isinstance(state[i].type, ListType)]
        if lists:
            then, orelse = b.nested(), b.nested()
            items = [state[i] for _, i in lists]
            sides = (
                (then, [*items, *(_nothing_of(then, v) for v in items)], "then"),
                (orelse, [*(_nothing_of(orelse, v) for v in items), *items], "else"),
            )
            blocks = [side.block((), results, label) for side, results, label in sides]
            like = [Value(v.type, v.name) for v in (*items, *items)]
            found = b.emit("if", (goes_on,), blocks=blocks, like=like, mapping={})
            for (at, i), first, final in zip(lists, found, found[len(lists) :], strict=False):
                left[i], last[at] = first, final
        return left, last

    def trips_before(
        self, b: Rebuilder, limit: Value, first: Value, go: Value, heads: Sequence[Value]
    ) -> tuple[Value, Sequence[Value], Sequence[Value]]:
        """Emit the trips from `first` on before one takes one of the ways: their number, which way that would be (the
        first of these that holds), and what they leave."""
        if () in self.paths:
            return b.constant(0, _SIZE), self.ways_of(b, limit, first, go, heads), heads
        inner = Rebuilder(self.visit_silently, dict(b.mapping), b.span)
        index, trips = Value(_SIZE, self.body.params[0].name), Value(_SIZE, "trips")
        ways = [Value(_FLAG, "reached") for _ in self.paths]
        params = inner.params_like(self.carried)
        here = (inner.wrap(first) + inner.wrap(index)).value
        inner.mapping[self.body.params[0]] = here
        holds = [inner.wrap(self.holds(inner, path, _needed(self.body, path))) for path in self.paths]
        any_holds = functools.reduce(inner.logical_or, holds)
        then, orelse = inner.nested(), Rebuilder(self.visit_without, dict(inner.mapping), b.span)
        going, *following = orelse.inline(self.body, (here, *params))
        more, no = (orelse.wrap(trips) + 1).value, orelse.constant(False, _FLAG)
        blocks = [
            then.block((), (then.constant(False, _FLAG), trips, *(h.value for h in holds), *params), "then"),
            orelse.block((), (going, more, *(no for _ in ways), *following), "else"),
        ]
        like = (trips, *ways, *params)
        results = inner.emit("if", (any_holds.value,), blocks=blocks, like=(Value(_FLAG, "go"), *like), mapping={})
        block = inner.block((index, *like), results, "body")
        left, none, no = b.wrap(limit) - b.wrap(first), b.constant(0, _SIZE), b.constant(False, _FLAG)
        operands = (left.value, go, none, *(no for _ in ways), *heads)
        made = b.emit("loop", operands, blocks=[block], like=like, mapping={}, span=self.loop.span)
        return made[0], made[1 : 1 + len(ways)], made[1 + len(ways) :]

    def ways_of(self, b: Rebuilder, limit: Value, first: Value, go: Value, heads: Sequence[Value]) -> tuple[Value, ...]:
        """Emit which ways the trip `first` takes, if there is one."""
        inner, none = Rebuilder(self.visit_silently, dict(b.mapping), b.span), b.nested()
        inner.mapping.update(zip(self.body.params, (first, *heads), strict=True))
        holds = [self.holds(inner, path, _needed(self.body, path)) for path in self.paths]
        no = none.constant(False, _FLAG)
        blocks = [inner.block((), holds, "then"), none.block((), [no for _ in holds], "else")]
        runs = b.logical_and(b.wrap(go), b.lt(b.wrap(first), b.wrap(limit)))
        like = [Value(_FLAG, "reached") for _ in holds]
        return b.emit("if", (runs.value,), blocks=blocks, like=like, mapping={})

    def last_trip(
        self,
        b: Rebuilder,
        ways: Sequence[Value],
        like: Sequence[Value],
        began: dict[Value, Value],
        trip: Callable[[Rebuilder], Sequence[Value]],
        none: Callable[[Rebuilder], Sequence[Value]],
    ) -> tuple[Value, ...]:
        """Emit `trip` for the first of these ways that is taken, to a derivative by what leaves held when the segment
        began; or `none`."""
        then = Rebuilder(self.visit_with(len(self.paths) - len(ways), began), dict(b.mapping), b.span)
        orelse = b.nested()
        taken = then.block((), trip(then), "then")
        others = self.last_trip(orelse, ways[1:], like, began, trip, none) if len(ways) > 1 else none(orelse)
        return b.emit("if", (ways[0],), blocks=[taken, orelse.block((), others, "else")], like=like, mapping={})

    def holds(self, b: Rebuilder, path: Path, needed: Sequence[Sequence[Op]]) -> Value:
        """Emit whether a trip that takes none of the ways before takes this one."""
        if not path:
            return b.constant(True, _FLAG)
        (op, side), *rest = path
        for made in needed[0]:
            b.step(made)
        cond = b.value(op.operands[0])
        if side:
            cond = b.logical_not(b.wrap(cond)).value
        if not rest:
            return cond
        inner, other = b.nested(), b.nested()
        blocks = [
            inner.block((), (self.holds(inner, tuple(rest), needed[1:]),), "then"),
            other.block((), (other.constant(False, _FLAG),), "else"),
        ]
        return b.emit("if", (cond,), blocks=blocks, like=(Value(_FLAG, "holds"),), mapping={})[0]

    def visit_without(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        """A trip that takes the other sides."""
        return b.inline(op.blocks[1 - self.ends[op]]) if op in self.ends else None

    def visit_silently(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        """A part of such a trip, without effects."""
        return self.visit_without(b, op, operands) if op in self.ends else without_effects(b, op, operands)

    def visit_with(self, way: int, began: dict[Value, Value]) -> Visit:
        """A trip that takes one of the ways, and none before."""
        before = (op for path in self.paths[:way] for op, _ in path[-1:])
        sides = {op: 1 - self.ends[op] for op in before} | dict(self.paths[way])

        def visit(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if op in sides:
                return b.inline(op.blocks[sides[op]])
            if op.name != "gradient":
                return None
            xs = gradient_parts(op)[2]
            leaves = versions_of_leaves(op)
            at = len(operands) - len(xs)
            given = (began.get(x, new) if x in leaves else new for x, new in zip(xs, operands[at:], strict=True))
            return b.copy(op, (*operands[:at], *given))

        return visit


def _nothing_of(b: Rebuilder, value: Value) -> Value:
    """Emit what leads to nothing that a value was made of: the value itself, or an empty list."""
    if isinstance(value.type, ListType):
        return b.emit("list_new", (), {"element": value.type.element})[0]
    return b.detach(b.wrap(value)).value


class _EarlySegments(_Segments):
    """One loop as a loop over segments that end in front of what follows the conditions in a trip."""

    def __init__(self, graph: Graph, loop: Op, paths: Sequence[Path]) -> None:
        super().__init__(graph, loop, paths)
        taken = set(_taken(loop))
        roots = [path[0][0] for path in paths if path]
        if () in paths:
            others = (op for op in self.body.ops if op not in roots)
            roots += [op for op in others if taken & {*walk(Block((), (op,), ()))}]
        at = max(map(self.body.ops.index, roots)) + 1
        self.head, self.tail = self.body.ops[:at], self.body.ops[at:]
        tokens = {op.results[0]: op for op in self.head if op.name == "pending"}
        made = [*self.body.params, *(r for op in self.head for r in op.results)]
        read = set(self.body.results).union(*map(all_reads, self.tail))
        while True:
            more = {s for v in made if v in read for s in type_values(v.type)} - read
            more |= {x for token, op in tokens.items() if token in read for x in op.operands} - read
            if not more:
                break
            read |= more
        #: What the rest of a trip needs of what stands before.
        self.needed = [v for v in made if v in read and v not in tokens]
        #: What is pending there, said once more: no value carries what a token stands for.
        self.pending = [op for token, op in tokens.items() if token in read]

    @property
    def are_possible(self) -> bool:
        kept = all(not isinstance(v.type, ListType) for v in (*self.carried, *self.needed))
        following = dict(zip(self.carried, self.body.results[1:], strict=True))
        leaves = {x for op in _taken(self.loop) for x in gradient_parts(op)[2]}
        written = any(x in following and following[x] not in self.needed for x in leaves)
        return kept and not written and super().are_possible

    def emit(self, b: Rebuilder, operands: tuple[Value, ...]) -> list[Value]:
        limit, go, *inits = operands
        outer = Rebuilder(None, dict(b.mapping), b.span)
        index, first, pending = Value(_SIZE, "segment"), Value(_SIZE, "first"), Value(_FLAG, "pending")
        needed = outer.params_like(self.needed)
        finals = values_like(self.carried, outer.mapping)
        rest, start = outer.nested(), outer.nested()
        rest.mapping = dict(outer.mapping)
        for op in (*self.pending, *self.tail):
            rest.step(op)
        blocks = [
            rest.block((), [rest.value(v) for v in self.body.results], "then"),
            start.block((), (start.constant(True, _FLAG), *inits), "else"),
        ]
        like = (Value(_FLAG, "go"), *finals)
        going, *heads = outer.emit("if", (pending,), blocks=blocks, like=like, mapping={})
        trips, ways, state = self.trips_before(outer, limit, first, going, heads)
        here = (outer.wrap(first) + outer.wrap(trips)).value

        def trip(then: Rebuilder) -> Sequence[Value]:
            then.mapping.update(zip(self.body.params, (here, *state), strict=True))
            for op in self.head:
                then.step(op)
            yes = then.constant(True, _FLAG)
            return yes, (then.wrap(here) + 1).value, yes, *map(then.value, self.needed), *finals

        def none(orelse: Rebuilder) -> Sequence[Value]:
            no = orelse.constant(False, _FLAG)
            return no, here, no, *needed, *state

        like = (first, pending, *needed, *finals)
        began = {p: outer.value(v) for p, v in zip(self.carried, self.body.results[1:], strict=True)}
        results = self.last_trip(outer, ways, (Value(_FLAG, "go"), *like), began, trip, none)
        block = outer.block((index, *like), results, "body")
        most = b.constant(2**63 - 1, _SIZE)
        before = (b.constant(0, _SIZE), b.constant(False, _FLAG), *self.nothing(b), *inits)
        found = b.emit("loop", (most, go, *before), blocks=[block], like=like, mapping={}, span=self.loop.span)
        return list(found[len(found) - len(inits) :])

    def nothing(self, b: Rebuilder) -> list[Value]:
        """Emit values in the place of those that the first segment does not read."""
        made, params = dict[Value, Value](), self.graph.params
        for v in sorted(self.needed, key=lambda v: not isinstance(v.type, ScalarType)):
            if isinstance(v.type, TensorType):
                sizes = [
                    (made.get(d) if isinstance(d, Value) else None) or size_value(b, d, params) for d in v.type.shape
                ]
                made[v] = b.emit("undef", sizes, {"type": unsized(v.type)})[0]
            else:
                made[v] = b.constant(0 if v.type != _FLAG else False, v.type)
        return [made[v] for v in self.needed]
