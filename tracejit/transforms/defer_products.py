"""`defer-products`: a sum of matrix products that a loop carries takes the products of many trips as one.

The gradient of a weight that every trip uses is such a sum, `dw = dw + x.T @ dy`. Where `x` and `dy` have few rows,
each trip reads and writes all of `dw` for little arithmetic. Instead a trip lays the rows of both factors aside, below
those of the trips before it; where there is no room for more, and behind the loop, one product adds all of them. How
many rows a trip has may be known only when it runs: a product of many is made at once. Where the sum is carried on by
a loop around that one, and only by it, rows wait across that loop's trips too: so the trips of a loop in segments
(`checkpoint_loops.py`) are added up exactly as those of one loop.

The order in which the terms are added changes, and with it the rounding. A parameter's memory is left alone: who
catches an error must find in it what the trips before have added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from tracejit.ir.aliasing import is_flat
from tracejit.ir.builder import Builder, Rebuilder, rebuild
from tracejit.ir.core import Block, Graph, Op, Value, uses, walk
from tracejit.ir.opdef import MATRICES
from tracejit.ir.types import F32, F64, I64, Dim, ScalarType, TensorType
from tracejit.records import record
from tracejit.transforms.pipeline import transform
from tracejit.transforms.strides import NamedSizes
from tracejit.transforms.write_home import versions_of

SIZE = ScalarType(I64)

#: How many rows are laid aside at most, and how many a trip may have for that: a product of more costs several times
#: what reading and writing the sum does, and threads share its rows while they lie in the caches.
ROOM, FEW = 512, 32


@transform("defer-products")
def defer_products(graph: Graph) -> Graph:
    """Make one product of those that a loop adds up."""
    kept = versions_of(graph)
    if not any(op.name == "loop" and _sums_of(op, kept) for op in walk(graph.body)):
        return graph
    return rebuild(graph, _Deferring(graph, kept).visit)


# -- what is deferred -----------------------------------------------------------------------------------------------


@record
class _Factor:
    """A factor as rows: a value of the loop's body, or its transpose, and its width as it is called outside."""

    value: Value
    transposed: bool
    width: Dim | None

    @property
    def rows(self) -> tuple[Value, bool]:
        """What tells its rows from those of others."""
        return self.value, self.transposed


@record(eq=False)
class _Sum:
    """A product that is added to a carried value: `step` adds it, `operand` is what it adds, `inner` are the product
    and what only it or the step reads; `is_pure` says that only such products are added to that value."""

    place: int
    step: Op
    operand: Value
    product: Op
    factors: tuple[_Factor, _Factor]
    inner: frozenset[Op]
    is_pure: bool = False

    @property
    def rows(self) -> Dim | None:
        """How many rows the factors have."""
        return _shape(self.product.operands[1])[0]

    def running(self) -> int:
        """Which operand of the step is the sum so far."""
        return 1 - self.step.operands.index(self.operand) if self.step.name == "add" else 0


def _shape(value: Value) -> tuple[Dim | None, ...]:
    assert isinstance(value.type, TensorType)
    return value.type.shape


def _sums_of(op: Op, kept: Mapping[Value, int]) -> list[_Sum]:
    """The sums of products that a loop carries, those in the memory `kept` aside."""
    body = op.block("body")
    if not any(inner.defn.lower == MATRICES for inner in body.ops):
        return []
    chain = _Chain(body)
    found: list[_Sum] = []
    for place, (param, total) in enumerate(zip(body.params[1:], body.results[1:], strict=True)):
        if isinstance(param.type, TensorType) and param.type.dtype in (F32, F64) and param not in kept:
            steps = chain.steps(param, total) or []
            sums = [s for s in (chain.sum_of(place, *step) for step in steps) if s is not None]
            found += (replace(s, is_pure=len(sums) == len(steps)) for s in sums)
    return found


