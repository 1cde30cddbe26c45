"""How opaque ops are computed: loops over arrays, written with the emitter of code generation.

A rule is `emit(e, results, *operands, **attrs)`: `results` are the op's result values, tensors are arrays, host
scalars expressions; it returns what stands for each result. `e.k` builds expressions; stores and loops belong into
`with e.kernel()`. Ops that update in place give back the array of operand 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tracejit.ir.types import BF16, BOOL, F16, F32, I32, I64, U8, DType, TensorType

Emitter = Any
Array = Any
Expr = Any

#: Lines of up to so many elements are looked through side by side, in the lanes of vectors.
SHORT = 16

#: Into so many parts lines are cut that need memory to work in.
PARTS = 8

#: Elements that are looked through at once for an extremum.
BLOCK = 512

OVERFLOW_MESSAGE = "Python int too large to convert to 64 bits"


def without_axis(items: Sequence[Any], axis: int) -> tuple[Any, ...]:
    """An index or a shape without an axis."""
    return (*items[:axis], *items[axis + 1 :])


def insert_axis(items: Sequence[Any], axis: int, item: Any) -> tuple[Any, ...]:
    """An index or a shape with one more axis."""
    return (*items[:axis], item, *items[axis:])


@contextmanager
def in_parts(e: Emitter, sizes: Sequence[Expr]) -> Iterator[tuple[Expr, tuple[Expr, ...]]]:
    """Nested loops, the outermost in PARTS that threads share, each with memory of its own for what it works at; gives
    the number of the part and the index."""
    k = e.k
    outermost, *inner = sizes
    each = k.let(k.quotient(k.add(outermost, PARTS - 1), PARTS), "each")
    with e.loops((k.const(PARTS, I64),), parallel=True) as (part,):
        begin = k.let(k.mul(part, each), "begin")
        with e.loops((k.minimum(each, k.sub(outermost, begin)), *inner)) as (turn, *rest):
            yield part, (k.add(begin, turn), *rest)


# -- joining, places of extrema -------------------------------------------------------------------------------


def cat(e: Emitter, results: Sequence[Any], _size: Expr, xs: Sequence[Array], *, axis: int) -> Array:
    """Each operand copied into its part of the result."""
    out = e.new(results[0])
    start, parts = e.k.const(0, I64), list[tuple[Array, Array]]()
    for x in xs:
        parts.append((e.part(out, axis, start, x.shape[axis]), x))
        start = e.k.add(start, x.shape[axis])
    e.copy_parts(parts)
    return out


def extremum_place(better: str) -> Callable[..., Any]:
    """The first place along an axis whose element is `better` (`gt`, `lt`) than all others, or is the first nan.

    Along an axis whose elements are neighbours, the last one as a rule, vector loops find the first block that has it,
    then its place there. Along another one, and where lines are short, neighbouring lines are the lanes, and each lane
    carries its best element and where it was.
    """

    def emit(e: Emitter, results: Sequence[Any], x: Array, *, axis: int) -> Array:
        out, size = e.new(results[0]), x.shape[axis]
        x = e.with_lines(x, (axis, *without_axis(range(len(x.shape)), axis)[-1:]))

        def nest(place: Callable[..., Expr], vector: bool = False) -> None:
            with e.loops(without_axis(x.shape, axis), parallel=True, vector=vector) as outer:
                found = place(e, better, size, lambda i: wide(e, e.load(x, insert_axis(outer, axis, i))))
                e.store(out, outer, found)

        in_line = e.is_line(x, axis)
        with e.kernel():
            if in_line and len(x.shape) > 1 and e.in_order:
                is_short = e.k.let(e.k.le(size, SHORT), "is_short")
                with e.when(is_short):
                    nest(_place_by_lane, vector=True)
                with e.when(e.k.logical_not(is_short)):
                    nest(_place_in_line)
            elif in_line:
                nest(_place_in_line)
            else:
                nest(_place_by_lane, vector=True)
        return out

    return emit


def _place_in_line(e: Emitter, better: str, size: Expr, element: Callable[[Expr], Expr]) -> Expr:
    k, combine = e.k, "maximum" if better == "gt" else "minimum"
    zero = k.const(0, I64)
    first = element(zero)
    with e.fold(k.quotient(k.add(size, BLOCK - 1), BLOCK), first, zero) as blocks:
        best, place = blocks.carried
        start = k.let(k.mul(blocks.index, BLOCK), "start")
        count = k.minimum(k.sub(size, start), BLOCK)
        if first.type == BOOL:  # nothing is better than True, or worse than False
            count = k.select(k.ne(best, better == "lt"), 0, count)
        with e.fold(count, element(start), combine=combine) as fold:
            fold.following = [element(k.add(start, fold.index))]
        wins = k.let(_wins(e, better, fold.results[0], best), "wins")
        blocks.following = [k.select(wins, fold.results[0], best), k.select(wins, start, place)]
    best, start = blocks.results
    nowhere = k.const(BLOCK, I32)  # places inside a block are as wide as most elements: as many to a vector
    with e.fold(k.minimum(k.sub(size, start), BLOCK), nowhere, combine="minimum") as found:
        value = element(k.add(start, found.index))
        hit = k.eq(value, best)
        if value.type.is_float:
            hit = k.logical_or(hit, k.isnan(value))  # where there is a nan, it is the best
        found.following = [k.select(hit, k.cast(found.index, I32), nowhere)]
    return k.add(start, k.cast(found.results[0], I64))


def _wins(e: Emitter, better: str, value: Expr, best: Expr) -> Expr:
    """Whether a value is better than the best so far, or the first nan."""
    if not value.type.is_float:
        return getattr(e.k, better)(value, best)
    worse = {"gt": e.k.le, "lt": e.k.ge}[better](value, best)
    return e.k.logical_and(e.k.logical_not(worse), e.k.logical_not(e.k.isnan(best)))


def _place_by_lane(e: Emitter, better: str, size: Expr, element: Callable[[Expr], Expr]) -> Expr:
    zero = e.k.const(0, I64)
    with e.fold(size, element(zero), zero) as fold:
        best, place = fold.carried
        value = element(fold.index)
        wins = e.k.let(_wins(e, better, value, best), "wins")
        fold.following = [e.k.select(wins, value, best), e.k.select(wins, fold.index, place)]
    return fold.results[1]


def wide(e: Emitter, x: Expr) -> Expr:
    """Halves are carried through loops as f32."""
    return e.k.cast(x, F32) if x.type in (F16, BF16) else x


def _narrow(e: Emitter, x: Expr, dtype: DType) -> Expr:
    return e.k.cast(x, dtype)


# -- scans ----------------------------------------------------------------------------------------------------


def runs_in_lanes(e: Emitter, x: Array, axis: int) -> bool:
    """Whether loops along an axis do lines beside each other in the lanes of vectors."""
    last = len(x.shape) - 1
    return axis < last and e.in_order and e.is_line(x, last)


def scan(combine: str, start: int) -> Callable[..., Any]:
    """Running totals along an axis."""

    def emit(e: Emitter, results: Sequence[Any], x: Array, *, axis: int) -> Array:
        out = e.new(results[0])
        dtype = x.type.dtype
        with e.kernel(), e.loops(without_axis(x.shape, axis), parallel=True, vector=runs_in_lanes(e, x, axis)) as outer:
            zero = wide(e, e.k.const(start, dtype))
            with e.fold(x.shape[axis], zero) as fold:
                at = insert_axis(outer, axis, fold.index)
                total = e.k.let(getattr(e.k, combine)(_narrow(e, fold.carried[0], dtype), e.load(x, at)), "total")
                e.store(out, at, total)
                fold.following = [wide(e, total)]
        return out

    return emit


def place_so_far(better: str, identity: Callable[[DType], Any]) -> Callable[..., Any]:
    """Where the best element (`ge`, `le` all others) up to each one along an axis is; of nans the last, if there is
    one. `identity` is what any element is better than."""

    def emit(e: Emitter, results: Sequence[Any], x: Array, *, axis: int) -> Array:
        out = e.new(results[0])
        with e.kernel(), e.loops(without_axis(x.shape, axis), parallel=True, vector=runs_in_lanes(e, x, axis)) as outer:
            start = wide(e, e.k.const(identity(x.type.dtype), x.type.dtype))
            with e.fold(x.shape[axis], start, e.k.const(0, I64)) as fold:
                k, at = e.k, insert_axis(outer, axis, fold.index)
                value, (best, place) = k.let(wide(e, e.load(x, at)), "value"), fold.carried
                wins = getattr(k, better)(value, best)
                if value.type.is_float:
                    wins = k.logical_or(k.isnan(value), k.logical_and(k.logical_not(k.isnan(best)), wins))
                wins = k.let(wins, "wins")
                found = k.let(k.select(wins, fold.index, place), "found")
                e.store(out, at, found)
                fold.following = [k.select(wins, value, best), found]
        return out

    return emit


def linear_scan(e: Emitter, results: Sequence[Any], a: Array, c: Array, *, axis: int, reverse: bool = False) -> Array:
    """y[i] = a[i] * y[i-1] + c[i], the first one c[0]."""
    out = e.new(results[0])
    dtype, count = c.type.dtype, c.shape[axis]
    start = wide(e, e.k.const(0, dtype))
    lines = e.loops(without_axis(c.shape, axis), parallel=True, vector=runs_in_lanes(e, c, axis))
    with e.kernel(), lines as outer, e.fold(count, start) as fold:
        i = e.k.sub(e.k.sub(count, 1), fold.index) if reverse else fold.index
        at = insert_axis(outer, axis, i)
        term = e.load(c, at)
        grown = e.k.add(e.k.mul(e.load(a, at), _narrow(e, fold.carried[0], dtype)), term)
        y = e.k.let(e.k.select(e.k.eq(fold.index, 0), term, grown), "y")
        e.store(out, at, y)
        fold.following = [wide(e, y)]
    return out


# -- writing by integer arrays and masks ----------------------------------------------------------------------


def scatter(combine: str | None) -> Callable[..., Any]:
    """Values written in order at the places along an axis that an integer array names, or combined with what is
    there."""

    def emit(e: Emitter, results: Sequence[Any], x: Array, index: Array, value: Array, *, axis: int) -> Array:
        rank = len(index.shape)
        has_tail = len(value.shape) > axis + rank
        with e.kernel(), e.loops(value.shape, vector=has_tail) as at:
            place = e.k.cast(e.load(index, at[axis : axis + rank]), I64)
            target = (*at[:axis], place, *at[axis + rank :])
            new = e.load(value, at)
            e.store(x, target, getattr(e.k, combine)(e.load(x, target), new) if combine else new)
        return x

    return emit


def _rows(e: Emitter, x: Array, mask: Array) -> tuple[Expr, Expr]:
    """How many elements the mask has, and how many elements of x belong to each."""
    return e.k.product(mask.shape), e.k.let(e.k.product(x.shape[len(mask.shape) :]), "row")


def mask_places(e: Emitter, results: Sequence[Any], mask: Array) -> tuple[Expr, Array]:
    """Count, allocate, then write where the mask holds."""
    return _read(e, results, mask, e.k.const(1, I64), lambda at: at)


def mask_read(e: Emitter, results: Sequence[Any], x: Array, mask: Array) -> tuple[Expr, Array]:
    """Count, allocate, then copy what the mask holds."""
    return _read(e, results, mask, _rows(e, x, mask)[1], lambda at: e.load_flat(x, at))


def _read(
    e: Emitter, results: Sequence[Any], mask: Array, row: Expr, element: Callable[[Expr], Expr]
) -> tuple[Expr, Array]:
    """The number of elements of a mask that hold, and `element(place in the whole)` of each of the `row` elements that
    belong to one."""
    total = e.k.product(mask.shape)
    count = e.scratch(TensorType(I64, ()), "count")
    with e.kernel():
        with e.fold(total, e.k.const(0, I64), combine="add") as fold:
            fold.following = [e.k.cast(e.load_flat(mask, fold.index), I64)]
        e.store(count, (), fold.results[0])
    number = e.define(results[0], e.load(count, ()))
    is_dense = e.in_order and row == e.k.const(1, I64)
    out = e.new(results[1], room=1 if is_dense else 0)
    with e.kernel():
        if is_dense:
            _picked(e, total, mask, lambda at, to: e.store_flat(out, to, element(at)))
        else:
            _masked_rows(e, total, row, mask, lambda at, to: e.store_flat(out, to, element(at)))
    return number, out


#: So many elements of a mask are looked at together, and so many are moved in a turn.
_BLOCK, _STEPS = 64, 4


def _picked(e: Emitter, total: Expr, mask: Array, move: Callable[[Expr, Expr], None]) -> None:
    """`move(place in the whole, place in the selection)` of all elements in blocks where the mask holds anywhere, the
    next over the one before where it did not hold: nothing else is jumped over, which could be foretold wrongly. The
    place in the selection may be that behind its last."""

    def line(start: Expr, turns: Expr, found: Expr, steps: int) -> Expr:
        with e.fold(turns, found) as fold:
            first, found = e.k.add(start, e.k.mul(fold.index, steps)), fold.carried[0]
            for step in range(steps):
                at = e.k.let(e.k.add(first, step), "at")
                move(at, found)
                found = e.k.let(e.k.add(found, e.k.cast(e.load_flat(mask, at), I64)), "found")
            fold.following = [found]
        return fold.results[0]

    count = e.k.let(e.k.floordiv(total, _BLOCK), "blocks")
    with e.fold(count, e.k.const(0, I64)) as blocks:
        start = e.k.let(e.k.mul(blocks.index, _BLOCK), "start")
        with e.fold(e.k.const(_BLOCK, I64), e.k.const(0, U8), combine="maximum") as some:  # of bits, lane by lane
            some.following = [e.k.cast(e.load_flat(mask, e.k.add(start, some.index)), U8)]
        turns = e.k.select(e.k.ne(some.results[0], 0), e.k.const(_BLOCK // _STEPS, I64), e.k.const(0, I64))
        blocks.following = [line(start, turns, blocks.carried[0], _STEPS)]
    start = e.k.mul(count, _BLOCK)
    line(start, e.k.sub(total, start), blocks.results[0], 1)


def mask_write(e: Emitter, results: Sequence[Any], x: Array, mask: Array, value: Array) -> Array:
    """Values copied one after the other to where the mask holds."""
    total, row = _rows(e, x, mask)
    last = e.k.sub(value.shape[0], 1)

    def put(at: Expr, to: Expr) -> None:
        new = e.load_flat(value, e.k.minimum(to, last))
        e.store_flat(x, at, e.k.select(e.load_flat(mask, at), new, e.load_flat(x, at)))

    with e.kernel():
        if e.in_order and row == e.k.const(1, I64):
            _picked(e, e.k.select(e.k.lt(last, 0), e.k.const(0, I64), total), mask, put)
        else:
            _masked_rows(e, total, row, mask, lambda at, to: e.store_flat(x, at, e.load_flat(value, to)))
    return x


def _masked_rows(e: Emitter, total: Expr, row: Expr, mask: Array, move: Callable[[Expr, Expr], None]) -> None:
    """`move(place in the whole, place in the selection)` for each element where the mask holds."""
    with e.fold(total, e.k.const(0, I64)) as fold:
        (found,) = fold.carried
        holds = e.load_flat(mask, fold.index)
        with e.when(holds), e.loops((row,)) as (j,):
            move(e.k.add(e.k.mul(fold.index, row), j), e.k.add(e.k.mul(found, row), j))
        fold.following = [e.k.add(found, e.k.cast(holds, I64))]


# -- Python's integers ----------------------------------------------------------------------------------------


def _require(e: Emitter, fits: Expr) -> None:
    e.fail_unless(fits, "OverflowError", OVERFLOW_MESSAGE)


def checked(name: str) -> Callable[..., Any]:
    """`add`, `sub` or `mul` that raises where the result does not fit."""

    def emit(e: Emitter, results: Sequence[Any], x: Expr, y: Expr) -> Expr:
        _require(e, e.k.logical_not(getattr(e.k, f"{name}_overflows")(x, y)))
        return getattr(e.k, name)(x, y)

    return emit


def natural_checked_mul(e: Emitter, results: Sequence[Any], x: Expr, y: Expr) -> Expr:
    """x * y of numbers that are not negative, which raises where it does not fit; a constant needs a comparison."""
    k = e.k
    constants = [getattr(operand, "value", 0) for operand in (x, y)]
    if max(constants) > 0:
        number = y if constants[0] > 0 else x
        _require(e, k.le(number, ((1 << 63) - 1) // max(constants)))
    else:
        _require(e, k.logical_not(k.mul_overflows(x, y)))
    return k.mul(x, y)


def checked_negation(name: str) -> Callable[..., Any]:
    """`neg` or `abs`, which only the least number has no result for."""

    def emit(e: Emitter, results: Sequence[Any], x: Expr) -> Expr:
        _require(e, e.k.ne(x, -(1 << 63)))
        return getattr(e.k, name)(x)

    return emit


def checked_pow(e: Emitter, results: Sequence[Any], x: Expr, y: Expr) -> Expr:
    """x ** y by repeated multiplication, at most 64 times: beyond that only powers of -1, 0 and 1 fit."""
    k = e.k
    is_unit = k.let(k.logical_and(k.ge(x, -1), k.le(x, 1)), "is_unit")
    odd = k.eq(k.bitand(y, 1), 1)
    unit = k.select(k.logical_or(odd, k.logical_and(k.eq(x, 0), k.ne(y, 0))), x, k.const(1, I64))
    with e.here():
        trips = e.k.select(is_unit, e.k.const(0, I64), e.k.minimum(y, 64))
        with e.fold(trips, e.k.const(1, I64), e.k.const(True, e.k.eq(x, 0).type)) as fold:
            power, fits = fold.carried
            fold.following = [
                e.k.mul(power, x),
                e.k.logical_and(fits, e.k.logical_not(e.k.mul_overflows(power, x))),
            ]
    power, fits = fold.results
    _require(e, fits)
    return k.select(is_unit, unit, power)


def checked_shl(e: Emitter, results: Sequence[Any], x: Expr, y: Expr) -> Expr:
    """x << y, which must come back when it is shifted back."""
    k = e.k
    shifted = k.let(k.shl(x, y), "shifted")
    _require(e, k.logical_or(k.eq(x, 0), k.logical_and(k.lt(y, 64), k.eq(k.shr(shifted, y), x))))
    return shifted


# -- lists ----------------------------------------------------------------------------------------------------


def list_set(e: Emitter, results: Sequence[Any], of: Any, index: Expr, value: Any) -> Any:
    """Replace a slot; the list takes a copy of a tensor."""
    return e.list_set(of, index, value)


def list_clear(e: Emitter, results: Sequence[Any], of: Any, index: Expr) -> Any:
    """Zero a slot; a tensor is freed and leaves a null pointer."""
    return e.list_clear(of, index)


def list_add(e: Emitter, results: Sequence[Any], of: Any, value: Any, index: Expr, length: Expr) -> Any:
    """Put zeros below the list's elements until it has `length` of them, then add to one."""
    return e.list_add(of, value, index, length)


