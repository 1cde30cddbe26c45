"""How eigenvalues and eigenvectors of any square matrices are computed: by LAPACK, or by the QR algorithm, as loops.

The loops bring a matrix to Hessenberg's form and, with Wilkinson's shifts, to Schur's, both by rotations, and
substitute backwards for the eigenvectors of the triangle. Vectors have length 1 and a largest element that is real, as
LAPACK's.
Golub and Van Loan, Matrix Computations, sections 7.4 to 7.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracejit.ir.types import I64, TensorType, real_dtype
from tracejit.ops.jacobi_loops import NO_EIGENVALUES, workspace
from tracejit.ops.matrix_loops import (
    Array,
    Emitter,
    Expr,
    count_failure,
    failures,
    identity,
    leading,
    note,
    only_if,
    peak_of,
    precision_of,
    require_none,
    scale_row,
    total,
    transpose_into,
)
from tracejit.records import record

#: Steps per eigenvalue, more than any matrix needs, and after how many a shift is chosen that breaks cycles.
STEPS, UNUSUAL = 60, 10

#: What counts as 0 below the diagonal of a matrix whose largest element is 1, in precisions, beside zeros.
NEGLIGIBLE = 1e-3

#: Elements of a vector this large are scaled down: a defective matrix has ever larger ones.
LARGE = 1e15


def eig(e: Emitter, results: Sequence[Any], x: Array) -> tuple[Array, Array]:
    """By LAPACK, whose real routine gives the parts of pairs of vectors, or by rotations."""
    w, v = e.new(results[0]), e.new(results[1])
    dtype, size, zero, one = x.type.dtype, x.shape[-1], e.k.const(0, I64), e.k.const(1, I64)
    part, batches, lead, flag = real_dtype(dtype), x.shape[:-2], leading(e, size), failures(e)
    is_real = not dtype.is_complex
    a, vectors = e.work(dtype, x.shape, "a"), e.work(dtype, x.shape, "vectors")
    halves = e.work(part, (*batches, e.k.const(2, I64), size if is_real else zero), "halves")

    def call(at: Sequence[Expr], elements: Expr, reals: Expr, room: Expr | int) -> Expr:
        matrix, found = (e.pointer(y, (*at, zero, zero)) for y in (a, vectors))
        values = [e.pointer(halves, (*at, k, zero)) for k in (zero, one)] if is_real else [e.pointer(w, (*at, zero))]
        job = (
            "N",
            "V" if e.is_wanted(results[1]) else "N",
            size,
            matrix,
            lead,
            *values,
            found,
            1,
            found,
            lead,
            elements,
            room,
        )
        return e.lapack("geev", dtype, *job, *(() if is_real else (reals,)))

    first = [zero for _ in batches]
    space = workspace(e, dtype, lambda m, r, _: call(first, m, r, -1), e.k.mul(size, 2), zero)
    side = only_if(e, e.k.logical_not(space.there), size)
    h, z = (e.work(w.type.dtype, (*batches, side, side), name) for name in ("h", "z"))
    counters = (e.scratch(TensorType(I64, ()), name) for name in ("last", "tries"))
    schur = _Schur(e, h, z, e.work(w.type.dtype, (*batches, side), "line"), *counters)

    def library() -> None:
        transpose_into(e, a, x)

        def factor(at: Sequence[Expr]) -> None:
            count_failure(e, flag, call(at, space.elements.buffer, space.reals.buffer, space.size))

        e.each(batches, factor)
        if is_real:
            _values_of_halves(e, w, halves)
        if e.is_wanted(results[1]):
            if is_real:
                _vectors_of_halves(e, v, halves, vectors)
            else:
                transpose_into(e, v, vectors)

    e.either(space.there, library, lambda: _by_rotations(schur, x, w, v, flag))
    require_none(e, flag, NO_EIGENVALUES)
    return w, v


def _values_of_halves(e: Emitter, w: Array, halves: Array) -> None:
    """Complex numbers from their real and imaginary parts."""
    with e.kernel(), e.loops(w.shape) as (*batch, j):
        e.store(w, (*batch, j), e.k.complex(*(e.load(halves, (*batch, e.k.const(p, I64), j)) for p in (0, 1))))


def _vectors_of_halves(e: Emitter, v: Array, halves: Array, vectors: Array) -> None:
    """A pair of conjugate vectors from the parts of the first."""
    one = e.k.const(1, I64)
    with e.kernel(), e.loops(v.shape, parallel=True) as (*batch, i, j):
        k, side = e.k, e.load(halves, (*batch, one, j))
        is_first, is_second = k.let(k.gt(side, 0), "is_first"), k.let(k.lt(side, 0), "is_second")
        re = k.select(is_second, k.maximum(k.sub(j, 1), 0), j)
        im = k.select(is_first, k.minimum(k.add(j, 1), k.sub(v.shape[-1], 1)), j)
        height = e.load(vectors, (*batch, im, i))
        height = k.select(is_first, height, k.select(is_second, k.neg(height), k.const(0, height.type)))
        e.store(v, (*batch, i, j), k.complex(e.load(vectors, (*batch, re, i)), height))


# -- the QR algorithm -----------------------------------------------------------------------------------------


@record
class _Schur:
    """Memory of the algorithm, all complex: the matrix, the basis in which it is a triangle, one vector per row, and
    one vector in that basis; the last row that is not done, and the steps that were made for it."""

    e: Emitter
    h: Array
    z: Array
    line: Array
    last: Array
    tries: Array


@record
class _Rotation:
    """Rows p and q become c p + s q and c q - conj(s) p, columns c p + conj(s) q and c q - s p."""

    c: Any
    s: Any


def _rotation(e: Emitter, x: Any, y: Any) -> _Rotation:
    """What turns (x, y) into (r, 0)."""
    k, dtype = e.k, e.k.dtype(x)
    size = k.let(k.abs(x), "size")
    length = k.let(k.hypot(size, k.abs(y)), "length")
    none = k.let(k.eq(length, 0), "none")
    safe = k.let(k.select(none, k.const(1, length.type), length), "safe")
    is_zero = k.let(k.eq(size, 0), "is_zero")
    sign = k.select(is_zero, k.const(1, dtype), k.div(x, k.cast(k.select(is_zero, safe, size), dtype)))
    c = k.let(k.select(none, k.const(1, length.type), k.div(size, safe)), "c")
    s = k.mul(sign, k.div(k.conj(y), k.cast(safe, dtype)))
    return _Rotation(k.cast(c, dtype), k.let(s, "s"))


def _turn(schur: _Schur, batch: Sequence[Expr], p: Expr, q: Expr, by: _Rotation) -> None:
    """A rotation from both sides, in which the vectors take part."""
    e, k, s = schur.e, schur.e.k, by.s
    back = k.let(k.conj(s), "back")

    def mixed(x: Array, first: Sequence[Expr], second: Sequence[Expr], over: Any, under: Any) -> None:
        upper, lower = e.load(x, (*batch, *first)), e.load(x, (*batch, *second))
        e.store(x, (*batch, *first), k.add(k.mul(by.c, upper), k.mul(over, lower)))
        e.store(x, (*batch, *second), k.sub(k.mul(by.c, lower), k.mul(under, upper)))

    size = schur.h.shape[-1]
    with e.loops((size,)) as (i,):
        mixed(schur.h, (p, i), (q, i), s, back)
    with e.loops((size,)) as (i,):
        mixed(schur.h, (i, p), (i, q), back, s)
        mixed(schur.z, (p, i), (q, i), back, s)


def _by_rotations(schur: _Schur, x: Array, w: Array, v: Array, flag: Array) -> None:
    """Schur's form, whose diagonal holds the eigenvalues, and the eigenvectors."""
    e, h, dtype, size = schur.e, schur.h, w.type.dtype, x.shape[-1]
    last, tries = schur.last, schur.tries
    with e.kernel(), e.loops(x.shape[:-2]) as batch:
        k = e.k
        peak = peak_of(e, x, batch, lambda i, j: e.load(x, (*batch, i, j)))
        is_finite = k.let(k.isfinite(peak), "is_finite")
        unit = k.let(k.cast(k.select(k.gt(peak, 0), peak, k.const(1, peak.type)), dtype), "unit")
        with e.loops(x.shape[-2:]) as (i, j):
            e.store(h, (*batch, i, j), k.div(k.cast(e.load(x, (*batch, i, j)), dtype), unit))
        identity(e, schur.z, batch)
        _hessenberg(schur, batch)
        e.store(last, (), k.select(is_finite, k.sub(size, 1), k.const(0, I64)))
        e.store(tries, (), k.const(0, I64))
        with e.loops((k.mul(size, STEPS),)), e.when(k.gt(e.load(last, ()), 0)):
            _step(schur, batch)
        note(e, flag, k.logical_or(k.gt(e.load(last, ()), 0), k.logical_not(is_finite)))
        with e.loops((size,)) as (j,):
            value = e.load(h, (*batch, j, j))
            if not x.type.dtype.is_complex:  # what is real but for rounding errors
                near = k.mul(k.cast(size, peak.type), 4 * precision_of(dtype))
                none = k.le(k.abs(k.imag(value)), near)
                value = k.complex(k.real(value), k.select(none, k.const(0, peak.type), k.imag(value)))
            e.store(w, (*batch, j), k.mul(value, unit))
            _vector(schur, batch, j)
            _in_the_basis(schur, batch, j, v)


