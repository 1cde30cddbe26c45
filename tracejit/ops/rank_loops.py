"""How the elements at some places of the order of a line are found without ordering the line.

The elements become the keys that `sort_loops` orders. Of those that may be the one wanted, the ones are kept whose next
byte, from the highest on, is that of the place: how often each byte occurs says which one that is. So a place costs two
looks at each element, and few at those that share the first bytes with it (Hoare's `find`, 1961, in a fixed number of
passes). A place behind the elements of the one before it needs one look: there is the least of those that are greater.

By vectors, where a machine can, keys less than a pivot go to the front, until the place is found (`part_loops.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from tracejit.ir.types import I64, TensorType
from tracejit.ops.part_loops import MOST
from tracejit.ops.sort_loops import BYTE, SHORT, Lines, merge

Emitter = Any
Array = Any
Expr = Any


def ranked(e: Emitter, results: Sequence[Any], x: Array, ranks: Array) -> Array:
    """The elements of a line at places of its order, which are in range."""
    out = e.new(results[0])
    if e.in_order:
        selection = _Selection(e, x)
        with e.kernel():
            selection.write(out, ranks)
        return out
    places = e.scratch(TensorType(I64, x.type.shape), "places")
    merge(e, places, x, 0, descending=False)
    with e.kernel(), e.loops(ranks.shape, parallel=True) as at:
        e.store(out, at, e.load(x, (e.load(places, (e.load(ranks, at),)),)))
    return out


class _Selection:
    """The keys of a line, and behind them those that may be the one wanted; what the last place gave."""

    def __init__(self, e: Emitter, x: Array) -> None:
        self.e = e
        self.x = x
        self.line = Lines(e, x, 0, descending=False, order=False)
        self.key = e.work(self.line.key_dtype, (e.k.const(1, I64),), "key")
        #: how many keys are less than `key`, how many are not greater, where those that may be it begin, how many
        #: they are, how many of them come before it; in how many bytes keys differ
        self.state = e.work(I64, (e.k.const(6, I64),), "state")
        #: counts of bytes, of which elements beside each other have different ones: they need not wait for each other
        self.rows = min(self.line.passes, 4)
        self.ordered = e.work(x.type.dtype, (self.line.size,), "ordered")

    def write(self, out: Array, ranks: Array) -> None:
        """Write the elements at the places."""
        e, k, line = self.e, self.e.k, self.line
        is_many = k.let(k.gt(ranks.shape[0], MOST), "is_many")
        cannot = k.let(k.logical_not(line.can), "cannot")
        is_ordered = k.logical_or(is_many, k.logical_and(cannot, k.le(line.size, SHORT)))
        is_ordered = k.let(is_ordered, "is_ordered")
        is_selected = k.let(k.logical_not(is_ordered), "is_selected")
        with e.when(k.logical_and(line.can, is_ordered)):
            line.by_vectors((), self.put)
        with e.when(cannot):
            line.fill(())
        with e.when(k.logical_and(cannot, is_ordered)):
            line.in_order(self.put)
        with e.when(is_ordered), e.loops(ranks.shape) as at:
            e.store(out, at, e.load(self.ordered, (e.load(ranks, at),)))
        with e.when(k.logical_and(line.can, is_selected)):
            self.by_vectors(out, ranks)
        with e.when(k.logical_and(cannot, is_selected)):
            self.begin()
            with e.loops(ranks.shape) as at:
                self.find(e.load(ranks, at))
                e.store(out, at, line.value(e.load(self.key, (k.const(0, I64),))))

    def by_vectors(self, out: Array, ranks: Array) -> None:
        """Each place in what is behind the one before it, or in front of that."""
        e, k, line = self.e, self.e.k, self.line
        line.fill_signed(())
        with e.fold(ranks.shape[0], k.const(-1, I64)) as fold:
            (last,) = fold.carried
            rank = k.let(e.load(ranks, (fold.index,)), "rank")
            is_behind = k.gt(rank, last)
            start = k.let(k.select(is_behind, k.add(last, 1), 0), "start")
            count = k.let(k.sub(k.select(is_behind, line.size, last), start), "count")
            with e.when(k.ne(rank, last)):
                e.by_vectors(f"select_{line.key_dtype.bits}", *line.signed_keys(start), count, k.sub(rank, start))
            e.store(out, (fold.index,), line.value(line.unsigned_at(rank)))
            fold.following = [rank]

    def put(self, place: Expr, found: Expr) -> None:
        self.e.store(self.ordered, (place,), found)

    def begin(self) -> None:
        """Nothing is known but how many bytes keys differ in: all above these are the same."""
        e, k, line = self.e, self.e.k, self.line
        self.note(0, k.const(-1, I64))
        self.note(1, k.const(-1, I64))
        ends: list[Expr] = []
        for combine, start in (("minimum", (1 << line.key_dtype.bits) - 1), ("maximum", 0)):
            with e.fold(line.size, k.const(start, line.key_dtype), combine=combine) as end:
                end.following = [e.load(line.keys, (end.index,))]
            ends.append(end.results[0])
        differing = k.let(k.bitxor(*ends), "differing")
        with e.fold(k.const(line.passes, I64), k.const(0, I64), combine="add") as bytes:
            above = k.lsr(differing, k.cast(k.mul(bytes.index, 8), line.key_dtype))
            bytes.following = [k.cast(k.ne(above, k.const(0, line.key_dtype)), I64)]
        self.note(5, bytes.results[0])

    def known(self, what: int) -> Expr:
        return self.e.load(self.state, (self.e.k.const(what, I64),))

    def note(self, what: int, value: Expr) -> None:
        self.e.store(self.state, (self.e.k.const(what, I64),), value)

    def find(self, rank: Expr) -> None:
        """The key at a place: the last one, the next one, or any."""
        e, k = self.e, self.e.k
        less, most = self.known(0), self.known(1)
        is_same = k.logical_and(k.le(less, rank), k.lt(rank, most))
        is_next = k.let(k.logical_and(k.eq(rank, most), k.ge(most, 0)), "is_next")
        with e.when(is_next):
            self.next()
        with e.when(k.logical_not(k.logical_or(is_same, is_next))):
            self.any(rank)

    def next(self) -> None:
        """The least key that is greater than the last one."""
        e, k, line = self.e, self.e.k, self.line
        last = k.let(e.load(self.key, (k.const(0, I64),)), "last")
        greatest = k.const((1 << line.key_dtype.bits) - 1, line.key_dtype)
        with e.fold(line.size, greatest, combine="minimum") as least:
            key = e.load(line.keys, (least.index,))
            least.following = [k.select(k.gt(key, last), key, greatest)]
        found = least.results[0]
        with e.fold(line.size, k.const(0, I64), combine="add") as equal:
            equal.following = [k.cast(k.eq(e.load(line.keys, (equal.index,)), found), I64)]
        e.store(self.key, (k.const(0, I64),), found)
        most = k.let(self.known(1), "most")
        self.note(0, most)
        self.note(1, k.add(most, equal.results[0]))

    def any(self, rank: Expr) -> None:
        """The key at any place, byte by byte."""
        e, k, line = self.e, self.e.k, self.line
        for what, value in enumerate((k.const(0, I64), line.size, rank), 2):
            self.note(what, value)
        passes = k.let(self.known(5), "passes")
        with e.loops((passes,)) as (turn,), e.when(k.gt(self.known(3), 1)):
            self.keep(k.let(k.sub(k.sub(passes, 1), turn), "turn"))
        e.store(self.key, (k.const(0, I64),), e.load(line.keys, (self.known(2),)))
        less = k.let(k.sub(rank, self.known(4)), "less")
        self.note(0, less)
        self.note(1, k.add(less, self.known(3)))

    def keep(self, turn: Expr) -> None:
        """Of the keys that may be it, those with its byte."""
        e, k, line = self.e, self.e.k, self.line
        start, count, rank = (k.let(self.known(what), "known") for what in (2, 3, 4))
        shift = k.let(k.cast(k.mul(turn, 8), line.key_dtype), "shift")

        def byte(key: Expr) -> Expr:
            return k.let(k.cast(k.bitand(k.lsr(key, shift), BYTE - 1), I64), "byte")

        with e.loops((k.const(self.rows * BYTE, I64),), vector=True) as (i,):
            e.store(line.counts, (i,), k.const(0, I64))
        with e.loops((count,)) as (i,):
            row = k.mul(k.bitand(i, self.rows - 1), BYTE)
            at = (k.add(row, byte(e.load(line.keys, (k.add(start, i),)))),)
            e.store(line.counts, at, k.add(e.load(line.counts, at), 1))
        zero = k.const(0, I64)
        with e.fold(k.const(BYTE, I64), zero, zero, zero, zero) as bytes:
            total, wanted, before, kept = bytes.carried
            rows = [e.load(line.counts, (k.add(bytes.index, row * BYTE),)) for row in range(self.rows)]
            here = k.let(reduce(k.add, rows), "here")
            after = k.let(k.add(total, here), "after")
            is_it = k.let(k.logical_and(k.le(total, rank), k.lt(rank, after)), "is_it")
            bytes.following = [
                after,
                *(k.select(is_it, a, b) for a, b in ((bytes.index, wanted), (total, before), (here, kept))),
            ]
        _, wanted, before, kept = bytes.results
        with e.when(k.ne(kept, count)):
            with e.fold(count, zero) as moved:
                key = e.load(line.keys, (k.add(start, moved.index),))
                e.store(line.keys, (k.add(line.size, moved.carried[0]),), key)
                moved.following = [k.add(moved.carried[0], k.cast(k.eq(byte(key), wanted), I64))]
            for what, value in enumerate((line.size, kept, k.sub(rank, before)), 2):
                self.note(what, value)
