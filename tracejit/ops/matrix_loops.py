"""How linear algebra is computed: elimination, Cholesky and Householder factors, as loops over stacks of matrices.

Rules as in `loops.py`. Choices that decide signs are LAPACK's: pivots are largest by |re| + |im|, reflections turn a
column against the sign of its first element. The loops take real and complex matrices alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracejit.ir.types import F64, I64, DType, TensorType, real_dtype

Emitter = Any
Array = Any
Expr = Any

#: What a `LinAlgError` says.
SINGULAR, NOT_POSITIVE = "Singular matrix", "Matrix is not positive definite"

#: Of matrices up to this size elimination and reflections by loops take no longer than LAPACK's.
OWN = 64


def precision_of(dtype: DType) -> float:
    """The distance from 1 to the next number."""
    return 2.0**-23 if real_dtype(dtype).bits == 32 else 2.0**-52


def fresh_copy(e: Emitter, x: Array, name: str) -> Array:
    """A copy of an array that may be overwritten."""
    made = e.scratch(x.type, name)
    e.copy_into(made, x)
    return made


def failures(e: Emitter) -> Array:
    """A count of failures, 0 at first."""
    made = e.scratch(TensorType(I64, ()), "failures")
    with e.kernel():
        e.store(made, (), e.k.const(0, I64))
    return made


def require_none(e: Emitter, flag: Array, message: str) -> None:
    """`LinAlgError` where something failed."""
    e.fail_unless(e.k.eq(e.load(flag, ()), 0), "LinAlgError", message)


def note(e: Emitter, flag: Array, failed: Expr) -> None:
    """Count a failure."""
    with e.when(failed):
        e.store(flag, (), e.k.const(1, I64))


def transposed(e: Emitter, x: Array, name: str) -> Array:
    """The transpose, whose rows are the columns of x."""
    made = e.work(x.type.dtype, (*x.shape[:-2], x.shape[-1], x.shape[-2]), name)
    transpose_into(e, made, x)
    return made


def transpose_into(e: Emitter, target: Array, x: Array) -> None:
    """The transpose of x into an array that is there."""
    with e.kernel(), e.loops(target.shape, parallel=True) as (*batch, i, j):
        e.store(target, (*batch, i, j), e.load(x, (*batch, j, i)))


def leading(e: Emitter, size: Expr) -> Expr:
    """A leading dimension, which LAPACK wants to be at least 1."""
    return e.k.let(e.k.maximum(size, 1), "leading")


def only_if(e: Emitter, cond: Expr, size: Expr) -> Expr:
    """A size of memory that is needed on a condition."""
    return e.k.let(e.k.select(cond, size, e.k.const(0, I64)), "size")


def count_failure(e: Emitter, flag: Array, info: Expr) -> None:
    """Note that a routine failed."""
    e.store(flag, (), e.k.maximum(e.load(flag, ()), e.k.abs(info)))


def after(e: Emitter, j: Expr, size: Expr) -> Expr:
    """How many places come after place j."""
    return e.k.sub(e.k.sub(size, 1), j)


def exchange(e: Emitter, x: Array, batch: Sequence[Expr], i: Expr, j: Expr) -> None:
    """Rows i and j take each other's place."""
    with e.loops((x.shape[-1],)) as (c,):
        upper, lower = e.load(x, (*batch, i, c)), e.load(x, (*batch, j, c))
        e.store(x, (*batch, i, c), lower)
        e.store(x, (*batch, j, c), upper)


def scale_row(e: Emitter, x: Array, at: Sequence[Expr], start: Expr, factor: Expr) -> None:
    """Row `at` of x times a factor, from column `start` on."""
    with e.loops((e.k.sub(x.shape[-1], start),), vector=True) as (step,):
        c = e.k.add(start, step)
        e.store(x, (*at, c), e.k.mul(factor, e.load(x, (*at, c))))


def subtract_row(e: Emitter, x: Array, row: Sequence[Expr], factor: Expr, other: Sequence[Expr], start: Expr) -> None:
    """Row `row` of x loses `factor` times row `other`, from column `start` on."""
    with e.loops((e.k.sub(x.shape[-1], start),), vector=True) as (step,):
        c = e.k.add(start, step)
        product = e.k.mul(factor, e.load(x, (*other, c)))
        e.store(x, (*row, c), e.k.sub(e.load(x, (*row, c)), product))


