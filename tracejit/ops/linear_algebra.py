"""Linear algebra on stacks of matrices: Cholesky factors, linear systems, inverses, determinants.

The ops take equal leading axes and are computed by plain loops (`loops.py`), with LAPACK's pivoting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracejit.errors import ShapeMismatch, error_class
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Sample
from tracejit.ir.types import F32, F64, I64, TensorType, Type
from tracejit.ops import coerce, loops
from tracejit.ops.contraction import swapped
from tracejit.ops.define import op, quiet, require_dtype, tensor_type
from tracejit.ops.functions import Operand, function, inexact
from tracejit.ops.products import agree, with_sizes

FLOATS = (F32, F64)


def _square(x: Value, name: str) -> TensorType:
    """The type of a stack of square matrices."""
    require_dtype(x, FLOATS, name)
    source = tensor_type(x, name)
    if source.rank < 2 or source.shape[-1] != source.shape[-2]:
        raise ShapeMismatch(f"{name}: {source} does not hold square matrices")
    return source


def _named_error(fn: Callable[..., Any]) -> Callable[..., Any]:
    """An eager rule whose LinAlgError is the one that compiled programs raise (also from other array libraries)."""

    def run(xp: Any, *operands: Any) -> Any:
        try:
            return fn(xp, *operands)
        except ArithmeticError:
            raise
        except Exception as error:
            if type(error).__name__ != "LinAlgError":
                raise
            raise error_class("LinAlgError")(str(error)) from None

    return quiet(run)


def _well_conditioned(rng: Any, shape: tuple[int, ...], dtype: str = "float64") -> Any:
    """Random matrices whose large elements are beside the diagonal, so that rows must be exchanged."""
    found = rng.uniform(-1, 1, size=shape)
    for i in range(shape[-1]):
        found[..., i, (i + 1) % shape[-1]] += 3.0
    return found.astype(dtype)


def _positive(rng: Any, shape: tuple[int, ...], dtype: str = "float64") -> Any:
    """Random symmetric positive definite matrices."""
    random = rng.uniform(-1, 1, size=shape)
    found = random @ random.swapaxes(-1, -2)
    for i in range(shape[-1]):
        found[..., i, i] += 1.0
    return found.astype(dtype)


# -- linear systems -------------------------------------------------------------------------------------------


def _solve_infer(a: Value, c: Value) -> tuple[Type, ...]:
    matrices, right = _square(a, "solve"), tensor_type(c, "solve")
    if right.dtype != matrices.dtype or right.rank != matrices.rank or right.shape[:-1] != matrices.shape[:-1]:
        raise ShapeMismatch(f"solve: {matrices} and {right} do not fit")
    return (right,)


def _solve_vjp(b: Any, g: Any, a: Any, c: Any, out: Any) -> tuple[Any, ...]:
    dc = b.solve(swapped(b, a), g)
    return b.neg(b.matmul(dc, swapped(b, out))), dc


op(
    "solve",
    ("a", "b"),
    doc="x with a @ x = b, by elimination with row exchanges. `LinAlgError` where a is singular.",
    infer=_solve_infer,
    eager=_named_error(lambda xp, a, c: xp.linalg.solve(a, c)),
    vjp=_solve_vjp,
    lower=Opaque(loops.solve),
    effect="fail",
    samples=lambda rng: [
        Sample((_well_conditioned(rng, a, dtype), rng.uniform(-1, 1, size=c).astype(dtype)))
        for a, c, dtype in (
            ((3, 3), (3, 2), "float64"),
            ((4, 4), (4, 1), "float64"),
            ((2, 3, 3), (2, 3, 3), "float64"),
            ((1, 1), (1, 2), "float64"),
            ((5, 5), (5, 5), "float32"),
            ((0, 0), (0, 2), "float64"),
        )
    ],
)


def _triangle(b: Any, below: Any, diagonal: Any) -> Any:
    """The matrices with these elements below and on the diagonal, and 0 above."""
    rank = b.rank(below)
    row, column = (b.iota(b.shape(below), axis=a, dtype=I64) for a in (rank - 2, rank - 1))
    return b.select(b.gt(row, column), below, b.select(b.eq(row, column), diagonal, 0))


def _cholesky_vjp(b: Any, g: Any, x: Any, out: Any) -> tuple[Any, ...]:
    """Murray (2016): with P the lower half of L^T dL, its diagonal halved, the symmetric part of L^-T P L^-1 is the
    cotangent of a symmetric x; the lower half, which alone is read, gets both halves of it."""
    inner = b.matmul(swapped(b, out), g)
    left = b.solve(swapped(b, out), _triangle(b, inner, inner * 0.5))
    both = b.solve(swapped(b, out), swapped(b, left))
    return (_triangle(b, both + swapped(b, both), both),)


op(
    "cholesky",
    ("x",),
    doc="The lower triangular L with L @ L^T = x, from x's lower half. `LinAlgError` unless x is positive definite.",
    infer=lambda x: (_square(x, "cholesky"),),
    eager=_named_error(lambda xp, x: xp.linalg.cholesky(x)),
    vjp=_cholesky_vjp,
    lower=Opaque(loops.cholesky),
    effect="fail",
    samples=lambda rng: [
        Sample((_positive(rng, shape, dtype),))
        for shape, dtype in (((3, 3), "float64"), ((2, 4, 4), "float64"), ((1, 1), "float64"), ((5, 5), "float32"))
    ],
)


def _det_vjp(b: Any, g: Any, x: Any, out: Any) -> tuple[Any, ...]:
    scale = b.strong_mul(g, out)
    shape = b.shape(x)
    wide = b.broadcast(b.reshape(scale, (*shape[:-2], 1, 1)), shape)
    return (b.strong_mul(wide, swapped(b, inverse_of(b, x))),)


op(
    "det",
    ("x",),
    doc="The determinant, by elimination with row exchanges. Its derivative needs x to be regular.",
    infer=lambda x: (TensorType(_square(x, "det").dtype, _square(x, "det").shape[:-2]),),
    eager=quiet(lambda xp, x: xp.asarray(xp.linalg.det(x))),
    vjp=_det_vjp,
    lower=Opaque(loops.det),
    samples=lambda rng: [
        Sample((_well_conditioned(rng, shape, dtype),))
        for shape, dtype in (
            ((3, 3), "float64"),
            ((2, 4, 4), "float64"),
            ((1, 1), "float64"),
            ((5, 5), "float32"),
            ((0, 0), "float64"),
        )
    ],
)


# -- as users call them ---------------------------------------------------------------------------------------


def matrices(b: Any, x: Operand, name: str) -> Any:
    """x as a stack of square matrices of f32 or f64. `LinAlgError` where they are not square."""
    x = inexact(b, x)
    require = {"f16": F32, "bf16": F32}.get(b.dtype(x).name)
    x = x if require is None else b.cast(x, dtype=require)
    error = error_class("LinAlgError")
    if b.rank(x) < 2:
        raise error(f"{b.rank(x)}-dimensional array given. Array must be at least two-dimensional")
    rows, columns = b.shape(x)[-2:]
    message = "Last 2 dimensions of the array must be square"
    if isinstance(rows, int) and isinstance(columns, int):
        if rows != columns:
            raise error(message)
    elif not b.same_size(rows, columns):
        b.check_eq(rows, columns, (), kind="LinAlgError", message=message)
        x = with_sizes(b, x, (*b.shape(x)[:-1], rows))
    return x


def inverse_of(b: Any, x: Any) -> Any:
    """The inverses of a stack of matrices."""
    shape, rank = b.shape(x), b.rank(x)
    row, column = (b.iota(shape, axis=a, dtype=I64) for a in (rank - 2, rank - 1))
    return b.solve(x, b.cast(b.eq(row, column), dtype=b.dtype(x)))


def _spelt(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return function(f"function linalg.{name}", f"numpy linalg.{name}", kinds=())


@_spelt("inv")
def inv_(b: Any, x: Operand) -> Any:
    """The inverse. `LinAlgError` where x is singular."""
    return inverse_of(b, matrices(b, x, "inv"))


@_spelt("det")
def det_(b: Any, x: Operand) -> Any:
    """The determinant."""
    return b.det(matrices(b, x, "det"))


@_spelt("cholesky")
def cholesky_(b: Any, x: Operand) -> Any:
    """The lower triangular L with L @ L^T = x. `LinAlgError` unless x is positive definite."""
    return b.cholesky(matrices(b, x, "cholesky"))


@_spelt("solve")
def solve_(b: Any, a: Operand, c: Operand) -> Any:
    """x with a @ x = c, where c is a vector or holds one in each column. `LinAlgError` where a is singular."""
    a, c = coerce.promote_operands(b, (matrices(b, a, "solve"), inexact(b, c)))
    is_vector = b.rank(c) == 1
    c = b.reshape(c, (*b.shape(c), 1)) if is_vector else c
    size = b.shape(a)[-1]
    text = "solve: Input operand 1 has a mismatch in its core dimension 0 (size {1} is different from {0})"
    agree(b, size, b.shape(c)[-2], text)
    batch, exact = coerce.broadcast_shapes(b, [b.shape(a)[:-2], b.shape(c)[:-2]])
    a = coerce.broadcast_to(b, a, (*batch, size, size), exact)
    c = coerce.broadcast_to(b, c, (*batch, size, b.shape(c)[-1]), exact)
    out = b.solve(a, c)
    return b.reshape(out, b.shape(out)[:-1]) if is_vector else out
