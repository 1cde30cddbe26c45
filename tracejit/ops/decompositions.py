"""Factorisations of stacks of matrices, and what is made of them: QR, eigenvalues, singular values, pseudo-inverses.

Vectors are determined up to a factor of modulus 1 only: derivatives hold for what does not depend on it. Where
eigenvalues (singular values) coincide their vectors have no derivative, and cotangents of vectors give inf or nan;
cotangents of the values alone are always right. Formulas as in Giles (2008), Walter and Lehmann (2012), Wan and Zhang
(2019).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tracejit.errors import NotDifferentiable, ShapeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Sample
from tracejit.ir.types import C128, F64, I64, TensorType, Type, complex_dtype, real_dtype
from tracejit.ops import eigen_loops, jacobi_loops, matrix_loops
from tracejit.ops.arrange import at_most, part
from tracejit.ops.attempts import fallible
from tracejit.ops.define import conjugate, op, require_dtype, require_size, tensor_type
from tracejit.ops.functions import Operand
from tracejit.ops.linear_algebra import (
    adjoint,
    matrices,
    named_error,
    of_half,
    positive,
    random_matrices,
    spelt,
    square_type,
    stack_of,
    stack_type,
    triangle,
)


def smaller(b: Any, x: Any) -> Any:
    """The smaller one of the last two sizes of x."""
    rows, columns = b.shape(x)[-2:]
    return rows if b.same_size(rows, columns) else at_most(b, rows, columns)


def _as_columns(b: Any, x: Any, shape: Any) -> Any:
    """Vectors as matrices of that shape, in which a column has one value."""
    return b.broadcast(b.reshape(x, (*b.shape(x)[:-1], 1, b.shape(x)[-1])), shape)


def _as_rows(b: Any, x: Any, shape: Any) -> Any:
    """Vectors as matrices of that shape, in which a row has one value."""
    return b.broadcast(b.reshape(x, (*b.shape(x), 1)), shape)


def _real_as(b: Any, x: Any, like: Any) -> Any:
    return x if b.dtype(x) == b.dtype(like) else b.cast(x, dtype=b.dtype(like))


def _is_diagonal(b: Any, x: Any) -> Any:
    rank = b.rank(x)
    row, column = (b.iota(b.shape(x), axis=a, dtype=I64) for a in (rank - 2, rank - 1))
    return b.eq(row, column)


def _left(b: Any, x: Any, size: Any) -> Any:
    """The first columns of x."""
    return x if b.same_size(b.shape(x)[-1], size) else part(b, x, b.rank(x) - 1, 0, size)


def _top(b: Any, x: Any, size: Any) -> Any:
    """The first rows of x."""
    return x if b.same_size(b.shape(x)[-2], size) else part(b, x, b.rank(x) - 2, 0, size)


def _sum_of(*terms: Any) -> Any:
    """The sum of the terms that are there, or None."""
    found = None
    for term in terms:
        if term is not None:
            found = term if found is None else found + term
    return found


def _only_if_equal_infer(x: Value, m: Value, n: Value, *, message: str) -> tuple[Type, ...]:
    for size in (m, n):
        require_size(size, "only_if_equal")
    return (tensor_type(x, "only_if_equal"),)


def _only_if_equal_eager(xp: Any, x: Any, m: int, n: int, *, message: str) -> Any:
    if m != n:
        raise ValueError(message)
    return xp.array(x)


def _only_if_equal_emit(e: Any, results: Any, x: Any, m: Any, n: Any, *, message: str) -> Any:
    e.fail_unless(e.k.eq(m, n), "ValueError", message)
    out = e.new(results[0])
    e.copy_into(out, x)
    return out


op(
    "only_if_equal",
    ("x", "m", "n"),
    doc="x, where two sizes are equal; else a `ValueError` with that message. For rules that need equal sizes.",
    infer=_only_if_equal_infer,
    eager=_only_if_equal_eager,
    vjp=lambda b, g, x, m, n, out, *, message: (b.only_if_equal(g, m, n, message=message), None, None),
    lower=Opaque(_only_if_equal_emit),
    effect="fail",
    samples=lambda rng: [
        Sample((rng.uniform(size=shape), 3, 3), {"message": "sizes differ"}) for shape in ((2, 3), (0,), ())
    ],
)


def _require_square(b: Any, g: Any, x: Any, name: str, instead: str) -> Any:
    """A cotangent that is only right for square matrices: of the full basis of others there is no derivative."""
    rows, columns = b.shape(x)[-2:]
    if g is None or b.same_size(rows, columns):
        return g
    reason = f"the full basis of a matrix that is not square has none: use {instead}"
    if isinstance(rows, int) and isinstance(columns, int):
        raise NotDifferentiable(name, reason)
    return b.only_if_equal(g, rows, columns, message=f"{name} has no derivative here: {reason}")


# -- QR ---------------------------------------------------------------------------------------------------------


def _qr_infer(x: Value, k: Value, *, full: bool = False) -> tuple[Type, ...]:
    source = stack_type(x, "qr")
    *batch, rows, columns = source.shape
    inner = rows if full else require_size(k, "qr").dim
    return TensorType(source.dtype, (*batch, rows, inner)), TensorType(source.dtype, (*batch, inner, columns))


def _qr_eager(xp: Any, x: Any, k: int, *, full: bool = False) -> Any:
    return tuple(xp.linalg.qr(x, mode="complete" if full else "reduced"))


def _qr_vjp(b: Any, g: Any, x: Any, k: Any, out: Any, *, full: bool = False) -> tuple[Any, ...]:
    """Columns beyond the rows are R2 = Q^H X2; the rest is a square or tall matrix X1 = Q R1."""
    gq, gr = g
    if full:
        gq, gr = (_require_square(b, c, x, "qr", "mode='reduced'") for c in (gq, gr))
    q, r = _left(b, out[0], k), _top(b, out[1], k)
    gq = None if gq is None else _left(b, gq, k)
    gr = None if gr is None else _top(b, gr, k)
    columns = b.shape(x)[-1]
    axis = b.rank(x) - 1
    if b.same_size(k, columns):
        return _tall_qr(b, gq, gr, q, r), None
    width = columns - k
    if gr is None:
        first = _tall_qr(b, gq, None, q, part(b, r, axis, 0, k))
        rest = b.zeros_like(part(b, x, axis, k, width))
    else:
        beyond, more = (part(b, y, axis, k, width) for y in (gr, x))
        gq = _sum_of(gq, b.matmul(more, adjoint(b, beyond)))
        first = _tall_qr(b, gq, part(b, gr, axis, 0, k), q, part(b, r, axis, 0, k))
        rest = b.matmul(q, beyond)
    return b.cat(columns, (first, rest), axis=axis), None


def _tall_qr(b: Any, gq: Any, gr: Any, q: Any, r: Any) -> Any:
    """With M = R gR^H - gQ^H Q, made Hermitian from its lower half: (gQ + Q M) R^-H."""
    m = _sum_of(
        None if gr is None else b.matmul(r, adjoint(b, gr)),
        None if gq is None else b.neg(b.matmul(adjoint(b, gq), q)),
    )
    below = triangle(b, m, b.zeros_like(m))
    diagonal = triangle(b, b.zeros_like(m), m)
    if b.dtype(m).is_complex:
        diagonal = b.cast(b.real(diagonal), dtype=b.dtype(m))
    inner = _sum_of(gq, b.matmul(q, below + adjoint(b, below) + diagonal))
    return adjoint(b, b.solve_triangular(r, adjoint(b, inner), lower=False))


def regular(rng: Any, shape: tuple[int, ...], dtype: str = "float64") -> Any:
    """Random matrices of full rank whose singular values are apart."""
    found = random_matrices(rng, shape, dtype)
    for i in range(min(shape[-2:])):
        found[..., i, i] += 2.0 + i
    return found


#: Shapes and dtypes of stacks of matrices.
RECTANGLES = (
    ((3, 3), "float64"),
    ((5, 2), "float64"),
    ((2, 4), "float64"),
    ((2, 4, 3), "float64"),
    ((4, 4), "float32"),
    ((0, 2), "float64"),
    ((3, 2), "complex128"),
)

op(
    "qr",
    ("x", "k"),
    doc="x = Q @ R with orthonormal columns in Q and R upper triangular, by reflections with LAPACK's signs; k is the "
    "smaller size. `full`: Q is square. The derivative needs the first k columns of x to be independent "
    "(`LinAlgError`) and, with `full`, a square x.",
    infer=_qr_infer,
    eager=named_error(_qr_eager),
    vjp=_qr_vjp,
    lower=Opaque(matrix_loops.qr),
    samples=lambda rng: [
        *(Sample((regular(rng, shape, dtype), min(shape[-2:]))) for shape, dtype in RECTANGLES),
        Sample((regular(rng, (3, 3)), 3), {"full": True}),
    ],
)


class QRResult(NamedTuple):
    """What `qr` gives."""

    Q: Any
    R: Any


@spelt("qr")
def qr_(b: Any, x: Operand, mode: str = "reduced") -> Any:
    """x = Q @ R; `mode` is "reduced", "complete" (Q is square) or "r" (R alone)."""
    x = stack_of(b, x)
    if mode not in ("reduced", "complete", "r"):
        raise ShapeMismatch(f"Unrecognized mode '{mode}'")
    q, r = b.qr(x, smaller(b, x), full=mode == "complete")
    return r if mode == "r" else QRResult(q, r)


# -- eigenvalues of Hermitian matrices --------------------------------------------------------------------------


def _eigh_infer(x: Value, *, lower: bool = True) -> tuple[Type, ...]:
    source = square_type(x, "eigh")
    return TensorType(real_dtype(source.dtype), source.shape[:-1]), source


def _eigh_vjp(b: Any, g: Any, x: Any, out: Any, *, lower: bool = True) -> tuple[Any, ...]:
    """V (diag(gw) + (V^H gV) / E) V^H with E_ij = w_j - w_i off the diagonal. What depends on V alone, but not on the
    choice of vectors where eigenvalues coincide, has a Hermitian V^H gV there: it is left out, being 0 / 0. With
    eigenvalues 0 / 0 may be any number."""
    gw, gv = g
    w, v = out
    shape = b.shape(x)
    inner = None
    if gv is not None:
        turn = b.matmul(adjoint(b, v), gv)
        inner = b.strong_mul(turn if gw is not None else _skew(b, turn * 0.5), _real_as(b, _slopes(b, w, shape), v))
    if gw is not None:
        along = b.matmul(b.strong_mul(_as_columns(b, _real_as(b, gw, v), shape), v), adjoint(b, v))
    else:
        along = None
    turned = None if inner is None else b.matmul(b.matmul(v, inner), adjoint(b, v))
    return (of_half(b, _sum_of(along, turned), lower=lower),)


fallible(
    "eigh",
    ("x",),
    doc="The eigenvalues, in ascending order, and eigenvectors (columns) of Hermitian matrices, of which the lower "
    "(upper) half is read: the cotangent is 0 in the other one.",
    infer=_eigh_infer,
    eager=named_error(lambda xp, x, *, lower=True: tuple(xp.linalg.eigh(x, "L" if lower else "U"))),
    vjp=_eigh_vjp,
    raises=jacobi_loops.NO_EIGENVALUES,
    lower=Opaque(jacobi_loops.eigh),
    free=(1,),
    samples=lambda rng: [
        *(
            Sample((_apart(positive(rng, shape, dtype)),))
            for shape, dtype in (
                ((3, 3), "float64"),
                ((2, 4, 4), "float64"),
                ((1, 1), "float64"),
                ((5, 5), "float32"),
                ((0, 0), "float64"),
                ((3, 3), "complex128"),
            )
        ),
        Sample((_apart(random_matrices(rng, (4, 4))),), {"lower": False}),
    ],
)


def _apart(x: Any) -> Any:
    """Matrices whose eigenvalues are well apart."""
    for i in range(x.shape[-1]):
        x[..., i, i] += 2.0 * i
    return x


class EighResult(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Any
    eigenvectors: Any


def _is_lower(half: str) -> bool:
    if half.upper() not in ("L", "U"):
        raise ShapeMismatch("UPLO argument must be 'L' or 'U'")
    return half.upper() == "L"


@spelt("eigh")
def eigh_(b: Any, x: Operand, UPLO: str = "L") -> Any:
    """The eigenvalues, in ascending order, and eigenvectors (columns) of a Hermitian matrix; one half is read."""
    return EighResult(*b.eigh(matrices(b, x), lower=_is_lower(UPLO)))


@spelt("eigvalsh")
def eigvalsh_(b: Any, x: Operand, UPLO: str = "L") -> Any:
    """The eigenvalues of a Hermitian matrix in ascending order."""
    return b.eigh(matrices(b, x), lower=_is_lower(UPLO))[0]


# -- eigenvalues of any matrices ----------------------------------------------------------------------------------


def _eig_infer(x: Value) -> tuple[Type, ...]:
    require_dtype(x, (F64, C128), "eig")
    source = square_type(x, "eig")
    return TensorType(C128, source.shape[:-1]), TensorType(C128, source.shape)


def _eig_eager(xp: Any, x: Any) -> Any:
    return tuple(found.astype(xp.complex128) for found in xp.linalg.eig(x))


def _eig_vjp(b: Any, g: Any, x: Any, out: Any) -> tuple[Any, ...]:
    """V^-H (diag(gw) + (V^H gV - V^H V diag(re V^H gV)) / conj(E)) V^H with E_ij = w_j - w_i off the diagonal: vectors
    have length 1, and what is differentiated does not depend on their direction in the plane. As in PyTorch."""
    gw, gv = g
    w, v = out
    shape, back = b.shape(x), adjoint(b, v)
    inner = None if gw is None else b.select(_is_diagonal(b, v), _as_columns(b, gw, shape), 0)
    if gv is not None:
        turn = b.matmul(back, gv)
        diagonal = b.sum(b.select(_is_diagonal(b, turn), b.real(turn), 0), axes=(b.rank(x) - 2,))
        along = b.matmul(back, b.strong_mul(_as_columns(b, _real_as(b, diagonal, v), shape), v))
        inner = _sum_of(inner, b.strong_mul(turn - along, conjugate(b, _slopes(b, w, shape))))
    found = b.matmul(b.solve(back, inner), back)
    return (found if b.dtype(x).is_complex else b.cast(b.real(found), dtype=b.dtype(x)),)


fallible(
    "eig",
    ("x",),
    doc="The eigenvalues and eigenvectors (columns, of length 1) of square matrices, complex also where all are real.",
    infer=_eig_infer,
    eager=named_error(_eig_eager),
    vjp=_eig_vjp,
    raises=jacobi_loops.NO_EIGENVALUES,
    lower=Opaque(eigen_loops.eig),
    free=(1,),
    samples=lambda rng: [
        Sample((_apart(random_matrices(rng, shape, dtype)),))
        for shape, dtype in (
            ((3, 3), "float64"),
            ((2, 4, 4), "float64"),
            ((1, 1), "float64"),
            ((0, 0), "float64"),
            ((3, 3), "complex128"),
        )
    ],
)


class EigResult(NamedTuple):
    """What `eig` gives."""

    eigenvalues: Any
    eigenvectors: Any


@spelt("eig")
def eig_(b: Any, x: Operand) -> Any:
    """The eigenvalues and eigenvectors (columns) of a square matrix, in complex numbers. `LinAlgError` for nan."""
    x = matrices(b, x)
    message = "Array must not contain infs or NaNs"
    b.check(b.fetch(b.all(b.isfinite(x), axes=tuple(range(b.rank(x)))), ()), (), kind="LinAlgError", message=message)
    made = b.eig(b.cast(x, dtype=C128 if b.dtype(x).is_complex else F64))  # NumPy computes in 64 bits always
    return EigResult(*(b.cast(found, dtype=complex_dtype(b.dtype(x))) for found in made))


@spelt("eigvals")
def eigvals_(b: Any, x: Operand) -> Any:
    """The eigenvalues of a square matrix, in complex numbers."""
    return eig_(b, x)[0]


# -- singular values --------------------------------------------------------------------------------------------


def _svd_infer(x: Value, k: Value, *, full: bool = False) -> tuple[Type, ...]:
    source = stack_type(x, "svd")
    *batch, rows, columns = source.shape
    inner = require_size(k, "svd").dim
    left, right = (rows, columns) if full else (inner, inner)
    return (
        TensorType(source.dtype, (*batch, rows, left)),
        TensorType(real_dtype(source.dtype), (*batch, inner)),
        TensorType(source.dtype, (*batch, right, columns)),
    )


def _svd_eager(xp: Any, x: Any, k: int, *, full: bool = False) -> Any:
    return tuple(xp.linalg.svd(x, full_matrices=full))


def _svd_vjp(b: Any, g: Any, x: Any, k: Any, out: Any, *, full: bool = False) -> tuple[Any, ...]:
    """U (diag(gS) + (P + Q) / 2 (s_j - s_i) + (P - Q) / 2 (s_j + s_i)) V^H, with P = skew(U^H gU) and Q = skew(V^H gV),
    and what changes of vectors out of their space give: (1 - U U^H) gU S^-1 V^H and U S^-1 gV^H (1 - V V^H). What
    depends on vectors alone, but not on their choice where singular values coincide, has P + Q = 0 there; with
    singular values 0 / 0 may be any number, so that the parts of P and Q are divided one by one."""
    gu, gs, gv = g
    if full:
        gu, gv = (_require_square(b, c, x, "svd", "full_matrices=False") for c in (gu, gv))
    u, s, vh = _left(b, out[0], k), out[1], _top(b, out[2], k)
    gu = None if gu is None else _left(b, gu, k)
    gv = None if gv is None else _top(b, gv, k)
    batch = b.shape(x)[:-2]
    square = (*batch, k, k)
    columns, rows = (make(b, s, square) for make in (_as_columns, _as_rows))
    diagonal = _is_diagonal(b, columns)
    inner = None if gs is None else _real_as(b, b.select(diagonal, _as_columns(b, gs, square), 0), u)
    of_u = None if gu is None else b.matmul(adjoint(b, u), gu)
    of_v = None if gv is None else b.matmul(vh, adjoint(b, gv))
    p, q = (None if x is None else _skew(b, x) for x in (of_u, of_v))
    apart = [_sum_of(p, q)] if gs is None else [y for x in (of_u, of_v) if x is not None for y in (x, -adjoint(b, x))]
    slopes = _slopes(b, s, square) * 0.5
    together = b.select(diagonal, 0, b.reciprocal(b.select(diagonal, 1, (columns + rows) * 2)))
    difference = _sum_of(p, None if q is None else b.neg(q))
    for turn, slope in (*((x, slopes) for x in apart), (difference, together)):
        if turn is not None:
            inner = _sum_of(inner, b.strong_mul(turn, _real_as(b, slope, u)))
    if p is not None and b.dtype(u).is_complex:
        inner = inner + b.strong_mul(b.select(diagonal, p, 0), _real_as(b, b.reciprocal(columns * 2), u))
    found = None if inner is None else b.matmul(b.matmul(u, inner), vh)
    left = None if gu is None else _out_of_space(b, gu, u, s, b.shape(x)[-2], k)
    right = None if gv is None else _out_of_space(b, adjoint(b, gv), adjoint(b, vh), s, b.shape(x)[-1], k)
    return (
        _sum_of(
            found,
            None if left is None else b.matmul(left, vh),
            None if right is None else b.matmul(u, adjoint(b, right)),
        ),
        None,
    )


def _slopes(b: Any, x: Any, shape: Any) -> Any:
    """1 / (x_j - x_i) off the diagonal, nan where rounding errors may be all of the difference."""
    rank = b.rank(x)
    gaps = _as_columns(b, x, shape) - _as_rows(b, x, shape)
    noise = b.sum(b.abs(x), axes=(rank - 1,)) * (2.0**-21 if real_dtype(b.dtype(x)).bits == 32 else 2.0**-50)
    noise = b.broadcast(b.reshape(noise, (*shape[: rank - 1], 1, 1)), shape)
    unknown = b.le(b.abs(gaps), noise)
    found = b.select(unknown, float("nan"), b.reciprocal(b.select(unknown, 1, gaps)))
    return b.select(_is_diagonal(b, gaps), 0, found)


def _skew(b: Any, x: Any) -> Any:
    return x - adjoint(b, x)


def _out_of_space(b: Any, g: Any, u: Any, s: Any, rows: Any, k: Any) -> Any:
    """(1 - U U^H) g S^-1, which is 0 where U is square; None where that is known."""
    if b.same_size(rows, k):
        return None
    rest = g - b.matmul(u, b.matmul(adjoint(b, u), g))
    shape = b.shape(rest)
    if not (isinstance(rows, int) and isinstance(k, int)):
        rest = b.select(b.broadcast(b.eq(rows, k), shape), 0, rest)
    return b.strong_mul(rest, _real_as(b, _as_columns(b, b.reciprocal(s), shape), u))


fallible(
    "svd",
    ("x", "k"),
    doc="x = U @ diag(s) @ Vh with orthonormal columns in U and rows in Vh, s in descending order; k is the smaller "
    "size. `full`: U and Vh are square; then vectors have a derivative for a square x only. `LinAlgError` for nan.",
    infer=_svd_infer,
    eager=named_error(_svd_eager),
    vjp=_svd_vjp,
    raises=jacobi_loops.NO_SINGULAR_VALUES,
    lower=Opaque(jacobi_loops.svd),
    free=(0, 2),
    samples=lambda rng: [
        *(Sample((regular(rng, shape, dtype), min(shape[-2:]))) for shape, dtype in RECTANGLES),
        Sample((regular(rng, (3, 3)), 3), {"full": True}),
    ],
)


class SVDResult(NamedTuple):
    """What `svd` gives."""

    U: Any
    S: Any
    Vh: Any


@spelt("svd")
def svd_(b: Any, x: Operand, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """x = U @ diag(S) @ Vh; without `full_matrices` U and Vh have as many vectors as there are singular values."""
    x = stack_of(b, x)
    made = b.svd(x, smaller(b, x), full=full_matrices and compute_uv)
    return SVDResult(*made) if compute_uv else made[1]


@spelt("svdvals")
def svdvals_(b: Any, x: Operand) -> Any:
    """The singular values in descending order."""
    x = stack_of(b, x)
    return b.svd(x, smaller(b, x))[1]
