"""Where reads and writes of elements, rows, columns and slices lie in an array, one index for each axis.

A window (`vread`, `vwrite`, `vadd`) has an offset into the buffer, strides and lengths. It is `row r` of its array if
its offset is r times the size of the rows, and what is left of it and its lengths stay inside of one row; `column c` if
its stride is the size of the rows and it has as many elements as there are rows; in a vector it goes from its offset as
far as its length. Of other windows the offset and the strides are sums and multiples of the steps of the axes: an index
for each axis, and on some a start, a step and a number of elements, which are the only such where all of them are
proved to stay inside of their axis. Those of which that is not known may be anywhere.

Sizes are compared by what they are: values that a check in front of the access found equal are one size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import prod

from tracejit.ir.core import Op, Value
from tracejit.ir.types import Dim, TensorType
from tracejit.transforms.numbers.apart import Access, Path, Program, Terms, is_at_most, is_not_negative
from tracejit.transforms.numbers.meanings import meaning
from tracejit.transforms.numbers.rules import Condition

#: Writes of one element: their operands are the array, the value and the indices.
WRITES = ("index_update", "index_add")
#: Writes of windows: their operands are the array, the value, the offset and the strides.
WINDOW_WRITES = ("vwrite", "vadd")

_SUM, _PRODUCT = "add", "mul"


def as_it_is(program: Program, value: Value) -> Value:
    """The array that a value is, seen through ops that only spell its sizes in another way."""
    op = program.made.get(value)
    while op is not None and all(a == b or is_equal for a, b, is_equal in _respelled(op)) and any(_respelled(op)):
        value = op.operands[0]
        op = program.made.get(value)
    return value


def _respelled(op: Op) -> Iterator[tuple[Dim | None, Dim | None, bool]]:
    """The sizes of an array as it was and is spelled, and whether they are known to be equal: not where 1 stretches."""
    if op.name == "broadcast" and op.attrs.get("exact"):
        old, new = op.operands[0].type, op.results[0].type
        if isinstance(old, TensorType) and isinstance(new, TensorType) and old.rank == new.rank:
            for a, b in zip(old.shape, new.shape, strict=True):
                yield a, b, not isinstance(a, int) and not (isinstance(a, Value) and isinstance(a.known, int))


class Places:
    """The places of the accesses of a program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._order = {op: at for at, op in enumerate(program.places)}
        self._equal = list(self._equalities())
        self._found: dict[Op, Access | None] = {}

    def of(self, op: Op) -> Access | None:
        """Where an op reads or writes; None where that is not known."""
        if op not in self._found:
            self._found[op] = self._place(op)
        return self._found[op]

    def _place(self, op: Op) -> Access | None:
        path = self.program.places[op]
        if op.name in WRITES:
            return Access(op.operands[2:], path)
        if op.name == "fetch":
            return Access(op.operands[1:], path)
        base, *rest = op.defn.group(op.operands)
        if op.name == "vread":
            offset, strides, lengths = rest
        else:
            value, offset, strides = rest
            lengths = value.type.shape
        return _Window(self, op, path, base.type.shape, offset, strides, lengths).place()

    def _equalities(self) -> Iterator[tuple[Op, Dim | None, Dim | None]]:
        """Sizes that ops, if they run, are known to find equal."""
        for op in self.program.places:
            match op.name:
                case "check_eq":
                    yield op, op.operands[0], op.operands[1]
                case "check":
                    asked = meaning(self.program.made.get(op.operands[0]))
                    if isinstance(asked, Condition) and len(asked.then) == 2:
                        one, other = asked.then
                        if (one.x, one.y) == (other.y, other.x) and one.slack == other.slack == 0:
                            yield op, one.x, one.y
                case "broadcast":
                    yield from ((op, a, b) for a, b, is_equal in _respelled(op) if is_equal)
                case _:
                    pass

    def sizes(self, op: Op) -> _Sizes:
        """The sizes that are one where an op runs."""
        path, at = self.program.places[op], self._order[op]
        found = _Sizes()
        for check, a, b in self._equal:
            place = self.program.places[check]
            if self._order[check] < at and _begins(path, place):
                found.join(a, b)
        return found


