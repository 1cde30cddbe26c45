"""Linear algebra on stacks of matrices: linear systems, inverses, determinants, Cholesky factors.

The ops take equal leading axes, real or complex elements, and are computed by plain loops (`matrix_loops.py`) with
LAPACK's pivoting. Cotangents of complex matrices follow PyTorch's convention. Factorisations are in
`decompositions.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tracejit.errors import ShapeMismatch, error_class
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Sample
from tracejit.ir.types import C64, C128, F32, F64, I64, TensorType, Type, real_dtype
from tracejit.ops import coerce, matrix_loops
from tracejit.ops.attempts import fallible
from tracejit.ops.contraction import swapped
from tracejit.ops.define import conjugate, op, quiet, require_dtype, tensor_type
from tracejit.ops.functions import Operand, array, function, inexact
from tracejit.ops.products import agree, matmul_any, with_sizes

ELEMENTS = (F32, F64, C64, C128)


def stack_type(x: Value, name: str) -> TensorType:
    """The type of a stack of matrices."""
    require_dtype(x, ELEMENTS, name)
    source = tensor_type(x, name)
    if source.rank < 2:
        raise ShapeMismatch(f"{name}: {source} does not hold matrices")
    return source


def square_type(x: Value, name: str) -> TensorType:
    """The type of a stack of square matrices."""
    source = stack_type(x, name)
    if source.shape[-1] != source.shape[-2]:
        raise ShapeMismatch(f"{name}: {source} does not hold square matrices")
    return source


def named_error(fn: Callable[..., Any]) -> Callable[..., Any]:
    """An eager rule whose LinAlgError is the one that compiled programs raise (also from other array libraries)."""

    def run(xp: Any, *operands: Any, **attrs: Any) -> Any:
        try:
            return fn(xp, *operands, **attrs)
        except ArithmeticError:
            raise
        except Exception as error:
            if type(error).__name__ != "LinAlgError":
                raise
            raise error_class("LinAlgError")(str(error)) from None

    return quiet(run)


def adjoint(b: Any, x: Any) -> Any:
    """The conjugate transposes."""
    return conjugate(b, swapped(b, x))


def random_matrices(rng: Any, shape: tuple[int, ...], dtype: str = "float64") -> Any:
    """Random matrices with elements in -1..1."""
    found = rng.uniform(-1, 1, size=shape)
    return (found + 1j * rng.uniform(-1, 1, size=shape) if "complex" in dtype else found).astype(dtype)


def well_conditioned(rng: Any, shape: tuple[int, ...], dtype: str = "float64") -> Any:
    """Random matrices whose large elements are beside the diagonal, so that rows must be exchanged."""
    found = random_matrices(rng, shape, dtype)
    for i in range(shape[-1]):
        found[..., i, (i + 1) % shape[-1]] += 3.0
    return found


def positive(rng: Any, shape: tuple[int, ...], dtype: str = "float64") -> Any:
    """Random Hermitian positive definite matrices."""
    random = random_matrices(rng, shape, dtype)
    found = random @ random.swapaxes(-1, -2).conj()
    for i in range(shape[-1]):
        found[..., i, i] += 1.0
    return found


#: Shapes and dtypes of stacks of square matrices.
SQUARES = (
    ((3, 3), "float64"),
    ((2, 4, 4), "float64"),
    ((1, 1), "float64"),
    ((5, 5), "float32"),
    ((0, 0), "float64"),
    ((3, 3), "complex128"),
)


# -- linear systems -------------------------------------------------------------------------------------------


def _system_infer(name: str) -> Callable[..., tuple[Type, ...]]:
    def infer(a: Value, c: Value, *, lower: bool = False) -> tuple[Type, ...]:
        matrices, right = square_type(a, name), tensor_type(c, name)
        if right.dtype != matrices.dtype or right.rank != matrices.rank or right.shape[:-1] != matrices.shape[:-1]:
            raise ShapeMismatch(f"{name}: {matrices} and {right} do not fit")
        return (right,)

    return infer


def _solve_vjp(b: Any, g: Any, a: Any, c: Any, out: Any) -> tuple[Any, ...]:
    dc = b.solve(adjoint(b, a), g)
    return b.neg(b.matmul(dc, adjoint(b, out))), dc


_SYSTEMS = (
    ((3, 3), (3, 2), "float64"),
    ((4, 4), (4, 1), "float64"),
    ((2, 3, 3), (2, 3, 3), "float64"),
    ((1, 1), (1, 2), "float64"),
    ((5, 5), (5, 5), "float32"),
    ((0, 0), (0, 2), "float64"),
    ((2, 2), (2, 0), "float64"),
    ((3, 3), (3, 2), "complex128"),
)

fallible(
    "solve",
    ("a", "b"),
    doc="x with a @ x = b, by elimination with row exchanges. `LinAlgError` where a is singular.",
    infer=_system_infer("solve"),
    eager=named_error(lambda xp, a, c: xp.linalg.solve(a, c)),
    vjp=_solve_vjp,
    raises=matrix_loops.SINGULAR,
    lower=Opaque(matrix_loops.solve),
    samples=lambda rng: [
        Sample((well_conditioned(rng, a, dtype), random_matrices(rng, c, dtype))) for a, c, dtype in _SYSTEMS
    ],
)


def _triangular_eager(xp: Any, a: Any, c: Any, *, lower: bool) -> Any:
    return xp.linalg.solve((xp.tril if lower else xp.triu)(a), c)


def _triangular_vjp(b: Any, g: Any, a: Any, c: Any, out: Any, *, lower: bool) -> tuple[Any, ...]:
    dc = b.solve_triangular(adjoint(b, a), g, lower=not lower)
    da = b.neg(b.matmul(dc, adjoint(b, out)))
    return triangle(b, da, da, lower=lower), dc


fallible(
    "solve_triangular",
    ("a", "b"),
    doc="x with a @ x = b for a lower or upper triangular a, whose other half is not read. `LinAlgError` where an "
    "element of the diagonal is 0.",
    infer=_system_infer("solve_triangular"),
    eager=named_error(_triangular_eager),
    vjp=_triangular_vjp,
    raises=matrix_loops.SINGULAR,
    lower=Opaque(matrix_loops.solve_triangular),
    samples=lambda rng: [
        Sample((positive(rng, a, dtype), random_matrices(rng, c, dtype)), {"lower": lower})
        for a, c, dtype in _SYSTEMS
        for lower in (True, False)
    ],
)


def triangle(b: Any, beside: Any, diagonal: Any, *, lower: bool = True) -> Any:
    """The matrices with these elements below (above) and on the diagonal, and 0 elsewhere."""
    rank = b.rank(beside)
    row, column = (b.iota(b.shape(beside), axis=a, dtype=I64) for a in (rank - 2, rank - 1))
    inside = b.gt(row, column) if lower else b.lt(row, column)
    return b.select(inside, beside, b.select(b.eq(row, column), diagonal, 0))


def of_half(b: Any, g: Any, *, lower: bool = True) -> Any:
    """The cotangent of a matrix of which one half is read, from that of the Hermitian matrix the half stands for."""
    both = g + adjoint(b, g)
    return triangle(b, both, both * 0.5, lower=lower)


def _cholesky_vjp(b: Any, g: Any, x: Any, out: Any) -> tuple[Any, ...]:
    """Murray (2016): with P the lower half of L^H dL, its diagonal halved, L^-H P L^-1 is the cotangent of x."""
    inner = b.matmul(adjoint(b, out), g)
    upper = adjoint(b, out)
    left = b.solve_triangular(upper, triangle(b, inner, inner * 0.5), lower=False)
    return (of_half(b, adjoint(b, b.solve_triangular(upper, adjoint(b, left), lower=False))),)


fallible(
    "cholesky",
    ("x",),
    doc="The lower triangular L with L @ L^H = x, from x's lower half. `LinAlgError` unless x is positive definite.",
    infer=lambda x: (square_type(x, "cholesky"),),
    eager=named_error(lambda xp, x: xp.linalg.cholesky(x)),
    vjp=_cholesky_vjp,
    raises=matrix_loops.NOT_POSITIVE,
    lower=Opaque(matrix_loops.cholesky),
    samples=lambda rng: [Sample((positive(rng, shape, dtype),)) for shape, dtype in SQUARES],
)


# -- determinants ---------------------------------------------------------------------------------------------


def _scaled(b: Any, scale: Any, x: Any) -> Any:
    """Matrices times a number each; 0 where the number is 0."""
    shape = b.shape(x)
    scale = b.reshape(scale, (*shape[:-2], 1, 1)) if b.rank(scale) else scale
    return b.strong_mul(b.broadcast(scale, shape), x)


def _cofactors_eager(xp: Any, x: Any) -> Any:
    """By the inverse, which NumPy finds by the same elimination as the determinant; of singular matrices by singular
    values: U diag(the product of the others) V^H, turned as U and V^H turn."""
    det = xp.asarray(xp.linalg.det(x))
    if (det != 0).all():
        return xp.conj(xp.swapaxes(det[..., None, None] * xp.linalg.inv(x), -1, -2))
    u, s, vh = xp.linalg.svd(x)
    others = [xp.prod(xp.delete(s, i, -1), axis=-1) for i in range(x.shape[-1])]
    turn = xp.conj(xp.asarray(xp.linalg.det(u)) * xp.asarray(xp.linalg.det(vh)))
    return turn[..., None, None] * (u * xp.stack(others, -1)[..., None, :]) @ vh


def _cofactors_vjp(b: Any, g: Any, x: Any, out: Any) -> tuple[Any, ...]:
    """With W = x^-H: tr(g^H W) out - W g^H out."""
    w, rank = adjoint(b, inverse_of(b, x)), b.rank(x)
    along = b.sum(conjugate(b, g) * w, axes=(rank - 2, rank - 1))
    return (_scaled(b, along, out) - b.matmul(b.matmul(w, adjoint(b, g)), out),)


op(
    "cofactors",
    ("x",),
    doc="The derivative of the determinant: det(x) x^-H, and its limit where x is singular. The derivative of that "
    "needs x to be regular (`LinAlgError`).",
    infer=lambda x: (square_type(x, "cofactors"),),
    eager=quiet(_cofactors_eager),
    vjp=_cofactors_vjp,
    lower=Opaque(matrix_loops.cofactors),
    samples=lambda rng: [Sample((well_conditioned(rng, shape, dtype),)) for shape, dtype in SQUARES],
)


op(
    "det",
    ("x",),
    doc="The determinant, by elimination with row exchanges. Its second derivative needs x to be regular.",
    infer=lambda x: (TensorType(square_type(x, "det").dtype, square_type(x, "det").shape[:-2]),),
    eager=quiet(lambda xp, x: xp.asarray(xp.linalg.det(x))),
    vjp=lambda b, g, x, out: (_scaled(b, g, b.cofactors(x)),),
    lower=Opaque(matrix_loops.det),
    samples=lambda rng: [Sample((well_conditioned(rng, shape, dtype),)) for shape, dtype in SQUARES],
)


def _slogdet_infer(x: Value) -> tuple[Type, ...]:
    source = square_type(x, "slogdet")
    batch = source.shape[:-2]
    return TensorType(source.dtype, batch), TensorType(real_dtype(source.dtype), batch)


def _slogdet_vjp(b: Any, g: Any, x: Any, out: Any) -> tuple[Any, ...]:
    """The sign of a real determinant is constant; that of a complex one turns with the imaginary part of the change."""
    along = None if g[1] is None else b.cast(g[1], dtype=b.dtype(x))
    if g[0] is not None and b.dtype(x).is_complex:
        turning = b.imag(conjugate(b, out[0]) * g[0])
        turned = b.cast(turning, dtype=b.dtype(x)) * b.number(1j, out[0])
        along = turned if along is None else along + turned
    return (None if along is None else _scaled(b, along, adjoint(b, inverse_of(b, x))),)


op(
    "slogdet",
    ("x",),
    doc="The sign of the determinant (a number of modulus 1 for complex matrices) and the logarithm of its modulus: 0 "
    "and -inf where x is singular, where there is no derivative.",
    infer=_slogdet_infer,
    eager=quiet(lambda xp, x: tuple(xp.asarray(y) for y in xp.linalg.slogdet(x))),
    vjp=_slogdet_vjp,
    lower=Opaque(matrix_loops.slogdet),
    samples=lambda rng: [Sample((well_conditioned(rng, shape, dtype),)) for shape, dtype in SQUARES],
)


# -- as users call them ---------------------------------------------------------------------------------------


class SlogdetResult(NamedTuple):
    """What `slogdet` gives."""

    sign: Any
    logabsdet: Any


def stack_of(b: Any, x: Operand) -> Any:
    """x as a stack of matrices of f32, f64, c64 or c128. `LinAlgError` where it has less than two axes."""
    x = inexact(b, x)
    x = b.cast(x, dtype=F32) if b.dtype(x).bits == 16 else x
    _require_matrices(b, x)
    return x


def _require_matrices(b: Any, x: Any) -> None:
    if b.rank(x) < 2:
        text = f"{b.rank(x)}-dimensional array given. Array must be at least two-dimensional"
        raise error_class("LinAlgError")(text)


def matrices(b: Any, x: Operand) -> Any:
    """x as a stack of square matrices. `LinAlgError` where they are not square."""
    return _square(b, stack_of(b, x))


def _square(b: Any, x: Any) -> Any:
    """A stack of matrices that are square."""
    rows, columns = b.shape(x)[-2:]
    message = "Last 2 dimensions of the array must be square"
    if isinstance(rows, int) and isinstance(columns, int):
        if rows != columns:
            raise error_class("LinAlgError")(message)
    elif not b.same_size(rows, columns):
        b.check_eq(rows, columns, (), kind="LinAlgError", message=message)
        x = with_sizes(b, x, (*b.shape(x)[:-1], rows))
    return x


def identity_like(b: Any, x: Any) -> Any:
    """Unit matrices of the shape and dtype of x."""
    shape, rank = b.shape(x), b.rank(x)
    row, column = (b.iota(shape, axis=a, dtype=I64) for a in (rank - 2, rank - 1))
    return b.cast(b.eq(row, column), dtype=b.dtype(x))


def inverse_of(b: Any, x: Any) -> Any:
    """The inverses of a stack of matrices."""
    return b.solve(x, identity_like(b, x))


def spelt(name: str, *torchs: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as `linalg.<name>`, and as a function and method under PyTorch's names."""
    more = (f"{kind} {spelling}" for spelling in torchs for kind in ("function", "method"))
    return function(f"function linalg.{name}", f"numpy linalg.{name}", *more, kinds=())


