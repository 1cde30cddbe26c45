"""The error function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Expr
from tracejit.codegen.mathlib.arithmetic import clamp, polynomial
from tracejit.codegen.mathlib.exponential import exp_of_finite

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder

#: Where erf rounds to 1.
_SATURATED = {"f32": 4.0, "f64": 6.0}


def erf(k: KernelBuilder, x: Expr) -> Expr:
    """x + x * P(x**2) below 1, else 1 - exp(-x**2) * Q((x - 2) / (x + 2)) with the sign of x."""
    z = k.let(k.mul(x, x))
    small = k.fma(x, polynomial(k, "erf", z), x)
    a = clamp(k, k.let(k.abs(x)), 0.0, _SATURATED[k.dtype(x).name])
    u = k.let(k.div(k.sub(a, 2), k.add(a, 2)))
    complement = k.mul(exp_of_finite(k, k.let(k.neg(k.mul(a, a)))), polynomial(k, "erfc", u))
    large = k.copysign(k.sub(1, complement), x)
    return k.select(k.lt(k.abs(x), 1), small, large)