def _begins(path: Path, with_: Path) -> bool:
    return len(with_) <= len(path) and all(a[1] is b[1] for a, b in zip(path, with_, strict=False))


class _Sizes:
    """Classes of sizes that are equal."""

    def __init__(self) -> None:
        self._parent: dict[object, object] = {}

    def key(self, size: Dim | Value | None) -> object:
        if isinstance(size, Value) and isinstance(size.known, int | str):
            size = size.known
        found: object = size
        while found in self._parent:
            found = self._parent[found]
        return found

    def join(self, a: Dim | Value | None, b: Dim | Value | None) -> None:
        one, other = self.key(a), self.key(b)
        if one != other and None not in (one, other):
            if isinstance(one, int):
                one, other = other, one
            self._parent[one] = other

    def are(self, found: Iterable[Dim | Value | None], wanted: Iterable[Dim | Value | None]) -> bool:
        """Whether sizes are others, one by one."""
        return [self.key(s) for s in found] == [self.key(s) for s in wanted]


class _Window:
    def __init__(
        self,
        places: Places,
        op: Op,
        path: Path,
        shape: Sequence[Dim | None],
        offset: Value,
        strides: Sequence[Value],
        lengths: Sequence[Dim | None],
    ) -> None:
        self.program = places.program
        self.sizes = places.sizes(op)
        self.path = path
        self.shape = shape
        self.offset = offset
        self.strides = strides
        self.lengths = lengths

    def place(self) -> Access | None:
        rank = len(self.shape)
        if rank == 1 and self._is_unit():
            return Access((self.offset,), self.path, (self.lengths[0],))
        if rank < 2:
            return None
        row = self._row()
        if row is not None:
            return Access((row, *[None] * (rank - 1)), self.path)
        if rank == 2 and self._is_column():
            return Access((None, self.offset), self.path)
        return self._by_axes()

    # -- an index for each axis ---------------------------------------------------------------------------------------

    def _by_axes(self) -> Access | None:
        """The window by the axes that its offset and its strides lead along."""
        if 0 in map(self.sizes.key, self.shape):
            return None
        starts = self._starts()
        windows: dict[int, tuple[int, Dim | None]] = {}
        for stride, length in zip(self.strides, self.lengths, strict=True):
            axis, size, step = self._along(stride)
            if self.sizes.key(length) == 1:
                continue
            if size is not None or axis in windows:
                return None
            windows[axis] = step, length
        indices: list[Terms | None] = []
        lengths: list[Dim | None] = []
        for axis, size in enumerate(self.shape):
            step, length = windows.get(axis, (1, 1))
            if axis and step < 0 and (1, 1) in starts[axis - 1]:  # what goes back begins at the end of its axis
                starts[axis - 1].remove((1, 1))
                starts[axis].append((size, 1))
        for axis, size in enumerate(self.shape):
            step, length = windows.get(axis, (1, 1))
            length = size if self.sizes.key(length) == self.sizes.key(size) else length
            first: Terms = tuple(starts[axis])
            last: Terms = (*first, (length, step), (1, -step))
            low, high = (first, last) if step > 0 else (last, first)
            inside = ((size, 1), (1, -1), *((term, -factor) for term, factor in high))
            if axis and not all(is_not_negative(self.program, self.path, terms) for terms in (low, inside)):
                return None
            indices.append(low if abs(step) == 1 else None)
            lengths.append(length)
        return Access(indices, self.path, lengths)

    def _starts(self) -> list[list[tuple[Dim | None, int]]]:
        """Where the window begins on each axis."""
        found: list[list[tuple[Dim | None, int]]] = [[] for _ in self.shape]
        for term in self._terms(self.offset, _SUM):
            rest = self._number(term)
            if rest is None:
                axis, size, factor = self._along(term)
                found[axis].append((1 if size is None else size, factor))
                continue
            for axis, (sizes, step) in enumerate(self._steps()):
                count = rest // step if not sizes and (rest > 0 or axis == len(self.shape) - 1) else 0
                rest -= count * step
                found[axis] += [(1, count)] if count else []
        return found

    def _along(self, product: Value) -> tuple[int, Value | None, int]:
        """A product as the step of an axis, the first that fits, times a number that is not known and one that is."""
        multiple, others = 1, list[Value]()
        for factor in self._terms(product, _PRODUCT):
            known = self._number(factor)
            multiple *= 1 if known is None else known
            others += [factor] if known is None else []
        for axis, (sizes, step) in enumerate(self._steps()):
            left, missing = list[Value](), Counter(sizes)
            for factor in others:
                key = self.sizes.key(factor)
                left += [] if missing[key] > 0 else [factor]
                missing[key] -= 1
            if not +missing and len(left) < 2 and multiple % step == 0:
                return axis, left[0] if left else None, multiple // step
        return len(self.shape) - 1, product, 1

    def _steps(self) -> Iterator[tuple[Counter[object], int]]:
        """What is between two elements along each axis: the product of sizes and of a number."""
        for axis in range(len(self.shape)):
            keys = [self.sizes.key(d) for d in self.shape[axis + 1 :]]
            yield Counter(k for k in keys if not isinstance(k, int)), prod(k for k in keys if isinstance(k, int))

    def _number(self, value: Value) -> int | None:
        """A whole number that is known."""
        op = self.program.made.get(value)
        known = op.attrs["value"] if op is not None and op.name == "const" else value.known
        return known if isinstance(known, int) else None

    # -- rows and columns ---------------------------------------------------------------------------------------------

    def _is(self, value: Value, number: int) -> bool:
        op = self.program.made.get(value)
        return value.known == number or (op is not None and op.name == "const" and op.attrs["value"] == number)

    def _is_unit(self) -> bool:
        return len(self.strides) == 1 and self._is(self.strides[0], 1)

    def _is_column(self) -> bool:
        return self.sizes.are(self.strides, self.shape[1:]) and self.sizes.are(self.lengths, self.shape[:1])

    def _row(self) -> Value | int | None:
        """The row that the window lies in."""
        inner = Counter(self.sizes.key(d) for d in self.shape[1:] if d != 1)
        rows: list[Value | int] = []
        rest: list[Value] = []
        for term in self._terms(self.offset, _SUM):
            factors = list(self._terms(term, _PRODUCT))
            left, missing = [], Counter(inner)
            for factor in factors:
                key = self.sizes.key(factor)
                if missing[key] > 0:
                    missing[key] -= 1
                else:
                    left.append(factor)
            if +missing:
                rest.append(term)
            elif len(left) < 2:
                rows.append(left[0] if left else 1)
            else:
                return None
        rest = [term for term in rest if not self._is(term, 0)]
        if len(rows) > 1 or (not rows and rest):
            return None
        row = rows[0] if rows else 0
        if not rest and (not self.lengths or self._is_whole()):
            return row
        if len(self.shape) == 2 and self._is_unit() and len(rest) < 2:
            start = rest[0] if rest else 0
            low, high = [(0, start)], [(start, self.lengths[0], self.shape[1])]
            if all(is_at_most(self.program, self.path, (), a, b) for a, b in low) and all(
                is_at_most(self.program, self.path, (a,), b, c) for a, b, c in high
            ):
                return row
        return None

    def _is_whole(self) -> bool:
        """Whether the lengths are those of a row, and the strides go through it without a gap."""
        if not self.sizes.are(self.lengths, self.shape[1:]):
            return False
        for at, stride in enumerate(self.strides):
            factors = [f for f in self._terms(stride, _PRODUCT) if not self._is(f, 1)]
            behind = [d for d in self.shape[at + 2 :] if d != 1]
            if Counter(map(self.sizes.key, factors)) != Counter(map(self.sizes.key, behind)):
                return False
        return True

    def _terms(self, value: Value, name: str) -> Iterator[Value]:
        """The terms of a sum, or the factors of a product."""
        op = self.program.made.get(value)
        if op is None or name not in (op.name, op.defn.unchecked):
            yield value
            return
        for operand in op.operands:
            yield from self._terms(operand, name)