def _hessenberg(schur: _Schur, batch: Sequence[Expr]) -> None:
    """Zeros below the first diagonal under the main one."""
    e, h, k = schur.e, schur.h, schur.e.k
    size = h.shape[-1]
    with e.loops((k.maximum(k.sub(size, 2), 0),)) as (j,), e.loops((k.sub(k.sub(size, 2), j),)) as (step,):
        q = k.let(k.sub(k.sub(size, 1), step), "q")
        p = k.let(k.sub(q, 1), "p")
        _turn(schur, batch, p, q, _rotation(e, e.load(h, (*batch, p, j)), e.load(h, (*batch, q, j))))
        e.store(h, (*batch, q, j), k.const(0, h.type.dtype))


def _step(schur: _Schur, batch: Sequence[Expr]) -> None:
    """One QR step of the block that ends at row `last`; where that is a block of its own, it is done."""
    e, h, k = schur.e, schur.h, schur.e.k
    last, tries = schur.last, schur.tries
    end = k.let(e.load(last, ()), "end")

    def size(i: Expr, j: Expr) -> Expr:
        return k.let(k.abs(e.load(h, (*batch, i, j))), "size")

    with e.fold(end, k.const(0, I64)) as fold:
        here = k.let(k.add(fold.index, 1), "here")
        beside = k.add(size(here, here), size(fold.index, fold.index))
        limit = k.mul(k.maximum(beside, NEGLIGIBLE), precision_of(h.type.dtype))
        fold.following = [k.select(k.le(size(here, fold.index), limit), here, fold.carried[0])]
    start = k.let(fold.results[0], "start")
    done = k.let(k.eq(start, end), "done")
    with e.when(done):
        e.store(h, (*batch, end, k.sub(end, 1)), k.const(0, h.type.dtype))
        e.store(last, (), k.sub(end, 1))
        e.store(tries, (), k.const(0, I64))
    with e.when(k.logical_not(done)):
        e.store(tries, (), k.add(e.load(tries, ()), 1))
        shift = _shift(schur, batch, end, e.load(tries, ()))
        with e.loops((k.sub(end, start),)) as (step,):
            p = k.let(k.add(start, step), "p")
            q, before = k.let(k.add(p, 1), "q"), k.let(k.maximum(k.sub(p, 1), 0), "before")
            first = k.let(k.eq(step, 0), "first")
            x = k.select(first, k.sub(e.load(h, (*batch, p, p)), shift), e.load(h, (*batch, p, before)))
            y = k.select(first, e.load(h, (*batch, q, p)), e.load(h, (*batch, q, before)))
            _turn(schur, batch, p, q, _rotation(e, k.let(x, "x"), k.let(y, "y")))
            with e.when(k.logical_not(first)):
                e.store(h, (*batch, q, before), k.const(0, h.type.dtype))


