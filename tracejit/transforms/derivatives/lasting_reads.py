"""Which values of a loop a backward finds in an array as the loop left it, so that they need not be saved.

An element or a row that a loop read or wrote *lasts* if nothing writes it afterwards: `p[i] = tanh(p[i - 1] * w)` for
rising i leaves all that it read, and its results, in p. Then `p_final[i - 1]` is the value again, and the index is
computed from the numbers of the trips, which the backward knows.

The versions of an array are followed back from its last one (a *line*): through writes of elements and windows, loops
that carry it, and branches. A version keeps an element if no write behind it is of that element: none further on in the
text, in the same trips of the loops around both, and none in a later trip of one of these loops. For each such case the
places (`element_places.py`) must be proved to differ (`numbers/apart.py`). What is not proved is saved as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import field
from functools import cached_property

from tracejit.ir.builder import Builder
from tracejit.ir.core import Op, Value
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import Dim, TensorType
from tracejit.records import record
from tracejit.transforms.derivatives.element_places import WINDOW_WRITES, WRITES, Places, as_it_is
from tracejit.transforms.numbers.apart import Path, Program, are_apart, loops_of

_WRITES = (*WRITES, *WINDOW_WRITES)


@record(eq=False)
class _Line:
    """The versions that became `final`, and the writes between them."""

    final: Value
    versions: list[Value] = field(default_factory=list[Value])
    writes: list[Op] = field(default_factory=list[Op])


class LastingReads:
    """What ops leave in arrays for the derivative behind them.

    `overwritten`: values whose storage other ops take over. They are not kept, nor are those in `given`: a copy could
    cost more than the loop itself. `size` gives a size as a value.
    """

    def __init__(
        self,
        ops: Sequence[Op],
        overwritten: Collection[Value],
        given: Collection[Value],
        size: Callable[[Dim | None], Value],
    ) -> None:
        self.ops = ops
        self.size = size
        self.avoided = {*overwritten, *given}
        self.finals: set[Value] = set()  #: the last versions that values are read from
        self._stored: dict[Value, list[Op]] = {}
        self._found: dict[Value, list[Op]] = {}

    def anew(self, value: Value) -> list[Op]:
        """Ops that make a value again, the last one itself, of indices, trips and a last version; none if there are
        no such."""
        if value not in self._found:
            self._found[value] = self._made_of_trips(value) or self._read_again(value)
        return self._found[value]

    @cached_property
    def program(self) -> Program:
        """The ops, looked at when something first asks."""
        return Program(self.ops)

    @cached_property
    def places(self) -> Places:
        """Where the ops read and write."""
        return Places(self.program)

    @cached_property
    def _lines(self) -> dict[Value, _Line]:
        """The lines by the versions in them."""
        found: dict[Value, _Line] = {}
        self.avoided |= {as_it_is(self.program, v) for v in self.avoided}
        for op in self.ops:
            if op.name in ("loop", "if", *_WRITES):
                for result in op.results:
                    if isinstance(result.type, TensorType) and result not in self.avoided:
                        self._note_line(result, found)
        return found

    # -- lines --------------------------------------------------------------------------------------------------------

    def _note_line(self, final: Value, lines: dict[Value, _Line]) -> None:
        line = _Line(final)
        self._back(final, (), line)
        if any(loops_of(self.program.places[op]) for op in line.writes):
            for version in line.versions:
                lines.setdefault(version, line)
            for write in line.writes:
                self._note_stored(write)

    def _note_stored(self, write: Op) -> None:
        value = as_it_is(self.program, write.operands[1])
        if write.name in ("index_update", "vwrite") and self.program.paths.get(value) == self.program.places[write]:
            self._stored.setdefault(value, []).append(write)

    def _back(self, value: Value, path: Path, line: _Line) -> Value | None:
        """Follow a version back to the first one that is in this block, or to one from outside of it, which is given;
        None where a loop or a branch does not pass the array on."""
        program = self.program
        while program.paths.get(value) == path:
            line.versions.append(value)
            op = program.made.get(value)
            if op is None:
                break
            if op.name in _WRITES:
                line.writes.append(op)
                value = op.operands[0]
            elif as_it_is(program, value) is not value:
                value = op.operands[0]
            elif op.name == "loop":
                place, body = op.results.index(value), op.block("body")
                inside = _Line(line.final)
                start = self._back(body.results[1 + place], (*path, (op, body)), inside)
                if start is not body.params[1 + place]:  # what makes it anew in each trip may change any element
                    return None
                line.versions.extend(inside.versions)
                line.writes.extend(inside.writes)
                value = op.operands[2 + place]
            elif op.name == "if":
                place = op.results.index(value)
                starts = [self._back(block.results[place], (*path, (op, block)), line) for block in op.blocks]
                if starts[0] is None or starts[0] is not starts[1]:
                    return None
                value = starts[0]
            else:
                break
        return value

    # -- values made again --------------------------------------------------------------------------------------------

    def _made_of_trips(self, value: Value) -> list[Op]:
        """A carried number that each trip moves by the same number."""
        if value not in self.program.inductions:
            return []
        init, trip, step = self.program.inductions[value]
        b = Builder()
        start, moved = b.wrap(init), b.wrap(trip) if abs(step) == 1 else b.wrap(trip) * abs(step)
        made = (start + moved if step > 0 else start - moved).value
        last = b.ops.pop()
        assert last.results == (made,)
        return [*b.ops, Op(last.defn, last.operands, last.attrs, (value,), (), last.span)]

    def _read_again(self, value: Value) -> list[Op]:
        """What was read or written, as the last version has it."""
        lines, op = self._lines, self.program.made.get(value)
        for access in (op,) if op is not None and op.name in ("fetch", "vread") else self._stored.get(value, ()):
            version = as_it_is(self.program, access.operands[0]) if access is op else access.results[0]
            line = lines.get(version)
            if line is not None and version is not line.final and self._lasts(line, version, access):
                self.finals.add(line.final)
                if access is op:
                    return [Op(access.defn, (line.final, *access.operands[1:]), {}, (value,), (), access.span)]
                sizes = value.type.shape if isinstance(value.type, TensorType) else ()
                read = REGISTRY["fetch" if access.name in WRITES else "vread"]
                return [
                    Op(read, (line.final, *access.operands[2:], *map(self.size, sizes)), {}, (value,), (), access.span)
                ]
        return []

    def _lasts(self, line: _Line, version: Value, access: Op) -> bool:
        """Whether what an access read or wrote of a version is still there in the last version."""
        program, place = self.program, self.places.of(access)
        if place is None:
            return False
        around = loops_of(program.paths.get(version, ()))
        for write in line.writes:
            other = self.places.of(write)
            common = 0
            for one, another in zip(around, loops_of(program.places[write]), strict=False):
                if one is not another:
                    break
                common += 1
            behind = program.time[write.results[0]] > program.time[version]
            if (
                behind
                and not _exclude_each_other(program.paths.get(version, ()), program.places[write])
                and (other is None or not are_apart(program, place, other, around[:common], None))
            ):
                return False
            for k in range(common):
                if other is None or not are_apart(program, place, other, around[:k], around[k]):
                    return False
        return True


def _exclude_each_other(one: Path, other: Path) -> bool:
    """Whether no trip of the loops around both comes to both places: they are in different branches."""
    for (op, block), (another, its) in zip(one, other, strict=False):
        if op is not another:
            return False
        if block is not its:
            return True
    return False
