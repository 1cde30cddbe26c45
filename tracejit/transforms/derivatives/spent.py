"""A second `backward()` through the same values, without `retain_graph`, is a RuntimeError, as in eager code.

What a `gradient` goes through is freed: the ops between its inputs and its output that eager code's tape holds.
`unspent` stands before a `gradient` and is told whether it goes through none that an earlier one freed: whether what
its output was made of and what the output of that one was made of have such an op in common. Ops by number, as bits,
tell that of values in straight code. What an `if` or a `loop` gives was made of what its blocks give, by the path taken
and trip by trip: where that matters, they give truth values more (`truths.py`). A value that was made in an earlier
trip is none that is made in this one, though the same op made both.

A list was made of what all its items were made of, and of the list before its last item was added and that item: what
only some items were made of is not known to be spent, and a second `backward()` through it is refused. Whether two
items of one list have something in common is asked apart (`may_share`), as is which are spent (`spent_items.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from tracejit.errors import NotDifferentiable
from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Block, Graph, Op, Value, inputs_of, walk
from tracejit.ir.opdef import Pointwise
from tracejit.ir.reached import none_of, sources
from tracejit.ir.types import ListType, is_differentiable
from tracejit.ops.control import gradient_parts
from tracejit.transforms.derivatives.truths import ALWAYS, NEVER, Facts, Network


class UnsureError(NotDifferentiable):
    """It is not known which items of lists a derivative goes through, or what these have in common."""


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
    ops = tuple(map(told_inside, body.ops))
    body = Block(body.params, ops, body.results, body.label)
    spending = Spending(body)
    asked = {place.op: spending.answer(place) for place in _questions(body)}
    spending.network.settle()
    for place in _questions(body):
        if not spending.network.is_sure(asked[place.op]):
            raise UnsureError("gradient", UNSURE, gradient_of(place.op, place.block.ops[place.at :]).span)
    return Block(body.params, spending.network.rebuilt(ops, asked), body.results, body.label)


UNSURE = (
    "it goes through items of a list, and an earlier backward() went through items that may be the same or have parts "
    "in common with them: take the gradient of their sum, or pass retain_graph=True"
)

_ALL = -1  #: every op: of an empty list


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
    """A value that an `if` or a `loop` gives, or that a loop carries, or a list with one item more: its number among
    these."""

    op: Op
    is_param: bool
    index: int
    bit: int
    is_list: bool

    @property
    def is_addition(self) -> bool:
        return self.op.name not in ("if", "loop")

    def value(self, side: int) -> Value:
        """What it is by the branch taken; what it is at first, and after a trip; the list before and the item."""
        if self.is_addition:
            return self.op.operands[-1 if side else 0]
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
        self.sure: dict[Value, int] = {}  #: what all items of a list were made of; ALL of one that has none
        self.start: dict[Op, int] = {}  #: how many bits there were before a branch, a loop or an addition to a list
        self.marks: dict[Value, int] = {}  #: the bits of inputs of gradients
        for op in walk(body):
            if op.name == "gradient" and op.attrs.get("site", -1) >= 0:
                self.marks.update(dict.fromkeys(gradient_parts(op)[2], 0))
        self.index: dict[Op, tuple[Block, int]] = {}  #: the block of such an op, and its number there
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
            if _adds(op):
                self.start[op], self.index[op] = self.count, (block, at)
                made = [self.of.get(v, 0) for v in (op.operands[0], op.operands[-1])]
                self.merge(op.results[0], op, False, 0, made, self.sure_of(op.operands[0]) & made[1])
                continue
            made = 0
            for v in () if op.attrs.get("made", False) else sources(op):  # eager code's tape ends at a leaf
                made |= self.of.get(v, 0)
            if op.name == "list_new":
                self.sure[op.results[0]] = _ALL
            elif op.name == "list_pop":
                self.define(op.results[:1], made)
                self.sure[op.results[0]] = self.sure_of(op.operands[0])
            if made and is_node(op):
                if op.name in ("list_get", "list_pop", "list_part"):
                    self.reads[self.count] = op
                self.below[self.count] = made
                bit = self.bit()
                self.nodes |= bit
                made |= bit
            self.define(op.results[op.name == "list_pop" :], made)

    def branches(self, op: Op) -> None:
        for block in op.blocks:
            self.ops(block)
        for i, r in enumerate(op.results):
            sure = _ALL
            for block in op.blocks:
                sure &= self.sure_before(block.results[i], op)
            self.merge(r, op, False, i, [self.of.get(block.results[i], 0) for block in op.blocks], sure)

    def loop(self, op: Op) -> None:
        body = op.block("body")
        following, sure = [0] * len(op.results), [_ALL] * len(op.results)
        while True:
            self.count = self.start[op]
            self.nodes, self.merged = self.before(self.nodes, op), self.before(self.merged, op)
            self.reads = {number: read for number, read in self.reads.items() if number < self.count}
            for i, (p, init) in enumerate(zip(body.params[1:], op.operands[2:], strict=True)):
                self.merge(p, op, True, i, [self.of.get(init, 0), following[i]], self.sure_before(init, op) & sure[i])
            self.ops(body)
            found = [self.of.get(v, 0) for v in body.results[1:]]
            pairs, before = list(zip(found, following, strict=True)), sure
            following, sure = found, [self.sure_before(v, op) for v in body.results[1:]]
            if sure == before and all(
                bool(a) == bool(b) and self.before(a, op) == self.before(b, op) for a, b in pairs
            ):
                break
        for i, (r, init) in enumerate(zip(op.results, op.operands[2:], strict=True)):
            self.merge(r, op, False, i, [self.of.get(init, 0), following[i]], self.sure_before(init, op) & sure[i])

    def merge(self, value: Value, op: Op, is_param: bool, index: int, made: Sequence[int], sure: int) -> None:
        """Note a value that is one of several, which were made of these; of a list what all items were made of."""
        every, is_list = 0, isinstance(value.type, ListType)
        if is_differentiable(value.type) and any(made):
            number, every = self.count, self.bit()
            self.merges[number] = _Merge(op, is_param, index, every, is_list)
            self.merged |= every
            if is_list and sure != _ALL:
                every |= sure
        self.define((value,), every)
        if is_list:
            self.sure[value] = sure

    def sure_of(self, value: Value) -> int:
        """What all items of a list were made of."""
        return self.sure.get(value, self.of.get(value, 0))

    def sure_before(self, value: Value, op: Op) -> int:
        sure = self.sure_of(value)
        return sure if sure == _ALL else self.before(sure, op)

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
        self.lists: dict[int, int] = {}  #: by what something was made of, the lists of whose items it may be made

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
            if _adds(op):
                made = self.made.before(made, op) | self.of(merges[0], 0) | self.of(merges[0], 1)
                made &= self.made.counting
                continue
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
                *(self.common_of(m, n, inputs) for m in ours for n in theirs if not (m is n and m.is_list)),
            )
        return found

    def common_with(self, merge: _Merge, made: int, inputs: tuple[int, int]) -> Facts:
        key = ("common with", merge.index, made, *sorted(inputs))
        found = self.depends(merge, key, lambda side: self.common(self.of(merge, side), made, inputs))
        return self.network.unsure(found) if merge.is_list else found

    def depends(self, merge: _Merge, key: Hashable, question: Callable[[int], Facts]) -> Facts:
        """What is so of one of the sides of a merge; of a list with one item more, what is so of either."""
        if merge.is_addition:
            return self.network.either(merge.op, key, question)
        return self.network.depends(merge.op, merge.is_param, key, question)

    def common_of(self, one: _Merge, other: _Merge, inputs: tuple[int, int]) -> Facts:
        key = ("common", *sorted((one.index, other.index)), *sorted(inputs))
        found = self.depends(one, key, lambda side: self.common(self.of(one, side), self.of(other, side), inputs))
        return self.network.unsure(found) if one.is_list or other.is_list else found

    def leads(self, made: int, inputs: int) -> Facts:
        """Whether something was made of one of these inputs."""
        if made & inputs:
            return ALWAYS
        found = NEVER
        while merges := self.made.last(made):
            for m in merges:
                key = ("leads", m.index, inputs)
                found |= self.depends(m, key, lambda side, m=m: self.leads(self.of(m, side), inputs))
            made = self.made.before(made, merges[0].op)
        return found

    # -- items of lists -----------------------------------------------------------------------------------------

    def reads(self, gradient: Op) -> Iterator[tuple[Op, bool]]:
        """The reads of lists that a gradient goes through, and whether its path and trip are known for each."""
        return self.reads_in(self.through(gradient))

    def reads_in(self, made: int) -> Iterator[tuple[Op, bool]]:
        seen, is_direct = 0, True
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
        return bool(self.lists_of(self.made.of.get(one, 0)) & self.lists_of(self.made.of.get(other, 0)))

    def lists_of(self, made: int) -> int:
        """The bits of the lists of whose items something may have been made."""
        if made not in self.lists:
            found, waiting = 0, made & self.made.merged
            while waiting:
                number = waiting.bit_length() - 1
                merge, found = self.made.merges[number], found | 1 << number
                waiting = (waiting | self.of(merge, 0) | self.of(merge, 1)) & self.made.merged & ~found
            self.lists[made] = sum(1 << n for n in _numbers(found) if self.made.merges[n].is_list)
        return self.lists[made]

    def may_share(self, lst: Value) -> bool:
        """Whether two items of a list may have an op in common that not all its items were made of."""
        sure = self.made.sure_of(lst)
        found = self.two_items(self.made.of.get(lst, 0), 0 if sure == _ALL else sure)
        self.network.settle()
        return self.network.simple(found) != NEVER

    def two_items(self, made: int, sure: int) -> Facts:
        """Whether two items of a list have an op in common but for those that all items were made of."""
        found, every = NEVER, self.all_marks()
        while (merge := self.latest_merge(made)) is not None:
            if not merge.is_addition:
                key = ("two items", merge.index, sure)
                return found | self.depends(merge, key, lambda side, m=merge: self.two_items(self.of(m, side), sure))
            made, item = (self.of(merge, side) & ~sure for side in range(2))
            found |= self.common(made, item, (every, every))
            if any(not is_direct or self.may_take_again(made, read) for read, is_direct in self.reads_in(item)):
                found |= ALWAYS
        return found

    def latest_merge(self, made: int) -> _Merge | None:
        return self.made.merges.get((made & self.made.merged).bit_length() - 1)

    def may_take_again(self, made: int, read: Op) -> bool:
        """Whether the item that is read for a list may be one that its items before were made of."""
        merge = self.latest_merge(made)
        if merge is None:
            return False
        is_first = not self.lists_of(self.of(merge, 0)) & self.lists_of(self.made.of[read.operands[0]])
        return not (is_first and merge.is_param and self.reads_others(merge.op, read))

    def reads_others(self, loop: Op, read: Op) -> bool:
        """Whether each trip of a loop reads another item of a list from outside of it."""
        if read.name != "list_get":
            return False
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


def told_inside(op: Op) -> Op:
    """The op with the answers in blocks that stand for themselves."""
    if not any(inner.name == "unspent" for block in op.blocks for inner in walk(block)):
        return op
    is_ours = op.name in ("if", "loop")
    blocks = tuple(
        Block(block.params, tuple(map(told_inside, block.ops)), block.results, block.label)
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


def _adds(op: Op) -> bool:
    """Whether an op adds an item, its last operand, to a list, its first."""
    kinds = [v.type for v in (*op.results[:1], *op.operands[:1])]
    return (
        len(op.operands) > 1 and all(isinstance(t, ListType) for t in kinds) and is_differentiable(op.operands[-1].type)
    )


def is_node(op: Op) -> bool:
    """Whether an op is a call on the tape of eager code that keeps something: no reading of a view."""
    lower = op.defn.lower
    is_view = isinstance(lower, Pointwise) and lower.view != ""
    gives_list = any(isinstance(r.type, ListType) for r in op.results[:1]) and op.name != "list_pop"
    return bool(op.results) and not is_view and op.defn.stands_for is None and not gives_list