@spelt("inv", "inverse")
def inv_(b: Any, x: Operand) -> Any:
    """The inverse. `LinAlgError` where x is singular."""
    return inverse_of(b, matrices(b, x))


@spelt("det", "det")
def det_(b: Any, x: Operand) -> Any:
    """The determinant."""
    return b.det(matrices(b, x))


@spelt("slogdet", "slogdet")
def slogdet_(b: Any, x: Operand) -> Any:
    """The sign of the determinant and the logarithm of its modulus."""
    return SlogdetResult(*b.slogdet(matrices(b, x)))


@spelt("cholesky", "cholesky")
def cholesky_(b: Any, x: Operand, upper: bool = False) -> Any:
    """The lower triangular L with L @ L^H = x, or its adjoint. `LinAlgError` unless x is positive definite."""
    x = matrices(b, x)
    return adjoint(b, b.cholesky(adjoint(b, x))) if upper else b.cholesky(x)


def _system(b: Any, a: Operand, c: Operand, name: str, run: Callable[[Any, Any], Any]) -> Any:
    """The solution of a system, where c is a vector or holds one in each column."""
    a, c = coerce.promote_operands(b, (matrices(b, a), inexact(b, c)))
    is_vector = b.rank(c) == 1
    c = b.reshape(c, (*b.shape(c), 1)) if is_vector else c
    size = b.shape(a)[-1]
    text = f"{name}: Input operand 1 has a mismatch in its core dimension 0 (size {{1}} is different from {{0}})"
    agree(b, size, b.shape(c)[-2], text)
    batch, exact = coerce.broadcast_shapes(b, [b.shape(a)[:-2], b.shape(c)[:-2]])
    a = coerce.broadcast_to(b, a, (*batch, size, size), exact)
    c = coerce.broadcast_to(b, c, (*batch, size, b.shape(c)[-1]), exact)
    out = run(a, c)
    return b.reshape(out, b.shape(out)[:-1]) if is_vector else out


