"""How eigenvalues and singular values are computed: by LAPACK, or by Jacobi's rotations, as loops.

Hermitian matrices are diagonalised from both sides. Singular values come from rotations of columns until all are
orthogonal (Hestenes), which is accurate to the working precision. Vectors are kept in rows, where they are contiguous.
Golub and Van Loan, Matrix Computations, sections 8.5 and 8.6.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tracejit.ir.types import F64, I64, DType, TensorType, real_dtype
from tracejit.ops.matrix_loops import (
    Array,
    Emitter,
    Expr,
    after,
    count_failure,
    exchange,
    failures,
    identity,
    leading,
    note,
    only_if,
    peak_of,
    precision_of,
    require_none,
    scale_row,
    subtract_row,
    total,
    transpose_into,
)
from tracejit.records import record

#: What a `LinAlgError` says.
NO_EIGENVALUES, NO_SINGULAR_VALUES = "Eigenvalues did not converge", "SVD did not converge"

#: More sweeps than any matrix needs: convergence is quadratic.
SWEEPS = 40


@record
class Rotation:
    """Columns p and q become c p - s conj(u) q and s p + c conj(u) q; u has modulus 1."""

    c: Expr
    s: Expr
    u: Any
    moved: Expr  #: by how much the diagonal elements of p and q change


def _rotation(e: Emitter, alpha: Expr, beta: Expr, g: Any, size: Expr) -> Rotation:
    """What makes the Hermitian matrix [[alpha, g], [conj(g), beta]] diagonal; `size` is |g|, not 0."""
    k = e.k
    part = alpha.type
    theta = k.let(k.div(k.sub(beta, alpha), k.mul(size, 2.0)), "theta")
    slope = k.div(k.const(1, part), k.add(k.abs(theta), k.hypot(theta, k.const(1, part))))
    t = k.let(k.copysign(slope, theta), "t")
    c = k.let(k.div(k.const(1, part), k.sqrt(k.add(k.mul(t, t), 1.0))), "c")
    u = k.let(k.div(g, k.cast(size, k.dtype(g))), "u")
    return Rotation(c, k.let(k.mul(c, t), "s"), u, k.let(k.mul(t, size), "moved"))


def _rotate_rows(e: Emitter, x: Array, batch: Sequence[Expr], p: Expr, q: Expr, by: Rotation, u: Any) -> None:
    """Rows p and q of x become c p - s u q and s p + c u q."""
    k, dtype = e.k, x.type.dtype
    c, s = k.cast(by.c, dtype), k.cast(by.s, dtype)
    with e.loops((x.shape[-1],), vector=True) as (i,):
        first, second = e.load(x, (*batch, p, i)), k.let(k.mul(u, e.load(x, (*batch, q, i))), "turned")
        e.store(x, (*batch, p, i), k.sub(k.mul(c, first), k.mul(s, second)))
        e.store(x, (*batch, q, i), k.add(k.mul(s, first), k.mul(c, second)))


def _rotate_columns(e: Emitter, x: Array, batch: Sequence[Expr], p: Expr, q: Expr, by: Rotation) -> None:
    """Columns p and q of x take part in a rotation."""
    k, dtype = e.k, x.type.dtype
    c, s, u = k.cast(by.c, dtype), k.cast(by.s, dtype), k.conj(by.u)
    with e.loops((x.shape[-2],)) as (i,):
        first, second = e.load(x, (*batch, i, p)), k.let(k.mul(u, e.load(x, (*batch, i, q))), "turned")
        e.store(x, (*batch, i, p), k.sub(k.mul(c, first), k.mul(s, second)))
        e.store(x, (*batch, i, q), k.add(k.mul(s, first), k.mul(c, second)))


@contextmanager
def _sweeps(e: Emitter, moved: Array, size: Expr) -> Iterator[tuple[Expr, Expr]]:
    """All pairs p < q below `size`, again until nothing has been `moved`."""
    e.store(moved, (), e.k.const(1, I64))
    with e.loops((e.k.const(SWEEPS, I64),)), e.when(e.k.ne(e.load(moved, ()), 0)):
        e.store(moved, (), e.k.const(0, I64))
        with e.loops((size,)) as (p,), e.loops((after(e, p, size),)) as (step,):
            yield p, e.k.let(e.k.add(e.k.add(p, 1), step), "q")


def _place_of(e: Emitter, values: Callable[[Expr], Expr], start: Expr, size: Expr, better: str) -> Expr:
    """The place from `start` on of the value that is better than the others."""
    with e.fold(e.k.sub(size, start), values(start), start) as fold:
        best, place = fold.carried
        here = e.k.let(e.k.add(start, fold.index), "here")
        value = values(here)
        wins = e.k.let(getattr(e.k, better)(value, best), "wins")
        fold.following = [e.k.select(wins, value, best), e.k.select(wins, here, place)]
    return fold.results[1]


# -- Hermitian matrices ---------------------------------------------------------------------------------------


@record
class Workspace:
    """Memory for a LAPACK routine, as its workspace query says; `there` is whether there is one."""

    there: Expr
    size: Expr
    elements: Array
    reals: Array
    integers: Array


def workspace(e: Emitter, dtype: DType, ask: Callable[..., Expr], reals: Expr, integers: Expr) -> Workspace:
    """Ask `ask(elements, reals, integers)`, a call with -1 for sizes, how many elements the routine wants."""
    one, zero, part = e.k.const(1, I64), e.k.const(0, I64), real_dtype(dtype)
    asked = [e.work(t, (one,), "asked") for t in (dtype, part, I64)]
    e.store(asked[0], (zero,), e.k.const(0, dtype))
    there = e.k.let(e.k.eq(ask(*(a.buffer for a in asked)), 0), "there")
    wanted = e.k.cast(e.k.real(e.load(asked[0], (zero,))), F64)
    size = only_if(e, there, e.k.cast(e.k.mul(wanted, 1.0 + 2.0**-20), I64))
    made = [
        e.work(t, (n,), "workspace")
        for t, n in ((dtype, size), (part, only_if(e, there, reals)), (I64, only_if(e, there, integers)))
    ]
    return Workspace(there, size, *made)


def eigh(e: Emitter, results: Sequence[Any], x: Array, *, lower: bool = True) -> tuple[Array, Array]:
    """By LAPACK, or by rotations."""
    w, v = e.new(results[0]), e.new(results[1])
    dtype, size, zero = x.type.dtype, x.shape[-1], e.k.const(0, I64)
    half, lead = "L" if lower else "U", leading(e, size)
    job = "V" if e.is_wanted(results[1]) else "N"
    vectors, flag = e.work(dtype, x.shape, "vectors"), failures(e)

    def call(matrix: Expr, values: Expr, memory: Sequence[Expr], sizes: Sequence[Expr | int]) -> Expr:
        pairs = [y for pair in zip(memory, sizes, strict=True) for y in pair]
        return e.lapack("eigh", dtype, job, half, size, matrix, lead, values, *pairs)

    def arrays(elements: Any, reals: Any, integers: Any) -> tuple[Any, ...]:
        return (elements, reals, integers) if dtype.is_complex else (elements, integers)

    squared = e.k.mul(size, size)
    reals = e.k.add(e.k.add(e.k.mul(size, 5), e.k.mul(squared, 2)), 1)
    integers = e.k.add(e.k.mul(size, 5), 3)
    space = workspace(
        e, dtype, lambda *a: call(vectors.buffer, w.buffer, arrays(*a), arrays(-1, -1, -1)), reals, integers
    )
    side = only_if(e, e.k.logical_not(space.there), size)
    a = e.work(dtype, (*x.shape[:-2], side, side), "a")
    moved = e.scratch(TensorType(I64, ()), "moved")

    def library() -> None:
        transpose_into(e, vectors, x)
        memory = arrays(space.elements.buffer, space.reals.buffer, space.integers.buffer)

        def one(at: Sequence[Expr]) -> None:
            places = e.pointer(vectors, (*at, zero, zero)), e.pointer(w, (*at, zero))
            count_failure(e, flag, call(*places, memory, arrays(space.size, reals, integers)))

        e.each(x.shape[:-2], one)

    e.either(space.there, library, lambda: _rotated(e, x, a, vectors, w, moved, lower))
    if job == "V":
        transpose_into(e, v, vectors)
    require_none(e, flag, NO_EIGENVALUES)
    return w, v


def _rotated(e: Emitter, x: Array, a: Array, vectors: Array, w: Array, moved: Array, lower: bool) -> None:
    """Rotations from both sides, then eigenvalues in ascending order; nan where x has infinities or nan."""
    dtype, size = x.type.dtype, x.shape[-1]
    with e.kernel(), e.loops(x.shape[:-2]) as batch:
        _fill_hermitian(e, a, x, batch, lower)
        identity(e, vectors, batch)
        peak = peak_of(e, a, batch, lambda i, j: e.load(a, (*batch, i, j)))
        least = e.k.let(e.k.mul(peak, precision_of(dtype) * 1e-3), "least")
        with _sweeps(e, moved, size) as (p, q):
            g = e.load(a, (*batch, p, q))
            length = e.k.let(e.k.abs(g), "length")
            with e.when(e.k.gt(length, least)):
                _two_sided(e, a, vectors, batch, (p, q), g, length)
                e.store(moved, (), e.k.const(1, I64))

        def diagonal(i: Expr) -> Expr:
            return e.k.let(e.k.real(e.load(a, (*batch, i, i))), "eigenvalue")

        unknown = e.k.let(e.k.select(e.k.isfinite(peak), e.k.const(0, peak.type), e.k.sub(peak, peak)), "unknown")
        with e.loops((size,)) as (i,):
            place = _place_of(e, diagonal, i, size, "lt")
            here, there = e.load(a, (*batch, i, i)), e.load(a, (*batch, place, place))
            e.store(a, (*batch, i, i), there)
            e.store(a, (*batch, place, place), here)
            exchange(e, vectors, batch, i, place)
            e.store(w, (*batch, i), e.k.add(e.k.real(there), unknown))


def _fill_hermitian(e: Emitter, a: Array, x: Array, batch: Sequence[Expr], lower: bool) -> None:
    """The Hermitian matrix that one half of x says."""
    k, dtype = e.k, x.type.dtype
    with e.loops(x.shape[-2:]) as (i, j):
        here, there = e.load(x, (*batch, i, j)), e.load(x, (*batch, j, i))
        own = k.gt(i, j) if lower else k.lt(i, j)
        element = k.select(own, here, k.conj(there))
        e.store(a, (*batch, i, j), k.select(k.eq(i, j), k.cast(k.real(here), dtype), element))


def _two_sided(
    e: Emitter, a: Array, vectors: Array, batch: Sequence[Expr], at: tuple[Expr, Expr], g: Any, length: Expr
) -> None:
    """Make elements (p, q) and (q, p) of a zero."""
    k, (p, q), dtype = e.k, at, a.type.dtype
    alpha, beta = k.real(e.load(a, (*batch, p, p))), k.real(e.load(a, (*batch, q, q)))
    by = _rotation(e, alpha, beta, g, length)
    _rotate_rows(e, a, batch, p, q, by, by.u)
    _rotate_columns(e, a, batch, p, q, by)
    _rotate_rows(e, vectors, batch, p, q, by, k.conj(by.u))
    e.store(a, (*batch, p, p), k.cast(k.sub(alpha, by.moved), dtype))
    e.store(a, (*batch, q, q), k.cast(k.add(beta, by.moved), dtype))
    e.store(a, (*batch, p, q), k.const(0, dtype))
    e.store(a, (*batch, q, p), k.const(0, dtype))


# -- singular values ------------------------------------------------------------------------------------------


def svd(e: Emitter, results: Sequence[Any], x: Array, k: Expr, *, full: bool = False) -> tuple[Array, Array, Array]:
    """The columns of x (of its conjugate transpose, where x is wide) are rotated until they are orthogonal: then their
    lengths are the singular values, and what the rotations make of the unit vectors is the other basis."""
    u, s, vh = (e.new(result) for result in results)
    svd_into(e, x, k, u, s, vh, full=full, vectors=e.is_wanted(results[0]) or e.is_wanted(results[2]))
    return u, s, vh


def svd_into(
    e: Emitter, x: Array, k: Expr, u: Array, s: Array, vh: Array, *, full: bool = False, vectors: bool = True
) -> None:
    """`svd` into arrays that are there: by LAPACK, or by rotations. Without `vectors`, u and vh need not be filled."""
    dtype, (rows, columns), batches = x.type.dtype, x.shape[-2:], x.shape[:-2]
    zero, flag = e.k.const(0, I64), failures(e)
    left, right = u.shape[-1], vh.shape[-2]
    leads = [leading(e, size) for size in (rows, rows, right)]
    job = "N" if not vectors else "A" if full else "S"

    def call(a: Expr, values: Expr, basis: Expr, other: Expr, memory: Sequence[Expr], size: Expr | int) -> Expr:
        elements, reals, integers = memory
        rest = (reals, integers) if dtype.is_complex else (integers,)
        arrays = (a, leads[0], values, basis, leads[1], other, leads[2])
        return e.lapack("gesdd", dtype, job, rows, columns, *arrays, elements, size, *rest)

    most = e.k.maximum(rows, columns)
    reals = e.k.mul(e.k.mul(e.k.add(k, 1), e.k.add(most, k)), 7)
    space = workspace(e, dtype, lambda *m: call(u.buffer, s.buffer, u.buffer, vh.buffer, m, -1), reals, e.k.mul(k, 8))
    own = e.k.let(e.k.logical_not(space.there), "own")
    turned = e.work(dtype, (*batches, only_if(e, space.there, columns), rows), "turned")
    basis = e.work(dtype, (*batches, only_if(e, space.there, left), rows), "basis")
    back = e.work(dtype, (*batches, only_if(e, space.there, columns), right), "back")
    length = e.k.let(e.k.maximum(rows, columns), "length")
    lines = e.work(dtype, (*batches, only_if(e, own, length if full else k), length), "lines")
    other = e.work(dtype, (*batches, only_if(e, own, k), k), "other")
    moved = e.scratch(TensorType(I64, ()), "moved")

    def library() -> None:
        transpose_into(e, turned, x)
        memory = [y.buffer for y in (space.elements, space.reals, space.integers)]

        def one(at: Sequence[Expr]) -> None:
            a, first, second = (e.pointer(y, (*at, zero, zero)) for y in (turned, basis, back))
            count_failure(e, flag, call(a, e.pointer(s, (*at, zero)), first, second, memory, space.size))

        with_elements = e.k.gt(k, 0)
        e.either(with_elements, lambda: e.each(batches, one), lambda: _unit_bases(e, basis, back))
        if vectors:
            transpose_into(e, u, basis)
            transpose_into(e, vh, back)

    e.either(space.there, library, lambda: _hestenes(e, x, k, (u, s, vh), (lines, other), moved, flag))
    require_none(e, flag, NO_SINGULAR_VALUES)


def _hestenes(
    e: Emitter, x: Array, k: Expr, results: Sequence[Array], arrays: Sequence[Array], moved: Array, flag: Array
) -> None:
    """The rotations of columns, and what becomes of them."""
    (u, s, vh), (lines, other) = results, arrays
    dtype, (rows, columns) = x.type.dtype, x.shape[-2:]
    tall = e.k.let(e.k.ge(rows, columns), "tall")
    with e.kernel(), e.loops(x.shape[:-2]) as batch:

        def element(i: Expr, j: Expr) -> Any:
            found = e.load(x, (*batch, e.k.select(tall, j, i), e.k.select(tall, i, j)))
            return e.k.select(tall, found, e.k.conj(found)) if dtype.is_complex else found

        peak = peak_of(e, x, batch, lambda i, j: e.load(x, (*batch, i, j)))
        note(e, flag, e.k.isnan(peak))
        scale = e.k.select(e.k.gt(peak, 0), peak, e.k.const(1, peak.type))
        scale = e.k.let(e.k.select(e.k.isinf(peak), e.k.const(math.nan, peak.type), scale), "scale")  # as LAPACK
        with e.loops((k, lines.shape[-1])) as (i, j):
            e.store(lines, (*batch, i, j), e.k.div(element(i, j), e.k.cast(scale, dtype)))
        identity(e, other, batch)
        _orthogonalise(e, lines, other, batch, k, moved)
        with e.loops((k,)) as (i,):
            e.store(s, (*batch, i), e.k.sqrt(_square_of(e, lines, batch, i)))
        _arrange(e, lines, other, s, batch, k)
        with e.loops((k,)) as (i,):
            e.store(s, (*batch, i), e.k.mul(e.load(s, (*batch, i)), scale))
        with e.when(tall):
            _write(e, u, lines, batch, columns=True)
            _write(e, vh, other, batch, columns=False)
        with e.when(e.k.logical_not(tall)):
            _write(e, u, other, batch, columns=True)
            _write(e, vh, lines, batch, columns=False)


def _unit_bases(e: Emitter, *arrays: Array) -> None:
    """Bases of matrices without elements."""
    for x in arrays:
        with e.kernel(), e.loops(x.shape[:-2]) as batch:
            identity(e, x, batch)


def pinv(e: Emitter, results: Sequence[Any], x: Array, k: Expr, rcond: Expr) -> Array:
    """The product of the bases with the reciprocals of the singular values that are not negligible."""
    out, batches, dtype = e.new(results[0]), x.shape[:-2], x.type.dtype
    u = e.work(dtype, (*batches, x.shape[-2], k), "u")
    s = e.work(real_dtype(dtype), (*batches, k), "s")
    vh = e.work(dtype, (*batches, k, x.shape[-1]), "vh")
    svd_into(e, x, k, u, s, vh)
    with e.kernel(), e.loops(out.shape) as (*batch, i, j):

        def product(c: Expr) -> Any:
            size = e.load(s, (*batch, c))
            counts = e.k.gt(size, e.k.mul(e.load(s, (*batch, e.k.const(0, I64))), e.k.cast(rcond, s.type.dtype)))
            safe = e.k.let(e.k.select(counts, size, e.k.const(1, size.type)), "safe")
            inverse = e.k.select(counts, e.k.div(e.k.const(1, size.type), safe), e.k.const(0, size.type))
            pair = e.k.mul(e.k.conj(e.load(vh, (*batch, c, i))), e.k.conj(e.load(u, (*batch, j, c))))
            return e.k.mul(e.k.cast(inverse, dtype), pair)

        e.store(out, (*batch, i, j), total(e, k, e.k.const(0, dtype), product))
    return out


def _square_of(e: Emitter, x: Array, batch: Sequence[Expr], i: Expr) -> Expr:
    """The squared length of a row."""

    def square(j: Expr) -> Expr:
        element = e.load(x, (*batch, i, j))
        real, imaginary = e.k.real(element), e.k.imag(element)
        found = e.k.mul(real, real)
        return e.k.add(found, e.k.mul(imaginary, imaginary)) if x.type.dtype.is_complex else found

    zero = e.k.const(0, real_dtype(x.type.dtype))
    return e.k.let(total(e, x.shape[-1], zero, square), "square")


def _product_of(e: Emitter, x: Array, batch: Sequence[Expr], i: Expr, j: Expr) -> Any:
    """The inner product of two rows, the first conjugated."""

    def product(c: Expr) -> Any:
        return e.k.mul(e.k.conj(e.load(x, (*batch, i, c))), e.load(x, (*batch, j, c)))

    return e.k.let(total(e, x.shape[-1], e.k.const(0, x.type.dtype), product), "product")


def _orthogonalise(e: Emitter, lines: Array, other: Array, batch: Sequence[Expr], count: Expr, moved: Array) -> None:
    """Rotate pairs of the first `count` rows until all are orthogonal; rows that are negligible are left."""
    k, precision = e.k, precision_of(lines.type.dtype)
    with e.fold(count, k.const(0, real_dtype(lines.type.dtype))) as fold:
        fold.following = [k.add(fold.carried[0], _square_of(e, lines, batch, fold.index))]
    negligible = k.let(k.mul(fold.results[0], precision**2), "negligible")
    with _sweeps(e, moved, count) as (p, q):
        alpha, beta = _square_of(e, lines, batch, p), _square_of(e, lines, batch, q)
        g = _product_of(e, lines, batch, p, q)
        size = k.let(k.abs(g), "size")
        counts = k.gt(k.minimum(alpha, beta), negligible)
        with e.when(k.logical_and(counts, k.gt(size, k.mul(k.sqrt(k.mul(alpha, beta)), precision)))):
            by = _rotation(e, alpha, beta, g, size)
            for each in (lines, other):
                _rotate_rows(e, each, batch, p, q, by, k.conj(by.u))
            e.store(moved, (), k.const(1, I64))


def _arrange(e: Emitter, lines: Array, other: Array, s: Array, batch: Sequence[Expr], count: Expr) -> None:
    """Sort by size, make rows unit vectors, and put any orthonormal ones in place of those that are negligible."""
    k, dtype = e.k, lines.type.dtype

    def size(i: Expr) -> Expr:
        return e.load(s, (*batch, i))

    with e.loops((count,)) as (i,):
        place = _place_of(e, size, i, count, "gt")
        here, there = size(i), size(place)
        e.store(s, (*batch, i), there)
        e.store(s, (*batch, place), here)
        for each in (lines, other):
            exchange(e, each, batch, i, place)
        limit = k.mul(size(k.const(0, I64)), precision_of(dtype))
        counts = k.let(k.gt(there, limit), "counts")
        with e.when(counts):
            inverse = k.let(k.div(k.const(1, there.type), there), "inverse")
            scale_row(e, lines, (*batch, i), k.const(0, I64), k.cast(inverse, dtype))
        with e.when(k.logical_not(counts)):
            _complete(e, lines, batch, i)
    with e.loops((k.sub(lines.shape[-2], count),)) as (step,):
        _complete(e, lines, batch, k.let(k.add(count, step), "row"))


def _complete(e: Emitter, x: Array, batch: Sequence[Expr], j: Expr) -> None:
    """Row j becomes a unit vector orthogonal to the rows before it: the unit vector that these contain least, made
    orthogonal twice, as rounding asks."""
    k, dtype, zero = e.k, x.type.dtype, e.k.const(0, I64)
    part = real_dtype(dtype)

    def contained(i: Expr) -> Expr:
        return total(e, j, k.const(0, part), lambda r: k.square(k.abs(e.load(x, (*batch, r, i)))))

    place = _place_of(e, contained, zero, x.shape[-1], "lt")
    with e.loops((x.shape[-1],)) as (i,):
        e.store(x, (*batch, j, i), k.cast(k.eq(i, place), dtype))
    with e.loops((k.const(2, I64),)), e.loops((j,)) as (r,):
        subtract_row(e, x, (*batch, j), _product_of(e, x, batch, r, j), (*batch, r), zero)
    length = k.sqrt(_square_of(e, x, batch, j))
    inverse = k.let(k.div(k.const(1, part), length), "inverse")
    scale_row(e, x, (*batch, j), zero, k.cast(inverse, dtype))


def _write(e: Emitter, out: Array, rows: Array, batch: Sequence[Expr], *, columns: bool) -> None:
    """Vectors as columns of the result, or conjugated as its rows."""
    with e.loops(rows.shape[-2:]) as (i, j):
        element = e.load(rows, (*batch, i, j))
        if columns:
            e.store(out, (*batch, j, i), element)
        else:
            e.store(out, (*batch, i, j), e.k.conj(element))
