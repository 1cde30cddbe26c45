"""Which memory each array name denotes, and what a write changes.

A storage class stands for one piece of memory; `bases` maps it to the SSA value that holds its present content.
A write makes a new version of the whole base; `ownership` later makes it happen in place. After control flow
met, two classes may be the same memory on some paths only: `alias` keeps a boolean for such pairs, and a write
to one is carried over to the other by `sync`.

What `x.detach()` gives is the same memory with a history of its own: such a pair is `apart`, and what is written to one
changes the values of the other only, not what derivatives go by there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tracejit.ir.aliasing import is_flat, updated, updates
from tracejit.ir.builder import Builder
from tracejit.ir.core import Op, Value, has_effect, walk
from tracejit.ir.types import I64, ScalarType, TensorType

#: Two classes are one memory: never (no entry), always (True), or where this bool value holds.
Alias = bool | Value


@dataclass(slots=True)
class Storage:
    """The state of memory at one point of the program."""

    bases: dict[int, Value] = field(default_factory=dict[int, Value])
    aliases: dict[tuple[int, int], Alias] = field(default_factory=dict[tuple[int, int], "Alias"])
    #: pairs of one memory that have histories of their own; None: on some paths
    histories: dict[tuple[int, int], bool | None] = field(default_factory=dict[tuple[int, int], "bool | None"])
    held: set[int] = field(default_factory=set[int])  #: classes that copy what Python shares, as items of lists
    counter: list[int] = field(default_factory=lambda: [0])

    def snapshot(self) -> Storage:
        """A copy that later writes do not change; class numbers stay unique."""
        return Storage(dict(self.bases), dict(self.aliases), dict(self.histories), set(self.held), self.counter)

    def new(self, base: Value) -> int:
        """A fresh class with that content."""
        self.counter[0] += 1
        self.bases[self.counter[0]] = base
        return self.counter[0]

    def same(self, a: int, base: Value) -> int:
        """A new class that is the same memory as `a`; its content may have another rank."""
        made = self.new(base)
        for other, flag in self.partners(a):
            self.set_alias(made, other, flag, self.apart(a, other))
        self.set_alias(made, a, True)
        if a in self.held:
            self.held.add(made)
        return made

    def detached(self, a: int, base: Value) -> int:
        """A new class that is the same memory as `a`, with another history."""
        made = self.same(a, base)
        for other, flag in self.partners(made):
            self.set_alias(made, other, flag, True)
        return made

    def adopt(self, outer: Storage, a: int) -> None:
        """Learn of a class that an enclosing block made meanwhile."""
        self.bases[a] = outer.bases[a]
        for other, flag in outer.partners(a):
            self.set_alias(a, other, flag, outer.apart(a, other))

    def alias(self, a: int, b: int) -> Alias:
        """Whether two classes are one memory."""
        if a == b:
            return True
        return self.aliases.get((min(a, b), max(a, b)), False)

    def apart(self, a: int, b: int) -> bool | None:
        """Whether two classes that may be one memory have histories of their own there; None: that depends."""
        return self.histories.get((min(a, b), max(a, b)), False)

    def set_alias(self, a: int, b: int, alias: Alias, apart: bool | None = False) -> None:
        """Record whether two different classes are one memory, and whether with histories of their own."""
        pair = (min(a, b), max(a, b))
        self.aliases.pop(pair, None)
        self.histories.pop(pair, None)
        if alias is not False:
            self.aliases[pair] = alias
            if apart is not False:
                self.histories[pair] = apart

    def is_content(self, value: Value, classes: Iterable[int]) -> bool:
        """Whether a value is the present content of one of some classes, as far as they are there."""
        return any(self.bases.get(c) is value for c in classes)

    def partners(self, a: int) -> list[tuple[int, Alias]]:
        """Other classes that may be the same memory as `a`."""
        return [(y if x == a else x, flag) for (x, y), flag in self.aliases.items() if a in (x, y)]

    def write(self, b: Builder, a: int, base: Value, *, marks: bool = False) -> None:
        """The content of `a` is now `base`; classes that may be the same memory follow. `marks`: derivatives are told
        of what is replaced there."""
        self.bases[a] = base
        for other, flag in self.partners(a):
            if other not in self.bases:
                continue
            old, apart = self.bases[other], self.apart(a, other) is not False
            if flag is True:
                self.bases[other] = _followed(b, base, old, apart)
            else:
                assert isinstance(flag, Value)
                self.bases[other] = _sync(b, flag, base, old, apart, marks)


class Makers:
    """Which ops of the open blocks make a value, found without a walk over all that is there."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Ops] = {}

    def may_have_raised_since(self, value: Value, builders: Sequence[Builder]) -> bool:
        """Whether something that can raise stands between a write that led to this content and the present place.

        `builders` are those of the open blocks, outermost first. What no op makes (a parameter) is content that its
        memory has already; a whole new content ends the search, the writes before it were asked about when it was
        stored.
        """
        versions = {value}
        raised = False
        for b in reversed(builders):
            ops = self._of(b.ops)
            while (at := max(ops.places.get(v, -1) for v in versions)) >= 0:
                op = b.ops[at]
                if raised or ops.raises > at or _raises_inside(op):
                    return True
                for i, result in enumerate(op.results):
                    if result in versions:
                        versions.remove(result)
                        versions.update(_older(op, i))
                if not versions:
                    return False
            raised = raised or ops.raises >= 0
        return False

    def _of(self, ops: list[Op]) -> _Ops:
        known = self._blocks.get(id(ops))
        if known is None or not known.are_there():
            known = self._blocks[id(ops)] = _Ops(ops)
        known.follow()
        return known


