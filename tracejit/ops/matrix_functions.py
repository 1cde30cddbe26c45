"""Functions of matrices made of singular values: pseudo-inverses, least squares, ranks, condition numbers, norms."""

from __future__ import annotations

import math
from functools import cache, reduce
from typing import Any, NamedTuple

from tracejit.errors import ShapeMismatch, error_class
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Sample
from tracejit.ir.types import F64, I32, I64, TensorType, Type, real_dtype
from tracejit.ops import coerce, jacobi_loops
from tracejit.ops.arrange import at_most, flat, part
from tracejit.ops.attempts import fallible
from tracejit.ops.decompositions import RECTANGLES, qr_, regular, smaller, svd_, svdvals_
from tracejit.ops.define import require_dtype, require_size
from tracejit.ops.functions import (
    Axis,
    Operand,
    Operands,
    array,
    axes_of,
    dtype_from,
    function,
    inexact,
    keep_axes,
    on,
    require_some,
)
from tracejit.ops.linear_algebra import adjoint, identity_like, matrices, named_error, spelt, stack_of, stack_type
from tracejit.ops.products import agree, matmul_any, with_sizes
from tracejit.ops.statistics import min_, norm, squared_modulus, truth

LAST_TWO = (-2, -1)


# -- least squares ----------------------------------------------------------------------------------------------


def _pinv_infer(x: Value, k: Value, rcond: Value) -> tuple[Type, ...]:
    source = stack_type(x, "pinv")
    require_size(k, "pinv")
    require_dtype(rcond, (F64,), "pinv")
    return (TensorType(source.dtype, (*source.shape[:-2], source.shape[-1], source.shape[-2])),)


def _pinv_vjp(b: Any, g: Any, x: Any, k: Any, rcond: Any, out: Any) -> tuple[Any, ...]:
    """Golub and Pereyra (1973), for a rank that does not change."""
    gh, ph = adjoint(b, g), adjoint(b, out)
    product = b.matmul(gh, out)
    beyond = b.matmul(product, ph)
    found = beyond - adjoint(b, b.matmul(out, product)) - b.matmul(x, b.matmul(out, beyond))
    return found + b.matmul(ph, b.matmul(out, gh - b.matmul(product, x))), None, None


fallible(
    "pinv",
    ("x", "k", "rcond"),
    doc="The Moore-Penrose inverse; singular values up to `rcond` times the largest count as 0, k is the smaller size. "
    "The derivative is that of matrices of the same rank.",
    infer=_pinv_infer,
    eager=named_error(lambda xp, x, k, rcond: xp.linalg.pinv(x, rcond)),
    vjp=_pinv_vjp,
    raises=jacobi_loops.NO_SINGULAR_VALUES,
    lower=Opaque(jacobi_loops.pinv),
    samples=lambda rng: [
        Sample((regular(rng, shape, dtype), min(shape[-2:]), 1e-7)) for shape, dtype in RECTANGLES[1:]
    ],
)


@spelt("pinv", "pinverse")
def pinv_(b: Any, x: Operand, rcond: float = 1e-15, hermitian: bool = False, *, rtol: float | None = None) -> Any:
    """The Moore-Penrose inverse; singular values up to `rcond` (or `rtol`) times the largest count as 0."""
    x = stack_of(b, x)
    return b.pinv(x, smaller(b, x), coerce.convert(b, float(rcond if rtol is None else rtol), F64))


