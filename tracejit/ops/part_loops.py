"""How lines are parted: what comes at some places of their order is put there, nothing greater before it, nothing less
behind.

By vectors where a machine can (`codegen/support/ordering.py`), place after place from the least on, each in what is
behind the one before; else, and for many places, lines are ordered. Places of elements move with keys of 32 bits; for
others the key at one place of the order is found so, and those of lesser, equal and greater keys are written one
behind the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracejit.ir.types import I64
from tracejit.ops import sort_loops
from tracejit.ops.loops import insert_axis
from tracejit.ops.sort_loops import Lines

Emitter = Any
Array = Any
Expr = Any

#: For more places than this a line is ordered.
MOST = 8


def parted(e: Emitter, results: Sequence[Any], x: Array, places: Array, *, axis: int) -> Array:
    """The elements, those at ascending places where they belong."""
    if not e.in_order:
        return sort_loops.ordered(e, results, x, axis=axis)
    out = e.new(results[0], room=e.slack if len(x.shape) == 1 else 0)
    return _parted(e, out, x, places, axis, order=False)


def argparted(e: Emitter, results: Sequence[Any], x: Array, places: Array, *, axis: int) -> Array:
    """The places of the elements in such an order."""
    if not e.in_order:
        return sort_loops.argsort(e, results, x, axis=axis)
    return _parted(e, e.new(results[0]), x, places, axis, order=True)


def _parted(e: Emitter, out: Array, x: Array, places: Array, axis: int, *, order: bool) -> Array:
    """Places (`order`) or elements, line by line."""
    lines = Lines(e, x, axis, False, order, home=None if order else out)
    can = _can(e, lines, places)

    def line(outer: tuple[Expr, ...]) -> None:
        def put(place: Expr, found: Expr) -> None:
            e.store(out, insert_axis(outer, axis, place), found)

        with e.when(can):
            lines.fill_signed(outer)
            select(e, lines, places)
            if order and not lines.is_packed:
                _three(e, lines, places, outer, put)
            else:
                lines.put_signed(put)
        with e.when(e.k.logical_not(can)):
            lines.fill(outer)
            lines.in_order(put)

    with e.kernel():
        lines.each(line)
    return out


def _can(e: Emitter, lines: Lines, places: Array) -> Expr:
    """Whether lines are parted by vectors; NumPy looks at no place of a line without elements."""
    k = e.k
    most = 1 if lines.all_places is not None and not lines.is_packed else MOST
    few = k.logical_and(k.le(places.shape[0], most), k.gt(lines.size, 0))
    return k.let(k.logical_and(lines.can, few), "can_part")


def select(e: Emitter, lines: Lines, places: Array) -> None:
    """Put the keys of a line at some places where they belong."""
    k, bits = e.k, lines.signed_bits
    with e.fold(places.shape[0], k.const(0, I64)) as fold:
        (start,) = fold.carried
        place = k.let(e.load(places, (fold.index,)), "place")
        with e.when(k.ge(place, start)):  # else it is the place before once more
            left = k.let(k.sub(lines.size, start), "left")
            e.by_vectors(f"select_{bits}", *lines.signed_keys(start), left, k.sub(place, start))
        fold.following = [k.maximum(start, k.add(place, 1))]


def _three(e: Emitter, lines: Lines, places: Array, outer: tuple[Expr, ...], put: Callable[[Expr, Expr], None]) -> None:
    """Put the places of lesser keys, then those of keys equal to that at a place of the order, then the others."""
    k, zero = e.k, e.k.const(0, I64)
    place = k.let(e.load(places, (zero,)), "place")
    key = k.let(lines.unsigned_at(place), "key")

    def count(start: Expr, size: Expr, holds: Callable[[Expr], Expr]) -> Expr:
        with e.fold(size, zero, combine="add") as fold:
            other = lines.unsigned_at(k.add(start, fold.index))
            fold.following = [k.cast(holds(other), I64)]
        return fold.results[0]

    less = k.let(count(zero, place, lambda other: k.lt(other, key)), "less")
    same = count(place, k.sub(lines.size, place), lambda other: k.eq(other, key))
    greater = k.let(k.add(place, same), "greater")
    with e.fold(lines.size, zero, less, greater) as fold:
        first, second, third = fold.carried
        other = k.let(lines.key(lines.element(outer, fold.index)), "other")
        is_less, is_same = k.let(k.lt(other, key), "is_less"), k.let(k.eq(other, key), "is_same")
        put(k.select(is_less, first, k.select(is_same, second, third)), fold.index)
        is_greater = k.logical_not(k.logical_or(is_less, is_same))
        fold.following = [
            k.add(at, k.cast(holds, I64)) for at, holds in ((first, is_less), (second, is_same), (third, is_greater))
        ]
