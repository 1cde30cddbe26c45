"""A second `backward()` through the same values, without `retain_graph`, is a RuntimeError, as in eager code.

What a `gradient` goes through is freed: the ops between its inputs and its output that eager code's tape holds.
`unspent` stands before a `gradient` and is told whether it goes through none that an earlier one freed: whether what
its output was made of and what the output of that one was made of have such an op in common. Ops by number, as bits,
tell that of values in straight code. What an `if` or a `loop` gives was made of what its blocks give, by the path taken
and trip by trip: where that matters, they give truth values more (`truths.py`). A value that was made in an earlier
trip is none that is made in this one, though the same op made both.

A list was made of all its items. Of two items, only what was made outside of the loops that filled their list counts
as common.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Block, Graph, Op, Value, inputs_of, walk
from tracejit.ir.opdef import Pointwise
from tracejit.ir.reached import none_of, sources
from tracejit.ir.types import ListType, is_differentiable
from tracejit.ops.control import gradient_parts
from tracejit.transforms.truths import ALWAYS, NEVER, Facts, Network


def without_unspent(graph: Graph) -> Graph:
    """The graph with the answers in the place of its `unspent` ops."""

    def visit(b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op.name != "unspent":
            return None
        answer = Value(op.results[0].type, "unspent")
        none_of(b, operands, answer)
        return (answer,)

    return rebuild(graph, visit) if any(op.name == "unspent" for op in walk(graph.body)) else graph


def telling_spent(body: Block) -> Block:
    """The block with the answers as operands of its `unspent` ops."""
    if not any(op.name == "unspent" for op in walk(body)):
        return body
    ops = tuple(map(_inside, body.ops))
    body = Block(body.params, ops, body.results, body.label)
    spending = Spending(body)
    asked = {place.op: spending.answer(place) for place in _questions(body)}
    spending.network.settle()
    return Block(body.params, spending.network.rebuilt(ops, asked), body.results, body.label)


@dataclass(frozen=True, slots=True)
class _Place:
    """Before op number `at` of a block, which is one of an `if` or a `loop` at the place `around`."""

    block: Block
    at: int
    around: _Place | None = None

    @property
    def op(self) -> Op:
        return self.block.ops[self.at]

    def end(self, side: int) -> _Place:
        """The end of a branch of the `if` that stands here; the start of the `loop`, and the end of a trip."""
        if self.op.name == "loop" and not side:
            return self
        block = self.op.blocks[side] if self.op.name == "if" else self.op.block("body")
        return _Place(block, len(block.ops), self)


def _questions(block: Block, around: _Place | None = None) -> Iterator[_Place]:
    """Where `unspent` stands."""
    for at, op in enumerate(block.ops):
        place = _Place(block, at, around)
        if op.name == "unspent":
            yield place
        for nested in op.blocks if op.name in ("if", "loop") else ():
            yield from _questions(nested, place)


@dataclass(frozen=True, slots=True)
class _Merge:
    """A value that an `if` or a `loop` gives, or that a loop carries: its number among these."""

    op: Op
    is_param: bool
    index: int
    bit: int
    is_list: bool

    def value(self, side: int) -> Value:
        """What it is by the branch taken; what it is at first, and after a trip."""
        if self.op.name == "if":
            return self.op.blocks[side].results[self.index]
        return self.op.block("body").results[1 + self.index] if side else self.op.operands[2 + self.index]


class _Made:
    """What values were made of: bits of ops, of what `if`s and `loop`s give, and of the inputs of gradients."""

    def __init__(self, body: Block) -> None:
        self.of: dict[Value, int] = {}
        self.count = 0
        self.nodes = 0  #: the bits of ops that a gradient frees
        self.below: dict[int, int] = {}  #: what such an op was given
        self.reads: dict[int, Op] = {}  #: those that read items of lists
        self.merges: dict[int, _Merge] = {}
        self.merged = 0  #: the bits of these
        self.start: dict[Op, int] = {}  #: how many bits there were before a branch or a loop
        self.marks: dict[Value, int] = {}  #: the bits of inputs of gradients
        for op in walk(body):
            if op.name == "gradient" and op.attrs.get("site", -1) >= 0:
                self.marks.update(dict.fromkeys(gradient_parts(op)[2], 0))
        self.index: dict[Op, tuple[Block, int]] = {}  #: the block of a branch or a loop, and its number there
        self.define(body.params, 0)
        self.ops(body)
        self.counting = self.with_ops()  #: the bits of such ops, and of merged values that they made

    def bit(self) -> int:
        self.count += 1
        return 1 << (self.count - 1)

    def define(self, values: Sequence[Value], made: int) -> None:
        for v in values:
            self.of[v] = made if is_differentiable(v.type) else 0
            if v in self.marks:
                self.marks[v] = self.bit()
                self.of[v] |= self.marks[v]

    def ops(self, block: Block) -> None:
        for at, op in enumerate(block.ops):
            if op.name in ("if", "loop"):
                self.start[op], self.index[op] = self.count, (block, at)
                (self.branches if op.name == "if" else self.loop)(op)
                continue
            made = 0
            for v in sources(op):
                made |= self.of.get(v, 0)
            if made and _is_node(op):
                if op.name == "list_get":
                    self.reads[self.count] = op
                self.below[self.count] = made
                bit = self.bit()
                self.nodes |= bit
                made |= bit
            self.define(op.results, made)

    def branches(self, op: Op) -> None:
        for block in op.blocks:
            self.ops(block)
        for i, r in enumerate(op.results):
            self.merge(r, op, False, i, [self.of.get(block.results[i], 0) for block in op.blocks])

    def loop(self, op: Op) -> None:
        body = op.block("body")
        following = [0] * len(op.results)
        while True:
            self.count = self.start[op]
            self.nodes, self.merged = self.before(self.nodes, op), self.before(self.merged, op)
            for i, (p, init) in enumerate(zip(body.params[1:], op.operands[2:], strict=True)):
                self.merge(p, op, True, i, [self.of.get(init, 0), following[i]])
            self.ops(body)
            found = [self.of.get(v, 0) for v in body.results[1:]]
            pairs = list(zip(found, following, strict=True))
            following = found
            if all(bool(a) == bool(b) and self.before(a, op) == self.before(b, op) for a, b in pairs):
                break
        for i, (r, init) in enumerate(zip(op.results, op.operands[2:], strict=True)):
            self.merge(r, op, False, i, [self.of.get(init, 0), following[i]])

    def merge(self, value: Value, op: Op, is_param: bool, index: int, made: Sequence[int]) -> None:
        """Note a value that is one of several, which were made of these."""
        every = 0
        if is_differentiable(value.type) and any(made):
            is_list = isinstance(value.type, ListType)
            number, every = self.count, self.bit()
            self.merges[number] = _Merge(op, is_param, index, every, is_list)
            self.merged |= every
            if is_list:
                for each in made:
                    every |= self.before(each, op)
        self.define((value,), every)

    def with_ops(self) -> int:
        found, before = self.nodes, 0
        while found != before:
            before = found
            for number in _numbers(self.merged & ~found):
                merge = self.merges[number]
                if (self.of.get(merge.value(0), 0) | self.of.get(merge.value(1), 0)) & found:
                    found |= merge.bit
        return found

    def last(self, made: int) -> list[_Merge]:
        """What the last branch or loop gave of what something was made of, or what the last loop around carries."""
        merged = made & self.merged
        if not merged:
            return []
        first = self.merges[merged.bit_length() - 1]
        found = (self.merges[n] for n in _numbers(self.since(merged, first.op)))
        return [m for m in found if m.op is first.op and m.is_param == first.is_param]

    def before(self, made: int, op: Op) -> int:
        """What something was made of before an `if` or a `loop`."""
        return made & ((1 << self.start[op]) - 1)

    def since(self, made: int, op: Op) -> int:
        return made & ~((1 << self.start[op]) - 1)


class Spending:
    """Asks a network what is spent where."""

    def __init__(self, body: Block) -> None:
        self.made = _Made(body)
        self.network = Network()
        self.events: dict[Block, list[int]] = {}
        self.asked: dict[tuple[int, ...], Facts] = {}

    def answer(self, place: _Place) -> Facts:
        """What is true if what a gradient goes through was spent before."""
        gradient = gradient_of(place.op, place.block.ops[place.at :])
        return self.spent(self.through(gradient), place, self.inputs(gradient))

    def through(self, gradient: Op) -> int:
        """What a gradient goes through was made of, but for what all its inputs were made of: that leads to none."""
        ys, _, xs = gradient_parts(gradient)
        behind = self.made.of.get(xs[0], 0) if xs else 0
        for x in xs[1:]:
            behind &= self.made.of.get(x, 0)
        return self.all_of(ys) & ~behind

    def all_of(self, values: Sequence[Value]) -> int:
        made = 0
        for v in values:
            made |= self.made.of.get(v, 0)
        return made

    def inputs(self, gradient: Op) -> int:
        found = 0
        for x in gradient_parts(gradient)[2]:
            found |= self.made.marks[x]
        return found

    def freeing(self, block: Block) -> list[int]:
        """The numbers of the ops of a block that free something, or have such in them."""
        if block not in self.events:
            self.events[block] = [at for at, op in enumerate(block.ops) if self.frees(op)]
        return self.events[block]

    def frees(self, op: Op) -> bool:
        if op.name in ("if", "loop"):
            return any(self.freeing(block) for block in op.blocks)
        return op.name == "gradient" and op.attrs.get("site", -1) >= 0 and not op.attrs.get("retain", False)

    def spent(self, made: int, place: _Place, inputs: int) -> Facts:
        """Whether something that was made, and leads to these inputs, is spent at a place."""
        found, made = NEVER, made & self.made.counting
        while made:
            merges = self.made.last(made)
            latest = self.latest(place, merges)
            is_around = latest is None
            latest = place.around if latest is None else latest
            if latest is None:
                break
            place, op = latest, latest.op
            if op.name == "gradient":
                found |= self.common(made, self.through(op), (inputs, self.inputs(op)))
                continue
            for merge in merges:
                if merge.op is op:

                    def of_merge(side: int, merge: _Merge = merge, place: _Place = place) -> Facts:
                        return self.spent(self.of(merge, side), place.end(side), inputs)

                    found |= self.network.depends(op, is_around, ("spent", merge.index, inputs), of_merge)
            made = self.made.before(made, op)
            if made and self.frees(op) and not (is_around and op.name == "if"):
                return found | self.spent_before(made, place, is_around, inputs)
        return found

    def spent_before(self, made: int, place: _Place, is_around: bool, inputs: int) -> Facts:
        """Whether something that was made before a branch or a loop is spent in it or behind it."""
        key = ("spent before", made, inputs)
        return self.network.depends(place.op, is_around, key, lambda side: self.spent(made, place.end(side), inputs))

    def latest(self, place: _Place, merges: Sequence[_Merge]) -> _Place | None:
        """The last op of the block, before a place, that frees something or gave one of these."""
        numbers = self.freeing(place.block)
        found = bisect_left(numbers, place.at) - 1
        at = numbers[found] if found >= 0 else -1
        if merges and not merges[0].is_param:
            block, given = self.made.index[merges[0].op]
            at = max(at, given) if block is place.block else at
        return None if at < 0 else _Place(place.block, at, place.around)

    def common(self, one: int, other: int, inputs: tuple[int, int]) -> Facts:
        """Whether two things that were made have an op in common which leads to inputs of both of two gradients."""
        one, other = one & self.made.counting, other & self.made.counting
        key = (*sorted((one, other)), *sorted(inputs))
        if key not in self.asked:
            self.asked[key] = self._common(one, other, inputs)
        return self.asked[key]

    def _common(self, one: int, other: int, inputs: tuple[int, int]) -> Facts:
        found = NEVER
        for number in _numbers(one & other & self.made.nodes):
            below = self.made.below[number]
            found |= self.network.both(*(self.leads(below, xs) for xs in inputs))
            if found & ALWAYS:
                return found
        while merges := self.made.last(one | other):
            op = merges[0].op
            ours, theirs = ([m for m in merges if m.bit & made] for made in (one, other))
            one, other = self.made.before(one, op), self.made.before(other, op)
            found = found.union(
                *(self.common_with(m, other, inputs) for m in ours if other),
                *(self.common_with(m, one, inputs) for m in theirs if one),
                *(self.common_of(m, n, inputs) for m in ours for n in theirs if not (m.is_list and n.is_list)),
            )
        return found

    def common_with(self, merge: _Merge, made: int, inputs: tuple[int, int]) -> Facts:
        key = ("common with", merge.index, made, *sorted(inputs))
        return self.network.depends(
            merge.op, merge.is_param, key, lambda side: self.common(self.of(merge, side), made, inputs)
        )

    def common_of(self, one: _Merge, other: _Merge, inputs: tuple[int, int]) -> Facts:
        key = ("common", *sorted((one.index, other.index)), *sorted(inputs))
        return self.network.depends(
            one.op,
            one.is_param,
            key,
            lambda side: self.common(self.of(one, side), self.of(other, side), inputs),
        )

    def leads(self, made: int, inputs: int) -> Facts:
        """Whether something was made of one of these inputs."""
        if made & inputs:
            return ALWAYS
        found = NEVER
        while merges := self.made.last(made):
            for m in merges:
                found |= self.network.depends(
                    m.op, m.is_param, ("leads", m.index, inputs), lambda side, m=m: self.leads(self.of(m, side), inputs)
                )
            made = self.made.before(made, merges[0].op)
        return found

    # -- items of lists -----------------------------------------------------------------------------------------

    def reads(self, gradient: Op) -> Iterator[tuple[Op, bool]]:
        """The reads of lists that a gradient goes through, and whether its path and trip are known for each."""
        made, seen, is_direct = self.through(gradient), 0, True
        while made:
            numbers = _numbers(made & self.made.nodes)
            yield from ((self.made.reads[n], is_direct) for n in numbers if n in self.made.reads)
            merges = [self.made.merges[n] for n in _numbers(made & self.made.merged & ~seen)]
            seen |= made
            made, is_direct = 0, False
            for merge in (m for m in merges if not m.is_list):
                made |= self.of(merge, 0) | self.of(merge, 1)

    def are_related(self, one: Value, other: Value) -> bool:
        """Whether two lists may have items that were made of items of one list."""
        return bool(self.lists_of(one) & self.lists_of(other))

    def lists_of(self, lst: Value) -> int:
        made = self.made.of.get(lst, 0) & self.made.merged
        return sum(1 << n for n in _numbers(made) if self.made.merges[n].is_list)

    def may_share(self, lst: Value) -> bool:
        """Whether two items of a list may have an op in common that was made where the list was filled."""
        found = self.two_items(self.made.of.get(lst, 0))
        self.network.settle()
        return self.network.simple(found) != NEVER

    def two_items(self, made: int, outermost: Op | None = None) -> Facts:
        """Whether two items of lists that something was made of have such an op in common; `outermost` is the first
        of the loops around that fill the lists."""
        found, every, whole = NEVER, self.all_marks(), made
        while merges := self.made.last(made):
            op = merges[0].op
            first = outermost or op
            for m in (m for m in merges if m.is_list):
                # Inside of a loop, what branches and loops behind its beginning gave was added too.
                added = self.made.since(whole if m.is_param else made, op) & ~m.bit
                key = ("two items", m.index, self.made.start[first])
                found |= self.network.depends(
                    op, m.is_param, key, lambda side, m=m, first=first: self.two_items(self.of(m, side), first)
                )
                around = self.made.since(self.added_from_around(m), first) if m.is_param else 0
                found |= self.common(added | around, m.bit, (every, every))
                reads = (self.made.reads[n] for n in _numbers(added & self.made.nodes) if n in self.made.reads)
                if not all(m.is_param and self.reads_others(op, read) for read in reads):
                    found |= ALWAYS
            made = self.made.before(made, op)
        return found

    def added_from_around(self, merge: _Merge) -> int:
        """What items that a trip of a loop adds to a list it carries were made of before the loop."""
        param, every, found = merge.op.block("body").params[1 + merge.index], self.of(merge, 1), 0
        for op in walk(merge.op.block("body")):
            if op.name == "list_push" and op.operands[0].type == param.type:
                made = self.made.before(self.made.of.get(op.operands[1], 0), merge.op)
                found |= made if not made & ~every else 0  # others go to another list
        return found

    def reads_others(self, loop: Op, read: Op) -> bool:
        """Whether each trip of a loop reads another item of a list from outside of it."""
        lst, index, *_ = read.operands
        body, made = loop.block("body"), self.made.of[lst]
        makers, varying = {r: op for op in body.ops for r in op.results}, set(body.params)
        for op in body.ops:
            if not varying.isdisjoint(inputs_of(op)):
                varying.update(op.results)
        while index is not body.params[0]:
            op = makers.get(index)
            moving = [v for v in op.operands if v in varying] if op is not None else []
            if op is None or not op.defn.factor or len(moving) != 1:  # sums and differences have one
                return False
            index = moving[0]
        return made == self.made.before(made, loop)

    def all_marks(self) -> int:
        found = 0
        for bit in self.made.marks.values():
            found |= bit
        return found

    def of(self, merge: _Merge, side: int) -> int:
        return self.made.of.get(merge.value(side), 0)


def gradient_of(asked: Op, ops: Sequence[Op]) -> Op:
    """The gradient that a question is about."""
    site = asked.attrs["site"]
    return next(op for op in walk(Block((), tuple(ops), ())) if op.name == "gradient" and op.attrs["site"] == site)


def _inside(op: Op) -> Op:
    """The op with the answers in blocks that stand for themselves."""
    if not any(inner.name == "unspent" for block in op.blocks for inner in walk(block)):
        return op
    is_ours = op.name in ("if", "loop")
    blocks = tuple(
        Block(block.params, tuple(map(_inside, block.ops)), block.results, block.label)
        if is_ours
        else telling_spent(block)
        for block in op.blocks
    )
    return Op(op.defn, op.operands, op.attrs, op.results, blocks, op.span)


def _numbers(made: int) -> Iterator[int]:
    """The numbers of bits, last first."""
    while made:
        number = made.bit_length() - 1
        yield number
        made ^= 1 << number


def _is_node(op: Op) -> bool:
    """Whether an op is a call on the tape of eager code that keeps something: no reading of a view."""
    lower = op.defn.lower
    is_view = isinstance(lower, Pointwise) and lower.view != ""
    gives_list = any(isinstance(r.type, ListType) for r in op.results[:1])
    return bool(op.results) and not is_view and op.defn.stands_for is None and not gives_list