class _Chain:
    """Follows what a trip hands on back to what it was given."""

    def __init__(self, body: Block) -> None:
        self.params = frozenset(body.params)
        self.counts = uses(body)
        self.makers = {r: op for op in body.ops for r in op.results}

    def steps(self, param: Value, total: Value) -> list[tuple[Op, int]] | None:
        """The ops that add to the running value, and which operand each adds; None where others read it."""
        if self.counts.get(total, 0) != 1:
            return None
        if total is param:
            return []
        step = self.makers.get(total)
        if step is None or step.name not in ("add", "vadd"):
            return None
        for running in (0, 1) if step.name == "add" else (0,):
            before = self.steps(param, step.operands[running])
            if before is not None:
                return [*before, (step, 1 - running)]
        return None

    def sum_of(self, place: int, step: Op, at: int) -> _Sum | None:
        """The step as a product that can wait: of two matrices, put where every trip puts it."""
        operand, inner = step.operands[at], set[Op]()
        product = self.alone(operand)
        while product is not None and product.name == "broadcast" and product.attrs.get("exact"):
            inner.add(product)
            product = self.alone(product.operands[0])
        if product is None or product.defn.lower != MATRICES or len(_shape(operand)) != 2:
            return None
        inner.add(product)
        left, right = product.operands
        turned = self.makers.get(left)
        if turned is not None and turned.attrs.get("perm") != (1, 0):
            turned = None
        if turned is not None and self.alone(left):
            inner.add(turned)
        height, width = _shape(operand)
        first = self.factor(left, True, height) if turned is None else self.factor(turned.operands[0], False, height)
        found = _Sum(place, step, operand, product, (first, self.factor(right, False, width)), frozenset(inner))
        fixed = not any(self.is_inside(v) for v in (*step.operands[2:], height, width))
        return found if fixed and (not isinstance(found.rows, int) or found.rows <= FEW) else None

    def factor(self, value: Value, transposed: bool, width: Dim | None) -> _Factor:
        """A factor under the name that its elements have first: sums that multiply by the same share its rows."""
        maker = self.makers.get(value)
        while maker is not None and maker.name == "broadcast" and is_flat(maker):
            value = maker.operands[0]
            maker = self.makers.get(value)
        return _Factor(value, transposed, width)

    def alone(self, value: Value) -> Op | None:
        """The op of the body that makes a value for one reader."""
        return self.makers.get(value) if self.counts.get(value, 0) == 1 else None

    def is_inside(self, size: Dim | None) -> bool:
        return isinstance(size, Value) and (size in self.makers or size in self.params)


@record
class _Plan:
    """What a loop defers: its own sums, and those of loops in its body whose sums it only carries on. Of each of these
    `places` says which carried value of this loop one of that loop is."""

    sums: Sequence[_Sum]
    inner: Mapping[Op, _Plan]
    places: Mapping[Op, Mapping[int, int]]

    def __bool__(self) -> bool:
        return bool(self.sums or self.inner)

    def carried(self) -> Iterator[tuple[_Sum, int]]:
        """All sums, with the carried values of this loop that they are."""
        yield from ((s, s.place) for s in self.sums)
        for op, plan in self.inner.items():
            yield from ((s, self.places[op][place]) for s, place in plan.carried())


def _plan(op: Op, kept: Mapping[Value, int]) -> _Plan:
    """What a loop defers. It carries on the sums of a loop in its body where that loop starts from what this one was
    handed, and nothing else reads or changes it, and where the widths of the rows and the place in the sum that the
    products go to are known outside."""
    body, counts = op.block("body"), uses(op.block("body"))
    inner: dict[Op, _Plan] = {}
    places: dict[Op, Mapping[int, int]] = {}
    params = {p: i for i, p in enumerate(body.params[1:]) if p not in kept}
    defined = {*body.params, *(r for o in body.ops for r in o.results)}
    for loop in (o for o in body.ops if o.name == "loop"):
        plan = _plan(loop, kept)
        given = {place: loop.operands[2 + place] for _, place in plan.carried()}
        whole = {
            place: params[v]
            for place, v in given.items()
            if v in params
            and body.results[1 + params[v]] is loop.results[place]
            and counts[v] == counts[loop.results[place]] == 1
        }
        needed = {v for s, _ in plan.carried() for v in (*s.step.operands[2:], *(f.width for f in s.factors))}
        if plan and len(whole) == len(given) and needed.isdisjoint(defined):
            inner[loop], places[loop] = plan, whole
    return _Plan(_sums_of(op, kept), inner, places)