def total(e: Emitter, extent: Expr, zero: Expr, element: Callable[[Expr], Expr]) -> Expr:
    """The sum of `element(i)` for i below the extent."""
    with e.fold(extent, zero, combine="add") as fold:
        fold.following = [element(fold.index)]
    return fold.results[0]


def size_of(e: Emitter, x: Expr) -> Expr:
    """|re| + |im|, by which pivots are compared."""
    real, imaginary = e.k.abs(e.k.real(x)), e.k.abs(e.k.imag(x))
    return e.k.let(e.k.add(real, imaginary) if e.k.dtype(x).is_complex else real, "size")


def identity(e: Emitter, x: Array, batch: Sequence[Expr]) -> None:
    """A matrix becomes the unit matrix."""
    with e.loops(x.shape[-2:]) as (i, j):
        e.store(x, (*batch, i, j), e.k.cast(e.k.eq(i, j), x.type.dtype))


def peak_of(e: Emitter, x: Array, batch: Sequence[Expr], element: Callable[[Expr, Expr], Expr]) -> Expr:
    """The largest modulus of a matrix."""
    zero = e.k.const(0, real_dtype(x.type.dtype))
    with e.fold(x.shape[-2], zero) as rows:
        with e.fold(x.shape[-1], zero, combine="maximum") as columns:
            columns.following = [e.k.abs(element(rows.index, columns.index))]
        rows.following = [e.k.maximum(rows.carried[0], columns.results[0])]
    return e.k.let(rows.results[0], "peak")


# -- elimination ----------------------------------------------------------------------------------------------


def _largest_below(e: Emitter, x: Array, batch: Sequence[Expr], j: Expr) -> Expr:
    """The row from j on whose element in column j is largest."""
    k = e.k
    with e.fold(k.sub(x.shape[-1], j), k.const(-1.0, real_dtype(x.type.dtype)), j) as fold:
        best, place = fold.carried
        row = k.add(j, fold.index)
        size = size_of(e, e.load(x, (*batch, row, j)))
        larger = k.let(k.gt(size, best), "larger")
        fold.following = [k.select(larger, size, best), k.select(larger, row, place)]
    return fold.results[1]


def _eliminate(
    e: Emitter,
    x: Array,
    batch: Sequence[Expr],
    right: Array | None = None,
    on_exchange: Callable[[Expr], None] | None = None,
    flag: Array | None = None,
) -> None:
    """The upper triangular form of one matrix, by elimination with row exchanges; `right` takes part.

    `on_exchange` is told where a row changes its place."""
    size, zero = x.shape[-1], e.k.const(0, I64)
    with e.loops((size,)) as (j,):
        pivot = _largest_below(e, x, batch, j)
        with e.when(e.k.ne(pivot, j)):
            for each in (x, right):
                if each is not None:
                    exchange(e, each, batch, j, pivot)
            if on_exchange is not None:
                on_exchange(pivot)
        top = e.load(x, (*batch, j, j))
        is_zero = e.k.let(e.k.eq(top, 0), "is_zero")
        if flag is not None:
            note(e, flag, is_zero)
        safe = e.k.let(e.k.select(is_zero, e.k.const(1, x.type.dtype), top), "safe")
        with e.loops((after(e, j, size),)) as (below,):
            row = e.k.let(e.k.add(e.k.add(j, 1), below), "row")
            factor = e.k.let(e.k.div(e.load(x, (*batch, row, j)), safe), "factor")
            subtract_row(e, x, (*batch, row), factor, (*batch, j), j)
            if right is not None:
                subtract_row(e, right, (*batch, row), factor, (*batch, j), zero)


def _substitute(e: Emitter, x: Array, batch: Sequence[Expr], out: Array, *, lower: bool, unit: bool = False) -> None:
    """out becomes the solution for a triangular x, row by row."""
    size, zero = x.shape[-1], e.k.const(0, I64)
    with e.loops((size,)) as (step,):
        j = step if lower else e.k.let(after(e, step, size), "j")
        with e.loops((step,)) as (i,):
            row = i if lower else e.k.let(e.k.add(e.k.add(j, 1), i), "row")
            subtract_row(e, out, (*batch, j), e.load(x, (*batch, j, row)), (*batch, row), zero)
        if not unit:
            corner = e.load(x, (*batch, j, j))
            with e.loops((out.shape[-1],)) as (c,):
                e.store(out, (*batch, j, c), e.k.div(e.load(out, (*batch, j, c)), corner))