def _shift(schur: _Schur, batch: Sequence[Expr], end: Expr, tries: Expr) -> Any:
    """The eigenvalue of the last two rows and columns that is nearer to the last element; at times another number."""
    e, h, k = schur.e, schur.h, schur.e.k
    before, dtype = k.let(k.sub(end, 1), "before"), h.type.dtype
    a, b, c, d = (e.load(h, (*batch, i, j)) for i in (before, end) for j in (before, end))
    half = k.let(k.mul(k.sub(a, d), k.const(0.5, dtype)), "half")
    root = k.let(k.sqrt(k.add(k.mul(half, half), k.mul(b, c))), "root")
    plus, minus = k.let(k.add(half, root), "plus"), k.let(k.sub(half, root), "minus")
    larger = k.let(k.select(k.ge(k.abs(plus), k.abs(minus)), plus, minus), "larger")
    none = k.let(k.eq(k.abs(larger), 0), "none")
    near = k.sub(d, k.div(k.mul(b, c), k.select(none, k.const(1, dtype), larger)))
    unusual = k.eq(k.mod(tries, UNUSUAL), 0)
    return k.let(k.select(unusual, k.add(d, k.cast(k.abs(c), dtype)), k.select(none, d, near)), "shift")


def _vector(schur: _Schur, batch: Sequence[Expr], j: Expr) -> None:
    """The eigenvector of the j-th element of the triangle's diagonal, in `line`."""
    e, h, k, line = schur.e, schur.h, schur.e.k, schur.line
    dtype, part, zero = h.type.dtype, real_dtype(h.type.dtype), k.const(0, I64)
    least = k.const(precision_of(dtype), part)
    with e.loops((h.shape[-1],)) as (i,):
        e.store(line, (*batch, i), k.cast(k.eq(i, j), dtype))
    with e.loops((j,)) as (step,):
        i = k.let(k.sub(k.sub(j, 1), step), "row")

        def product(c: Expr) -> Any:
            at = k.let(k.add(k.add(i, 1), c), "at")
            return k.mul(e.load(h, (*batch, i, at)), e.load(line, (*batch, at)))

        known = total(e, k.add(step, 1), k.const(0, dtype), product)
        gap = k.let(k.sub(e.load(h, (*batch, j, j)), e.load(h, (*batch, i, i))), "gap")
        gap = k.let(k.select(k.lt(k.abs(gap), least), k.cast(least, dtype), gap), "gap")
        found = k.let(k.div(known, gap), "found")
        e.store(line, (*batch, i), found)
        size = k.let(k.abs(found), "size")
        with e.when(k.gt(size, LARGE)):
            scale_row(e, line, batch, zero, k.cast(k.div(k.const(1, part), size), dtype))


