"""The error function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Expr
from tracejit.codegen.mathlib.arithmetic import polynomial
from tracejit.codegen.mathlib.exponential import exp_of_finite
from tracejit.ir.types import F32

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder

#: Where erf rounds to 1.
_SATURATED = {"f32": 4.0, "f64": 6.0}


def erf(k: KernelBuilder, x: Expr) -> Expr:
    """x + x * P(x**2) below 1, else 1 - erfc(|x|) with the sign of x."""
    z = k.let(k.mul(x, x))
    small = k.fma(x, polynomial(k, "erf", z), x)
    saturated = _SATURATED[k.dtype(x).name]
    size = k.let(k.abs(x))
    a = k.let(k.select(k.gt(size, saturated), saturated, size))
    large = k.copysign(k.sub(1, _erfc(k, a)), x)
    return k.select(k.lt(size, 1), small, large)


def _erfc(k: KernelBuilder, a: Expr) -> Expr:
    """erfc(a) for a from 1 on, as accurate as 1 - erfc(a) needs it: exp(P(a)) in f32, in f64 exp(-a**2) times
    Q((a - 2) / (a + 2))."""
    if k.dtype(a) == F32:
        return exp_of_finite(k, polynomial(k, "log_erfc", a))
    u = k.let(k.div(k.sub(a, 2), k.add(a, 2)))
    return k.mul(exp_of_finite(k, k.let(k.neg(k.mul(a, a)))), polynomial(k, "erfc", u))