def solve(e: Emitter, results: Sequence[Any], a: Array, b: Array) -> Array:
    """By LAPACK, or elimination and substitution from the last row up."""
    out, dtype, size, columns = e.new(results[0]), a.type.dtype, a.shape[-1], b.shape[-1]
    zero, flag = e.k.const(0, I64), failures(e)
    probe = [e.work(part, (e.k.const(1, I64),), "probe") for part in (dtype, I64, dtype)]
    found = e.lapack("gesv", dtype, 0, 0, probe[0].buffer, 1, probe[1].buffer, probe[2].buffer, 1)
    there = e.k.let(e.k.eq(found, 0), "there")
    upper = e.work(dtype, a.shape, "upper")
    right = e.work(dtype, (*b.shape[:-2], only_if(e, there, columns), size), "right")
    pivots = e.work(I64, (size,), "pivots")

    def library() -> None:
        transpose_into(e, upper, a)
        transpose_into(e, right, b)
        lead = leading(e, size)

        def one(at: Sequence[Expr]) -> None:
            matrix, columns_at = (e.pointer(x, (*at, zero, zero)) for x in (upper, right))
            info = e.lapack("gesv", dtype, size, columns, matrix, lead, pivots.buffer, columns_at, lead)
            count_failure(e, flag, info)

        e.each(a.shape[:-2], one)
        transpose_into(e, out, right)

    def own() -> None:
        e.copy_into(out, b)
        e.copy_into(upper, a)
        with e.kernel(), e.loops(a.shape[:-2]) as batch:
            _eliminate(e, upper, batch, out, flag=flag)
            _substitute(e, upper, batch, out, lower=False)

    e.either(there, library, own)
    require_none(e, flag, SINGULAR)
    return out


def solve_triangular(e: Emitter, results: Sequence[Any], a: Array, b: Array, *, lower: bool) -> Array:
    """Substitution."""
    out, flag = e.new(results[0]), failures(e)
    e.copy_into(out, b)
    with e.kernel(), e.loops(a.shape[:-2]) as batch:
        with e.loops((a.shape[-1],)) as (j,):
            note(e, flag, e.k.eq(e.load(a, (*batch, j, j)), 0))
        _substitute(e, a, batch, out, lower=lower)
    require_none(e, flag, SINGULAR)
    return out


def _triangle(e: Emitter, x: Array, sign: Array) -> Array:
    """What elimination leaves of x, of which only the diagonal is known in either order; `sign` becomes 1, negated for
    each row exchange. By LAPACK, to which the transpose is as good, where that pays."""
    dtype, size, batches, zero, one = x.type.dtype, x.shape[-1], x.shape[:-2], e.k.const(0, I64), e.k.const(1, I64)
    upper = fresh_copy(e, x, "upper")
    probe = [e.work(part, (one,), "probe") for part in (dtype, I64)]
    found = e.lapack("getrf", dtype, 0, 0, probe[0].buffer, 1, probe[1].buffer)
    pays = e.k.let(e.k.logical_and(e.k.eq(found, 0), e.k.gt(size, OWN)), "pays")
    pivots = e.work(I64, (*batches, only_if(e, pays, size)), "pivots")

    def library() -> None:
        def factor(at: Sequence[Expr]) -> None:
            e.lapack(
                "getrf", dtype, size, size, e.pointer(upper, (*at, zero, zero)), size, e.pointer(pivots, (*at, zero))
            )

        e.each(batches, factor)
        with e.kernel(), e.loops(batches) as batch:
            with e.fold(size, e.k.const(1, dtype)) as fold:
                stays = e.k.eq(e.load(pivots, (*batch, fold.index)), e.k.add(fold.index, 1))
                fold.following = [e.k.select(stays, fold.carried[0], e.k.neg(fold.carried[0]))]
            e.store(sign, batch, fold.results[0])

    def own() -> None:
        with e.kernel(), e.loops(batches) as batch:
            e.store(sign, batch, e.k.const(1, dtype))
            _eliminate(e, upper, batch, None, lambda _: e.store(sign, batch, e.k.neg(e.load(sign, batch))))

    e.either(pays, library, own)
    return upper