def _in_the_basis(schur: _Schur, batch: Sequence[Expr], j: Expr, v: Array) -> None:
    """Column j of v becomes the sum of the basis vectors that `line` says, of length 1 and with a largest element that
    is real."""
    e, k, z = schur.e, schur.e.k, schur.z
    dtype, size = z.type.dtype, z.shape[-1]
    part, zero = real_dtype(dtype), k.const(0, I64)

    def summand(i: Expr, c: Expr) -> Any:
        return k.mul(e.load(schur.line, (*batch, c)), e.load(z, (*batch, c, i)))

    with e.loops((size,)) as (i,):
        e.store(v, (*batch, i, j), total(e, k.add(j, 1), k.const(0, dtype), lambda c: summand(i, c)))
    with e.fold(size, k.const(0, part), k.const(-1.0, part), zero) as fold:
        squares, best, place = fold.carried
        here = k.let(k.abs(e.load(v, (*batch, fold.index, j))), "here")
        larger = k.let(k.gt(here, best), "larger")
        following = k.add(squares, k.mul(here, here)), k.select(larger, here, best)
        fold.following = [*following, k.select(larger, fold.index, place)]
    squares, best, place = fold.results
    turn = k.conj(e.load(v, (*batch, place, j)))
    factor = k.let(k.div(turn, k.cast(k.mul(best, k.sqrt(squares)), dtype)), "factor")
    with e.loops((size,)) as (i,):
        found = k.mul(factor, e.load(v, (*batch, i, j)))
        largest = k.complex(k.real(found), k.const(0, part))
        e.store(v, (*batch, i, j), k.select(k.eq(i, place), largest, found))