# -- rewriting ------------------------------------------------------------------------------------------------------

#: The sums at a point of the program, by place, and the number of rows aside with the arrays that hold them.
_State: TypeAlias = tuple[dict[int, Value], Sequence[Value]]


class _Deferring:
    """Re-emits loops with the rows of their products laid aside."""

    def __init__(self, graph: Graph, kept: Mapping[Value, int]) -> None:
        self.kept = kept
        self.named = NamedSizes(graph)
        self.steps: dict[Op, _Sum] = {}
        self.skipped: set[Op] = set()
        self.plans: dict[Op, _Plan] = {}  #: of loops inside others that hand on what is aside
        self.groups: dict[Op, list[_Group]] = {}  #: of each loop, for its own sums

    def visit(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op in self.steps:
            return (operands[self.steps[op].running()],)
        if op in self.skipped:
            return op.results  # nothing reads them
        if op.name != "loop":
            return None
        if op in self.plans:
            return self.loop(b, op, operands, self.plans[op])
        plan = _plan(op, self.kept)
        return self.outermost(b, op, operands, plan) if plan else None

    def outermost(self, b: Rebuilder, op: Op, operands: tuple[Value, ...], plan: _Plan) -> Sequence[Value]:
        """The loop, and behind it the products of what is left aside."""
        places = dict(plan.carried())
        self.steps.update((s.step, s) for s in places)
        self.skipped.update(inner for s in places for inner in s.inner)
        sizes: dict[Dim | None, Value] = {}
        for factor in (f for s in places for f in s.factors):
            if factor.width not in sizes:
                sizes[factor.width] = self.named.value(b, factor.width)
        self.arrange(b, op, plan, sizes)
        found = list(self.loop(b, op, operands, plan))
        for group in self.aside(op, plan):
            totals, _ = group.flushed(b, {s.place: found[places[s]] for s in group.sums}, group.state)
            for s in group.sums:
                found[places[s]] = totals[s.place]
        return found

    def arrange(self, b: Builder, op: Op, plan: _Plan, sizes: Mapping[Dim | None, Value]) -> None:
        """Make the groups of the sums of a loop and of the loops in it."""
        by_rows: dict[Dim | None, list[_Sum]] = {}
        for s in plan.sums:
            by_rows.setdefault(s.rows, []).append(s)
        self.groups[op] = [_Group(b, group, sizes) for group in by_rows.values()]
        self.plans.update(plan.inner)
        for inner, its in plan.inner.items():
            self.arrange(b, inner, its, sizes)

    def aside(self, op: Op, plan: _Plan) -> list[_Group]:
        """The groups that a loop hands from trip to trip."""
        return [*self.groups[op], *(g for inner, its in plan.inner.items() for g in self.aside(inner, its))]

    def loop(self, b: Rebuilder, op: Op, operands: tuple[Value, ...], plan: _Plan) -> Sequence[Value]:
        """The loop, which hands on what is aside."""
        groups = self.aside(op, plan)
        starts = [v for group in groups for v in group.state]
        body, inner = op.block("body"), b.nested()
        params = inner.params_like(body.params)
        for group in groups:
            group.state = group.fresh()
        more = [v for group in groups for v in group.state]
        results = self.trip(inner, body, self.groups[op])
        ends = (v for group in groups for v in group.state)
        block = inner.block((*params, *more), (*results, *ends), body.label)
        like = (*op.results, *more)
        found = list(b.emit(op.defn, (*operands, *starts), op.attrs, blocks=[block], like=like, mapping=b.mapping))
        left = iter(found[len(op.results) :])
        for group in groups:
            group.state = [next(left) for _ in group.state]
        return found[: len(op.results)]

    def trip(self, b: Rebuilder, body: Block, groups: Sequence[_Group]) -> list[Value]:
        """The ops of a trip. Rows are laid aside as soon as they are there, where the sums get nothing else in the loop
        and so are complete from the beginning; else at the end."""
        waiting = [group for group in groups if group.is_pure]
        unseen = {r for op in body.ops for r in op.results}

        def lay() -> None:
            for group in [g for g in waiting if unseen.isdisjoint(g.needed())]:
                waiting.remove(group)
                sums = {s.place: body.params[1 + s.place] for s in group.sums}
                totals = group.trip(b, {place: b.value(param) for place, param in sums.items()})
                b.mapping.update((sums[place], total) for place, total in totals.items())

        lay()
        for op in body.ops:
            b.step(op)
            unseen.difference_update(op.results)
            lay()
        results = [b.value(v) for v in body.results]
        for group in groups:
            if group.is_pure:
                for s in group.sums:
                    results[1 + s.place] = b.value(body.params[1 + s.place])
        for group in groups:
            if not group.is_pure:
                for place, total in group.trip(b, {s.place: results[1 + s.place] for s in group.sums}).items():
                    results[1 + place] = total
        return results


class _Group:
    """Sums whose factors have equally many rows: an array for the rows of each factor, and how many are in them."""

    def __init__(self, b: Builder, sums: Sequence[_Sum], sizes: Mapping[Dim | None, Value]) -> None:
        self.sums = sums
        self.sizes = sizes
        self.zero, self.one, room = b.size(0), b.size(1), b.size(ROOM)
        by_rows: dict[tuple[Value, bool], _Factor] = {}
        for factor in (f for s in sums for f in s.factors):
            by_rows.setdefault(factor.rows, factor)
        self.factors = list(by_rows.values())
        arrays: list[Value] = []
        for factor in self.factors:
            assert isinstance(factor.value.type, TensorType)
            type = TensorType(factor.value.type.dtype, (None, None))
            arrays += b.emit("undef", (room, sizes[factor.width]), {"type": type}, names=("aside",))
        #: How many rows are aside, and the arrays, where the program is being emitted.
        self.state: Sequence[Value] = [self.zero, *arrays]

    def fresh(self) -> list[Value]:
        """Values for what a trip is handed."""
        _, *arrays = self.state
        return [Value(SIZE, "laid"), *(Value(array.type, "aside") for array in arrays)]

    def needed(self) -> Iterator[Value]:
        """What a trip must have made before its rows are laid aside: them, and how many they are."""
        yield from (f.value for f in self.factors)
        yield from (s.product.operands[1] for s in self.sums)

    @property
    def is_pure(self) -> bool:
        """Whether nothing but deferred products is added to the sums."""
        return all(s.is_pure for s in self.sums)

    def trip(self, b: Rebuilder, totals: dict[int, Value]) -> dict[int, Value]:
        """In a trip: its rows are laid aside, or the products made where these are many; gives the sums."""
        rows = b.dim_of(b.value(self.sums[0].product.operands[1]), 0)
        if isinstance(rows.known, int):
            totals, self.state = self.laid(b, totals, rows)
        else:
            few = b.le(b.wrap(rows), FEW).value
            totals, self.state = self.branches(
                b, few, lambda b: self.laid(b, totals, rows), lambda b: self.at_once(b, totals)
            )
        return totals

    def branches(
        self, b: Rebuilder, condition: Value, then: Callable[[Rebuilder], _State], other: Callable[[Rebuilder], _State]
    ) -> _State:
        """An `if` that gives sums and as much of what is aside as its branches do."""
        blocks: list[Block] = []
        totals, state = dict[int, Value](), list[Value]()
        for label, side in (("then", then), ("else", other)):
            inner = b.nested()
            totals, state = side(inner)
            blocks.append(inner.block((), (*totals.values(), *state), label))
        like = (*totals.values(), *self.state[: len(state)])
        found = b.emit("if", (condition,), blocks=blocks, types=[v.type for v in like], names=[v.name for v in like])
        return dict(zip(totals, found, strict=False)), list(found[len(totals) :])

    def laid(self, b: Rebuilder, totals: dict[int, Value], rows: Value) -> _State:
        """What the trip has is laid below the rest, or where there is no room for it in the place of that."""
        laid, *arrays = self.state
        fits = b.le(b.wrap(laid) + b.wrap(rows), ROOM).value
        totals, (start,) = self.branches(
            b, fits, lambda b: (totals, [laid]), lambda b: self.flushed(b, totals, self.state)
        )
        filled: list[Value] = []
        for array, factor in zip(arrays, self.factors, strict=True):
            width = self.sizes[factor.width]
            offset = (b.wrap(start) * b.wrap(width)).value
            operands = (array, self.as_rows(b, factor, rows), offset, width, self.one)
            filled += b.emit("vwrite", operands, names=(array.name,))
        return totals, [(b.wrap(start) + b.wrap(rows)).value, *filled]

    def as_rows(self, b: Rebuilder, factor: _Factor, rows: Value) -> Value:
        """A factor with the rows that are summed over first, under the names that its sizes have outside."""
        value, width = b.value(factor.value), self.sizes[factor.width]
        if factor.transposed:
            value = b.transpose(value, perm=(1, 0)).value
        if _shape(value) == (rows.dim, width.dim):
            return value
        return b.emit("broadcast", (value, rows, width), {"exact": True}, names=(value.name,))[0]

    def flushed(self, b: Rebuilder, totals: dict[int, Value], state: Sequence[Value]) -> _State:
        """The sums with the products of what is aside, of which nothing is left."""
        laid, *arrays = state
        aside = dict(zip((f.rows for f in self.factors), arrays, strict=True))

        def factors(s: _Sum) -> Iterator[Value]:
            first, second = (aside[f.rows] for f in s.factors)
            rows, columns = (self.sizes[f.width] for f in s.factors)
            yield from b.emit("vread", (first, self.zero, self.one, rows, rows, laid), names=(first.name,))
            yield from b.emit("vread", (second, self.zero, columns, self.one, laid, columns), names=(second.name,))

        return self.added(b, totals, factors), [self.zero]

    def at_once(self, b: Rebuilder, totals: dict[int, Value]) -> _State:
        """The sums with the products of one trip; what is aside stays there."""

        def factors(s: _Sum) -> Iterator[Value]:
            rows = b.dim_of(b.value(s.product.operands[1]), 0)
            first, second = (self.as_rows(b, f, rows) for f in s.factors)
            yield b.transpose(first, perm=(1, 0)).value
            yield second

        return self.added(b, totals, factors), self.state

    def added(
        self, b: Rebuilder, totals: dict[int, Value], factors: Callable[[_Sum], Iterator[Value]]
    ) -> dict[int, Value]:
        """The sums with one more term each."""
        totals = dict(totals)
        for s in self.sums:
            (product,) = b.emit(s.product.defn, tuple(factors(s)), s.product.attrs, span=s.product.span)
            operands = [b.value(v) for v in s.step.operands]
            operands[s.step.operands.index(s.operand)] = product
            operands[s.running()] = total = totals[s.place]
            (totals[s.place],) = b.emit(s.step.defn, operands, s.step.attrs, names=(total.name,), span=s.step.span)
        return totals