class _Ops:
    """The ops of a block so far: the place of what makes each value, and of the last that can raise."""

    def __init__(self, ops: list[Op]) -> None:
        self.ops = ops
        self.places: dict[Value, int] = {}
        self.raises = -1
        self._last: Op | None = None
        self._count = 0

    def are_there(self) -> bool:
        """Whether those that were looked at are still there: blocks are lowered again from some place on."""
        return not self._count or (len(self.ops) >= self._count and self.ops[self._count - 1] is self._last)

    def follow(self) -> None:
        """Look at those that were added."""
        for at in range(self._count, len(self.ops)):
            self._last = op = self.ops[at]
            self.places.update(dict.fromkeys(op.results, at))
            if op.defn.effect or _raises_inside(op):
                self.raises = at
        self._count = len(self.ops)


def _raises_inside(op: Op) -> bool:
    return any(inner.defn.effect for block in op.blocks for inner in walk(block))


def is_update(value: Value, content: Value, ops: Sequence[Op]) -> bool:
    """Whether a value has just been made by changing elements of a content, and so lies where that lay."""
    changed = False
    for op in reversed(ops):
        if changed and value is content:
            return True
        if value in op.results:
            if updates(op) and not changed:
                changed, value = True, op.operands[updated(op)]
            elif is_flat(op):
                value = op.operands[0]
            else:
                return False
        elif not changed and has_effect(op):
            return False
    return changed and value is content


def _older(op: Op, i: int) -> list[Value]:
    """The contents from outside the op that its result i updates or passes on."""
    if op.name == "loop":
        return [op.operands[2 + i]]
    if op.defn.stands_for is not None:
        return [op.operands[op.defn.stands_for]]
    if op.name != "if":
        return [op.operands[updated(op)]] if updates(op) and i == 0 else []
    found: list[Value] = []
    for block in op.blocks:
        makers = {r: (inner, k) for inner in block.ops for k, r in enumerate(inner.results)}
        queue = [block.results[i]]
        while queue:
            value = queue.pop()
            if value in makers:
                queue += _older(*makers[value])
            else:
                found.append(value)
    return found


def joined_history(found: Sequence[bool | None]) -> bool | None:
    """Whether a pair is apart that is one of these by the path taken."""
    return found[0] if found and all(apart is found[0] for apart in found) else None if found else False


def _followed(b: Builder, new: Value, old: Value, apart: bool) -> Value:
    """The content of a class that was `old`, where another one of the same memory is `new`."""
    is_alike = old.type == new.type or not isinstance(old.type, TensorType)
    made = new if is_alike else _written(b, new, old)
    if apart and isinstance(old.type, TensorType) and old.type.dtype.is_inexact:
        return b.emit("unrecorded", (made, old), names=(old.name,))[0]
    return made


def _sync(b: Builder, flag: Value, new: Value, old: Value, apart: bool, marks: bool) -> Value:
    """`new` where the flag holds, else `old`; their sizes may differ where it does not hold."""
    if new.type == old.type and not apart:
        return b.emit("sync", (flag, new, old), names=(old.name,))[0]
    then, orelse = b.nested(), b.nested()
    written = _followed(then, new, old, apart)
    if marks and not apart and isinstance(old.type, TensorType) and old.type.dtype.is_inexact:
        written = then.emit("rewritten", (written, old), names=(old.name,))[0]
    blocks = (then.block((), (written,), "then"), orelse.block((), (old,), "else"))
    return b.emit("if", (flag,), blocks=blocks, types=(old.type,), names=(old.name,))[0]


def _written(b: Builder, new: Value, old: Value) -> Value:
    """`old` with the elements of `new`, whose sizes have other names or whose rank is another."""
    assert isinstance(new.type, TensorType) and isinstance(old.type, TensorType)
    sizes = [b.dim_of(old, axis) for axis in range(old.type.rank)]
    if new.type.rank == old.type.rank:
        retyped = b.emit("broadcast", (new, *sizes), {"exact": True})[0]
    else:
        retyped = b.emit("reshape", (new, *sizes), names=(old.name,))[0]
    place = [b.constant(0, ScalarType(I64)), *_strides(b, sizes)]
    return b.emit("vwrite", (old, retyped, *place), names=(old.name,))[0]


def _strides(b: Builder, sizes: Sequence[Value]) -> list[Value]:
    """The strides of an array of these sizes in C order."""
    found = [b.constant(1, ScalarType(I64))]
    for size in reversed(sizes[1:]):
        found.insert(0, b.emit("mul", (found[0], size))[0])
    return found[: len(sizes)]
