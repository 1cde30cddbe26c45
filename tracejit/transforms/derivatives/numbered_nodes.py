"""The tape of eager code as numbers: what a `backward()` goes through, where data decides which items of lists that is.

Beside each value that was made of leaves lies the number of its node, beside each list those of its items. A node is
three numbers of one list, the tape: two nodes that it was made of, and a mark. Its own number is its place there. A
`backward()` marks all nodes that lead to its output; the next one looks for marks first. Both cost no more than the
derivative itself.

What one op alone reads, in the same block, is always gone through with what that op makes: it has no node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Op, Value, all_reads
from tracejit.ir.reached import sources
from tracejit.ir.types import BOOL, I64, ListType, ScalarType, Type, is_differentiable
from tracejit.ops.control import gradient_parts
from tracejit.records import record
from tracejit.transforms.derivatives.spent import UNSURE, UnsureError, gradient_of, is_node, told_inside
from tracejit.transforms.derivatives.spent_items import row_beside

_FLAG, _NUMBER = ScalarType(BOOL), ScalarType(I64)
_TAPE = ListType(_NUMBER)

#: The numbers of what was made of no leaf, and of leaves; nodes follow.
_NONE, _LEAF = 0, 3

#: Where the mark of a node is.
_MARK = 2

#: Marks, as bits: a backward() freed it; the look at hand has been there; it stands for what eager code does not free.
_FREED, _SEEN, _JOINS = 1, 2, 4

#: The ops of which numbers of items are known.
_LISTS = {"list_new", "list_push", "list_pop", "list_get", "list_set", "list_part", "list_set_part"}


def with_numbers(body: Block) -> Block:
    """The block with the answers as operands of its `unspent` ops. Raises `UnsureError` for what has no numbers."""
    body = Block(body.params, tuple(map(told_inside, body.ops)), body.results, body.label)
    gradients = [op for op in _own(body) if op.name == "gradient" and op.attrs.get("site", -1) >= 0]
    noted = _Numbered(body, gradients)
    b = Builder()
    noted.begin(b)
    noted.ops(b, body.ops)
    return Block(body.params, tuple(b.ops), body.results, body.label)


#: `(b, number, mark, carried) -> carried` at a node.
_Visit = Callable[[Builder, Value, Value, Sequence[Value]], Sequence[Value]]


@record(eq=False)
class _Made:
    """What a value was made of: the numbers of nodes; `is_node` if it is one of its own."""

    numbers: tuple[Value, ...]
    is_node: bool = False


@dataclass
class _Numbered:
    """Ops with the tape beside them."""

    body: Block
    gradients: Sequence[Op]
    made: dict[Value, _Made] = field(default_factory=dict[Value, _Made])
    rows: dict[Value, Value] = field(default_factory=dict[Value, Value])  #: beside lists
    tape: Value = field(init=False)
    leaf: Value = field(init=False)

    def __post_init__(self) -> None:
        ys: list[Value] = []
        self.leaves = set[Value]()
        for op in self.gradients:
            if not op.attrs.get("whole", False):
                self.refuse(op)  # it leads to some leaves only, or to what is none
            parts = gradient_parts(op)
            ys += parts[0]
            self.leaves |= {*parts[2]}
        pairs = [*_history(self.body)]
        self.reached = _led(((b, a) for a, b in pairs), self.leaves) & _led(pairs, ys)  #: from leaves, to a backward()
        self.alone = self._read_alone(ys)

    def refuse(self, op: Op) -> NoReturn:
        raise UnsureError("gradient", UNSURE, op.span)

    def _read_alone(self, ys: Iterable[Value]) -> set[Value]:
        """The values that one op alone reads, in the block where they are made."""
        readers: dict[Value, list[Op | None]] = {y: [None] for y in ys}
        found = set[Value]()

        def look(block: Block) -> None:
            for op in block.ops:
                for nested in op.blocks:
                    look(nested)
                is_simple = not op.blocks and op.name not in _LISTS
                for v in {*all_reads(op)} & self.reached:
                    readers.setdefault(v, []).append(op if is_simple else None)
            for v in block.results:
                readers.setdefault(v, []).append(None)
            here = set(block.ops)
            for op in block.ops:
                for r in op.results if len(op.results) == 1 else ():
                    if len(by := readers.get(r, [])) == 1 and by[0] in here:
                        found.add(r)

        look(self.body)
        return found

    def begin(self, b: Builder) -> None:
        """Emit the tape at first."""
        self.tape = b.emit("list_new", (), {"element": _NUMBER}, names=("tape",))[0]
        for number in (0, 0, _SEEN | _FREED) * 2:
            self.push(b, b.constant(number, _NUMBER))
        self.leaf = b.constant(_LEAF, _NUMBER)

    def push(self, b: Builder, number: Value) -> None:
        self.tape = b.emit("list_push", (self.tape, number), names=("tape",))[0]

    # -- numbers --------------------------------------------------------------------------------------------------

    def of(self, value: Value) -> _Made:
        """What a value was made of."""
        return _Made((self.leaf,)) if value in self.leaves else self.made.get(value, _Made(()))

    def number(self, b: Builder, value: Value) -> Value:
        """The number of a value."""
        made = self.of(value)
        assert not made.is_node and len(made.numbers) < 2
        return made.numbers[0] if made.numbers else b.constant(_NONE, _NUMBER)

    def join(self, values: Iterable[Value], is_node: bool) -> _Made:
        """What was made of these values."""
        parts = [self.of(v) for v in values]
        numbers = tuple(dict.fromkeys(n for part in parts for n in part.numbers))
        return _Made(numbers, bool(numbers) and (is_node or any(part.is_node for part in parts)))

    def settled(self, b: Builder, made: _Made) -> _Made:
        """Emit a node for it, where it is one or was made of several."""
        numbers = [*made.numbers]
        while len(numbers) > 2:
            numbers = [*numbers[:-2], self.node(b, numbers[-2:], _JOINS)]
        if made.is_node or len(numbers) > 1:
            numbers = [self.node(b, numbers, 0 if made.is_node else _JOINS)]
        return _Made(tuple(numbers))

    def node(self, b: Builder, numbers: Sequence[Value], mark: int) -> Value:
        """Emit a node of one or two others; its number, which is 0 where these are."""
        number = b.emit("list_len", (self.tape,), names=("node",))[0]
        for n in (numbers[0], numbers[-1], b.constant(mark, _NUMBER)):
            self.push(b, n)
        if self.leaf in numbers:
            return number
        some = b.wrap(numbers[0]) + b.wrap(numbers[-1])
        return (b.wrap(number) * b.cast(b.lt(0, some), dtype=I64)).value

    # -- ops ------------------------------------------------------------------------------------------------------

    def ops(self, b: Builder, ops: Sequence[Op]) -> None:
        for at, op in enumerate(ops):
            b.span = op.span
            if op.name == "unspent":
                gradient = gradient_of(op, ops[at:])
                roots = self.outputs(b, gradient)
                told = (self.is_spent(b, roots),) if roots else ()
                b.append_op(Op(op.defn, (*op.operands, *told), op.attrs, op.results, (), op.span))
            elif op.name == "if":
                self.branches(b, op)
            elif op.name == "loop":
                self.loop(b, op)
            else:
                rows = self.taken(b, op)  # the op may take the list over
                b.append_op(op)
                self.results(b, op, rows)
                if op in self.gradients and not op.attrs.get("retain", False):
                    self.free(b, self.outputs(b, op))

    def outputs(self, b: Builder, gradient: Op) -> list[Value]:
        ys = gradient_parts(gradient)[0]
        return list(dict.fromkeys(self.number(b, y) for y in ys if self.of(y).numbers))

    def taken(self, b: Builder, op: Op) -> Sequence[Value]:
        """The numbers beside the lists that an op of lists is about. Raises `UnsureError` for what is unlike lists."""
        if self.reached.isdisjoint(op.results) or op.name not in _LISTS:
            lists = [v for v in (*op.operands, *op.results) if isinstance(v.type, ListType)]
            if not self.reached.isdisjoint(op.results) and not self.reached.isdisjoint(lists):
                self.refuse(op)
            return ()
        return [self.row(b, v) for v in op.operands[:1]]

    def results(self, b: Builder, op: Op, rows: Sequence[Value]) -> None:
        """Note what the results of an op were made of."""
        wanted = [r for r in op.results if r in self.reached]
        if not wanted:
            return
        if op.name in _LISTS:
            self.items(b, op, rows)
            return
        made = self.join(sources(op), is_node(op))
        if len(wanted) > 1 or wanted[0] not in self.alone:
            made = self.settled(b, made)
        self.made.update(dict.fromkeys(wanted, made))

    def items(self, b: Builder, op: Op, rows: Sequence[Value]) -> None:
        """Do to the numbers of items what an op does to a list."""
        made = op.results[0]
        match op.name:
            case "list_new":
                self.rows[made] = b.emit("list_new", (), {"element": _kind(op.attrs["element"])}, names=("nodes",))[0]
            case "list_push" | "list_set":
                operands = (*rows, *op.operands[1:-1], self.beside(b, op.operands[-1]))
                self.rows[made] = b.emit(op.defn, operands, names=("nodes",))[0]
            case "list_set_part":
                self.rows[made] = self.part_set(b, rows[0], op.operands[1], op.operands[2])
            case "list_part":
                self.note(made, self.of_part(b, rows[0], *op.operands[1:]))
            case "list_pop":
                self.rows[made], item = b.emit(op.defn, rows, names=("nodes", "node"))
                self.note(op.results[1], item)
            case _:
                self.note(made, b.emit(op.defn, (*rows, op.operands[1]), names=("node",))[0])

    def part_set(self, b: Builder, row: Value, start: Value, content: Value) -> Value:
        """The numbers of items of which a part was set."""
        inner, number = b.nested(), self.number(b, content)
        i, before, go = Value(_NUMBER, "i"), Value(_TAPE, "nodes"), b.constant(True, _FLAG)
        made = inner.emit("list_set", (before, inner.emit("add", (start, i))[0], number))[0]
        block = inner.block((i, before), (go, made), "body")
        return b.emit("loop", (b.dim_of(content, 0), go, row), blocks=(block,), like=[before])[0]

    def of_part(self, b: Builder, row: Value, start: Value, count: Value) -> Value:
        """The number of what was made of so many items; nodes join those that differ."""
        inner, outer = b.nested(), self.tape
        i, number, tape = Value(_NUMBER, "i"), Value(_NUMBER, "node"), Value(_TAPE, "tape")
        item, zero = inner.emit("list_get", (row, inner.emit("add", (start, i))[0]))[0], b.constant(_NONE, _NUMBER)
        one, other = inner.wrap(item), inner.wrap(number)
        differ = inner.logical_and(inner.ne(one, other), inner.lt(0, inner.minimum(one, other)))
        then, orelse, self.tape = inner.nested(), inner.nested(), tape
        joined = self.node(then, (number, item), _JOINS)
        either = orelse.maximum(orelse.wrap(item), orelse.wrap(number)).value
        blocks = then.block((), (joined, self.tape), "then"), orelse.block((), (either, tape), "else")
        ends = inner.emit("if", (differ.value,), blocks=blocks, types=(_NUMBER, _TAPE), names=("node", "tape"))
        block = inner.block((i, number, tape), (go := b.constant(True, _FLAG), *ends), "body")
        found, self.tape = b.emit("loop", (count, go, zero, outer), blocks=(block,), like=[number, tape])
        return found

    def note(self, value: Value, number: Value) -> None:
        """Note a number, or a row of numbers, beside a value."""
        if isinstance(value.type, ListType):
            self.rows[value] = number
        else:
            self.made[value] = _Made((number,))

    def beside(self, b: Builder, value: Value) -> Value:
        return self.row(b, value) if isinstance(value.type, ListType) else self.number(b, value)

    def row(self, b: Builder, items: Value) -> Value:
        """The numbers of the items of a list; of one that leads to no leaf, as many zeros."""
        if items in self.rows:
            return self.rows[items]
        if _kind(items.type) != _TAPE:
            raise UnsureError("gradient", UNSURE, b.span)
        return row_beside(b, b.emit("list_len", (items,))[0], _NONE, _NUMBER, "nodes")

    # -- branches and loops ---------------------------------------------------------------------------------------

    def branches(self, b: Builder, op: Op) -> None:
        joined = [i for i, r in enumerate(op.results) if r in self.reached]
        before, blocks = self.tape, list[Block]()
        for block in op.blocks:
            inner, self.tape = b.nested(), before
            self.ops(inner, block.ops)
            ends = [self.beside(inner, block.results[i]) for i in joined]
            blocks.append(inner.block((), (*block.results, *ends, self.tape), block.label))
        results = [Value(_kind(op.results[i].type), "node") for i in joined]
        self.tape = Value(_TAPE, "tape")
        every = (*op.results, *results, self.tape)
        b.append_op(Op(op.defn, op.operands, op.attrs, every, tuple(blocks), op.span))
        for i, number in zip(joined, results, strict=True):
            self.note(op.results[i], number)

    def loop(self, b: Builder, op: Op) -> None:
        body = op.block("body")
        carried = [i for i, (p, r) in enumerate(zip(body.params[1:], op.results, strict=True)) if {p, r} & self.reached]
        inits = (*(self.beside(b, op.operands[2 + i]) for i in carried), self.tape)
        params = [Value(_kind(op.results[i].type), "node") for i in carried]
        for i, number in zip(carried, params, strict=True):
            self.note(body.params[1 + i], number)
        inner, self.tape = b.nested(), Value(_TAPE, "tape")
        given = (*params, self.tape)
        self.ops(inner, body.ops)
        ends = (*(self.beside(inner, body.results[1 + i]) for i in carried), self.tape)
        block = inner.block((*body.params, *given), (*body.results, *ends), body.label)
        results = [Value(_kind(op.results[i].type), "node") for i in carried]
        self.tape = Value(_TAPE, "tape")
        every = (*op.results, *results, self.tape)
        b.append_op(Op(op.defn, (*op.operands, *inits), op.attrs, every, (block,), op.span))
        for i, number in zip(carried, results, strict=True):
            self.note(op.results[i], number)

    # -- going through nodes --------------------------------------------------------------------------------------

    def is_spent(self, b: Builder, roots: Sequence[Value]) -> Value:
        """Emit whether a node was freed that leads to these."""
        seen = b.emit("list_new", (), {"element": _NUMBER}, names=("seen",))[0]

        def look(inner: Builder, number: Value, mark: Value, carried: Sequence[Value]) -> Sequence[Value]:
            told = inner.bitand(inner.wrap(mark), _FREED | _JOINS)
            found = inner.logical_or(inner.wrap(carried[0]), inner.eq(told, _FREED))
            return found.value, inner.emit("list_push", (carried[1], number))[0]

        found, seen = self.go(b, roots, _SEEN, (b.constant(False, _FLAG), seen), look)
        count, go = b.emit("list_len", (seen,))[0], b.constant(True, _FLAG)
        inner, index, tape = b.nested(), Value(_NUMBER, "i"), Value(_TAPE, "tape")
        number = inner.emit("list_get", (seen, index))[0]
        place = (inner.wrap(number) + _MARK).value
        mark = inner.wrap(inner.emit("list_get", (tape, place))[0])
        following = inner.emit("list_set", (tape, place, inner.bitand(mark, _FREED | _JOINS).value))[0]
        block = inner.block((index, tape), (inner.constant(True, _FLAG), following), "body")
        self.tape = b.emit("loop", (count, go, self.tape), blocks=[block], types=(_TAPE,), names=("tape",))[0]
        return found

    def free(self, b: Builder, roots: Sequence[Value]) -> None:
        """Emit marks on all nodes that lead to these."""
        if roots:
            self.go(b, roots, _FREED, (), lambda inner, number, mark, carried: ())

    def go(
        self, b: Builder, roots: Sequence[Value], bit: int, inits: Sequence[Value], visit: _Visit
    ) -> Sequence[Value]:
        """Emit a way through all nodes that lead to these and have no such mark, which they get; `visit` emits what is
        done there to what the way carries. Gives what that is in the end."""
        waiting = b.emit("list_new", (), {"element": _NUMBER}, names=("waiting",))[0]
        for root in roots:
            waiting = b.emit("list_push", (waiting, root), names=("waiting",))[0]
        params = [Value(v.type, v.name) for v in (waiting, self.tape, *inits)]
        inner = b.nested()
        rest, number = inner.emit("list_pop", (params[0],))
        place = (inner.wrap(number) + _MARK).value
        mark = inner.emit("list_get", (params[1], place), names=("mark",))[0]
        is_new = inner.eq(inner.bitand(inner.wrap(mark), bit), 0).value
        then, orelse = inner.nested(), inner.nested()
        more, tape = rest, params[1]
        for part in range(2):
            behind = then.emit("list_get", (tape, (then.wrap(number) + part).value))[0]
            more = then.emit("list_push", (more, behind), names=("waiting",))[0]
        tape = then.emit("list_set", (tape, place, (then.wrap(mark) + bit).value), names=("tape",))[0]
        results = (more, tape, *visit(then, number, mark, params[2:]))
        blocks = [then.block((), results, "then"), orelse.block((), (rest, *params[1:]), "else")]
        ends = inner.emit("if", (is_new,), blocks=blocks, types=[p.type for p in params])
        goes_on = inner.lt(0, inner.wrap(inner.emit("list_len", ends[:1])[0])).value
        block = inner.block((Value(_NUMBER, "i"), *params), (goes_on, *ends), "body")
        operands = (b.constant(2**63 - 1, _NUMBER), b.constant(True, _FLAG), waiting, self.tape, *inits)
        found = b.emit("loop", operands, blocks=[block], types=[p.type for p in params], names=[p.name for p in params])
        self.tape = found[1]
        return found[2:]


def _own(block: Block) -> Iterator[Op]:
    """The ops of a block, and those in its branches and loops."""
    for op in block.ops:
        yield op
        for nested in op.blocks if op.name in ("if", "loop") else ():
            yield from _own(nested)


def _history(body: Block) -> Iterator[tuple[Value, Value]]:
    """Pairs of a value and one whose history it has."""
    for op in _own(body):
        match op.name:
            case "if":
                for block in op.blocks:
                    yield from zip(op.results, block.results, strict=True)
            case "loop":
                params, *_ = (b.params[1:] for b in op.blocks)
                for made in (params, op.results):
                    yield from zip(made, op.operands[2:], strict=True)
                    yield from zip(made, op.block("body").results[1:], strict=True)
            case _:
                yield from ((r, v) for r in op.results for v in sources(op))


def _led(pairs: Iterable[tuple[Value, Value]], start: Iterable[Value]) -> set[Value]:
    """What the first of pairs lead to, step by step, of floats alone."""
    following: dict[Value, list[Value]] = {}
    for a, b in pairs:
        following.setdefault(a, []).append(b)
    found, waiting = set[Value](), [*start]
    while waiting:
        value = waiting.pop()
        if value not in found and is_differentiable(value.type):
            found.add(value)
            waiting += following.get(value, ())
    return found


def _kind(type: Type) -> Type:
    """The type of what lies beside a value of some type."""
    return ListType(_kind(type.element)) if isinstance(type, ListType) else _NUMBER
