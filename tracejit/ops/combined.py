"""PyTorch's functions that join products, sums and limits in one call: `addmm`, `addcmul`, `clamp_min` and the like."""

from __future__ import annotations

from typing import Any

from tracejit.errors import ShapeMismatch
from tracejit.ops.functions import Axis, Operand, array, function, inexact, on
from tracejit.ops.products import matmul_any
from tracejit.ops.statistics import mean, norm, std, var

TORCH = ("function", "method")


def _added(b: Any, x: Operand, product: Any, beta: Operand, alpha: Operand) -> Any:
    """beta * x + alpha * product; with a beta of 0 nothing of x counts, nan and infinities neither."""
    c = on(b)
    if not isinstance(beta, int | float | complex):
        x = c.select(c.eq(beta, 0), 0, c.mul(x, beta))
    elif beta != 1:
        x = c.mul(x, beta) if beta else b.zeros_like(array(b, x))
    return c.add(x, c.mul(product, alpha) if alpha != 1 else product)


def _product(b: Any, name: str, x: Operand, y: Operand, ranks: tuple[int, int]) -> Any:
    x, y = array(b, x), array(b, y)
    if (b.rank(x), b.rank(y)) != ranks:
        raise ShapeMismatch(f"{name} multiplies {ranks[0]}-d and {ranks[1]}-d, not {b.rank(x)}-d and {b.rank(y)}-d")
    return matmul_any(b, x, y)


@function(kinds=TORCH)
def addmm(b: Any, x: Operand, mat1: Operand, mat2: Operand, *, beta: Operand = 1, alpha: Operand = 1) -> Any:
    """beta * x + alpha * (mat1 @ mat2) of matrices."""
    return _added(b, x, _product(b, "addmm", mat1, mat2, (2, 2)), beta, alpha)


@function(kinds=TORCH)
def addmv(b: Any, x: Operand, mat: Operand, vec: Operand, *, beta: Operand = 1, alpha: Operand = 1) -> Any:
    """beta * x + alpha * (mat @ vec) of a matrix and a vector."""
    return _added(b, x, _product(b, "addmv", mat, vec, (2, 1)), beta, alpha)


@function(kinds=TORCH)
def baddbmm(b: Any, x: Operand, batch1: Operand, batch2: Operand, *, beta: Operand = 1, alpha: Operand = 1) -> Any:
    """beta * x + alpha * (batch1 @ batch2) of stacks of matrices."""
    return _added(b, x, _product(b, "baddbmm", batch1, batch2, (3, 3)), beta, alpha)


@function(kinds=TORCH)
def addbmm(b: Any, x: Operand, batch1: Operand, batch2: Operand, *, beta: Operand = 1, alpha: Operand = 1) -> Any:
    """beta * x + alpha * the sum of the products batch1[i] @ batch2[i] of stacks of matrices."""
    products = _product(b, "addbmm", batch1, batch2, (3, 3))
    return _added(b, x, b.sum(products, axes=(0,)), beta, alpha)


@function(kinds=TORCH)
def addr(b: Any, x: Operand, vec1: Operand, vec2: Operand, *, beta: Operand = 1, alpha: Operand = 1) -> Any:
    """beta * x + alpha * outer(vec1, vec2)."""
    return _added(b, x, b.outer(vec1, vec2), beta, alpha)


@function(kinds=TORCH)
def addcmul(b: Any, x: Operand, tensor1: Operand, tensor2: Operand, *, value: Operand = 1) -> Any:
    """x + value * tensor1 * tensor2."""
    return _added(b, x, on(b).mul(tensor1, tensor2), 1, value)


@function(kinds=TORCH)
def addcdiv(b: Any, x: Operand, tensor1: Operand, tensor2: Operand, *, value: Operand = 1) -> Any:
    """x + value * tensor1 / tensor2."""
    return _added(b, x, on(b).div(tensor1, tensor2), 1, value)


@function(kinds=TORCH)
def clamp_min(b: Any, x: Operand, min: Operand) -> Any:
    """x where it is above `min`, else `min`."""
    return on(b).clamp(x, min, None)