class LstsqResult(NamedTuple):
    """What `lstsq` gives."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


@spelt("lstsq")
def lstsq_(b: Any, a: Operand, c: Operand, rcond: float | None = None) -> Any:
    """The x of least length that makes |a @ x - c| least, the sums of squares of what is left (none where a has not
    full rank or not more rows than columns), the rank and the singular values of a."""
    a, c = coerce.promote_operands(b, (stack_of(b, a), inexact(b, c)))
    if b.rank(a) != 2 or b.rank(c) not in (1, 2):
        raise error_class("LinAlgError")(
            f"{max(b.rank(a), b.rank(c))}-dimensional array given. Array must be two-dimensional"
        )
    k, (rows, columns) = smaller(b, a), b.shape(a)
    agree(b, rows, b.shape(c)[0], "Incompatible dimensions", kind="LinAlgError")
    c = with_sizes(b, c, (rows, *b.shape(c)[1:]))
    limit = _precision(b, a) if rcond is None else coerce.convert(b, float(rcond), F64)
    x = matmul_any(b, b.pinv(a, k, limit), c)
    s = b.svd(a, k)[1]
    rank = _rank(b, s, limit)
    sums = flat(b, b.sum(squared_modulus(b, matmul_any(b, a, x) - c), axes=(0,)))
    determined = b.logical_and(on(b).eq(rank, columns), on(b).gt(b.full(rows, (), I64), columns))
    left = b.mask_read(sums, b.broadcast(determined, b.shape(sums)))[1]
    return LstsqResult(x, left, b.cast(rank, dtype=I32), s)


def _precision(b: Any, x: Any) -> Any:
    """The larger size times the machine's precision, as NumPy's: below it, singular values are noise."""
    rows, columns = b.shape(x)[-2:]
    precision = 2.0**-23 if real_dtype(b.dtype(x)).bits == 32 else 2.0**-52
    if isinstance(rows, int) and isinstance(columns, int):
        return coerce.convert(b, max(rows, columns) * precision, F64)
    return b.cast(on(b).maximum(rows, columns), dtype=F64) * precision


def _rank(b: Any, s: Any, limit: Any) -> Any:
    """How many singular values are above `limit` times the largest."""
    first = part(b, s, b.rank(s) - 1, 0, at_most(b, b.shape(s)[-1], 1))
    least = on(b).mul(b.sum(first, axes=(b.rank(s) - 1,)), b.cast(limit, dtype=b.dtype(s)))
    above = b.gt(s, b.broadcast(b.reshape(least, (*b.shape(least), 1)), b.shape(s)))
    return b.sum(b.cast(above, dtype=I64), axes=(b.rank(s) - 1,))


@spelt("matrix_rank")
def matrix_rank_(b: Any, x: Operand, tol: float | None = None, *, rtol: float | None = None) -> Any:
    """How many singular values are above `tol`, or above `rtol` times the largest one (by default the larger size times
    the precision); of a vector, whether it is not 0."""
    x = inexact(b, x)
    if b.rank(x) < 2:
        return b.cast(b.any(truth(b, x), axes=tuple(range(b.rank(x)))), dtype=I64)
    s = svdvals_(b, x)
    if tol is None:
        return _rank(b, s, _precision(b, x) if rtol is None else coerce.convert(b, float(rtol), F64))
    return b.sum(b.cast(on(b).gt(s, float(tol)), dtype=I64), axes=(b.rank(s) - 1,))


@spelt("cond")
def cond_(b: Any, x: Operand, p: Any = None) -> Any:
    """The condition number of a matrix in the norm `p`; by default the ratio of the extreme singular values."""
    x = stack_of(b, x)
    for n in b.shape(x)[-2:]:
        require_some(b, n, "cond is not defined on empty arrays", "LinAlgError")
    if p in (None, 2, -2):
        s = svdvals_(b, x)
        axis, size = b.rank(s) - 1, b.shape(s)[-1]
        first, last = (b.sum(part(b, s, axis, at, 1), axes=(axis,)) for at in (0, size - 1))
        return b.div(last, first) if p == -2 else b.div(first, last)
    x = matrices(b, x)
    return matrix_norm_(b, x, p) * matrix_norm_(b, b.solve(x, identity_like(b, x)), p)


@spelt("multi_dot")
def multi_dot_(b: Any, arrays: Operands) -> Any:
    """The product of several matrices, in the order that needs least work where sizes are known when compiling, else
    from the left; the first and last one may be vectors."""
    made = [array(b, x) for x in arrays]
    if len(made) < 2:
        raise ShapeMismatch("Expecting at least two arrays.")
    sizes = [b.shape(x)[0] if b.rank(x) == 2 else 1 for x in made] + [
        b.shape(made[-1])[1] if b.rank(made[-1]) == 2 else 1
    ]
    if not all(isinstance(n, int) for n in sizes):
        return reduce(lambda x, y: matmul_any(b, x, y), made)

    @cache
    def best(i: int, j: int) -> tuple[int, int]:
        """The work of the product of i..j and where it is split."""
        if i == j:
            return 0, i
        return min((best(i, k)[0] + best(k + 1, j)[0] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j))

    def product(i: int, j: int) -> Any:
        at = best(i, j)[1]
        return made[i] if i == j else matmul_any(b, product(i, at), product(at + 1, j))

    return product(0, len(made) - 1)


# -- norms ------------------------------------------------------------------------------------------------------


@spelt("norm")
def norm_(b: Any, x: Operand, ord: Any = None, axis: Axis = None, keepdims: bool = False, *, dtype: Any = None) -> Any:
    """The norm of a vector (one axis) or a matrix (two axes); Euclidean by default, over all axes without `axis`."""
    x = inexact(b, x) if dtype is None else on(b).cast(array(b, x), dtype=dtype_from(dtype))
    axes = axes_of(axis, b.rank(x))
    if ord is None or len(axes) == 1:
        if isinstance(ord, str):
            raise ShapeMismatch(f"Invalid norm order '{ord}' for vectors")
        return norm(b, x, ord, axes, keepdims)
    if len(axes) != 2:
        raise ShapeMismatch("Improper number of dimensions to norm.")
    given = axis if isinstance(axis, tuple | list) else (0, 1)
    rows, columns = (a % b.rank(x) for a in given)
    rest = tuple(a for a in range(b.rank(x)) if a not in (rows, columns))
    out = _matrix_norm(b, b.transpose(x, perm=(*rest, rows, columns)), ord)
    return keep_axes(b, x, out, axes) if keepdims else out


@spelt("vector_norm")
def vector_norm_(b: Any, x: Operand, ord: Any = 2, axis: Axis = None, keepdims: bool = False) -> Any:
    """The vector norm over axes, by default over all."""
    return norm(b, x, ord, axis, keepdims)


@spelt("matrix_norm")
def matrix_norm_(b: Any, x: Operand, ord: Any = "fro", keepdims: bool = False) -> Any:
    """The norm of the matrices in the last two axes."""
    x = stack_of(b, x)
    out = _matrix_norm(b, x, ord)
    return keep_axes(b, x, out, (b.rank(x) - 2, b.rank(x) - 1)) if keepdims else out


def _matrix_norm(b: Any, x: Any, order: Any) -> Any:
    rank = b.rank(x)
    if order in ("fro", None):
        return norm(b, x, None, LAST_TWO)
    if order in (1, -1, float("inf"), -float("inf")):
        first, second = (rank - 2, rank - 2) if abs(order) == 1 else (rank - 1, rank - 2)
        sums = b.sum(b.abs(x), axes=(first,))
        return _largest(b, sums, second) if order > 0 else min_(b, sums, second)
    if order not in ("nuc", 2, -2):
        raise ShapeMismatch("Invalid norm order for matrices.")
    s = svdvals_(b, x)
    if order == "nuc":
        return b.sum(s, axes=(rank - 2,))
    return _largest(b, s, rank - 2) if order > 0 else min_(b, s, rank - 2)


def _largest(b: Any, x: Any, axis: int) -> Any:
    """The largest along an axis of numbers of which none is negative; 0 where there is none."""
    return on(b).maximum(b.max(x, axes=(axis,)), 0)


# -- PyTorch's forms ------------------------------------------------------------------------------------------


@function(kinds=("function", "method"))
def logdet(b: Any, x: Operand) -> Any:
    """The logarithm of the determinant: -inf where that is 0, nan where it is negative."""
    sign, size = b.slogdet(matrices(b, x))
    return b.select(b.lt(sign, 0), math.nan, size)


@function("function qr", "method qr", kinds=())
def qr_of(b: Any, x: Operand, some: bool = True) -> Any:
    """x = Q @ R; without `some` Q is square."""
    return qr_(b, x, "reduced" if some else "complete")


class SVDOfColumns(NamedTuple):
    """What PyTorch's `svd` gives: V, not its adjoint."""

    U: Any
    S: Any
    V: Any


@function("function svd", "method svd", kinds=())
def svd_of(b: Any, x: Operand, some: bool = True, compute_uv: bool = True) -> Any:
    """x = U @ diag(S) @ V^H; without `some` U and V are square, without `compute_uv` zeros."""
    if not compute_uv:
        x = stack_of(b, x)
        *batch, rows, columns = b.shape(x)
        u, v = (b.full(0, (*batch, n, n), b.dtype(x)) for n in (rows, columns))
        return SVDOfColumns(u, svdvals_(b, x), v)
    u, s, vh = svd_(b, x, not some)
    return SVDOfColumns(u, s, adjoint(b, vh))


@function(kinds=("function",))
def chain_matmul(b: Any, *matrices: Operand) -> Any:
    """The product of matrices, in the order that takes the fewest multiplications."""
    return multi_dot_(b, matrices)
