"""Which leaves a `backward()` reaches, by the path that was taken: the others keep the `.grad` that they have.

Eager code's tape leads from a loss to the leaves that its operations were given, be their slopes 0. Here that is asked
of the ops before a `backward()`. What holds on every path costs nothing; where it depends on the path, branches and
loops also give whether their results lead to a leaf; beside a list of which some items lead and others do not, as may
be, lies a list of truth values, its row. A list of lists leads where any of its items does. What the trips of a loop
hand on is known when the loop is: until then an op `leads` stands for the answer (`told`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import TypeAlias

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Graph, Op, Value, inputs_of, walk
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import BOOL, I64, ListType, ScalarType, Type, is_differentiable
from tracejit.locks import cached_property

#: Whether something leads to a leaf: known, or a truth value of the graph (of a list, its row).
Truth: TypeAlias = bool | Value

_BOOL, _SIZE = ScalarType(BOOL), ScalarType(I64)
_ROW = ListType(_BOOL)

#: The leaves that all items of a list without items lead to.
_ALL = -1

#: The bit of what a loop around hands from trip to trip; those of leaves are below.
_CARRIED = 1 << 4096
_NONE = (0, 0)


class Reach:
    """Which leaves values lead to, each leaf given as the values that are versions of it. `builders` make the blocks
    around this place, outermost first, and are looked through once for all values that are there already; `known` are
    the parameters of the function; `is_positive` tells it of a trip count."""

    def __init__(
        self,
        builders: Sequence[Builder],
        leaves: Sequence[Sequence[Value]],
        known: Iterable[Value],
        is_positive: Callable[[Value], bool],
    ) -> None:
        self.builders = builders
        self.leaves = leaves
        bits = {x: 1 << i for i, versions in enumerate(leaves) for x in versions}
        self.masks = Masks(bits, set(known), is_positive)
        self._told: dict[int, dict[Value, Truth]] = {}  #: by group of leaves
        for b in builders if leaves else ():
            self.masks.ops(b.ops)

    def of(self, y: Value) -> list[Truth]:
        """Whether `y` leads to each leaf."""
        may, must = self.masks.of((y,))
        truths: list[Truth] = [bool((may & must) >> i & 1) for i in range(len(self.leaves))]
        for i, versions in enumerate(self.leaves):
            if truths[i] is False and may & _CARRIED:
                truths[i] = self.builders[-1].emit("leads", (y, *versions), names=("reached",))[0]
            elif (may & ~must) >> i & 1:
                truths[i] = self._inside(i, y)[y]
        return truths

    def _inside(self, leaf: int, y: Value) -> dict[Value, Truth]:
        """What tells of values that lead to a leaf on some paths only, `y` among them."""
        group = self._groups.of(1 << leaf, (y,))
        if group not in self._told:
            paths, inside = Paths(self.masks, 1 << leaf), dict[Value, Truth]()
            inside.update((x, True) for x in self.leaves[leaf])
            for b in self.builders:
                made = b.nested()
                paths.ops(made, b.ops, inside)
                b.ops[:] = made.ops
            self._told[group] = inside
        return self._told[group]

    @cached_property
    def _groups(self) -> Groups:
        """Leaves that the same paths lead to."""
        return Groups(self.masks, [op for b in self.builders for op in b.ops])


def may_lead(
    builders: Sequence[Builder], y: Value, leaves: Iterable[Value], known: Iterable[Value], *, if_carried: bool = False
) -> bool:
    """Whether `y` leads to one of the leaves on some path. Of what a loop around hands from trip to trip that is not
    known yet: `if_carried` is the answer there."""
    masks = Masks(dict.fromkeys(leaves, 1), set(known), lambda n: False)
    for b in builders:
        masks.ops(b.ops)
    return bool(masks.of((y,))[0] & (1 | (_CARRIED if if_carried else 0)))


def telling_paths(
    graph: Graph, leaves: Sequence[int], results: Sequence[int]
) -> tuple[Graph, int, tuple[tuple[int, ...], ...]]:
    """The graph with further results, before the final versions of `inout` parameters: truth values, and their number.
    The last part has for each of `results` and each of the parameters `leaves` the place, among False, True and these,
    of whether the result leads to the leaf."""

    def is_positive(n: Value) -> bool:
        return n.known > 0 if isinstance(n.known, int) else n.known is not None and "any_size" not in graph.policy

    bits = {graph.params[k]: 1 << i for i, k in enumerate(leaves)}
    values = [graph.results[i] for i in results]
    masks = Masks(bits, set(graph.params), is_positive)
    masks.ops(graph.body.ops)
    ops, truths, rows = graph.body.ops, list[Truth]([False, True]), [list[int]() for _ in values]
    groups, inside_of = Groups(masks, ops), dict[int, dict[Value, Truth]]()
    for param, bit in bits.items():
        paths, group = Paths(masks, bit), groups.of(bit, values)
        known = [paths.static(v) for v in values]
        if None in known and group not in inside_of:
            b, inside_of[group] = Builder(), dict[Value, Truth]({param: True})
            paths.ops(b, ops, inside_of[group])
            ops = tuple(b.ops)
        found = [inside_of[group][v] if k is None else k for v, k in zip(values, known, strict=True)]
        truths += dict.fromkeys(t for t in found if t not in truths)
        for row, t in zip(rows, found, strict=True):
            row.append(truths.index(t))
    n_user, told = len(graph.results) - len(graph.inout), [t for t in truths if isinstance(t, Value)]
    outcome = (*graph.results[:n_user], *told, *graph.results[n_user:])
    body = Block(graph.params, ops, outcome, graph.body.label)
    return replace(graph, body=body), len(told), tuple(map(tuple, rows))


def told(graph: Graph) -> Graph:
    """The graph with the answers in the place of `leads` ops."""
    while True:
        asked = next((op for op in walk(graph.body) if op.name == "leads"), None)
        if asked is None:
            return graph
        masks = Masks(dict.fromkeys(asked.operands[1:], 1), set(graph.params), lambda n: False)
        masks.ops(graph.body.ops)
        b = Builder()
        Paths(masks, 1, asked).ops(b, graph.body.ops, dict.fromkeys(asked.operands[1:], True))
        graph = replace(graph, body=replace(graph.body, ops=tuple(b.ops)))


@dataclass(slots=True)
class Masks:
    """For each value the leaves that it may lead to, and those that it leads to on every path, as bits. Of a list:
    those that some item may lead to, and those that every item does."""

    leaves: dict[Value, int]
    known: set[Value]
    is_positive: Callable[[Value], bool]
    found: dict[Value, tuple[int, int]] = field(default_factory=dict[Value, tuple[int, int]])
    constants: dict[Value, object] = field(default_factory=dict[Value, object])

    def of(self, values: Iterable[Value]) -> tuple[int, int]:
        """What these lead to together."""
        may = must = 0
        for v in values:
            one = self.one(v)
            may, must = may | one[0], must | one[1]
        return may, must

    def one(self, value: Value) -> tuple[int, int]:
        """What a value leads to."""
        if bit := self.leaves.get(value, 0):
            return bit, bit
        found = self.found.get(value)
        if found is None:
            is_none = value in self.known or not is_differentiable(value.type)
            found = self.found[value] = _NONE if is_none else (_CARRIED, _CARRIED)
        return found

    def note(self, value: Value, may: int, must: int) -> None:
        """Note what a value that is no leaf leads to."""
        self.found[value] = (may, must) if is_differentiable(value.type) else _NONE

    def ops(self, ops: Sequence[Op]) -> None:
        """Note the results of ops, in order."""
        for op in ops:
            match op.name:
                case "if":
                    for block in op.blocks:
                        self.ops(block.ops)
                    for i, r in enumerate(op.results):
                        (may, must), (may_too, must_too) = (self.of((block.results[i],)) for block in op.blocks)
                        self.note(r, may | may_too, must & must_too)
                case "loop":
                    self.loop(op)
                case "const":
                    self.constants[op.results[0]] = op.attrs["value"]
                    self.found[op.results[0]] = _NONE
                case "list_new":
                    self.note(op.results[0], 0, _ALL)
                case "list_push" | "list_set" | "list_set_part":
                    (may, must), (may_too, must_too) = (self.of((v,)) for v in (op.operands[0], op.operands[-1]))
                    self.note(op.results[0], may | may_too, must & must_too)
                case _:
                    bits = self.of(sources(op))
                    for r in op.results:
                        self.note(r, *bits)

    def loop(self, op: Op) -> None:
        body = op.block("body")
        carried = list(zip(op.operands[2:], body.params[1:], body.results[1:], op.results, strict=True))
        now = [self.of((init,)) for init, *_ in carried]
        while True:
            for (_, param, _, _), bits in zip(carried, now, strict=True):
                self.note(param, *bits)
            self.ops(body.ops)
            ends = [self.of((following,)) for _, _, following, _ in carried]
            after = [(a | c, b & d) for (a, b), (c, d) in zip(now, ends, strict=True)]
            if after == now:
                break
            now = after
        runs = self.constants.get(op.operands[1]) is True and self.is_positive(op.operands[0])
        for r, bits in zip(op.results, ends if runs else now, strict=True):
            self.note(r, *bits)

    def counts_trips(self, op: Op) -> bool:
        """Whether a loop runs for as many trips as its limit says."""
        return all(self.constants.get(go) is True for go in (op.operands[1], op.block("body").results[0]))


class Groups:
    """Leaves in groups, as bits: to two of one group the same values lead, on the same paths, among those that branches
    and loops give and take, and lists and their items. What is told of one leaf on the paths between holds of the
    other."""

    def __init__(self, masks: Masks, ops: Sequence[Op]) -> None:
        self.masks = masks
        self.groups = [reduce(or_, masks.leaves.values(), 0)]
        self._seen: set[int] = set()
        for op in ops:
            self._op(op)

    def of(self, leaf: int, values: Iterable[Value]) -> int:
        """The group that has a leaf, where these values are asked about."""
        self._part(values)
        return next(group for group in self.groups if group & leaf)

    def _op(self, op: Op) -> None:
        values = (*op.operands, *op.results)
        if op.blocks or any(isinstance(v.type, ListType) for v in values):
            self._part(values)
        for block in op.blocks:
            self._part((*block.params, *block.results))
            for inner in block.ops:
                self._op(inner)

    def _part(self, values: Iterable[Value]) -> None:
        """Part the leaves that each of these leads to, on all paths or on some, from the others."""
        for value in values:
            may, must = self.masks.one(value)
            for mask in (may, may & must):
                if mask not in self._seen:
                    self._seen.add(mask)
                    self.groups = [part for group in self.groups for part in (group & mask, group & ~mask) if part]


def any_of(b: Builder, truths: Iterable[Truth]) -> Truth:
    """Whether one of these holds."""
    found = list(dict.fromkeys(t for t in truths if t is not False))
    if not found or True in found:
        return bool(found)
    total, *more = (value_of(b, t) for t in found)
    for truth in more:
        total = b.emit("logical_or", (total, truth), names=("reached",))[0]
    return total


def all_of(b: Builder, truths: Iterable[Value], result: Value) -> None:
    """Emit whether all of these hold, as the given value."""
    total = b.constant(True, _BOOL)
    for truth in truths:
        total = b.emit("logical_and", (total, truth))[0]
    b.append_op(Op(REGISTRY["logical_and"], (total, total), {}, (result,), (), b.span))


def none_of(b: Builder, truths: Iterable[Truth], result: Value) -> None:
    """Emit whether none of these holds, as the given value."""
    some = value_of(b, any_of(b, truths))
    b.append_op(Op(REGISTRY["logical_not"], (some,), {}, (result,), (), b.span))


def value_of(b: Builder, truth: Truth) -> Value:
    """A truth as a value of the graph."""
    return truth if isinstance(truth, Value) else b.constant(truth, _BOOL)


def sources(op: Op) -> Iterable[Value]:
    """The values whose history an op's results have."""
    if op.name not in ("rewritten", "stored") and op.defn.stands_for is not None:
        return op.operands[1:]  # none of a detached value, and of a write under `no_grad` that of the array
    return inputs_of(op)