def det(e: Emitter, results: Sequence[Any], x: Array) -> Array:
    """The product of the diagonal after elimination, negated for each row exchange."""
    out = e.new(results[0])
    upper = _triangle(e, x, out)
    with e.kernel(), e.loops(x.shape[:-2]) as batch:
        with e.fold(x.shape[-1], e.load(out, batch)) as fold:
            at = (*batch, fold.index, fold.index)
            fold.following = [e.k.mul(fold.carried[0], e.load(upper, at))]
        e.store(out, batch, fold.results[0])
    return out


def cofactors(e: Emitter, results: Sequence[Any], x: Array) -> Array:
    """The determinant times the adjoint of the inverse, by elimination. A pivot that is 0 is made one that is nothing
    beside the other elements: cofactors are polynomials, which hardly change by that."""
    out, dtype, size = e.new(results[0]), x.type.dtype, x.shape[-1]
    upper, inverse = fresh_copy(e, x, "upper"), e.scratch(x.type, "inverse")
    factor = e.scratch(TensorType(dtype, x.type.shape[:-2]), "factor")
    with e.kernel(), e.loops(x.shape[:-2]) as batch:
        identity(e, inverse, batch)
        peak = peak_of(e, x, batch, lambda i, j: e.load(x, (*batch, i, j)))
        tiny = e.k.let(e.k.maximum(e.k.mul(peak, precision_of(dtype)), 2.0**-126), "tiny")
        e.store(factor, batch, e.k.const(1, dtype))
        _eliminate(e, upper, batch, inverse, lambda _: e.store(factor, batch, e.k.neg(e.load(factor, batch))))
        with e.loops((size,)) as (j,):
            pivot = e.load(upper, (*batch, j, j))
            e.store(upper, (*batch, j, j), e.k.select(e.k.eq(pivot, 0), e.k.cast(tiny, dtype), pivot))
            e.store(factor, batch, e.k.mul(e.load(factor, batch), e.load(upper, (*batch, j, j))))
        _substitute(e, upper, batch, inverse, lower=False)
    with e.kernel(), e.loops(x.shape) as (*batch, i, j):
        e.store(out, (*batch, i, j), e.k.conj(e.k.mul(e.load(factor, batch), e.load(inverse, (*batch, j, i)))))
    return out


def slogdet(e: Emitter, results: Sequence[Any], x: Array) -> tuple[Array, Array]:
    """The product of the signs and the sum of the logarithms of the diagonal after elimination."""
    sign, log = e.new(results[0]), e.new(results[1])
    upper = _triangle(e, x, sign)
    with e.kernel(), e.loops(x.shape[:-2]) as batch:
        with e.fold(x.shape[-1], e.load(sign, batch), e.k.const(0, log.type.dtype)) as fold:
            pivot = e.load(upper, (*batch, fold.index, fold.index))
            size = e.k.let(e.k.abs(pivot), "size")
            is_zero = e.k.eq(size, 0)
            none = e.k.const(0, x.type.dtype)
            safe = e.k.let(e.k.select(is_zero, e.k.const(1, size.type), size), "safe")
            one = e.k.const(1, x.type.dtype)
            of_pair = x.type.dtype.is_complex  # else an infinite pivot has a sign too
            turn = e.k.div(pivot, safe) if of_pair else e.k.select(e.k.lt(pivot, 0), e.k.neg(one), one)
            unit = e.k.let(e.k.select(is_zero, none, turn), "unit")
            fold.following = [e.k.mul(fold.carried[0], unit), e.k.add(fold.carried[1], e.k.log(size))]
        e.store(sign, batch, fold.results[0])
        e.store(log, batch, fold.results[1])
    return sign, log


# -- Cholesky -------------------------------------------------------------------------------------------------


