"""`leave-unset`: an array whose elements are all written before anything reads it, or an error shows it, is not filled.

`out = np.zeros(n)` and then `for i in range(n): out[i] = ...` writes twice what is written once here: what makes the
array only allocates it. The elements that a write reaches are a box, an interval along each axis with ends that are
linear in sizes and numbers of trips. A loop that makes all its trips moves the box of a trip along an axis; boxes side
by side are one. The array is left unset where they reach all of it, whatever the sizes are.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from tracejit.ir.core import Block, Graph, Op, Value, walk
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.types import I64, Dim, ScalarType, TensorType, unsized
from tracejit.transforms.numbers.linear import Linear, number
from tracejit.transforms.numbers.meanings import meaning, told
from tracejit.transforms.own_fills import is_fill, with_own_fills
from tracejit.transforms.pipeline import transform
from tracejit.transforms.write_home import new_versions

#: Along each axis, the first element and the one behind the last.
_Box: TypeAlias = "tuple[tuple[Linear, Linear], ...]"
#: A use: the op whose operand, or the block whose result it is, and its number.
_Use: TypeAlias = "tuple[Op | Block, int]"

#: Boxes of one array that are looked at.
_MOST = 24


@transform("leave-unset")
def leave_unset(graph: Graph) -> Graph:
    """Allocate arrays without filling them where all of them is written first."""
    if not any(map(is_fill, walk(graph.body))):
        return graph
    written = new_versions(graph)  # which an error shows to the caller
    body = with_own_fills(graph.body, written)
    writes = _Writes(body)
    unset = {op for op in walk(body) if is_fill(op) and op.results[0] not in written and writes.cover(op)}
    return replace(graph, body=_without(body, unset)) if unset else graph


def _without(block: Block, unset: set[Op]) -> Block:
    """The block with some arrays only allocated."""
    ops: list[Op] = []
    for op in block.ops:
        if op in unset:
            (result,) = op.results
            attrs = {"type": unsized(result.type)}
            ops.append(Op(REGISTRY["undef"], op.operands[1:], attrs, op.results, (), op.span))
        elif op.blocks and op.name != "fused":
            ops.append(replace(op, blocks=tuple(_without(b, unset) for b in op.blocks)))
        else:
            ops.append(op)
    return replace(block, ops=tuple(ops))


class _Writes:
    """Which elements of arrays are written before anything reads them."""

    def __init__(self, body: Block) -> None:
        self.numbers = _Numbers(body)
        self.uses: dict[Value, list[_Use]] = {}
        self.inside: dict[Op | Block, Op | Block] = {}  #: what an op or a block is a part of
        self._note(body)

    def _note(self, block: Block) -> None:
        for i, value in enumerate(block.results):
            self.uses.setdefault(value, []).append((block, i))
        for op in block.ops:
            self.inside[op] = block
            for i, value in enumerate(op.operands):
                self.uses.setdefault(value, []).append((op, i))
            for inner in op.blocks:
                self.inside[inner] = op
                self._note(inner)

    def cover(self, fill: Op) -> bool:
        """Whether all elements of an array are written before it is read."""
        (array,) = fill.results
        assert isinstance(array.type, TensorType)
        whole = tuple((number(0), self.numbers.of_dim(dim)) for dim in array.type.shape if dim is not None)
        home = self.inside[fill]
        assert isinstance(home, Block)
        if not whole:  # one number, which is as soon filled as left
            return False
        found: list[_Box] = []
        for boxes, _ in self._steps(array, home):
            found += boxes
            if len(found) > _MOST:
                return False
            if any(_contains(box, whole) for box in _joined(found)):
                return True
        return False

    def _steps(self, array: Value, block: Block) -> Iterator[tuple[list[_Box], Value]]:
        """What each op writes that an array goes through in a block, and the array behind it, until something reads."""
        while True:
            users = [(op, use) for use in self.uses.get(array, ()) if (op := self._op_of(use[0], block)) is not None]
            op = users[0][0] if users else block
            if not isinstance(op, Op) or any(other is not op for other, _ in users):
                return
            step = self._through(op, [use for _, use in users], array)
            if step is None:
                return
            yield step
            array = step[1]

    def _op_of(self, user: Op | Block, block: Block) -> Op | Block | None:
        """The op of a block that is or has a user, or the block where its results are one; None for others."""
        while user is not block:
            outer = self.inside.get(user)
            if outer is block or outer is None:
                return user if outer is block else None
            user = outer
        return block

    def _through(self, op: Op, uses: Sequence[_Use], array: Value) -> tuple[list[_Box], Value] | None:
        """What an op writes to an array, and the array behind it; None where it does something else with it."""
        if op.name == "if":
            return self._branches(op, array)
        if len(uses) > 1 or uses[0][0] is not op:
            return None
        at = uses[0][1]
        if op.name == "loop" and at >= 2:
            return self._loop(op, at - 2)
        if op.name in ("index_update", "vwrite") and at == 0:
            box = self._element(op) if op.name == "index_update" else self._window(op)
            return ([] if box is None else [box]), op.results[0]
        return None

    def _branches(self, op: Op, array: Value) -> tuple[list[_Box], Value] | None:
        """What both branches write."""
        found = [self._end(array, block) for block in op.blocks]
        if any(end is None for end in found):
            return None
        (boxes, place), (others, same) = found  # type: ignore[misc]
        return ([box for box in boxes if box in others], op.results[place]) if place == same else None

    def _loop(self, op: Op, slot: int) -> tuple[list[_Box], Value] | None:
        """What all trips of a loop write."""
        body = op.block("body")
        end = self._end(body.params[1 + slot], body)
        if end is None or end[1] != 1 + slot:
            return None
        if not (self.numbers.is_true(op.operands[1]) and self.numbers.is_true(body.results[0])):
            return [], op.results[slot]
        trip, trips = body.params[0], self.numbers.of_trips(op.operands[0])
        own = {*body.params[1:], *(r for inner in walk(body) for r in inner.results)}
        moved = (_moved(box, trip, trips) for box in _joined(end[0]))
        return [box for box in moved if box is not None and not _names(box, own)], op.results[slot]

    def _end(self, array: Value, block: Block) -> tuple[list[_Box], int] | None:
        """What a block writes of an array, and the number of the result that it is behind that; None where something
        reads it."""
        found: list[_Box] = []
        for boxes, behind in self._steps(array, block):
            found += boxes
            array = behind
        users = [use for use in self.uses.get(array, ()) if self._op_of(use[0], block) is not None]
        if len(users) != 1 or users[0][0] is not block or len(found) > _MOST:
            return None
        return found, users[0][1]

    def _element(self, op: Op) -> _Box:
        """What an `index_update` writes."""
        places = map(self.numbers.of, op.operands[2:])
        return tuple((place, place.shifted(1)) for place in places)

    def _window(self, op: Op) -> _Box | None:
        """What a `vwrite` writes, where it is a box: rows or columns of a matrix, a part of a vector."""
        base, value = op.operands[0].type, op.operands[1].type
        assert isinstance(base, TensorType) and isinstance(value, TensorType)
        offset, *strides = map(self.numbers.of, op.operands[2:])
        sizes = [self.numbers.of_dim(dim) for dim in (*base.shape, *value.shape) if dim is not None]
        widths = sizes[base.rank :]
        if base.rank == 1:
            width = widths[0] if value.rank == 1 and strides == [number(1)] else None
            width = number(1) if not value.rank else width
            return None if width is None else ((offset, offset.plus(width)),)
        if base.rank != 2:
            return None
        row, column = self.numbers.parted(op.operands[2], base.shape[1])
        if not column.terms and column.constant < 0:  # counted from the end of the row before
            row, column = row.shifted(-1), column.plus(sizes[1])
        one = number(1)
        high = wide = one
        for stride, width in zip(strides, widths, strict=True):
            if width == one:
                continue
            if stride == one and wide == one:
                wide = width
            elif stride == sizes[1] and stride != one and high == one:
                high = width
            else:
                return None
        return (row, row.plus(high)), (column, column.plus(wide))


class _Numbers:
    """Sizes, indices and numbers of trips as linear expressions."""

    def __init__(self, body: Block) -> None:
        self.makers = {r: op for op in walk(body) for r in op.results}
        self._sizes: dict[str, Value] = {}

    def is_true(self, x: Value) -> bool:
        """Whether a truth value is known to be true."""
        op = self.makers.get(x)
        return op is not None and op.name == "const" and op.attrs["value"] is True

    def of_dim(self, dim: Dim) -> Linear:
        """A size in a type."""
        if isinstance(dim, int):
            return number(dim)
        if isinstance(dim, str):
            dim = self._sizes.setdefault(dim, Value(ScalarType(I64), dim, dim))
            return Linear({dim: 1})
        return self.of(dim)

    def of(self, x: Value) -> Linear:
        """A number; what it is made of by other ops than sums stands for itself."""
        if x.known is not None:
            return self.of_dim(x.known)
        form = meaning(self.makers.get(x)) if x.type == ScalarType(I64) else None  # smaller integers wrap
        if not isinstance(form, Linear):
            return Linear({x: 1})
        total = number(form.constant)
        for value, n in form.terms.items():
            total = total.plus(self.of(value), n)
        return total

    def of_trips(self, x: Value) -> Linear:
        """The trips of a loop; less than 0 are none, as 0 are."""
        larger = told(self.makers.get(x), "larger")
        return self.of(next((other for one, other in zip(larger, larger[::-1], strict=True) if one.known == 0), x))

    def parted(self, offset: Value, dim: Dim | None) -> tuple[Linear, Linear]:
        """A place in a matrix with rows of that many elements, as its row and its column."""
        assert dim is not None
        line = self.of_dim(dim)
        if not line.terms:
            found, size = self.of(offset), line.constant
            rows = {v: n // size for v, n in found.terms.items() if size and n % size == 0}
            rest = {v: n for v, n in found.terms.items() if v not in rows}
            row, column = divmod(found.constant, size) if size else (0, found.constant)
            return Linear(rows, row), Linear(rest, column)
        form = meaning(self.makers.get(offset))
        if isinstance(form, Linear) and offset.known is None:
            row, column = number(0), number(form.constant)
            for value, n in form.terms.items():
                rows, columns = self.parted(value, dim)
                row, column = row.plus(rows, n), column.plus(columns, n)
            return row, column
        factors = told(self.makers.get(offset), "product")
        for one, other in zip(factors, factors[::-1], strict=True):
            if self.of(other) == line:
                return self.of(one), number(0)
        if self.of(offset) == line:
            return number(1), number(0)
        return number(0), self.of(offset)


def _moved(box: _Box, trip: Value, trips: Linear) -> _Box | None:
    """What all trips of a loop write together, of which each writes a box; None where that is no box."""
    axes = [k for k, ends in enumerate(box) if any(trip in end.terms for end in ends)]
    if len(axes) != 1:
        return None
    (axis,) = axes
    low, high = box[axis]
    step, width = low.terms.get(trip, 0), high.minus(low)
    if width.terms or abs(step) != width.constant or step == 0:
        return None
    last = trips.shifted(-1).times(abs(step))
    first = low.plus(Linear({trip: step}), -1)
    ends = (first, first.plus(last).shifted(width.constant)) if step > 0 else (first.minus(last), first.shifted(-step))
    return (*box[:axis], ends, *box[axis + 1 :])


def _names(box: _Box, values: Container[Value]) -> bool:
    """Whether a box depends on one of some values."""
    return any(value in values for ends in box for end in ends for value in end.terms)


def _is_at_most(x: Linear, y: Linear) -> bool:
    """Whether one number is at most another by as much, whatever they are made of."""
    difference = y.minus(x)
    return not difference.terms and difference.constant >= 0


def _contains(box: _Box, other: _Box) -> bool:
    pairs = zip(box, other, strict=True)
    return all(_is_at_most(a[0], b[0]) and _is_at_most(b[1], a[1]) for a, b in pairs)


def _joined(boxes: Sequence[_Box]) -> list[_Box]:
    """The boxes, and those that two of them side by side are."""
    found = list(dict.fromkeys(boxes))
    for box in found:  # which grows
        for other in found[: found.index(box)]:
            made = [b for b in (*_side_by_side(box, other), *_side_by_side(other, box)) if b not in found]
            found += made[: max(_MOST - len(found), 0)]
    return found


def _side_by_side(box: _Box, other: _Box) -> Iterator[_Box]:
    """A box with what lies behind it along an axis of another, which is as large along all others."""
    for axis, (mine, its) in enumerate(zip(box, other, strict=True)):
        rest = (*box[:axis], *box[axis + 1 :]), (*other[:axis], *other[axis + 1 :])
        if _contains(rest[1], rest[0]) and _is_at_most(its[0], mine[1]) and not _is_at_most(its[1], mine[1]):
            yield (*box[:axis], (mine[0], its[1]), *box[axis + 1 :])