@dataclass(slots=True)
class Paths:
    """Ops that also tell whether their results lead to one leaf, where that depends on the path. The answer takes the
    place of the op `asked`."""

    masks: Masks
    bit: int
    asked: Op | None = None

    def static(self, value: Value) -> bool | None:
        """Whether a value, or each item of a list, leads to the leaf, if that is known."""
        may, must = self.masks.one(value)
        return False if not may & self.bit else True if must & self.bit else None

    def truth(self, b: Builder, value: Value, inside: dict[Value, Truth]) -> Truth:
        """Whether a value leads to the leaf; of a list: whether any of its items does."""
        known = self.static(value)
        truth = inside[value] if known is None else known
        if isinstance(truth, Value) and truth.type == _ROW:
            return _over_items(b, truth, _BOOL, lambda inner, i, some: (some, inner.emit("list_get", (truth, i))[0]))
        return truth

    def row(self, b: Builder, value: Value, inside: dict[Value, Truth]) -> Value:
        """Which items of a list lead to the leaf."""
        known = self.static(value)
        truth = inside[value] if known is None else known
        if isinstance(truth, Value) and truth.type == _ROW:
            return truth
        return _over_items(b, value, _ROW, lambda inner, i, row: (row, value_of(inner, truth)))

    def value(self, b: Builder, value: Value, inside: dict[Value, Truth]) -> Value:
        """What tells of a value, as branches and loops hand it on."""
        return self.row(b, value, inside) if _has_row(value) else value_of(b, self.truth(b, value, inside))

    def ops(self, b: Builder, ops: Sequence[Op], inside: dict[Value, Truth]) -> None:
        """Append the ops to `b`, each with what tells of its results, which `inside` is told."""
        for op in ops:
            varying = [r for r in op.results if self.static(r) is None]
            b.span = op.span
            if op is self.asked:
                all_of(b, [value_of(b, self.truth(b, op.operands[0], inside))], op.results[0])
            elif not varying and not self.is_asked_in(op):
                b.append_op(op)
            elif op.name == "if":
                self.branches(b, op, inside)
            elif op.name == "loop":
                self.loop(b, op, inside)
            elif op.name in _OF_ITEMS and _has_row(op.operands[0]):
                self.items(b, op, inside)
            else:
                b.append_op(op)
                truth = any_of(b, [self.truth(b, v, inside) for v in sources(op)])
                inside.update(dict.fromkeys(varying, truth))

    def items(self, b: Builder, op: Op, inside: dict[Value, Truth]) -> None:
        """What an op does with items of a list is done with its row."""
        row, places = self.row(b, op.operands[0], inside), op.operands[1:]
        match op.name:
            case "list_push" | "list_set":
                places = (*places[:-1], value_of(b, self.truth(b, places[-1], inside)))
            case "list_set_part":
                truth = value_of(b, self.truth(b, places[1], inside))
                places = (places[0], b.emit("broadcast", (truth, b.dim_of(places[1], 0)))[0])
            case "list_part":
                b.append_op(op)
                part = b.wrap(b.emit("list_part", (row, *places), names=("reached",))[0])
                inside[op.results[0]] = b.fetch(b.any(part, axes=(0,)), ()).value
                return
            case "list_get":
                places = places[:1]
            case _:
                places = ()
        b.append_op(op)
        inside.update(
            zip(op.results, b.emit(op.name, (row, *places), names=("reached",) * len(op.results)), strict=True)
        )

    def is_asked_in(self, op: Op) -> bool:
        """Whether an op has the answer in one of its blocks."""
        return self.asked is not None and any(inner is self.asked for block in op.blocks for inner in walk(block))

    def branches(self, b: Builder, op: Op, inside: dict[Value, Truth]) -> None:
        """An `if`: its condition tells where that is all."""
        places = [i for i, r in enumerate(op.results) if self.static(r) is None]
        sides = [(block, b.nested(), dict(inside)) for block in op.blocks]
        for block, inner, within in sides:
            self.ops(inner, block.ops, within)
        ends = [
            [
                (self.row if _has_row(op.results[i]) else self.truth)(inner, block.results[i], within)
                for block, inner, within in sides
            ]
            for i in places
        ]
        more = [(i, end) for i, end in zip(places, ends, strict=True) if any(isinstance(t, Value) for t in end)]
        blocks = tuple(
            inner.block((), (*block.results, *(value_of(inner, end[k]) for _, end in more)), block.label)
            for k, (block, inner, _) in enumerate(sides)
        )
        results = tuple(Value(_kind(op.results[i]), "reached") for i, _ in more)
        b.append_op(Op(op.defn, op.operands, op.attrs, (*op.results, *results), blocks, op.span))
        inside.update((op.results[i], r) for (i, _), r in zip(more, results, strict=True))
        for i, (then, orelse) in zip(places, ends, strict=True):
            if (then, orelse) == (True, False):
                inside[op.results[i]] = op.operands[0]
            elif (then, orelse) == (False, True):
                inside[op.results[i]] = b.emit("logical_not", op.operands, names=("reached",))[0]
            elif isinstance(then, bool) and then is orelse:
                inside[op.results[i]] = then

    def loop(self, b: Builder, op: Op, inside: dict[Value, Truth]) -> None:
        """A `loop` that carries what tells of the values that it carries; its trips tell where that is all."""
        body = op.block("body")
        places = list(zip(op.operands[2:], body.params[1:], body.results[1:], op.results, strict=True))
        varying = [p for p in places if self.static(p[1]) is None or self.static(p[3]) is None]
        by_trips = [
            p
            for p in varying
            if self.static(p[0]) is False
            and self.static(p[2]) is True
            and self.masks.counts_trips(op)
            and not _has_row(p[1])
        ]
        carried = [p for p in varying if p not in by_trips]
        inits = [self.value(b, init, inside) for init, *_ in carried]
        inner, within = b.nested(), dict(inside)
        params = [Value(_kind(param), "reached") for _, param, *_ in carried]
        within.update((param, t) for (_, param, *_), t in zip(carried, params, strict=True))
        if by_trips:
            later = self.positive(inner, body.params[0])
            within.update((param, later) for _, param, *_ in by_trips)
        self.ops(inner, body.ops, within)
        following = [self.value(inner, v, within) for _, _, v, _ in carried]
        block = inner.block((*body.params, *params), (*body.results, *following), body.label)
        results = tuple(Value(_kind(param), "reached") for _, param, *_ in carried)
        b.append_op(Op(op.defn, (*op.operands, *inits), op.attrs, (*op.results, *results), (block,), op.span))
        inside.update((r, t) for (*_, r), t in zip(carried, results, strict=True))
        if by_trips:
            some = self.positive(b, op.operands[0])
            inside.update((r, some) for *_, r in by_trips)

    def positive(self, b: Builder, number: Value) -> Value:
        return b.emit("gt", (number, b.constant(0, ScalarType(I64))), names=("reached",))[0]


