"""Which arrays hold which contents, and what replaces these.

A *content* is what memory holds between two writes, named by the value that brought it there; a value shows all of it
or a part. Contents that follow one another in the same memory are of one *memory*: marks, branches and loops join them.
Where no two arrays come together that way, a memory is one array at any time, and the number of its writes tells its
versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tracejit.ir.aliasing import is_flat, shared, updates
from tracejit.ir.core import Block, Op, Value, walk
from tracejit.ir.types import TensorType, is_differentiable
from tracejit.transforms.derivatives.stored_arrays import is_write


@dataclass(frozen=True, slots=True)
class Kill:
    """What an op replaces: a content, or a part of it. `flag` tells whether it does, where that depends, as where it
    `follows` from what else is replaced; `written` is an array that may have no elements."""

    content: Value
    is_part: bool
    flag: Value | None = None
    follows: Value | None = None
    written: Value | None = None

    @property
    def is_certain(self) -> bool:
        return self.flag is None and self.written is None


@dataclass(slots=True)
class Contents:
    """What the values of a program show, and the ops that replace it."""

    root: Block
    shown: dict[Value, Value] = field(default_factory=dict[Value, Value])  #: contents of other values
    parts: set[Value] = field(default_factory=set[Value])  #: what shows a part
    kills: dict[Op, Kill] = field(default_factory=dict[Op, Kill])
    makers: dict[Value, Op] = field(default_factory=dict[Value, Op])
    merged: dict[Value, Op] = field(default_factory=dict[Value, Op])  #: what branches and loops give, and hand to trips
    #: the contents that these may be, and the other way round
    before: dict[Value, list[Value]] = field(default_factory=dict[Value, list[Value]])
    after: dict[Value, list[Value]] = field(default_factory=dict[Value, list[Value]])
    inside: dict[Block, frozenset[Value]] = field(default_factory=dict[Block, frozenset[Value]])
    _joined: dict[Value, Value] = field(default_factory=dict[Value, Value])
    _made: dict[Value, set[Value]] = field(default_factory=dict[Value, set[Value]])

    def __post_init__(self) -> None:
        for op in walk(self.root):
            self.makers.update(dict.fromkeys(op.results, op))
            self._look(op)
        for op in walk(self.root):
            for made, given in handed_on(op):
                if is_array(made):
                    self.merged[made] = op
                    self.before.setdefault(made, []).append(self.of(given))
                    self.after.setdefault(self.of(given), []).append(made)
        for new, old in (
            *((op.results[0], kill.content) for op, kill in self.kills.items()),
            *((made, old) for made, given in self.before.items() for old in given),
        ):
            self._join(new, old)
        followers = {*self.before, *(op.results[0] for op in self.kills)}
        made = (v for v, op in self.makers.items() if op.name != "undef")  # which stands where nothing is read
        for content in {self.of(v) for v in (*self.root.params, *made)} - followers:
            self._made.setdefault(self.memory(content), set()).add(content)

    def of(self, value: Value) -> Value:
        """The content that a value shows."""
        return self.shown.get(value, value)

    def memory(self, content: Value) -> Value:
        """One content for all that are of the same memory."""
        while content in self._joined:
            content = self._joined[content]
        return content

    def is_one_array(self, memory: Value) -> bool:
        """Whether a memory is one array at any time."""
        return len(self._made.get(memory, ())) == 1

    def origin(self, memory: Value) -> Value:
        """What the one array of a memory held first."""
        (found,) = self._made[memory]
        return found

    def other_names(self, content: Value) -> list[Value]:
        """The contents around a branch or a loop that what it gives, or hands to its trips, may be."""
        if content not in self.merged:
            return []
        inside = {v for block in self.merged[content].blocks for v in self.values_in(block)}
        found, waiting = dict[Value, None](), [content]
        while waiting:
            for old in self.before.get(waiting.pop(), ()):
                if old is not content and old not in found:
                    found[old] = None
                    waiting.append(old)
        return [v for v in found if v not in inside]

    def values_in(self, block: Block) -> frozenset[Value]:
        """The values that a block and those in it define."""
        if block not in self.inside:
            inner = (v for op in block.ops for v in (*op.results, *(v for n in op.blocks for v in self.values_in(n))))
            self.inside[block] = frozenset((*block.params, *inner))
        return self.inside[block]

    def is_own(self, op: Op, content: Value) -> bool:
        """Whether an op replaces a content in place, and so keeps what it needs of it."""
        return any(
            at.span == op.span and kill.content is content and at.operands[0] in op.results
            for at, kill in self.kills.items()
            if is_write(at)
        )

    def _look(self, op: Op) -> None:
        viewed = op.operands[0] if op.name == "fetch" else shared(op)
        if viewed is not None and isinstance(viewed.type, TensorType):
            self.shown[op.results[0]] = self.of(viewed)
            if viewed in self.parts or not _shows_all(op, viewed):
                self.parts.add(op.results[0])
        elif is_write(op) and not self._is_stored(op.operands[1]) and not _is_empty(op.operands[1]):
            self.kills[op] = self._kill(op.operands[0], op.operands[1])
        elif op.name == "sync":
            flag, new, old = op.operands
            maker = self.makers.get(self.of(new))
            first = None if maker is None else self.kills.get(maker)
            is_part, follows = (False, None) if first is None else (first.is_part, first.content)
            self.kills[op] = Kill(self.of(old), is_part, flag, follows)

    def _is_stored(self, value: Value) -> bool:
        maker = self.makers.get(value)
        return maker is not None and maker.name == "stored"

    def _kill(self, new: Value, old: Value) -> Kill:
        maker = self.makers.get(new)
        is_part = maker is not None and updates(maker) and self.of(maker.operands[0]) is self.of(old)
        written = maker.operands[1] if is_part and maker is not None and maker.name == "vwrite" else None
        return Kill(self.of(old), is_part, written=written if written is not None and may_be_empty(written) else None)

    def _join(self, one: Value, other: Value) -> None:
        a, b = self.memory(one), self.memory(other)
        if a is not b:
            self._joined[a] = b


def handed_on(op: Op) -> Iterator[tuple[Value, Value]]:
    """Values that a branch or a loop gives, or a loop hands to its trips, each with one that it may be."""
    if op.name == "if":
        for block in op.blocks:
            yield from zip(op.results, block.results, strict=True)
    elif op.name == "loop":
        body = op.block("body")
        for made in (body.params[1:], op.results):
            yield from zip(made, op.operands[2:], strict=True)
            yield from zip(made, body.results[1:], strict=True)


def is_array(value: Value) -> bool:
    """Whether a value is an array of which a derivative may need the content."""
    return isinstance(value.type, TensorType) and is_differentiable(value.type)


def _is_empty(array: Value) -> bool:
    return isinstance(array.type, TensorType) and 0 in array.type.shape


def may_be_empty(array: Value) -> bool:
    """Whether a part of an array may have no elements."""
    return not all(isinstance(n, int) and n for n in array.type.shape)  # type: ignore[union-attr]


def _shows_all(op: Op, viewed: Value) -> bool:
    if not viewed.type.shape:  # type: ignore[union-attr]
        return True
    if op.name == "fetch":
        return False
    have, want = (v.type.shape for v in (viewed, op.results[0]))  # type: ignore[union-attr]
    is_turned = None not in have and sorted(map(hash, have)) == sorted(map(hash, want))
    return is_turned or is_flat(op) or op.name == "broadcast"
