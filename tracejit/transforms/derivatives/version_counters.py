"""Whether what a derivative needs was changed in place, where the path decides: by version counters, as in eager code.

Beside a memory that may be written lies the number of its writes so far; beside each value that may have saved what it
held, that number as it was at the first such save. The two are equal as long as nothing that was saved is replaced.
Programs in which no write can come between a save and the derivative, or one certainly does, have no such numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import mul

from tracejit.errors import NotDifferentiable
from tracejit.ir.builder import Builder, Handle
from tracejit.ir.core import Block, Op, Value, walk
from tracejit.ir.reached import any_of
from tracejit.ir.types import BOOL, I64, ListType, ScalarType, Type
from tracejit.transforms.derivatives.contents import Contents, Kill, handed_on
from tracejit.transforms.derivatives.saved_contents import Counted, Save, SavedContents, history, is_made_behind_writes
from tracejit.transforms.derivatives.spent_items import row_beside
from tracejit.transforms.derivatives.stored_arrays import is_write

MAY_CHANGE = "an array that it needs may be changed in place meanwhile: work on a clone(), or change it before"

_FLAG, _NUMBER = ScalarType(BOOL), ScalarType(I64)

#: The number beside what has saved nothing.
_NEVER = 1 << 62

#: What can be done to a list of which items have numbers.
_LISTS = {"list_new", "list_push", "list_pop", "list_get", "list_set"}


def telling_changes(body: Block) -> Block:
    """The block with the answers about contents that are replaced as operands of its `intact` ops. Raises
    `NotDifferentiable` where memories are one array or another."""
    told = set[int]()
    while asked := next((op for op in walk(body) if op.name == "intact" and op.attrs["site"] not in told), None):
        site = asked.attrs["site"]
        told.add(site)
        gradient = next((op for op in walk(body) if op.name == "gradient" and op.attrs.get("site") == site), None)
        if gradient is None or is_made_behind_writes(body, asked, gradient):
            continue
        contents = Contents(body)
        saved = SavedContents(body, contents, asked, gradient)
        stale = saved.found.stale
        if any(stale.values()):
            body = _Counting(saved, ()).told()
        elif stale:
            keys = [key for key in stale if key is not None and contents.is_one_array(key[0])]
            if len(keys) < len(stale):
                raise NotDifferentiable(gradient.name, MAY_CHANGE, gradient.span)
            body = _Counting(saved, keys).told()
    return body


class _Counting:
    """A program with numbers beside it of memories of which a whole or a part may have been saved; with none of them,
    the derivative certainly needs what was replaced."""

    def __init__(self, saved: SavedContents, keys: Sequence[Counted]) -> None:
        self.saved = saved
        self.contents = saved.contents
        self.keys = keys
        self.holding = {key: self._led_to_by(key) for key in keys}
        self.versions: dict[Counted, Value] = {}
        self.numbers: dict[tuple[Counted, Value], Value] = {}
        self.homes: dict[Block, list[Counted]] = {}
        for key in keys:
            self.homes.setdefault(self._home(self.contents.origin(key[0])), []).append(key)

    def told(self) -> Block:
        """The program with the answer."""
        body, b = self.saved.root, Builder()
        self.begin(b, body)
        self.ops(b, body.ops)
        return Block(body.params, tuple(b.ops), body.results, body.label)

    def _home(self, origin: Value) -> Block:
        """The block that defines a value."""
        block = self.saved.root
        while inner := [n for op in block.ops for n in op.blocks if origin in self.contents.values_in(n)]:
            block = inner[0]
        return block

    def _led_to_by(self, key: Counted) -> set[Value]:
        """The values that may have saved something of a memory."""
        following: dict[Value, list[Value]] = {}
        waiting: list[Value] = []
        for op in walk(self.saved.root):
            for new, old in handed_on(op):
                following.setdefault(old, []).append(new)
            for old in history(op) if not op.blocks else ():
                following.setdefault(old, []).extend(op.results)
            if self.saved_by(op, key):
                waiting += op.results
        found = set[Value]()
        while waiting:
            if (value := waiting.pop()) in self.saved.through and value not in self.saved.xs and value not in found:
                found.add(value)
                waiting += following.get(value, ())
        return found

    def saved_by(self, op: Op, key: Counted) -> list[Save]:
        """What an op saves of a memory."""
        memory, is_part = key
        found = [
            s
            for s in self.saved.saves.get(op, ())
            if s.is_part == is_part and self.contents.memory(s.content) is memory
        ]
        if not is_part and is_write(op) and self.contents.memory(op.results[0]) is memory:
            found += [Save(op.results[0], by) for by in (self.saved.saved_result(op),) if by]
        return found

    # -- ops ------------------------------------------------------------------------------------------------------

    def begin(self, b: Builder, block: Block) -> None:
        """Begin to count what is written to the arrays that a block makes."""
        for key in self.homes.get(block, ()):
            self.versions[key] = b.constant(0, _NUMBER)

    def ops(self, b: Builder, ops: Sequence[Op]) -> None:
        for op in ops:
            b.span = op.span
            if op is self.saved.asked:
                b.append_op(Op(op.defn, tuple(self.answers(b)), op.attrs, op.results, (), op.span))
            elif op.name in ("if", "loop") and self.matters(op):
                (self.branches if op.name == "if" else self.loop)(b, op)
            else:
                self.op(b, op)

    def answers(self, b: Builder) -> Iterable[Value]:
        if not self.keys:
            yield b.constant(False, _FLAG)
        for key in self.keys:
            for y in self.saved.ys:
                if y in self.holding[key]:
                    yield b.emit("le", (self.versions[key], self.number(b, key, y)), names=("intact",))[0]

    def matters(self, op: Op) -> bool:
        """Whether there is something to count in a branch or a loop, or to tell of what it gives."""
        inner = [o for block in op.blocks for o in walk(block)]
        return (
            self.saved.asked in inner
            or any(self.kills(o, key) for o in inner for key in self.keys)
            or any(v in held for held in self.holding.values() for o in (op, *inner) for v in o.results)
        )

    def kills(self, op: Op, key: Counted) -> Kill | None:
        """What an op replaces of a memory: of one of which parts were saved only the whole."""
        kill = self.contents.kills.get(op)
        if kill is None or self.contents.memory(kill.content) is not key[0] or (kill.is_part and key[1]):
            return None
        return kill

    def op(self, b: Builder, op: Op) -> None:
        told = [key for key in self.versions if any(r in self.holding[key] for r in op.results)]
        rows = {key: self.row(b, key, op.operands[0]) for key in told if _is_of_list(op) and op.operands}
        b.append_op(op)
        for key in self.versions:
            if (kill := self.kills(op, key)) is not None:
                self.versions[key] = self.counted(b, key, kill)
        for key in told:
            if _is_of_list(op):
                self.items(b, key, op, rows.get(key))
                continue
            found = [self.number(b, key, v) for v in history(op) if (key, v) in self.numbers]
            found += [self.present(b, key, save) for save in self.saved_by(op, key)]
            if found:
                first, *more = found
                for number in more:
                    first = b.emit("minimum", (first, number), names=("saved",))[0]
                self.numbers.update(((key, r), first) for r in op.results if r in self.holding[key])

    def counted(self, b: Builder, key: Counted, kill: Kill) -> Value:
        """The version of a memory after a write."""
        one = b.constant(1, _NUMBER)
        if kill.flag is not None:
            one = b.emit("cast", (kill.flag,), {"dtype": I64})[0]
        elif kill.written is not None:
            one = _is_there(b, kill.written).value
        return b.emit("add", (self.versions[key], one), names=("version",))[0]

    def present(self, b: Builder, key: Counted, save: Save) -> Value:
        """The number of what is saved now, if it has elements and is saved for what leads to a leaf."""
        version = b.wrap(self.versions[key])
        never = b.wrap(b.constant(_NEVER, _NUMBER))
        if not any(map(self.saved.leads, save.by)):
            some = any_of(b, [b.emit("leads", (v, *self.saved.xs), names=("reached",))[0] for v in save.by])
            assert isinstance(some, Value)
            version = b.select(b.wrap(some), version, never)
        if save.part is not None and save.may_be_nothing:
            version = b.select(b.gt(_is_there(b, save.part), 0), version, never)
        return version.value

    def number(self, b: Builder, key: Counted, value: Value) -> Value:
        """The number beside a value."""
        found = self.numbers.get((key, value))
        return b.constant(_NEVER, _NUMBER) if found is None else found

    # -- lists ----------------------------------------------------------------------------------------------------

    def items(self, b: Builder, key: Counted, op: Op, row: Value | None) -> None:
        """Do to the numbers beside a list what an op does to the list."""
        match op.name:
            case "list_new":
                numbers = [b.emit("list_new", (), {"element": _NUMBER}, names=("saved",))[0]]
            case "list_push" | "list_set":
                assert row is not None
                operands = (row, *op.operands[1:-1], self.number(b, key, op.operands[-1]))
                numbers = list(b.emit(op.defn, operands, names=("saved",)))
            case _:
                assert row is not None
                numbers = list(b.emit(op.defn, (row, *op.operands[1:2]), names=("saved",) * len(op.results)))
        self.numbers.update(((key, r), number) for r, number in zip(op.results, numbers, strict=True))

    def row(self, b: Builder, key: Counted, items: Value) -> Value:
        """The numbers beside a list."""
        found = self.numbers.get((key, items))
        if found is not None:
            return found
        count = b.emit("list_len", (items,))[0]
        return row_beside(b, count, _NEVER, _NUMBER, "saved")

    def beside(self, b: Builder, key: Counted, value: Value) -> Value:
        """What is beside a value."""
        is_list = isinstance(value.type, ListType)
        return self.row(b, key, value) if is_list else self.number(b, key, value)

    # -- branches and loops ---------------------------------------------------------------------------------------

    def branches(self, b: Builder, op: Op) -> None:
        told = [(key, i) for key in self.versions for i, r in enumerate(op.results) if r in self.holding[key]]
        changed, before, blocks = self.changed(op), dict(self.versions), list[Block]()
        for block in op.blocks:
            inner, self.versions = b.nested(), dict(before)
            self.begin(inner, block)
            self.ops(inner, block.ops)
            ends = [self.beside(inner, key, block.results[i]) for key, i in told]
            results = (*block.results, *ends, *(self.versions[key] for key in changed))
            blocks.append(inner.block((), results, block.label))
        given = [Value(_beside(op.results[i].type), "saved") for _, i in told]
        versions = [Value(_NUMBER, "version") for _ in changed]
        b.append_op(Op(op.defn, op.operands, op.attrs, (*op.results, *given, *versions), tuple(blocks), op.span))
        self.versions = before | dict(zip(changed, versions, strict=True))
        self.numbers.update(((key, op.results[i]), v) for (key, i), v in zip(told, given, strict=True))

    def loop(self, b: Builder, op: Op) -> None:
        body = op.block("body")
        told = [
            (key, i)
            for key in self.versions
            for i, (param, r) in enumerate(zip(body.params[1:], op.results, strict=True))
            if param in self.holding[key] or r in self.holding[key]
        ]
        changed, before = self.changed(op), dict(self.versions)
        inits = [*(self.beside(b, key, op.operands[2 + i]) for key, i in told), *(before[key] for key in changed)]
        params = [Value(v.type, "saved") for v in inits]
        for (key, i), param in zip(told, params, strict=False):
            self.numbers[key, body.params[1 + i]] = param
        inner, self.versions = b.nested(), before | dict(zip(changed, params[len(told) :], strict=True))
        self.begin(inner, body)
        self.ops(inner, body.ops)
        ends = [*(self.beside(inner, key, body.results[1 + i]) for key, i in told)]
        ends += [self.versions[key] for key in changed]
        block = inner.block((*body.params, *params), (*body.results, *ends), body.label)
        given = [Value(v.type, "saved") for v in inits]
        b.append_op(Op(op.defn, (*op.operands, *inits), op.attrs, (*op.results, *given), (block,), op.span))
        self.versions = before | dict(zip(changed, given[len(told) :], strict=True))
        self.numbers.update(((key, op.results[i]), v) for (key, i), v in zip(told, given, strict=False))

    def changed(self, op: Op) -> list[Counted]:
        """The memories written in a branch or a loop, of those that are there around it."""
        inner = [o for block in op.blocks for o in walk(block)]
        return [key for key in self.versions if any(self.kills(o, key) for o in inner)]


def _is_there(b: Builder, part: Value) -> Handle:
    """1 where a part has elements, else 0."""
    shape = b.shape(b.wrap(part))
    sizes = [b.minimum(size, 1) for size in shape if isinstance(size, Handle)]
    return b.wrap(b.constant(0, _NUMBER)) if 0 in shape else reduce(mul, sizes)


def _is_of_list(op: Op) -> bool:
    """Whether an op makes, changes or reads a list. Raises `NotDifferentiable` for what is done to no numbers."""
    if not any(isinstance(v.type, ListType) for v in (*op.operands, *op.results)):
        return False
    if op.name not in _LISTS or any(_beside(v.type) != ListType(_NUMBER) for v in op.operands[:1]):
        raise NotDifferentiable("gradient", MAY_CHANGE, op.span)
    return True


def _beside(type: Type) -> Type:
    """The type of what is beside a value of some type."""
    return ListType(_beside(type.element)) if isinstance(type, ListType) else _NUMBER
