"""How neighbouring lines of an array are ordered together: the lanes of a vector hold one element of each line.

All lines take the same comparisons, those of Batcher's merge exchange (Knuth, The Art of Computer Programming 3,
5.2.2, algorithm M), which orders any number of elements; a comparison is a least and a greatest of two vectors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracejit.ir.types import I64, U32, U64
from tracejit.ops.loops import PARTS, in_parts, insert_axis, without_axis

Emitter = Any
Array = Any
Expr = Any

#: Lines up to so long are ordered in lanes; for longer ones the comparisons are too many.
LONGEST = 1024
#: Lines that are ordered together, and how many there must be.
LANES = 16
FEWEST = 4


def pays(e: Emitter, x: Array, axis: int, longest: Expr) -> Expr:
    """Whether the lines of x along an axis are short and many enough."""
    lines = without_axis(x.shape, axis)
    return e.k.let(e.k.logical_and(e.k.le(x.shape[axis], longest), e.k.ge(lines[-1], FEWEST)), "side_by_side")


class Columns:
    """Keys of a block of lines, and their places where no `value` says what is written for a key. A key of 32 bits and
    its place are one number; longer keys lie apart."""

    def __init__(self, e: Emitter, key_dtype: Any, size: Expr, value: Callable[[Expr], Expr] | None) -> None:
        self.e = e
        self.size = size
        self.value = value
        self.is_packed = value is None and key_dtype != U64
        self.block_size = e.k.let(e.k.mul(e.k.minimum(size, LONGEST), LANES), "block_size")
        self.start: Expr = e.k.const(0, I64)  #: where the block at work lies
        room = (e.k.mul(self.block_size, PARTS),)
        self.keys = e.work(U64 if self.is_packed else key_dtype, room, "columns")
        self.places = e.work(I64, room, "column_places") if value is None and not self.is_packed else None

    def write(self, out: Array, x: Array, axis: int, key: Callable[[Expr], Expr]) -> None:
        """Write the elements of x, or their places, in the order of their keys; threads share the outermost loop."""
        e, k = self.e, self.e.k
        *others, last = without_axis(x.shape, axis)
        levels = self._levels()
        blocks = k.let(k.quotient(k.add(last, LANES - 1), LANES), "blocks")
        with in_parts(e, (*others, blocks)) as (part, (*at, block)):
            self.start = k.let(k.mul(part, self.block_size), "start")
            self._block(out, x, axis, key, levels, (*at, k.let(k.mul(block, LANES), "first")))

    def _block(
        self, out: Array, x: Array, axis: int, key: Callable[[Expr], Expr], levels: Expr, place: tuple[Expr, ...]
    ) -> None:
        """Order the lines from `place` on, an index without the axis. Lanes to spare do what the last line's does."""
        e, k = self.e, self.e.k
        *at, first = place
        last = k.let(k.sub(without_axis(x.shape, axis)[-1], 1), "last")
        lanes = k.const(LANES, I64)
        with e.loops((self.size, lanes), vector=True) as (i, lane):
            line = (*at, k.minimum(k.add(first, lane), last))
            self._put(self._at(i, lane), key(e.load(x, insert_axis(line, axis, i))), i)
        with e.loops((lanes,), vector=True) as (lane,):
            self._exchanges(levels, lane)
        with e.loops((self.size, lanes), vector=True) as (i, lane):
            line = (*at, k.minimum(k.add(first, lane), last))
            e.store(out, insert_axis(line, axis, i), self._found(self._at(i, lane)))

    def _levels(self) -> Expr:
        """The binary logarithm of the size, rounded up."""
        e, k = self.e, self.e.k
        with e.fold(k.const(LONGEST.bit_length(), I64), k.sub(self.size, 1), k.const(0, I64)) as halvings:
            left, count = halvings.carried
            halvings.following = [k.lsr(left, 1), k.add(count, k.cast(k.gt(left, 0), I64))]
        return halvings.results[1]

    def _exchanges(self, levels: Expr, lane: Expr) -> None:
        """All rounds: i and i + distance change places, for each i that has the bit of `step` as `start` has it."""
        e, k = self.e, self.e.k
        one = k.const(1, I64)
        with e.loops((levels,)) as (level,):
            step = k.let(k.lsl(one, k.sub(k.sub(levels, 1), level)), "step")
            twice = k.let(k.mul(step, 2), "twice")
            with e.loops((k.add(level, 1),)) as (turn,):
                is_first = k.let(k.eq(turn, 0), "is_first")
                distance = k.let(k.select(is_first, step, k.sub(k.lsl(one, k.sub(levels, turn)), step)), "distance")
                start = k.let(k.select(is_first, k.const(0, I64), step), "start")
                end = k.let(k.sub(self.size, distance), "end")
                span = k.let(k.maximum(k.sub(end, start), 0), "span")
                rest = k.minimum(k.bitand(span, k.sub(twice, 1)), step)
                count = k.add(k.lsr(k.bitand(span, k.sub(0, twice)), 1), rest)
                with e.loops((count,)) as (j,):
                    run = k.bitand(j, k.sub(0, step))  # runs of `step` elements, as many between them
                    i = k.let(k.add(start, k.add(run, j)), "i")
                    self._exchange(self._at(i, lane), self._at(k.add(i, distance), lane))

    def _exchange(self, low: Expr, high: Expr) -> None:
        e, k = self.e, self.e.k
        a, b = e.load(self.keys, (low,)), e.load(self.keys, (high,))
        if self.places is None:
            e.store(self.keys, (low,), k.minimum(a, b))
            e.store(self.keys, (high,), k.maximum(a, b))
            return
        p, q = e.load(self.places, (low,)), e.load(self.places, (high,))
        swaps = k.let(k.logical_or(k.lt(b, a), k.logical_and(k.eq(b, a), k.lt(q, p))), "swaps")
        for array, one, other in ((self.keys, a, b), (self.places, p, q)):
            e.store(array, (low,), k.select(swaps, other, one))
            e.store(array, (high,), k.select(swaps, one, other))

    def _at(self, i: Expr, lane: Expr) -> Expr:
        return self.e.k.add(self.e.k.add(self.start, self.e.k.mul(i, LANES)), lane)

    def _put(self, at: Expr, key: Expr, place: Expr) -> None:
        e, k = self.e, self.e.k
        packed = k.bitor(k.lsl(k.cast(key, U64), 32), k.cast(place, U64)) if self.is_packed else key
        e.store(self.keys, (at,), packed)
        if self.places is not None:
            e.store(self.places, (at,), place)

    def _found(self, at: Expr) -> Expr:
        """What is written for the element that has come to a place."""
        e, k = self.e, self.e.k
        if self.places is not None:
            return e.load(self.places, (at,))
        key = e.load(self.keys, (at,))
        return k.cast(k.cast(key, U32), I64) if self.value is None else self.value(key)
