"""The error function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Expr
from tracejit.codegen.mathlib.arithmetic import either_polynomial, polynomial
from tracejit.codegen.mathlib.exponential import exp_of_finite
from tracejit.ir.types import F32

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder

#: Below, erf(x) = x + x * P(x**2); from the second on, erf rounds to 1.
_SMALL = {"f32": 1.15, "f64": 1.0}
_SATURATED = {"f32": 3.92, "f64": 6.0}


def erf(k: KernelBuilder, x: Expr) -> Expr:
    """x + x * P(x**2) near 0, else 1 - erfc(|x|) with the sign of x."""
    dtype = k.dtype(x)
    saturated = _SATURATED[dtype.name]
    size = k.let(k.abs(x))
    is_small = k.let(k.lt(size, _SMALL[dtype.name]))
    a = k.let(k.select(k.gt(size, saturated), saturated, size))
    z = k.let(k.mul(x, x))
    if dtype == F32:
        p = either_polynomial(k, is_small, ("erf", z), ("erfc**(1/4)", a))
        square = k.let(k.mul(p, p))
        complement = k.mul(square, square)
    else:
        p = polynomial(k, "erf", z)
        complement = _erfc(k, a)
    return k.select(is_small, k.fma(x, p, x), k.copysign(k.sub(1, complement), x))


def _erfc(k: KernelBuilder, a: Expr) -> Expr:
    """erfc(a) for a from 1 on, as accurate as 1 - erfc(a) needs it: exp(-a**2) times Q((a - 2) / (a + 2))."""
    u = k.let(k.div(k.sub(a, 2), k.add(a, 2)))
    return k.mul(exp_of_finite(k, k.let(k.neg(k.mul(a, a)))), polynomial(k, "erfc", u))