@spelt("solve")
def solve_(b: Any, a: Operand, c: Operand) -> Any:
    """x with a @ x = c, where c is a vector or holds one in each column. `LinAlgError` where a is singular."""
    return _system(b, a, c, "solve", b.solve)


@function("function linalg.solve_triangular", kinds=())
def solve_triangular_(b: Any, a: Operand, c: Operand, *, upper: bool) -> Any:
    """`solve` for an upper or lower triangular a, whose other half is not read."""
    return _system(b, a, c, "solve_triangular", lambda a, c: b.solve_triangular(a, c, lower=not upper))


@function(kinds=("function", "method"))
def cholesky_solve(b: Any, x: Operand, factor: Operand, upper: bool = False) -> Any:
    """The solution y of a @ y = x, where the factor is that of a positive definite a: lower triangular, or upper."""
    factor = matrices(b, factor)
    first = adjoint(b, factor) if upper else factor
    halfway = _system(b, first, x, "cholesky_solve", lambda a, c: b.solve_triangular(a, c, lower=True))
    last = factor if upper else adjoint(b, factor)
    return _system(b, last, halfway, "cholesky_solve", lambda a, c: b.solve_triangular(a, c, lower=False))


@function(kinds=("function", "method"))
def cholesky_inverse(b: Any, x: Operand, upper: bool = False) -> Any:
    """The inverse of the positive definite matrix whose triangular factor is x."""
    x = matrices(b, x)
    return cholesky_solve(b, identity_like(b, x), x, upper)


@spelt("matrix_power", "matrix_power")
def matrix_power_(b: Any, x: Operand, n: int) -> Any:
    """The n-th power, of integers in their dtype; of the inverse where n is negative."""
    x = array(b, x)
    if n < 0 or b.dtype(x).is_inexact:
        x = matrices(b, x)
    else:
        _require_matrices(b, x)
        x = _square(b, x)
    if n < 0:
        x, n = inverse_of(b, x), -n
    out = None
    while n:
        if n & 1:
            out = x if out is None else matmul_any(b, out, x)
        n >>= 1
        x = matmul_any(b, x, x) if n else x
    return identity_like(b, x) if out is None else out