def cholesky(e: Emitter, results: Sequence[Any], x: Array) -> Array:
    """By LAPACK, or column by column from the left."""
    out, flag, size = e.new(results[0]), failures(e), x.shape[-1]
    zero = e.k.const(0, x.type.dtype)

    def rest(batch: Sequence[Expr], i: Expr, j: Expr) -> Expr:
        """x[i, j] less the product of the rows i and j of what is done."""

        def product(c: Expr) -> Expr:
            return e.k.mul(e.load(out, (*batch, i, c)), e.k.conj(e.load(out, (*batch, j, c))))

        return e.k.let(e.k.sub(e.load(x, (*batch, i, j)), total(e, j, zero, product)), "rest")

    def library() -> None:
        """Read by columns, the lower half is the upper one."""
        e.copy_into(out, x)

        def one(at: Sequence[Expr]) -> None:
            place = e.pointer(out, (*at, e.k.const(0, I64), e.k.const(0, I64)))
            count_failure(e, flag, e.lapack("potrf", x.type.dtype, "U", size, place, lead))

        e.each(x.shape[:-2], one)
        with e.kernel(), e.loops((*x.shape[:-1],)) as (*batch, i), e.loops((after(e, i, size),)) as (step,):
            e.store(out, (*batch, i, e.k.add(e.k.add(i, 1), step)), zero)

    lead = leading(e, size)
    probe = e.work(x.type.dtype, (e.k.const(1, I64),), "probe")
    there = e.k.eq(e.lapack("potrf", x.type.dtype, "U", 0, probe.buffer, 1), 0)
    e.either(there, library, lambda: _own_cholesky(e, x, out, flag, rest))
    require_none(e, flag, NOT_POSITIVE)
    return out


def _own_cholesky(e: Emitter, x: Array, out: Array, flag: Array, rest: Callable[..., Expr]) -> None:
    """Column by column from the left."""
    size, zero = x.shape[-1], e.k.const(0, x.type.dtype)
    with e.kernel(), e.loops(x.shape[:-2]) as batch, e.loops((size,)) as (j,):
        square = e.k.let(e.k.real(rest(batch, j, j)), "square")
        note(e, flag, e.k.le(square, 0))
        corner = e.k.let(e.k.sqrt(square), "corner")
        e.store(out, (*batch, j, j), e.k.cast(corner, x.type.dtype))
        with e.loops((after(e, j, size),)) as (below,):
            i = e.k.let(e.k.add(e.k.add(j, 1), below), "i")
            e.store(out, (*batch, i, j), e.k.div(rest(batch, i, j), e.k.cast(corner, x.type.dtype)))
            e.store(out, (*batch, j, i), zero)


# -- Householder ----------------------------------------------------------------------------------------------


def qr(e: Emitter, results: Sequence[Any], x: Array, k: Expr, *, full: bool = False) -> tuple[Array, Array]:
    """By LAPACK where that pays, or reflections of the columns from the left; Q is their product, applied to the unit
    vectors from the last on.

    Columns are rows of a transpose, so that they are contiguous. Below its diagonal, column j holds the vector of
    reflection j, whose first element is 1, and `scales` the number tau of I - tau v v^H."""
    q, r = e.new(results[0]), e.new(results[1])
    dtype, rows, columns, batches = x.type.dtype, x.shape[-2], x.shape[-1], x.shape[:-2]
    turned = transposed(e, x, "columns")
    basis = e.work(dtype, (*batches, q.shape[-1], rows), "basis")
    scales = e.work(dtype, (*batches, k), "scales")
    zero, none = e.k.const(0, I64), e.k.const(0, dtype)
    sides, lead = (rows, q.shape[-1], k), leading(e, rows)

    def factored(matrix: Expr, scale: Expr, memory: Expr, room: Expr | int) -> Expr:
        return e.lapack("geqrf", dtype, rows, columns, matrix, lead, scale, memory, room)

    def multiplied(matrix: Expr, scale: Expr, memory: Expr, room: Expr | int) -> Expr:
        return e.lapack("gqr", dtype, *sides, matrix, lead, scale, memory, room)

    asked = e.work(dtype, (e.k.const(2, I64),), "asked")
    if e.in_order:
        e.zero(asked)
    places = [e.pointer(asked, (e.k.const(i, I64),)) for i in (0, 1)]
    found = [ask(basis.buffer, scales.buffer, to, -1) for ask, to in zip((factored, multiplied), places, strict=True)]
    there = e.k.logical_and(*(e.k.eq(info, 0) for info in found))
    pays = e.k.let(e.k.logical_and(there, e.k.gt(k, OWN)), "pays")
    room = zero
    if e.in_order:
        wanted = [e.k.cast(e.k.real(e.load(asked, (e.k.const(i, I64),))), F64) for i in (0, 1)]
        room = only_if(e, pays, e.k.cast(e.k.mul(e.k.maximum(*wanted), 1.0 + 2.0**-20), I64))
    memory = e.work(dtype, (room,), "workspace")

    def library() -> None:
        def factor(at: Sequence[Expr]) -> None:
            factored(e.pointer(turned, (*at, zero, zero)), e.pointer(scales, (*at, zero)), memory.buffer, room)

        def multiply(at: Sequence[Expr]) -> None:
            multiplied(e.pointer(basis, (*at, zero, zero)), e.pointer(scales, (*at, zero)), memory.buffer, room)

        e.each(batches, factor)
        with e.kernel(), e.loops((*batches, k, rows)) as at:
            e.store(basis, at, e.load(turned, at))
        e.each(batches, multiply)

    def own() -> None:
        with e.kernel(), e.loops(batches) as batch:
            with e.loops((k,)) as (j,):
                _reflection(e, turned, scales, batch, j)
                with e.loops((after(e, j, columns),)) as (step,):
                    c = e.k.let(e.k.add(e.k.add(j, 1), step), "c")
                    _reflect(e, turned, (*batch, j), j, turned, (*batch, c), e.k.conj(e.load(scales, (*batch, j))))
            with e.loops((q.shape[-1], rows)) as (c, i):
                e.store(basis, (*batch, c, i), e.k.cast(e.k.eq(c, i), dtype))
            with e.loops((k,)) as (step,):
                j = e.k.let(after(e, step, k), "j")
                with e.loops((q.shape[-1],)) as (c,):
                    _reflect(e, turned, (*batch, j), j, basis, (*batch, c), e.load(scales, (*batch, j)))

    e.either(pays, library, own)
    transpose_into(e, q, basis)
    with e.kernel(), e.loops(r.shape, parallel=True) as (*batch, i, c):
        e.store(r, (*batch, i, c), e.k.select(e.k.le(i, c), e.load(turned, (*batch, c, i)), none))
    return q, r


