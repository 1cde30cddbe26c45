"""How elements are ordered: one line of the array after the other, many short ones together (`sort_networks.py`).

On a CPU the elements become unsigned numbers in the same order (for floats: Herf, "Radix tricks", 2001; all nan become
the greatest, and 0.0 and -0.0 one number where places are asked for). Such keys move with their places or, where only
the elements count, alone: an element is found again from its key. A short line is ordered by counting, for each
element, those that come before it; a longer one byte by byte from the lowest (Knuth, The Art of Computer Programming 3,
5.2.5), where bytes that all elements share cost nothing. Both keep the order of equal elements. Where a machine can,
lines of keys of 32 and 64 bits are ordered by vectors instead (`codegen/support/ordering.py`).

On a GPU all elements of a line are ordered at once (`merged`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracejit.ir.types import BOOL, F32, F64, I32, I64, U32, U64, TensorType
from tracejit.ops import sort_networks
from tracejit.ops.loops import PARTS, in_parts, insert_axis, wide, without_axis

Emitter = Any
Array = Any
Expr = Any

#: Lines up to so long are ordered by counting.
SHORT = 64
BYTE = 256
#: Lines up to so long are ordered side by side where they could be ordered by vectors.
SIDE_BY_SIDE = 16


def argsort(e: Emitter, results: Sequence[Any], x: Array, *, axis: int, descending: bool = False) -> Array:
    """Places in the order of their elements."""
    out = e.new(results[0])
    if e.in_order:
        _in_lines(e, out, x, axis, descending, order=True)
    else:
        merge(e, out, x, axis, descending)
    return out


def ordered(e: Emitter, results: Sequence[Any], x: Array, *, axis: int, descending: bool = False) -> Array:
    """The elements in order."""
    if e.in_order:
        out = e.new(results[0], room=e.slack if len(x.shape) == 1 else 0)
        _in_lines(e, out, x, axis, descending, order=False)
        return out
    out = e.new(results[0])
    places = e.scratch(TensorType(I64, results[0].type.shape), "places")
    merge(e, places, x, axis, descending)
    with e.kernel(), e.loops(x.shape, parallel=True) as at:
        e.store(out, at, e.load(x, insert_axis(without_axis(at, axis), axis, e.load(places, at))))
    return out


def _in_lines(e: Emitter, out: Array, x: Array, axis: int, descending: bool, *, order: bool) -> None:
    """Places (`order`) or elements, line by line."""
    lines = Lines(e, x, axis, descending, order, home=None if order else out)
    if len(x.shape) == 1:
        with e.kernel():
            lines.write(out)
        return
    longest = e.k.select(lines.can, e.k.const(SIDE_BY_SIDE, I64), e.k.const(sort_networks.LONGEST, I64))
    columns = sort_networks.Columns(e, lines.key_dtype, lines.size, None if order else lines.value)
    with e.kernel():
        together = sort_networks.pays(e, x, axis, longest)
        with e.when(together):
            columns.write(out, x, axis, lines.key)
        with e.when(e.k.logical_not(together)):
            lines.write(out)


class Lines:
    """The lines of an array along an axis, and memory for as many of them as threads work at: the keys of a line, their
    places where they are wanted, and how often each byte occurs; twice for the former, which move between both."""

    def __init__(
        self, e: Emitter, x: Array, axis: int, descending: bool, order: bool, home: Array | None = None
    ) -> None:
        """`home`: where the elements of a single line will be, with room for `slack` more: signed keys may be there."""
        k, dtype = e.k, x.type.dtype
        self.e = e
        self.x = x
        self.axis = axis
        self.dtype = dtype
        self.size = x.shape[axis]
        self.descending = descending
        is_long = dtype.bits == 64
        self.bits = dtype.bits if not dtype.is_float or is_long else 32
        self.key_dtype, self.signed = (U64, I64) if is_long else (U32, I32)
        self.passes = (self.bits + 7) // 8
        self.parts = 1 if len(x.shape) == 1 else PARTS
        self.room = k.let(k.add(k.mul(self.size, 2), e.slack), "room")
        self.all_keys = e.work(self.key_dtype, (k.mul(self.room, self.parts),), "keys")
        self.all_places = e.work(I64, (k.mul(self.room, self.parts),), "places") if order else None
        self.all_counts = e.work(I64, (k.const(BYTE * self.passes * self.parts, I64),), "counts")
        #: signed keys of 32 bits take their places with them in one number
        self.is_packed = order and not is_long
        self.signed_bits = 64 if self.is_packed else self.key_dtype.bits
        self.home = home if self.parts == 1 and dtype.bits == self.key_dtype.bits else None
        self.can = self._can()
        self.use(k.const(0, I64))

    def _can(self) -> Expr:
        """Whether lines are ordered by vectors: short keys are not, and places only where they fit beside a key."""
        k = self.e.k
        if self.passes < 4:
            return k.const(False, BOOL)
        bits = self.key_dtype.bits
        can = self.e.by_vectors(f"order_{bits}", self.all_keys, self.all_keys, k.const(0, I64))
        return can if self.all_places is None else k.let(k.logical_and(can, k.lt(self.size, 1 << 31)), "can")

    def use(self, part: Expr) -> None:
        """Work in a part of the memory."""
        e, k = self.e, self.e.k

        def at(all: Array, room: Expr) -> Array:
            return all if self.parts == 1 else e.part(all, 0, k.mul(part, room), room)

        self.keys = at(self.all_keys, self.room)
        self.places = None if self.all_places is None else at(self.all_places, self.room)
        self.counts = at(self.all_counts, k.const(BYTE * self.passes, I64))

    def each(self, work: Callable[[tuple[Expr, ...]], None]) -> None:
        """Do work for each line, given its index without the axis."""
        if self.parts == 1:
            work(())
            return
        with in_parts(self.e, without_axis(self.x.shape, self.axis)) as (part, outer):
            self.use(part)
            work(outer)

    def write(self, out: Array) -> None:
        """Write the elements, or their places, in order, one line after the other."""
        e, k = self.e, self.e.k

        def line(outer: tuple[Expr, ...]) -> None:
            def put(place: Expr, found: Expr) -> None:
                e.store(out, insert_axis(outer, self.axis, place), found)

            with e.when(self.can):
                self.by_vectors(outer, put)
            with e.when(k.logical_not(self.can)):
                self.fill(outer)
                self.in_order(put)

        self.each(line)

    def element(self, outer: tuple[Expr, ...], place: Expr) -> Expr:
        """An element of a line."""
        return self.e.load(self.x, insert_axis(outer, self.axis, place))

    def by_vectors(self, outer: tuple[Expr, ...], put: Callable[[Expr, Expr], None]) -> None:
        """Put the elements, or places, in order."""
        self.fill_signed(outer)
        if self.places is None or self.is_packed:
            self.e.by_vectors(f"order_{self.signed_bits}", *self.signed_keys(), self.size)
        else:
            self.e.by_vectors("places_64", self.keys, self.places, self.spare(self.places), self.size)
        self.put_signed(put)

    def put_signed(self, put: Callable[[Expr, Expr], None]) -> None:
        """Put what signed keys stand for, as they lie."""
        e, k = self.e, self.e.k
        with e.loops((self.size,), vector=True) as (i,):
            if self.places is None:
                put(i, self.value(self.unsigned_at(i)))
            else:
                place = e.load(self.places, (i,))
                put(i, k.bitand(place, 0xFFFFFFFF) if self.is_packed else place)

    def spare(self, array: Array) -> Array:
        """The memory behind the elements of a line."""
        return self.e.part(array, 0, self.size, self.e.k.sub(self.room, self.size))

    def in_order(self, put: Callable[[Expr, Expr], None]) -> None:
        """Put the elements, or places, of the keys that are there."""
        is_short = self.e.k.let(self.e.k.le(self.size, SHORT), "is_short")
        with self.e.when(is_short):
            self.by_counting(put)
        with self.e.when(self.e.k.logical_not(is_short)):
            self.by_bytes(put)

    def fill_signed(self, outer: tuple[Expr, ...]) -> None:
        """Compute the signed keys of a line."""
        e, k = self.e, self.e.k
        with e.loops((self.size,), vector=True) as (i,):
            key = self.signed_key(self.element(outer, i))
            if self.is_packed:
                e.store(self.places, (i,), k.bitor(k.lsl(k.cast(key, I64), 32), i))
            elif self.home is None:
                e.store(self.keys, (i,), key)
            else:
                e.store(self.home, (i,), k.bitcast(key, self.dtype))

    def signed_keys(self, start: Expr | None = None) -> tuple[Array, Array]:
        """The signed keys of a line, from the first or another one on, and memory for as many."""
        e, k = self.e, self.e.k
        start = k.const(0, I64) if start is None else start
        own = self.places if self.is_packed else self.keys
        keys, spare = (own, self.spare(own)) if self.home is None else (self.home, own)
        return e.part(keys, 0, start, k.sub(self.size, start)), spare

    def unsigned_at(self, place: Expr) -> Expr:
        """The key that a signed key stands for."""
        e, k = self.e, self.e.k
        if self.home is None:
            key = e.load(self.keys, (place,))
        else:
            key = k.bitcast(e.load(self.home, (place,)), self.key_dtype)
        return k.bitxor(key, k.const(1 << (self.bits - 1), self.key_dtype))

    def signed_key(self, x: Expr) -> Expr:
        """The key of an element whose order is that of the signed numbers with its bits."""
        return self.e.k.bitxor(self.key(x), self.e.k.const(1 << (self.bits - 1), self.key_dtype))

    def key(self, x: Expr) -> Expr:
        """An element as an unsigned number."""
        k, signed = self.e.k, self.signed
        if self.dtype.is_float:
            x = k.let(wide(self.e, x), "x")
            number = x if self.places is None else k.select(k.eq(x, 0), k.const(0, x.type), x)
            bits = k.let(k.bitcast(number, signed), "bits")
            flipped = k.bitxor(bits, k.bitor(k.shr(bits, signed.bits - 1), self._sign))
            found = k.select(k.isnan(x), k.const(-1, self.key_dtype), k.bitcast(flipped, self.key_dtype))
        elif self.dtype.kind == "i":
            found = k.bitcast(self._turned(k.cast(x, signed)), self.key_dtype)
        else:
            found = k.cast(x, self.key_dtype)
        return k.bitxor(found, self._mask) if self.descending else found

    def value(self, key: Expr) -> Expr:
        """The element that has a key."""
        k, signed = self.e.k, self.signed
        key = k.bitxor(key, self._mask) if self.descending else key
        if self.dtype.is_float:
            bits = k.let(k.bitcast(key, signed), "bits")
            flipped = k.bitxor(bits, k.bitor(k.bitxor(k.shr(bits, signed.bits - 1), -1), self._sign))
            return k.cast(k.bitcast(flipped, F64 if signed == I64 else F32), self.dtype)
        if self.dtype.kind == "i":
            return k.cast(self._turned(k.bitcast(key, signed)), self.dtype)
        return k.cast(key, self.dtype)

    @property
    def _sign(self) -> Expr:
        return self.e.k.const(-1 << (self.signed.bits - 1), self.signed)

    @property
    def _mask(self) -> Expr:
        return self.e.k.const((1 << max(self.bits, 8)) - 1, self.key_dtype)

    def _turned(self, x: Expr) -> Expr:
        """A signed number with the bit of its sign turned over, which undoes itself; what lies above is cut off."""
        k, signed = self.e.k, self.signed
        turned = k.bitxor(x, k.const(-1 << (self.bits - 1), signed))
        return turned if self.bits == signed.bits else k.bitand(turned, k.const((1 << self.bits) - 1, signed))

    def fill(self, outer: tuple[Expr, ...]) -> None:
        """Compute the keys of a line."""
        with self.e.loops((self.size,), vector=True) as (i,):
            self.e.store(self.keys, (i,), self.key(self.element(outer, i)))

    def by_counting(self, put: Callable[[Expr, Expr], None]) -> None:
        """Each element goes behind as many as come before it."""
        e, k = self.e, self.e.k
        with e.loops((self.size,)) as (i,):
            mine = e.load(self.keys, (i,))
            with e.fold(self.size, k.const(0, I64), combine="add") as before:
                other = e.load(self.keys, (before.index,))
                is_before = k.logical_or(k.lt(other, mine), k.logical_and(k.eq(other, mine), k.lt(before.index, i)))
                before.following = [k.cast(is_before, I64)]
            put(before.results[0], self.value(mine) if self.places is None else i)

    def by_bytes(self, put: Callable[[Expr, Expr], None]) -> None:
        """One pass per byte in which elements differ."""
        e, k = self.e, self.e.k
        with e.loops((e.k.const(BYTE * self.passes, I64),), vector=True) as (i,):
            e.store(self.counts, (i,), k.const(0, I64))
        with e.loops((self.size,)) as (i,):
            key = e.load(self.keys, (i,))
            if self.places is not None:
                e.store(self.places, (i,), i)
            for turn in range(self.passes):
                at = self.byte(key, k.const(turn, I64))
                e.store(self.counts, (at,), k.add(e.load(self.counts, (at,)), 1))
        with e.fold(k.const(self.passes, I64), k.const(0, I64)) as turns:
            (start,) = turns.carried
            other = k.let(k.sub(self.size, start), "other")
            first = self.byte(e.load(self.keys, (start,)), turns.index)
            differs = k.let(k.ne(e.load(self.counts, (first,)), self.size), "differs")
            with e.when(differs):
                self.move(turns.index, start, other)
            turns.following = [k.select(differs, other, start)]
        with e.loops((self.size,)) as (i,):
            at = (k.add(turns.results[0], i),)
            put(i, self.value(e.load(self.keys, at)) if self.places is None else e.load(self.places, at))

    def byte(self, key: Expr, turn: Expr) -> Expr:
        """Where the byte of a key that a pass looks at is counted."""
        k = self.e.k
        shifted = k.lsr(key, k.cast(k.mul(turn, 8), self.key_dtype))
        return k.let(k.add(k.cast(k.bitand(shifted, BYTE - 1), I64), k.mul(turn, BYTE)), "byte")

    def move(self, turn: Expr, start: Expr, other: Expr) -> None:
        """The elements from `start` on go behind `other`, in the order of a byte."""
        e, k = self.e, self.e.k
        with e.fold(k.const(BYTE, I64), k.const(0, I64)) as total:
            at = k.let(k.add(k.mul(turn, BYTE), total.index), "at")
            count = e.load(self.counts, (at,))
            e.store(self.counts, (at,), total.carried[0])
            total.following = [k.add(total.carried[0], count)]
        with e.loops((self.size,)) as (i,):
            source = k.let(k.add(start, i), "source")
            key = e.load(self.keys, (source,))
            byte = self.byte(key, turn)
            to = e.load(self.counts, (byte,))
            e.store(self.counts, (byte,), k.add(to, 1))
            target = k.let(k.add(other, to), "target")
            if self.places is not None:
                e.store(self.places, (target,), e.load(self.places, (source,)))
            e.store(self.keys, (target,), key)


def merge(e: Emitter, out: Array, x: Array, axis: int, descending: bool) -> None:
    """Merge sort of places, bottom up: in each pass every place finds its rank in the run beside its own by binary
    search, so that all elements of a pass are independent."""
    moved = e.scratch(out.type, "moved")
    size = x.shape[axis]
    with e.kernel(), e.loops(without_axis(x.shape, axis), parallel=True) as outer:

        def before(a: Expr, b: Expr) -> Expr:
            return _less(e, b, a) if descending else _less(e, a, b)

        def key(place: Expr) -> Expr:
            return wide(e, e.load(x, insert_axis(outer, axis, e.load(out, insert_axis(outer, axis, place)))))

        with e.loops((size,)) as (i,):
            e.store(out, insert_axis(outer, axis, i), i)
        with e.fold(e.k.const(63, I64), e.k.const(1, I64)) as passes:
            (width,) = passes.carried
            with e.when(e.k.lt(width, size)):
                with e.loops((size,)) as (i,):
                    rank = _rank(e, i, width, passes.index, size, key, before)
                    e.store(moved, insert_axis(outer, axis, rank), e.load(out, insert_axis(outer, axis, i)))
                with e.loops((size,)) as (i,):
                    e.store(out, insert_axis(outer, axis, i), e.load(moved, insert_axis(outer, axis, i)))
            passes.following = [e.k.mul(width, 2)]


def _rank(
    e: Emitter,
    i: Expr,
    width: Expr,
    steps: Expr,
    size: Expr,
    key: Callable[[Expr], Expr],
    before: Callable[[Expr, Expr], Expr],
) -> Expr:
    """Where the element at place i goes when the two runs of `width` around it are merged."""
    k = e.k
    start = k.let(k.sub(i, k.remainder(i, k.mul(width, 2))), "start")
    middle = k.let(k.minimum(k.add(start, width), size), "middle")
    end = k.minimum(k.add(middle, width), size)
    is_left = k.let(k.lt(i, middle), "is_left")
    first, last = k.select(is_left, middle, start), k.select(is_left, end, middle)
    mine = key(i)
    with e.fold(k.add(steps, 1), first, last) as search:
        low, high = search.carried
        half = k.let(k.lsr(k.add(low, high), 1), "half")
        other = key(k.minimum(half, k.sub(size, 1)))
        passes_by = k.select(is_left, before(other, mine), k.logical_not(before(mine, other)))
        is_open = k.lt(low, high)
        up = k.let(k.logical_and(is_open, passes_by), "up")
        down = k.logical_and(is_open, k.logical_not(up))
        search.following = [k.select(up, k.add(half, 1), low), k.select(down, half, high)]
    crossed = k.sub(search.results[0], first)
    own = k.sub(i, k.select(is_left, start, middle))
    return k.let(k.add(start, k.add(own, crossed)), "rank")


# -- searching ------------------------------------------------------------------------------------------------


def insertion_place(e: Emitter, results: Sequence[Any], x: Array, values: Array, *, side: str) -> Array:
    """Binary search without branches: the part in which the place lies is halved as often as its size asks for."""
    out, size = e.new(results[0]), x.shape[0]
    with e.here(), e.fold(e.k.const(63, I64), size, e.k.const(0, I64)) as halvings:
        left, count = halvings.carried
        is_open = e.k.let(e.k.gt(left, 1), "is_open")
        halvings.following = [e.k.sub(left, e.k.lsr(left, 1)), e.k.add(count, e.k.cast(is_open, I64))]
    steps = halvings.results[1]

    def nowhere() -> None:
        with e.kernel(), e.loops(values.shape, vector=True) as at:
            e.store(out, at, e.k.const(0, I64))

    def search() -> None:
        with e.kernel(), e.loops(values.shape, parallel=True, vector=True) as at:
            e.store(out, at, _place_of(e, x, wide(e, e.load(values, at)), steps, side))

    e.either(e.k.eq(size, 0), nowhere, search)
    return out


def _place_of(e: Emitter, x: Array, value: Expr, steps: Expr, side: str) -> Expr:
    k = e.k

    def is_before(place: Expr) -> Expr:
        found = wide(e, e.load(x, (place,)))
        if side == "left":
            return _less(e, found, value)
        return k.logical_not(_less(e, value, found))

    with e.fold(steps, k.const(0, I64), x.shape[0]) as search:
        base, left = search.carried
        half = k.let(k.lsr(left, 1), "half")
        last = k.let(k.sub(k.add(base, k.maximum(half, 1)), 1), "last")
        search.following = [k.select(is_before(last), k.add(base, half), base), k.sub(left, half)]
    base = search.results[0]
    return k.add(base, k.cast(is_before(base), I64))


def _less(e: Emitter, a: Expr, b: Expr) -> Expr:
    """Whether a must come before b; nan comes last."""
    less = e.k.lt(a, b)
    if not a.type.is_float:
        return less
    return e.k.logical_or(less, e.k.logical_and(e.k.isnan(b), e.k.logical_not(e.k.isnan(a))))
