"""Derivatives of items of a list, in a loop that does more with each than adding it up: the trip that made the item
runs once more.

In `for l in losses: l.backward(); norms.append(w.grad.norm())` each derivative would go through the whole loop that
filled the list. Where the trips of that loop lead to each other by nothing that is differentiated, an item was made by
one of them alone:

    loop1 { y = f(w, s, i); push y }; loop2 { y = list_get(ys, k); g = gradient(y, 1, w); more with g }

becomes

    loop1 { push s; y = f(w, s, i); push y }; loop2 { s = list_get(states, k); y = f(w, s, k); g = ... }

and each derivative goes through one trip, as in eager code. Where a trip adds any number of items, a list has the trip
of each. Trips that lead to each other (`h = tanh(h * w); losses.append(h.sum())`) stay: so they do in eager code.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tracejit.ir.aliasing import consumed, updated, updates
from tracejit.ir.builder import Builder, Rebuilder, rebuild
from tracejit.ir.core import Block, Graph, Op, Value, all_reads, type_values, walk
from tracejit.ir.types import BOOL, ListType, ScalarType, TensorType, unsized
from tracejit.ops.control import gradient_parts
from tracejit.transforms.dce import sliced
from tracejit.transforms.derivatives.activity import useful, varied
from tracejit.transforms.derivatives.effects import without_effects
from tracejit.transforms.derivatives.packing import SIZE, size_value


def items_made_again(graph: Graph) -> Graph:
    """The graph with trips that made items in the place of the items, where derivatives in loops go through them."""
    while True:
        found = _Search(graph).found() if any(op.name == "gradient" for op in walk(graph.body)) else {}
        if not found:
            return graph
        graph = _Repeats(graph, found).rebuilt()


@dataclass(eq=False)
class _Filled:
    """A list that a loop fills, of whose trips none needs another one."""

    loop: Op
    index: int  #: which of the values that the loop carries
    ops: Sequence[Op]  #: what a trip needs to make its items
    given: Sequence[Value]  #: what the loop carries that these read
    constant: Mapping[Value, Value]  #: what it carries and leaves as it is that these read, with what that is
    versions: Collection[Value]  #: the list within a trip
    item: Value | None  #: what each trip adds, where that is one item
    pushes: Sequence[Op]  #: what adds further items behind the loop, the last one first

    @property
    def param(self) -> Value:
        return self.loop.block("body").params[1 + self.index]

    @property
    def end(self) -> Value:
        return self.loop.block("body").results[1 + self.index]


class _Search:
    """The reads of items in a graph whose trips may run again."""

    def __init__(self, graph: Graph) -> None:
        self.body = graph.body
        self.makers = {r: op for op in walk(graph.body) for r in op.results}
        self.carriers = {
            p: (op, i)
            for op in walk(graph.body)
            if op.name == "loop"
            for i, p in enumerate(op.block("body").params[1:])
        }
        self.loops: dict[Op, tuple[Op, ...]] = {}  #: the loops around each op
        self._note(graph.body, ())
        #: Lists that are no more what they were, for something has taken them over.
        self.gone = {op.operands[i] for op in walk(graph.body) for i in consumed(op)}
        self.gone.update(v for op in walk(graph.body) for block in op.blocks for v in block.results)

    def _note(self, block: Block, loops: tuple[Op, ...]) -> None:
        for op in block.ops:
            self.loops[op] = loops
            for nested in op.blocks if op.name in ("if", "loop") else ():
                self._note(nested, (*loops, op) if op.name == "loop" else loops)

    def found(self) -> Mapping[Op, _Filled]:
        """The ops that read items, each with the list, for the first derivative that all of these stand before."""
        for op, loops in self.loops.items():
            if op.name == "gradient" and loops and not op.attrs.get("rare", False):
                found = self._reads(op, loops)
                if found:
                    return found
        return {}

    def _reads(self, gradient: Op, loops: Sequence[Op]) -> Mapping[Op, _Filled]:
        ys, _, xs = gradient_parts(gradient)
        found: dict[Op, _Filled] = {}
        items = [op for op in walk(loops[0].block("body")) if op.name in ("list_get", "list_pop")]
        if not items:
            return found
        changed = varied(self.body.ops, xs)
        on_the_way = changed & useful(self.body.ops, ys)
        for op in items:
            if op.results[-1] not in on_the_way or op.operands[0] not in changed:
                continue
            made = self._made(op.operands[0])
            if made is not None and (made[0] is None or self.loops[made[0]] == self.loops[op]):
                continue  # it is made and read in one trip, or without a loop
            filled = None if made is None else self._filled(*made, changed)
            if filled is None or filled.loop in self.loops[op] or not {*self.loops[op]} <= {*loops}:
                return {}
            found[op] = filled
        return found

    def _made(self, items: Value) -> tuple[Op | None, int, Sequence[Op]] | None:
        """The loop that filled a list, if one did, and the number of the list; what has added items since, the last one
        first. Items may also have been taken off its end."""
        pushes: list[Op] = []
        while True:
            if self._is_empty(items, set()):
                return None, 0, pushes
            if items in self.carriers:
                loop, i = self.carriers[items]
                if not self._shrinks(loop.block("body").results[1 + i], items):
                    return None
                items = loop.operands[2 + i]
                continue
            op = self.makers.get(items)
            if op is None:
                return None
            if op.name == "loop":
                i = op.results.index(items)
                if not self._shrinks(op.block("body").results[1 + i], op.block("body").params[1 + i]):
                    return op, i, pushes
                items = op.operands[2 + i]
            elif op.name in ("list_pop", "list_push"):
                pushes += [op] if op.name == "list_push" else []
                items = op.operands[0]
            else:
                return None

    def _is_empty(self, items: Value, assumed: set[Value]) -> bool:
        """Whether a list has no items, where those that are assumed to have none have none."""
        op = self.makers.get(items)
        if items in assumed or (op is not None and op.name == "list_new"):
            return True
        if items in self.carriers:
            op, at = self.carriers[items]
            assumed.add(items)
        elif op is not None and op.name in ("if", "loop"):
            at = op.results.index(items)
        else:
            return False
        if op.name == "if":
            return all(self._is_empty(block.results[at], assumed) for block in op.blocks)
        body = op.block("body")
        assumed.add(body.params[1 + at])
        return self._is_empty(op.operands[2 + at], assumed) and self._is_empty(body.results[1 + at], assumed)

    def _filled(self, loop: Op | None, index: int, pushes: Sequence[Op], changed: set[Value]) -> _Filled | None:
        """The list, if the loop only adds items to an empty one, and its trips may run again one by one."""
        if loop is None:
            return None
        body = loop.block("body")
        param, end = body.params[1 + index], body.results[1 + index]
        versions: dict[Value, None] = {param: None}
        if not self._is_empty(loop.operands[2 + index], set()) or not self._comes_of(end, param, "list_push", versions):
            return None
        if any(op.name not in _ADDING and not versions.keys().isdisjoint(op.operands) for op in walk(body)):
            return None
        last = self.makers[end] if end is not param else None
        is_single = last is not None and last.name == "list_push" and last.operands[0] is param
        item = last.operands[-1] if last is not None and is_single else None
        ops = sliced(body.ops, [end if item is None else item])
        read = {end if item is None else item}.union(*map(all_reads, ops))
        given = [p for p in body.params[1:] if p in read and (item is not None or p is not param)]
        constant = {p: first for p, first in self._constant(loop) if p in given}
        given = [p for p in given if p not in constant]
        varying = changed & useful(ops, [end if item is None else item])
        if param in given or not all(self._may_be_kept(loop, p, varying) for p in given):
            return None
        made = {*body.params, *(r for op in ops for r in op.results)}
        if any(isinstance(v.type, ListType) and v in self.gone for v in read - made):
            return None
        return _Filled(loop, index, ops, given, constant, versions, item, pushes)

    def _comes_of(self, items: Value, start: Value, name: str, versions: dict[Value, None]) -> bool:
        """Whether a list is one from before that ops of this name alone have changed; notes what it is in between."""
        versions[items] = None
        op = self.makers.get(items)
        if items is start or op is None:
            return items is start
        at = op.results.index(items)
        if op.name == name:
            return self._comes_of(op.operands[0], start, name, versions)
        if op.name == "if":
            return all(self._comes_of(block.results[at], start, name, versions) for block in op.blocks)
        if op.name != "loop":
            return False
        param, end = op.block("body").params[1 + at], op.block("body").results[1 + at]
        versions[param] = None
        return self._comes_of(end, param, name, versions) and self._comes_of(op.operands[2 + at], start, name, versions)

    def _shrinks(self, items: Value, start: Value) -> bool:
        """Whether a list is one from before from which only last items were taken."""
        return self._comes_of(items, start, "list_pop", {})

    def _constant(self, loop: Op) -> Iterator[tuple[Value, Value]]:
        """What a loop carries and leaves as it is, with what that is."""
        body = loop.block("body")
        for p, following, first in zip(body.params[1:], body.results[1:], loop.operands[2:], strict=True):
            if not isinstance(p.type, ListType) and self._is_left(following, p):
                yield p, first

    def _is_left(self, value: Value, start: Value) -> bool:
        """Whether a value is another one on all paths."""
        op = self.makers.get(value)
        if value is start or op is None or op.name != "if":
            return value is start
        at = op.results.index(value)
        return all(self._is_left(block.results[at], start) for block in op.blocks)

    def _may_be_kept(self, loop: Op, given: Value, varying: Collection[Value]) -> bool:
        """Whether what a loop carries may be noted in each trip: it is constant for the derivative, of one size, and
        made anew by each trip, so that this costs no more than the trip."""
        body = loop.block("body")
        following = dict(zip(body.params[1:], body.results[1:], strict=True))
        if given in varying or isinstance(given.type, ListType):
            return False
        return not any(v in body.params for v in type_values(given.type)) and not self._is_written(following[given])

    def _is_written(self, value: Value) -> bool:
        """Whether an array is another one in a part of which something was written."""
        op = self.makers.get(value)
        if op is None or not isinstance(value.type, TensorType):
            return False
        if op.blocks:
            at = op.results.index(value) + (op.name == "loop")
            return any(self._is_written(block.results[at]) for block in op.blocks)
        return updates(op) and value is op.results[0] and op.operands[updated(op)] is not value


#: Ops that what a loop adds to may be an operand of.
_ADDING = {"list_push", "list_len", "if", "loop"}


@dataclass(eq=False)
class _Notes:
    """What a loop notes of its trips, as lists of the new graph."""

    given: dict[Value, Value] = field(default_factory=dict[Value, Value])  #: what it carried when they began
    starts: dict[int, Value] = field(default_factory=dict[int, Value])  #: how many items a list had then
    trips: dict[int, Value] = field(default_factory=dict[int, Value])  #: the trip that made each item of a list


class _Repeats:
    """A graph in which trips run again in the place of the items that they made."""

    def __init__(self, graph: Graph, reads: Mapping[Op, _Filled]) -> None:
        self.graph = graph
        self.reads = reads
        self.filled: dict[Op, dict[int, _Filled]] = {}
        for one in reads.values():
            self.filled.setdefault(one.loop, {})[one.index] = one
        self.notes: dict[Op, _Notes] = {}
        self.pushes = {push for one in reads.values() for push in one.pushes}
        self.places: dict[Op, Value] = {}  #: where these put their items

    def rebuilt(self) -> Graph:
        return rebuild(self.graph, self.visit)

    def visit(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op in self.filled:
            return self.noting(b, op, operands)
        if op in self.pushes:
            self.places[op] = b.emit("list_len", operands[:1])[0]
        if op not in self.reads:
            return None
        filled, item = self.reads[op], op.results[-1]
        if op.name == "list_get":
            return (self.item(b, filled, filled.pushes, item, operands[1], operands[2:]),)
        last = (b.wrap(b.emit("list_len", operands[:1])[0]) - 1).value
        rest = b.copy(op, operands)[0]
        return rest, self.item(b, filled, filled.pushes, item, last, operands[1:])

    def noting(self, b: Rebuilder, loop: Op, operands: tuple[Value, ...]) -> Sequence[Value]:
        """Emit a loop that notes what its trips begin with."""
        lists = self.filled[loop].values()
        given = list(dict.fromkeys(p for one in lists for p in one.given))
        counted = [one for one in lists if one.item is None]
        body, inner, notes = loop.block("body"), b.nested(), _Notes()
        params = inner.params_like(body.params)
        kinds = [ListType(unsized(p.type)) for p in given] + [ListType(SIZE)] * (2 * len(counted))
        before = [Value(kind, "noted") for kind in kinds]
        lengths = [inner.emit("list_len", (inner.value(one.param),))[0] for one in counted]
        values = [*map(inner.value, given), *lengths]
        after = [inner.emit("list_push", (items, v))[0] for items, v in zip(before, values, strict=False)]
        results = inner.inline(body, params)
        after += [
            self._trip_of_each(inner, params[0], trips, length, inner.value(one.end))
            for one, trips, length in zip(counted, before[len(values) :], lengths, strict=True)
        ]
        block = inner.block((*params, *before), (*results, *after), body.label)
        starts = [b.emit("list_new", (), {"element": kind.element})[0] for kind in kinds]
        like = (*loop.results, *(Value(kind, "noted") for kind in kinds))
        found = b.emit(loop.defn, (*operands, *starts), loop.attrs, blocks=[block], like=like, mapping=b.mapping)
        noted: Iterator[Value] = iter(found[len(loop.results) :])
        notes.given.update((p, next(noted)) for p in given)
        notes.starts.update((one.index, next(noted)) for one in counted)
        notes.trips.update((one.index, next(noted)) for one in counted)
        self.notes[loop] = notes
        return found[: len(loop.results)]

    @staticmethod
    def _trip_of_each(b: Builder, trip: Value, trips: Value, before: Value, items: Value) -> Value:
        """Emit the list of trips with this one added for each item that it has added."""
        inner, index, param = b.nested(), Value(SIZE, "i"), Value(trips.type, "noted")
        go = b.constant(True, ScalarType(BOOL))
        following = inner.emit("list_push", (param, trip))[0]
        count = b.wrap(b.emit("list_len", (items,))[0]) - b.wrap(before)
        block = inner.block((index, param), (go, following), "body")
        return b.emit("loop", (count.value, go, trips), blocks=[block], types=(trips.type,), names=("noted",))[0]

    def item(
        self, b: Rebuilder, filled: _Filled, pushes: Sequence[Op], like: Value, place: Value, sizes: Sequence[Value]
    ) -> Value:
        """Emit the item at a place of a list: one that was added later, or what the trip that made it makes."""
        if not pushes:
            return self.again(b, filled, like, place, sizes)
        push, *others = pushes
        then, orelse = b.nested(), b.nested()
        added = _sized(then, b.value(push.operands[-1]), sizes, like)
        blocks = [
            then.block((), (added,), "then"),
            orelse.block((), (self.item(orelse, filled, others, like, place, sizes),), "else"),
        ]
        is_last = b.emit("eq", (place, self.places[push]))
        return b.emit("if", is_last, blocks=blocks, like=(like,), mapping=b.mapping)[0]

    def again(self, b: Rebuilder, filled: _Filled, like: Value, place: Value, sizes: Sequence[Value]) -> Value:
        """Emit the trip that made the item at a place of a list; gives that item, of these sizes."""
        loop, notes = filled.loop, self.notes[filled.loop]
        trip, start = place, place
        if filled.item is None:
            trip = b.emit("list_get", (notes.trips[filled.index], place))[0]
            start = b.emit("list_get", (notes.starts[filled.index], trip))[0]

        def visit(again: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
            if op.name == "list_len" and op.operands[0] in filled.versions:
                return ((again.wrap(again.emit("list_len", operands)[0]) + again.wrap(start)).value,)
            return without_effects(again, op, operands)

        mapping = dict(b.mapping)
        again = Rebuilder(visit, mapping, b.span)
        again.names = b.names
        mapping[loop.block("body").params[0]] = trip
        mapping.update((p, b.value(first)) for p, first in filled.constant.items())
        for p in filled.given:
            shape = p.type.shape if isinstance(p.type, TensorType) else ()
            own = [size_value(again, d, self.graph.params) for d in shape]
            mapping[p] = again.emit("list_get", (notes.given[p], trip, *own), names=(p.name,))[0]
        if filled.item is None or any(op.name == "list_len" for op in filled.ops):
            mapping[filled.param] = again.emit("list_new", (), {"element": filled.param.type.element})[0]  # type: ignore[union-attr]
        for op in filled.ops:
            again.step(op)
        if filled.item is None:
            at = (again.wrap(place) - again.wrap(start)).value
            item = again.emit("list_get", (again.value(filled.end), at, *sizes), names=(like.name,))[0]
        else:
            item = _sized(again, again.value(filled.item), sizes, like)
        b.ops += again.ops
        return item


def _sized(b: Builder, item: Value, sizes: Sequence[Value], like: Value) -> Value:
    """An item as one of these sizes, which it has."""
    return b.emit("broadcast", (item, *sizes), {"exact": True}, names=(like.name,))[0] if sizes else item