@function(kinds=TORCH)
def clamp_max(b: Any, x: Operand, max: Operand) -> Any:
    """x where it is below `max`, else `max`."""
    return on(b).clamp(x, None, max)


@function(kinds=TORCH)
def frac(b: Any, x: Operand) -> Any:
    """x without its whole part; the sign is that of x."""
    return on(b).sub(x, b.trunc(x))


@function(kinds=TORCH)
def rsub(b: Any, x: Operand, y: Operand) -> Any:
    """y - x."""
    return on(b).sub(y, x)


@function(kinds=TORCH)
def xlogy(b: Any, x: Operand, y: Operand) -> Any:
    """x * log(y); 0 where x is 0 and y is no nan."""
    c = on(b)
    y = inexact(b, y)
    none = c.logical_and(c.eq(x, 0), c.logical_not(c.isnan(y)))
    return c.select(none, 0.0, c.mul(x, c.log(c.select(none, 1.0, y))))


@function(kinds=TORCH)
def logit(b: Any, x: Operand, eps: float | None = None) -> Any:
    """log(x / (1 - x)), x being limited to eps..1 - eps if eps is given; nan outside 0..1."""
    x = inexact(b, x)
    x = x if eps is None else on(b).clamp(x, eps, 1.0 - eps)
    return b.log(x / (1.0 - x))


@function(kinds=("function",))
def cdist(b: Any, x1: Operand, x2: Operand, p: float = 2.0) -> Any:
    """The p-norms of the differences of each row of x1 and each of x2: (..., n, m) of (..., n, k) and (..., m, k)."""
    x1, x2 = inexact(b, x1), inexact(b, x2)
    *lead, n, k = b.shape(x1)
    *other, m, width = b.shape(x2)
    return norm(b, on(b).sub(b.reshape(x1, (*lead, n, 1, k)), b.reshape(x2, (*other, 1, m, width))), p, -1)


@function(kinds=TORCH)
def dist(b: Any, x: Operand, y: Operand, p: float = 2) -> Any:
    """The p-norm of x - y."""
    return norm(b, on(b).sub(x, y), p)


@function(kinds=("function",))
def var_mean(
    b: Any,
    x: Operand,
    axis: Axis = None,
    unbiased: bool | None = None,
    keepdims: bool = False,
    *,
    correction: float = 0,
) -> tuple[Any, Any]:
    """The variance and the mean over axes; see `var`."""
    return _with_mean(b, var, x, axis, unbiased, keepdims, correction)


@function(kinds=("function",))
def std_mean(
    b: Any,
    x: Operand,
    axis: Axis = None,
    unbiased: bool | None = None,
    keepdims: bool = False,
    *,
    correction: float = 0,
) -> tuple[Any, Any]:
    """The standard deviation and the mean over axes; see `std`."""
    return _with_mean(b, std, x, axis, unbiased, keepdims, correction)


def _with_mean(
    b: Any, spread: Any, x: Operand, axis: Axis, unbiased: bool | None, keepdims: bool, correction: float
) -> tuple[Any, Any]:
    if isinstance(axis, bool):
        axis, unbiased = None, axis
    found = spread(b, x, axis, keepdims=keepdims, correction=correction, unbiased=unbiased)
    return found, mean(b, x, axis, keepdims=keepdims)


@function(kinds=TORCH)
def div_(b: Any, x: Operand, y: Operand, *, rounding_mode: str | None = None) -> Any:
    """x / y; rounded down where `rounding_mode` is "floor", towards 0 where it is "trunc" (integers stay integers)."""
    c = on(b)
    match rounding_mode:
        case None:
            return c.div(x, y)
        case "floor":
            return c.floordiv(x, y)
        case "trunc":
            return _whole_quotient(b, x, y)
        case _:
            raise ValueError(f"div: rounding_mode is None, 'floor' or 'trunc', not {rounding_mode!r}")


def _whole_quotient(b: Any, x: Operand, y: Operand) -> Any:
    """x / y rounded towards 0."""
    c = on(b)
    down = c.floordiv(x, y)
    if b.dtype(down).is_float:
        return b.trunc(c.div(x, y))
    over = c.logical_and(c.lt(down, 0), c.ne(c.mul(down, y), x))
    return c.add(down, over)
