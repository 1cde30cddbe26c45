"""Arrays that lists hold and that change in place: what a derivative needs of them may not be changed before.

They lie in the memory of their dtype, and marks `stored(content, place)` say where what is read, put or written there
lies. Which elements a later write changes is known at run time only. Two writes cannot be meant: one before what the
derivative needs was read, and one of an array that was put there, at a place of its own, after that. Where the same
array is written for certain, taking the derivative is an error; where that may be, it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from tracejit.ir.aliasing import is_flat, shared
from tracejit.ir.core import Op, Value, walk

#: Where an op stands: for each block around it, outermost first, which block of its op that is, and the number in it.
Position: TypeAlias = tuple[tuple[int, int], ...]


def is_write(op: Op) -> bool:
    """Whether an op marks that a content, its second operand, is replaced."""
    return op.defn.stands_for == 0 and len(op.operands) == 2 and op.name != "stored"


class StoredArrays:
    """The marks among the ops `before` a derivative. `around` are the ops around it, each with how many of `before`
    stand in front of it."""

    def __init__(self, before: Sequence[Op], around: Iterable[tuple[Op, int]]) -> None:
        self.positions: dict[Op, Position] = {}
        self.loops: set[Position] = set()
        self.made: dict[Value, Op] = {}
        self._note(before, (), 0)
        self.behind = [(op, start) for loop, start in around if loop.name == "loop" for op in _inside(loop)]
        self.made.update((r, op) for op, _ in self.behind for r in op.results)
        known = [*self.positions, *(op for op, _ in self.behind)]
        marks = [op for op in known if op.name == "stored"]
        self.new = {op.operands[1]: op for op in marks if op.attrs.get("new", False)}
        self.writes = [op for op in self.positions if self._is_write(op)]
        self.later = [(op, start) for op, start in self.behind if self._is_write(op) and op not in self.positions]
        #: what lies in memory: where, for those who read it and for what has made it
        self.read: dict[Value, list[Op]] = {}
        self.put: dict[Value, list[Op]] = {}
        for op in self.positions if self.writes or self.later else ():
            self._note_values(op)

    def _note(self, ops: Sequence[Op], prefix: Position, block: int) -> None:
        for i, op in enumerate(ops):
            at = self.positions[op] = (*prefix, (block, i))
            self.made.update(dict.fromkeys(op.results, op))
            if op.name == "loop":
                self.loops.add(at)
            for k, inner in enumerate(op.blocks if op.name != "custom" else ()):
                self._note(inner.ops, at, k)

    def _note_values(self, op: Op) -> None:
        if op.name == "stored":
            self.read.setdefault(op.results[0], []).append(op)
            value = op.operands[0]
            self.put.setdefault(value, []).append(op)
            while (maker := self.made.get(value)) is not None and is_flat(maker):
                value = maker.operands[0]
                self.put.setdefault(value, []).append(op)
        elif op.operands and op.operands[0] in self.read and (op.name == "fetch" or shared(op) is op.operands[0]):
            self.read[op.results[0]] = self.read[op.operands[0]]

    def _is_write(self, op: Op) -> bool:
        return is_write(op) and self._mark_of(op) is not None

    def _mark_of(self, write: Op) -> Op | None:
        """The mark of the content that a write replaces."""
        found = self.made.get(write.operands[1])
        return found if found is not None and found.name == "stored" else None

    def concerns(self, op: Op) -> bool:
        """Whether an op reads what lies in memory, or makes what is put there."""
        return any(v in self.read for v in op.operands) or any(r in self.put for r in op.results)

    def changed(self, op: Op, needed: Iterable[Value]) -> Iterator[tuple[Op, bool]]:
        """The writes that may change what the derivative of an op needs after it, each with whether it does for
        certain; what the op itself writes in place it has kept."""
        own = {self._place_of(write) for write in (*self.writes, *(w for w, _ in self.later)) if write.span == op.span}
        for value in needed:
            is_read = value in op.operands
            known = self.read.get(value, []) if is_read else self.put.get(value, [])
            for mark in known:
                if is_read and mark.operands[1] in own:
                    continue
                for write in self.writes:
                    if write.span != op.span and self._may_change(mark, write):
                        yield write, self._does_change(mark, write)
                for write, start in self.later:
                    origin = self._origin(self._place_of(write))
                    if self.positions[mark][0][1] < start and (origin is None or origin in self.positions):
                        yield write, False

    def _place_of(self, write: Op) -> Value:
        """Where a write changes what lies in memory."""
        mark = self._mark_of(write)
        assert mark is not None
        return mark.operands[1]

    def _origin(self, place: Value) -> Op | None:
        """The mark that puts the array there in which a place lies."""
        if place in self.new:
            return self.new[place]
        maker = self.made.get(place)
        found = (self._origin(v) for v in maker.operands) if maker is not None and maker.name == "add" else ()
        return next((op for op in found if op is not None), None)

    def _may_change(self, mark: Op, write: Op) -> bool:
        read, at = self.positions[mark], self.positions[write]
        own, other = self._origin(self._place_of(write)), self._origin(mark.operands[1])
        if own is None or own not in self.positions:
            return self._can_follow(read, at)
        if other is not None and other is not own:
            return False
        made = self.positions[own]
        depth = len(made) - 1
        if read[:depth] != made[:depth] or read[depth][0] != made[depth][0]:
            return False  # the array that is written is made again after each time that this was read
        number, begun, written = (p[depth][1] for p in (read, made, at))
        if (other is None and number < begun) or written < number:
            return False
        return written > number or self._can_follow(read[depth:], at[depth:], read[:depth])

    def _can_follow(self, read: Position, write: Position, around: Position = ()) -> bool:
        """Whether a write can come after a read, by their positions behind `around`."""
        for k, (a, b) in enumerate(zip(read, write, strict=False)):
            if a != b:
                return a[0] == b[0] and b[1] > a[1]
            if (*around, *read[: k + 1]) in self.loops:
                return True
        return False

    def _does_change(self, mark: Op, write: Op) -> bool:
        is_same = self._place_of(write) is mark.operands[1]
        return is_same and len(self.positions[write]) == 1 and len(self.positions[mark]) == 1


def _inside(op: Op) -> Iterator[Op]:
    for block in op.blocks:
        yield from walk(block)