#: Ops whose results have a row where their list has one, made by the same op.
_OF_ITEMS = {"list_push", "list_pop", "list_get", "list_set", "list_part", "list_set_part"}


def _has_row(value: Value) -> bool:
    """Whether which of its items lead to a leaf is told one by one."""
    return isinstance(value.type, ListType) and not isinstance(value.type.element, ListType)


def _kind(value: Value) -> Type:
    """The type of what tells of a value."""
    return _ROW if _has_row(value) else _BOOL


def _over_items(
    b: Builder, of: Value, kind: Type, step: Callable[[Builder, Value, Value], tuple[Value, Value]]
) -> Value:
    """Emit a loop over the items of a list that joins, or collects, what `step` gives for an index."""
    start = b.constant(False, _BOOL) if kind == _BOOL else b.emit("list_new", (), {"element": _BOOL})[0]
    count, go = b.emit("list_len", (of,))[0], b.constant(True, _BOOL)
    inner, index, param = b.nested(), Value(_SIZE, "i"), Value(kind, "reached")
    following = inner.emit("logical_or" if kind == _BOOL else "list_push", step(inner, index, param))[0]
    block = inner.block((index, param), (go, following), "body")
    return b.emit("loop", (count, go, start), blocks=[block], types=(kind,), names=("reached",))[0]
