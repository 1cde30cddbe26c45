"""Derivatives that earlier trips of a loop have taken, where a derivative goes through these trips: they are noted.

In `loss.backward(retain_graph=True); w -= lr * w.grad` each derivative goes through the trips before, which run once
more for it (`earlier_trips.py`), and these have taken derivatives of their own. To the later ones they are constants:
each is added to a list, and a trip that runs again reads it there. What the derivatives of earlier trips went into
without `detach` (`create_graph=True`) is not known so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tracejit.ir.builder import Rebuilder, rebuild
from tracejit.ir.core import Block, Graph, Op, Value, walk
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import TensorType, unsized
from tracejit.transforms.derivatives.packing import SIZE, size_value
from tracejit.transforms.derivatives.vjp import is_renaming


@dataclass
class Records:
    """Which detached derivatives are noted, and where."""

    #: The number of each, and how many there were when it was taken.
    places: dict[Value, tuple[int, Value]] = field(default_factory=dict[Value, tuple[int, Value]])
    #: By the index of a loop: its lists of these, by number, when a trip begins.
    lists: dict[Value, Mapping[int, Value]] = field(default_factory=dict[Value, Mapping[int, Value]])
    params: Sequence[Value] = ()  #: those of the graph, which have its named sizes

    def read(self, loop: Op) -> tuple[Sequence[Op], Collection[Value]]:
        """The ops of a loop with reads of the lists in the place of what makes the derivatives, and these lists."""
        body = loop.block("body")
        lists = self.lists.get(body.params[0], {})
        return (self._block(body, lists).ops, lists.values()) if lists else (body.ops, ())

    def _block(self, block: Block, lists: Mapping[int, Value]) -> Block:
        ops: list[Op] = []
        for op in block.ops:
            if op.results and op.results[0] in self.places:
                (made,) = op.results
                number, count = self.places[made]
                b = Rebuilder(None, {}, op.span)
                shape = made.type.shape if isinstance(made.type, TensorType) else ()
                sizes = [size_value(b, d, self.params) for d in shape]
                ops += b.ops
                op = Op(REGISTRY["list_get"], (lists[number], count, *sizes), {}, (made,), (), op.span)
            elif op.blocks:
                blocks = tuple(self._block(nested, lists) for nested in op.blocks)
                op = Op(op.defn, op.operands, op.attrs, op.results, blocks, op.span)
            ops.append(op)
        return Block(block.params, tuple(ops), block.results, block.label)


def detached(body: Block, gradient: Op) -> list[Value] | None:
    """The results of a derivative, detached; None if something else is done with them."""
    found: list[Value] = []
    waiting = [*gradient.results]
    readers: dict[Value, list[Op]] = {}
    for op in walk(body):
        for v in op.operands:
            readers.setdefault(v, []).append(op)
    ends = {v for op in walk(body) for block in op.blocks for v in block.results} | {*body.results}
    while waiting:
        value = waiting.pop()
        if value in ends:
            return None
        for op in readers.get(value, ()):
            if op.defn is REGISTRY["detach"]:
                found.append(op.results[0])
            elif is_renaming(op):
                waiting.append(op.results[0])
            elif op.name != "dim":
                return None
    return found


def noting(graph: Graph, loops: Collection[Op], values: Sequence[Value]) -> tuple[Graph, Records]:
    """The graph in which outermost loops, given here, note these detached derivatives in their trips."""
    noted = _Noting(loops, values)
    made = rebuild(graph, noted.visit)
    noted.records.params = made.params
    return made, noted.records


class _Noting:
    def __init__(self, loops: Collection[Op], values: Sequence[Value]) -> None:
        self.loops = loops
        self.numbers = {v: i for i, v in enumerate(values)}
        self.values = values
        self.records = Records()
        self.now: dict[int, tuple[Value, Value]] = {}  #: the list and its length, by number, at this place

    def inside(self, op: Op) -> list[int]:
        """The numbers of those that are taken in the blocks of an op."""
        inner = (r for block in op.blocks for o in walk(block) for r in o.results)
        return sorted(self.numbers[r] for r in inner if r in self.numbers)

    def visit(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value] | None:
        if op in self.loops:
            self.now = {i: (self.new_list(b, i), b.constant(0, SIZE)) for i in self.inside(op)}
            found = self.around(b, op, operands)
            self.now = {}
            return found
        if self.now and op.results and op.results[0] in self.numbers:
            return self.note(b, op, operands)
        return self.around(b, op, operands) if self.now and op.blocks and self.inside(op) else None

    def new_list(self, b: Rebuilder, number: int) -> Value:
        return b.emit("list_new", (), {"element": unsized(self.values[number].type)}, names=("taken",))[0]

    def note(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value]:
        """A derivative that is added to its list."""
        number = self.numbers[op.results[0]]
        made = b.copy(op, operands)
        items, count = self.now[number]
        self.records.places[made[0]] = number, count
        self.now[number] = b.emit("list_push", (items, made[0]))[0], (b.wrap(count) + 1).value
        return made

    def around(self, b: Rebuilder, op: Op, operands: tuple[Value, ...]) -> Sequence[Value]:
        """An `if` or a `loop` that hands on the lists."""
        numbers, before = self.inside(op), dict(self.now)
        more = [v for i in numbers for v in before[i]]
        blocks: list[Block] = []
        for block in op.blocks:
            inner = b.nested()
            params = inner.params_like(block.params)
            extra = [Value(v.type, v.name) for v in more] if op.name == "loop" else []
            self.now = dict(before)
            if op.name == "loop":
                self.now.update(_pairs(numbers, extra))
                self.records.lists[params[0]] = {i: pair[0] for i, pair in _pairs(numbers, extra)}
            results = inner.inline(block, params)
            after = [v for i in numbers for v in self.now[i]]
            blocks.append(inner.block((*params, *extra), (*results, *after), block.label))
        like = (*op.results, *(Value(v.type, v.name) for v in more))
        given = (*operands, *more) if op.name == "loop" else operands
        found = b.emit(op.defn, given, op.attrs, blocks=blocks, like=like, mapping=b.mapping, span=op.span)
        self.now = before
        self.now.update(_pairs(numbers, found[len(op.results) :]))
        return found[: len(op.results)]


def _pairs(numbers: Sequence[int], values: Sequence[Value]) -> Iterator[tuple[int, tuple[Value, Value]]]:
    for at, number in enumerate(numbers):
        yield number, (values[2 * at], values[2 * at + 1])