def _reflection(e: Emitter, x: Array, scales: Array, batch: Sequence[Expr], j: Expr) -> None:
    """The reflection that maps row j of x, from place j on, to a multiple of the unit vector; stored in its place."""
    k, dtype, at = e.k, x.type.dtype, (*batch, j)
    part = real_dtype(dtype)
    below = after(e, j, x.shape[-1])
    start = k.let(k.add(j, 1), "start")

    def magnitude(i: Expr) -> Expr:
        return k.abs(e.load(x, (*at, k.add(start, i))))

    with e.fold(below, k.const(0, part), combine="maximum") as largest:
        largest.following = [magnitude(largest.index)]
    peak = k.let(k.select(k.eq(largest.results[0], 0), k.const(1, part), largest.results[0]), "peak")

    def scaled_square(i: Expr) -> Expr:
        return k.square(k.div(magnitude(i), peak))

    norm = k.let(k.mul(peak, k.sqrt(total(e, below, k.const(0, part), scaled_square))), "norm")
    first = e.load(x, (*at, j))
    whole = k.hypot(k.hypot(k.real(first), k.imag(first)), norm) if dtype.is_complex else k.hypot(first, norm)
    end = k.let(k.neg(k.copysign(whole, k.real(first))), "end")
    done = k.let(k.logical_and(k.eq(norm, 0), k.eq(k.imag(first), 0)), "done")
    with e.when(done):
        e.store(scales, (*batch, j), k.const(0, dtype))
    with e.when(k.logical_not(done)):
        target = k.cast(end, dtype)
        e.store(scales, (*batch, j), k.div(k.sub(target, first), target))
        scale_row(e, x, at, start, k.let(k.div(k.const(1, dtype), k.sub(first, target)), "factor"))
        e.store(x, (*at, j), target)


def _reflect(
    e: Emitter, vectors: Array, vector: Sequence[Expr], j: Expr, x: Array, row: Sequence[Expr], scale: Expr
) -> None:
    """Row `row` of x, from place j on, loses `scale` times its projection on the vector, which starts with 1."""
    k = e.k
    start, below = k.let(k.add(j, 1), "start"), after(e, j, x.shape[-1])

    def product(i: Expr) -> Expr:
        at = k.add(start, i)
        return k.mul(k.conj(e.load(vectors, (*vector, at))), e.load(x, (*row, at)))

    first = e.load(x, (*row, j))
    along = k.add(first, total(e, below, k.const(0, x.type.dtype), product))
    factor = k.let(k.mul(scale, along), "factor")
    e.store(x, (*row, j), k.sub(first, factor))
    with e.loops((below,), vector=True) as (i,):
        at = k.add(start, i)
        e.store(x, (*row, at), k.sub(e.load(x, (*row, at)), k.mul(factor, e.load(vectors, (*vector, at)))))
