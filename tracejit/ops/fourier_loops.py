"""How discrete Fourier transforms are computed: Stockham's mixed-radix algorithm, as loops along one axis.

A line of n numbers goes through one stage per factor of n. The stage of factor r takes s interleaved lines of length
r m to s r lines of length m:

    y[q + s (r p + c)] = w^(p c) sum_d x[q + s (p + m d)] e^(-2 pi i c d / r),     w = e^(-2 pi i / (r m))

and the last one leaves the result in order. Radices 4 and 2 are written out, sums over other primes are direct. Where a
prime is large the transform is a convolution with a chirp (Bluestein), computed with transforms of a power of 2.
Van Loan, Computational Frameworks for the Fast Fourier Transform, sections 1.7, 2 and 4.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tracejit.ir.types import BOOL, F64, I64, TensorType, real_dtype
from tracejit.ops.loops import PARTS, in_parts, insert_axis, without_axis
from tracejit.records import record

Emitter = Any
Array = Any
Expr = Any
Pair = tuple[Any, Any]  #: a complex number as two real expressions

#: A size in 64 bits has at most that many factors.
MOST_FACTORS = 64

#: Where the plan has the number of factors, the length of the transforms and the sign of the exponents.
COUNT, WHOLE, SIGN = MOST_FACTORS, MOST_FACTORS + 1, MOST_FACTORS + 2

#: Lines beside each other that are brought to where they are worked at together: they share the lines of the caches.
TOGETHER = 4

#: A larger prime makes a convolution of the transform.
LARGEST_FACTOR = 40


@record
class Lines:
    """Working memory: two sides of a line (and a third for the chirp), real and imaginary parts apart, the powers of
    e^(-2 pi i / size), and the chirp."""

    e: Emitter
    re: Array
    im: Array
    powers: Sequence[Array]
    chirps: Sequence[Array]
    size: Expr
    room: Sequence[Expr]  #: where the line at work lies

    def load(self, side: Expr, i: Expr) -> Pair:
        at = (*self.room, side, i)
        return self.e.load(self.re, at), self.e.load(self.im, at)

    def store(self, side: Expr, i: Expr, value: Pair) -> None:
        at = (*self.room, side, i)
        self.e.store(self.re, at, value[0])
        self.e.store(self.im, at, value[1])

    def power(self, i: Expr) -> Pair:
        """e^(-2 pi i / n) to that power, below n."""
        return load_pair(self.e, self.powers, i)

    def chirp(self, i: Expr) -> Pair:
        return load_pair(self.e, self.chirps, i)


@record
class _Stage:
    """One stage: from one side, `lines` interleaved lines of r `length` numbers, to the other side."""

    length: Expr
    lines: Expr
    source: Expr
    target: Expr


def load_pair(e: Emitter, tables: Sequence[Array], i: Expr) -> Pair:
    """An element of a table of complex numbers."""
    return e.load(tables[0], (i,)), e.load(tables[1], (i,))


def _add(k: Any, x: Pair, y: Pair) -> Pair:
    return k.add(x[0], y[0]), k.add(x[1], y[1])


def _sub(k: Any, x: Pair, y: Pair) -> Pair:
    return k.sub(x[0], y[0]), k.sub(x[1], y[1])


def multiplied(k: Any, x: Pair, y: Pair) -> Pair:
    """The product of two complex numbers."""
    return k.sub(k.mul(x[0], y[0]), k.mul(x[1], y[1])), k.add(k.mul(x[0], y[1]), k.mul(x[1], y[0]))


def _let(k: Any, x: Pair) -> Pair:
    return k.let(x[0], "re"), k.let(x[1], "im")


def fft(e: Emitter, results: Sequence[Any], x: Array, *, axis: int, inverse: bool = False) -> Array:
    """Every line along the axis."""
    out, size = e.new(results[0]), x.shape[axis]
    transform_lines(e, x, axis, size, inverse, lambda lines, place: _Line(lines, place, x, out, size))
    return out


def transform_lines(
    e: Emitter,
    x: Array,
    axis: int,
    size: Expr,
    inverse: bool,
    line_at: Callable[[Lines, Callable[[Expr], Sequence[Expr]]], Line],
    doubled: Doubled | None = None,
) -> None:
    """Transforms of `size` complex numbers for every line of x along the axis: through the factors of that size, or as
    a convolution of a length that has small ones. `line_at` makes a line of working memory and where an element lies.
    """
    part = real_dtype(x.type.dtype)
    plan = e.scratch(TensorType(I64, (MOST_FACTORS + 3,)), "plan")
    with e.kernel():
        e.store(plan, (e.k.const(SIGN, I64),), e.k.const(1 if inverse else -1, I64))
        _plan(e, size, plan)
    count = e.k.let(e.load(plan, (e.k.const(COUNT, I64),)), "count")
    whole = e.k.let(e.load(plan, (e.k.const(WHOLE, I64),)), "whole")
    sign = e.k.let(e.k.cast(e.load(plan, (e.k.const(SIGN, I64),)), part), "sign")
    is_chirp = e.k.let(e.k.ne(whole, size), "is_chirp")
    around = without_axis(x.shape, axis)
    together = 1 if axis == len(x.shape) - 1 else TOGETHER
    is_in_turn = e.in_order and bool(around)
    rooms = (e.k.const(PARTS, I64), e.k.const(together, I64)) if is_in_turn else around
    re, im = (e.work(part, (*rooms, e.k.const(3, I64), whole), name) for name in ("re", "im"))
    powers = tuple(e.work(part, (whole,), name) for name in ("cosines", "sines"))
    chirps = tuple(e.work(part, (e.k.select(is_chirp, size, e.k.const(0, I64)),), name) for name in ("chirp", "chirp"))
    with e.kernel():
        _tables(e, powers, chirps, size, whole, sign, doubled)
    with e.kernel(), _groups(e, around, together) if is_in_turn else _single(e, around) as group:
        last, is_plain = e.k.let(e.k.bitand(count, 1), "last"), e.k.let(e.k.logical_not(is_chirp), "is_plain")

        def line(lane: Expr) -> Line:
            room, place = group.places(lane)
            lines = Lines(e, re, im, powers, chirps, whole, room)
            return line_at(lines, lambda i: insert_axis(place, axis, i))

        with e.when(is_plain), _elements(e, size, group.count, together) as (lane, i):
            line(lane).lines.store(e.k.const(0, I64), i, line(lane).load(i))
        with e.loops((group.count,)) as (lane,):
            with e.loops((e.k.select(is_chirp, e.k.const(3, I64), e.k.const(1, I64)),)) as (turn,):
                _convolve(line(lane), turn, last, is_chirp)
                _stages(line(lane).lines, plan, count, sign)
            with e.when(is_chirp):
                _finish(line(lane), last)
        with _elements(e, line(e.k.const(0, I64)).count, group.count, together) as (lane, i):
            line(lane).store(last, i)


@record
class _Group:
    """Lines beside each other: how many, and for the number of one where it is worked at and where it lies."""

    count: Expr
    places: Callable[[Expr], tuple[Sequence[Expr], Sequence[Expr]]]


@contextmanager
def _single(e: Emitter, around: Sequence[Expr]) -> Iterator[_Group]:
    """All lines at once, each with memory of its own."""
    with e.loops(around, parallel=True) as outer:
        yield _Group(e.k.const(1, I64), lambda _: (outer, outer))


@contextmanager
def _groups(e: Emitter, around: Sequence[Expr], together: int) -> Iterator[_Group]:
    """One group of lines after the other, all worked at in the same place, which stays in the caches."""
    k = e.k
    *others, last = around
    blocks = k.let(k.quotient(k.add(last, together - 1), together), "blocks")
    with in_parts(e, (*others, blocks)) as (part, (*at, block)):
        first = k.let(k.mul(block, together), "first")
        count = k.let(k.minimum(k.sub(last, first), together), "count")
        yield _Group(count, lambda lane: ((part, lane), (*at, k.add(first, lane))))


@contextmanager
def _elements(e: Emitter, size: Expr, count: Expr, together: int) -> Iterator[tuple[Expr, Expr]]:
    """Loops over the lines of a group and their elements, in the order in which they lie."""
    if together == 1:
        with e.loops((count, size), vector=True) as (lane, i):
            yield lane, i
    else:
        with e.loops((size, count)) as (i, lane):
            yield lane, i


def _stages(lines: Lines, plan: Array, count: Expr, sign: Expr) -> None:
    """The transform of what is on side 0."""
    e, k = lines.e, lines.e.k
    with e.fold(count, lines.size, k.const(1, I64)) as fold:
        length, interleaved = fold.carried
        radix = e.load(plan, (fold.index,))
        rest = k.let(k.quotient(length, radix), "rest")
        source = k.let(k.bitand(fold.index, 1), "source")
        _stage(lines, radix, _Stage(rest, interleaved, source, k.let(k.sub(1, source), "target")), sign)
        fold.following = [rest, k.mul(interleaved, radix)]


# -- the plan -----------------------------------------------------------------------------------------------------


def _plan(e: Emitter, size: Expr, plan: Array) -> None:
    """The factors of a size, or of the power of 2 that a convolution needs where one of them is large."""
    k = e.k
    with e.fold(k.const(2, I64), size) as fold:
        (whole,) = fold.carried
        largest = _factorise(e, whole, plan)
        e.store(plan, (k.const(WHOLE, I64),), whole)
        with e.fold(k.const(62, I64), k.const(1, I64)) as power:
            enough = k.ge(power.carried[0], k.sub(k.mul(size, 2), 1))
            power.following = [k.select(enough, power.carried[0], k.mul(power.carried[0], 2))]
        fold.following = [k.select(k.gt(largest, LARGEST_FACTOR), power.results[0], whole)]


def _factorise(e: Emitter, size: Expr, plan: Array) -> Expr:
    """The factors of a size: 4 as long as it divides, then primes from the smallest on. Gives the largest one."""
    k = e.k
    zero, one = k.const(0, I64), k.const(1, I64)
    with e.fold(k.const(MOST_FACTORS, I64), size, zero, one) as fold:
        rest, found, largest = fold.carried

        def divides(r: int) -> Expr:
            return k.eq(k.remainder(rest, r), 0)

        small = [4, 2, 3, 5, 7]
        is_easy = k.le(rest, 1)
        for r in small:
            is_easy = k.logical_or(is_easy, divides(r))
        is_easy = k.let(is_easy, "is_easy")
        root = k.cast(k.sqrt(k.cast(rest, F64)), I64)
        trials = k.select(is_easy, zero, k.add(k.lsr(root, one), one))
        with e.fold(trials, rest) as search:
            candidate = k.let(k.add(k.mul(search.index, 2), 3), "candidate")
            first = k.logical_and(k.eq(search.carried[0], rest), k.eq(k.remainder(rest, candidate), 0))
            search.following = [k.select(k.logical_and(first, k.lt(candidate, rest)), candidate, search.carried[0])]
        factor = search.results[0]
        for r in reversed(small):
            factor = k.select(divides(r), k.const(r, I64), factor)
        factor = k.let(factor, "factor")
        more = k.let(k.gt(rest, 1), "more")
        with e.when(more):
            e.store(plan, (found,), factor)
        fold.following = [
            k.select(more, k.quotient(rest, factor), rest),
            k.add(found, k.cast(more, I64)),
            k.select(more, k.maximum(largest, factor), largest),
        ]
    e.store(plan, (k.const(COUNT, I64),), fold.results[1])
    return fold.results[2]


# -- tables -------------------------------------------------------------------------------------------------------


def turned(e: Emitter, i: Expr, size: Expr) -> Pair:
    """e^(2 pi i / size) to the power i below size. Angles are taken within a quarter turn, which keeps them accurate
    and makes the axes exact."""
    k = e.k
    turns = k.let(k.mul(i, 4), "turns")
    beyond = [k.let(k.ge(turns, k.mul(size, q)), "beyond") for q in (1, 2, 3)]
    rest = turns
    for past in beyond:
        rest = k.sub(rest, k.select(past, size, k.const(0, I64)))
    angle = k.let(k.mul(k.div(k.cast(rest, F64), k.cast(size, F64)), math.pi / 2), "angle")
    c, s = k.let(k.cos(angle), "c"), k.let(k.sin(angle), "s")
    return (
        k.select(beyond[2], s, k.select(beyond[1], k.neg(c), k.select(beyond[0], k.neg(s), c))),
        k.select(beyond[2], k.neg(c), k.select(beyond[1], k.neg(s), k.select(beyond[0], c, s))),
    )


@record
class Doubled:
    """The powers of e^(-2 pi i / 2n) up to n, and whether there are any."""

    holds: Expr
    tables: Sequence[Array]

    def every_other(self, e: Emitter, i: Expr, size: Expr) -> Pair:
        """The power of e^(-2 pi i / size) to the i below size: half a turn on is the other sign."""
        k = e.k
        twice = k.let(k.mul(i, 2), "twice")
        beyond = k.let(k.gt(twice, size), "beyond")
        c, s = load_pair(e, self.tables, k.let(k.select(beyond, k.sub(twice, size), twice), "at"))
        return k.select(beyond, k.neg(c), c), k.select(beyond, k.neg(s), s)


def fill(e: Emitter, tables: Sequence[Array], i: Expr, value: Pair, sign: Expr) -> None:
    """An element of a table of powers of e^(-2 pi i / n), of those of e^(2 pi i / n); conjugated for sign 1."""
    part = tables[0].type.dtype
    e.store(tables[0], (i,), e.k.cast(value[0], part))
    e.store(tables[1], (i,), e.k.mul(e.k.cast(value[1], part), sign))


def _tables(
    e: Emitter,
    powers: Sequence[Array],
    chirps: Sequence[Array],
    size: Expr,
    whole: Expr,
    sign: Expr,
    doubled: Doubled | None,
) -> None:
    """The powers of e^(-2 pi i / whole), and the chirp e^(-pi i j^2 / size); conjugated for sign 1."""
    k = e.k
    known = k.const(False, BOOL) if doubled is None else k.let(k.logical_and(doubled.holds, k.eq(whole, size)), "known")
    with e.loops((k.select(known, k.const(0, I64), whole),), vector=True) as (i,):
        fill(e, powers, i, turned(e, i, whole), sign)
    if doubled is not None:
        with e.loops((k.select(known, whole, k.const(0, I64)),), vector=True) as (i,):
            c, s = doubled.every_other(e, i, whole)
            e.store(powers[0], (i,), c)
            e.store(powers[1], (i,), s)
    with e.loops(chirps[0].shape, vector=True) as (i,):
        both = k.let(k.mul(size, 2), "both")
        fill(e, chirps, i, turned(e, k.let(k.remainder(k.mul(i, i), both), "square"), both), sign)


# -- a line -------------------------------------------------------------------------------------------------------


@record
class Line:
    """One line of the operand and of the result: `size` complex numbers. What stands for them differs."""

    lines: Lines
    place: Callable[[Expr], Sequence[Expr]]
    x: Array
    out: Array
    size: Expr

    @property
    def count(self) -> Expr:
        """In how many steps the result is stored."""
        return self.size

    def load(self, i: Expr) -> Pair:
        """The i-th number to be transformed."""
        raise NotImplementedError

    def store(self, last: Expr, i: Expr) -> None:
        """Store the i-th result, the transform being on side `last`."""
        raise NotImplementedError


class _Line(Line):
    """The numbers themselves."""

    def load(self, i: Expr) -> Pair:
        element = self.lines.e.load(self.x, self.place(i))
        return self.lines.e.k.real(element), self.lines.e.k.imag(element)

    def store(self, last: Expr, i: Expr) -> None:
        self.lines.e.store(self.out, self.place(i), self.lines.e.k.complex(*self.lines.load(last, i)))


def _convolve(line: Line, turn: Expr, last: Expr, is_chirp: Expr) -> None:
    """What is transformed in a turn of Bluestein's convolution: the conjugate of the chirp, the line times the chirp,
    and the conjugate of the product of both transforms."""
    lines, e, k = line.lines, line.lines.e, line.lines.e.k
    zero, chirped, whole = k.const(0, I64), k.const(2, I64), lines.size
    none = k.const(0, lines.re.type.dtype)

    def is_turn(number: int) -> Expr:
        return k.logical_and(is_chirp, k.eq(turn, number))

    with e.when(is_turn(0)), e.loops((whole,)) as (i,):
        near = k.let(k.minimum(i, k.sub(whole, i)), "near")
        inside = k.let(k.lt(near, line.size), "inside")
        c, s = lines.chirp(k.let(k.select(inside, near, zero), "at"))
        lines.store(zero, i, (k.select(inside, c, none), k.select(inside, k.neg(s), none)))
    with e.when(is_turn(1)), e.loops((whole,)) as (i,):
        lines.store(chirped, i, lines.load(last, i))
        inside = k.let(k.lt(i, line.size), "inside")
        at = k.let(k.select(inside, i, zero), "at")
        real, imaginary = multiplied(k, _let(k, line.load(at)), lines.chirp(at))
        lines.store(zero, i, (k.select(inside, real, none), k.select(inside, imaginary, none)))
    with e.when(is_turn(2)), e.loops((whole,)) as (i,):
        real, imaginary = multiplied(k, lines.load(last, i), lines.load(chirped, i))
        lines.store(zero, i, (real, k.neg(imaginary)))


def _finish(line: Line, last: Expr) -> None:
    """The result of a convolution on side `last` is conjugated, multiplied and divided."""
    lines, e, k = line.lines, line.lines.e, line.lines.e.k
    part = lines.re.type.dtype
    scale = k.let(k.div(k.const(1, part), k.cast(lines.size, part)), "scale")
    with e.loops((line.size,)) as (i,):
        real, imaginary = lines.load(last, i)
        real, imaginary = multiplied(k, (real, k.neg(imaginary)), lines.chirp(i))
        lines.store(last, i, (k.mul(real, scale), k.mul(imaginary, scale)))


# -- stages -------------------------------------------------------------------------------------------------------


def _stage(lines: Lines, radix: Expr, stage: _Stage, sign: Expr) -> None:
    k = lines.e.k
    is_four, is_two = k.let(k.eq(radix, 4), "is_four"), k.let(k.eq(radix, 2), "is_two")
    with lines.e.when(is_four):
        _written_out(lines, stage, 4, lambda xs: _four(k, xs, sign), is_first=True)
    with lines.e.when(is_two):
        _written_out(lines, stage, 2, lambda xs: [_add(k, *xs), _sub(k, *xs)])
    with lines.e.when(k.logical_not(k.logical_or(is_four, is_two))):
        _summed(lines, stage, radix)


def _written_out(
    lines: Lines, stage: _Stage, radix: int, transform: Callable[[list[Pair]], list[Pair]], *, is_first: bool = False
) -> None:
    """A stage of a radix known when compiling: interleaved lines are the lanes of vectors. In first stages, where there
    are few, all numbers of a part of the line are, which lie one after the other."""
    e, k = lines.e, lines.e.k

    def one(at: Expr, before: Expr, apart: Expr) -> None:
        """The numbers from `at` on, of which `before` go before p; results lie `apart`."""
        step = k.mul(apart, stage.length)
        xs = [_let(k, lines.load(stage.source, k.add(at, k.mul(step, d)))) for d in range(radix)]
        target = k.let(k.add(at, k.mul(before, radix - 1)), "target")
        for c, y in enumerate(transform(xs)):
            if c:
                y = multiplied(k, _let(k, y), lines.power(k.mul(before, c)))
            lines.store(stage.target, k.add(target, k.mul(apart, c)), y)

    def by_lines() -> None:
        with e.loops((stage.length,)) as (p,), e.loops((stage.lines,), vector=True) as (q,):
            before = k.let(k.mul(stage.lines, p), "before")
            one(k.add(before, q), before, stage.lines)

    if not is_first:
        by_lines()
        return
    for few in (1, radix):
        apart = k.const(few, I64)
        with e.when(k.eq(stage.lines, few)), e.loops((k.mul(stage.length, few),), vector=True) as (at,):
            one(at, at if few == 1 else k.let(k.bitand(at, -few), "before"), apart)
    with e.when(k.gt(stage.lines, radix)):
        by_lines()


def _four(k: Any, xs: list[Pair], sign: Expr) -> list[Pair]:
    """The transform of four numbers."""
    even, odd = _let(k, _add(k, xs[0], xs[2])), _let(k, _add(k, xs[1], xs[3]))
    apart, turned = _let(k, _sub(k, xs[0], xs[2])), _let(k, _sub(k, xs[1], xs[3]))
    turned = _let(k, (k.neg(k.mul(sign, turned[1])), k.mul(sign, turned[0])))
    return [_add(k, even, odd), _add(k, apart, turned), _sub(k, even, odd), _sub(k, apart, turned)]


def _summed(lines: Lines, stage: _Stage, radix: Expr) -> None:
    """A stage of any radix, as sums."""
    e, k = lines.e, lines.e.k
    part = lines.re.type.dtype
    turn = k.let(k.quotient(lines.size, radix), "turn")
    zero = k.const(0, part)
    with e.loops((stage.length, radix)) as (p, c), e.loops((stage.lines,), vector=True) as (q,):
        with e.fold(radix, zero, zero) as fold:
            d = fold.index
            x = _let(k, lines.load(stage.source, k.add(q, k.mul(stage.lines, k.add(p, k.mul(stage.length, d))))))
            w = lines.power(k.mul(k.remainder(k.mul(c, d), radix), turn))
            fold.following = list(_add(k, (fold.carried[0], fold.carried[1]), multiplied(k, x, w)))
        y = multiplied(k, _let(k, (fold.results[0], fold.results[1])), lines.power(k.mul(k.mul(p, c), stage.lines)))
        lines.store(stage.target, k.add(q, k.mul(stage.lines, k.add(k.mul(p, radix), c))), y)
