"""Scalar functions in terms of others, where ONNX has no operator or onnxruntime has none for f64.

Nothing here reads the bits of a float. Each function has the name of its row in `codegen/scalars.py`; errors are a few
ULP.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Expr
from tracejit.ir.types import I32

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder


def fma(k: KernelBuilder, x: Expr, y: Expr, z: Expr) -> Expr:
    """x * y + z, rounded twice."""
    return k.add(k.mul(x, y), z)


def trunc(k: KernelBuilder, x: Expr) -> Expr:
    """x without its fraction; -0.5 gives -0."""
    return k.select(k.lt(x, 0), k.ceil(x), k.floor(x))


def copysign(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """|x| with the sign of y, which 1 / y shows for a zero; a nan counts as positive."""
    size = k.let(k.abs(x))
    minus_zero = k.logical_and(k.eq(y, 0), k.lt(k.div(1, y), 0))
    return k.select(k.logical_or(k.lt(y, 0), minus_zero), k.neg(size), size)


def _of_bools(name: str) -> Callable[..., Expr]:
    def compare(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
        return getattr(k, name)(k.cast(x, I32), k.cast(y, I32))

    return compare


#: Comparisons of truth values as numbers.
COMPARISONS: dict[str, Callable[..., Expr]] = {name: _of_bools(name) for name in ("lt", "le", "gt", "ge")}


def exp2(k: KernelBuilder, x: Expr) -> Expr:
    """2 ** x."""
    return k.pow(k.const(2, k.dtype(x)), x)


def expm1(k: KernelBuilder, x: Expr) -> Expr:
    """exp(x) - 1: near 0 by 2 t / (1 - t) with t = tanh(x / 2)."""
    t = k.let(k.tanh(k.mul(x, 0.5)))
    return k.select(k.lt(k.abs(x), 1), k.div(k.mul(2, t), k.sub(1, t)), k.sub(k.exp(x), 1))


def log1p(k: KernelBuilder, x: Expr) -> Expr:
    """log(1 + x) with the rounding error of 1 + x taken out (Goldberg 1991, theorem 4)."""
    wide = k.let(k.add(1, x))
    exact = k.eq(wide, 1)
    ratio = k.div(x, k.select(exact, k.const(1, k.dtype(x)), k.sub(wide, 1)))
    special = k.logical_or(exact, k.eq(wide, float("inf")))
    return k.select(special, k.select(exact, x, wide), k.mul(k.log(wide), ratio))


def log2(k: KernelBuilder, x: Expr) -> Expr:
    """The logarithm to base 2."""
    return k.div(k.log(x), math.log(2.0))


def log10(k: KernelBuilder, x: Expr) -> Expr:
    """The logarithm to base 10."""
    return k.div(k.log(x), math.log(10.0))


def tan(k: KernelBuilder, x: Expr) -> Expr:
    """The tangent."""
    return k.div(k.sin(x), k.cos(x))


def sinh(k: KernelBuilder, x: Expr) -> Expr:
    """(t + t / (t + 1)) / 2 with t = exp(|x|) - 1, and the half of exp(|x|) in two factors where x is large."""
    size = k.let(k.abs(x))
    t = k.let(k.expm1(size))
    root = k.let(k.exp(k.mul(size, 0.5)))
    near = k.mul(0.5, k.add(t, k.div(t, k.add(t, 1))))
    return k.copysign(k.select(k.lt(size, 20), near, k.mul(k.mul(root, 0.5), root)), x)


def cosh(k: KernelBuilder, x: Expr) -> Expr:
    """(e + 1 / e) / 2 with e = exp(|x|), in two factors where x is large."""
    size = k.let(k.abs(x))
    e, root = k.let(k.exp(size)), k.let(k.exp(k.mul(size, 0.5)))
    near = k.mul(0.5, k.add(e, k.div(1, e)))
    return k.select(k.lt(size, 20), near, k.mul(k.mul(root, 0.5), root))


def asinh(k: KernelBuilder, x: Expr) -> Expr:
    """log1p(a + a**2 / (1 + sqrt(1 + a**2))) with the sign of x; log(2 a) where a = |x| is large."""
    a = k.let(k.abs(x))
    square = k.let(k.mul(a, a))
    near = k.log1p(k.add(a, k.div(square, k.add(1, k.sqrt(k.add(1, square))))))
    return k.copysign(k.select(k.lt(a, 1e8), near, k.add(k.log(a), math.log(2.0))), x)


def acosh(k: KernelBuilder, x: Expr) -> Expr:
    """log1p(t + sqrt(2 t + t**2)) with t = x - 1; log(2 x) where x is large."""
    t = k.let(k.sub(x, 1))
    near = k.log1p(k.add(t, k.sqrt(k.add(k.mul(2, t), k.mul(t, t)))))
    return k.select(k.lt(x, 1e8), near, k.add(k.log(x), math.log(2.0)))


def atanh(k: KernelBuilder, x: Expr) -> Expr:
    """log1p(2 a / (1 - a)) / 2 with a = |x| and the sign of x."""
    a = k.let(k.abs(x))
    return k.copysign(k.mul(0.5, k.log1p(k.div(k.mul(2, a), k.sub(1, a)))), x)


def rsqrt(k: KernelBuilder, x: Expr) -> Expr:
    """1 / sqrt(x)."""
    return k.div(1, k.sqrt(x))


def cbrt(k: KernelBuilder, x: Expr) -> Expr:
    """The cube root by a power, and a step of Newton's method where that is finite and not 0."""
    y = k.let(k.copysign(k.pow(k.abs(x), k.const(1 / 3, k.dtype(x))), x))
    square = k.let(k.mul(y, y))
    usual = k.logical_and(k.gt(square, 0), k.lt(k.abs(y), float("inf")))
    safe = k.let(k.select(usual, square, k.const(1, k.dtype(x))))
    return k.select(usual, k.sub(y, k.div(k.sub(y, k.div(x, safe)), 3)), y)


def hypot(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """The square root of x**2 + y**2, scaled by the larger one; inf if either is infinite."""
    a, b = k.let(k.abs(x)), k.let(k.abs(y))
    large = k.let(k.select(k.gt(a, b), a, k.select(k.isnan(a), a, b)))
    small = k.select(k.gt(a, b), b, a)
    usual = k.logical_and(k.gt(large, 0), k.lt(large, float("inf")))
    ratio = k.let(k.div(small, k.select(usual, large, k.const(1, k.dtype(x)))))
    found = k.select(usual, k.mul(large, k.sqrt(k.add(1, k.mul(ratio, ratio)))), k.add(a, b))
    infinite = k.logical_or(k.eq(a, float("inf")), k.eq(b, float("inf")))
    return k.select(infinite, k.const(float("inf"), k.dtype(x)), found)


#: `(k, *operands) -> Expr` by operation name.
FUNCTIONS: dict[str, Callable[..., Expr]] = {
    fn.__name__: fn
    for fn in (
        fma, trunc, copysign, exp2, expm1, log1p, log2, log10, tan, sinh, cosh, asinh, acosh, atanh, rsqrt, cbrt, hypot,
    )
}  # fmt: skip