def list_part(e: Emitter, results: Sequence[Any], of: Any, start: Expr, count: Expr) -> Any:
    """Copy numbers of a list into an array."""
    part = e.new(results[0])
    e.list_read(of, start, part)
    return part


def list_part0(e: Emitter, results: Sequence[Any], of: Any, start: Expr, count: Expr) -> Any:
    """`list_part`, and zeros for what is below the list's elements."""
    part = e.new(results[0])
    lower, upper = e.below(part, start)
    e.zero(lower)
    e.list_read(of, e.k.maximum(start, 0), upper)
    return part


def list_set_part(e: Emitter, results: Sequence[Any], of: Any, start: Expr, value: Array) -> Any:
    """Copy an array over numbers of a list."""
    e.list_write(of, start, value)
    return of


def list_clear_part(e: Emitter, results: Sequence[Any], of: Any, start: Expr, count: Expr) -> Any:
    """Copy zeros over numbers of a list."""
    zeros = e.work(results[0].type.element.dtype, (count,), "zeros")
    e.zero(zeros)
    e.list_write(of, e.k.maximum(start, 0), e.below(zeros, start)[1])
    return of


def list_add_part(e: Emitter, results: Sequence[Any], of: Any, value: Array, start: Expr, length: Expr) -> Any:
    """Put zeros below the list's elements until it has `length` of them, then add an array to a part of them."""
    more = e.list_fill(of, length)
    _, upper = e.below(value, start)
    part = e.work(value.type.dtype, upper.shape, "part")
    place = e.k.let(e.k.add(e.k.maximum(start, 0), more), "place")
    e.list_read(of, place, part)
    e.add_into(part, upper)
    e.list_write(of, place, part)
    return of
