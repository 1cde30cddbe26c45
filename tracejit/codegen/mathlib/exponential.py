"""exp and what follows from it: exp2, expm1, sigmoid, sinh, cosh, tanh.

The argument is split into n * log(2) + r with |r| <= log(2) / 2, log(2) in two parts so that r is accurate without
fused multiply-add (Cody and Waite 1980); exp(r) = 1 + r + r**2 * P(r).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Expr
from tracejit.codegen.mathlib.arithmetic import (
    Pair,
    clamp,
    format_of,
    nearest_power,
    nearest_whole,
    parts,
    polynomial,
)

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder

#: Arguments beyond which exp is 0 or infinite, with room for the two scaling steps.
_EXP_RANGE = {"f32": (-104.5, 89.0), "f64": (-746.0, 710.0)}
_EXP2_RANGE = {"f32": (-151.0, 129.0), "f64": (-1076.0, 1025.0)}


def _split(k: KernelBuilder, x: Expr) -> Pair:
    """(n, r) with x = n * log(2) + r, n a float that is a whole number."""
    high, low = parts("log(2)", k.dtype(x))
    whole = nearest_whole(k, x, 1 / math.log(2))
    return whole, k.let(k.fma(whole, -low, k.fma(whole, -high, x)))


def exp_of_finite(k: KernelBuilder, x: Expr) -> Expr:
    """exp(x) for x in the clamped range."""
    whole, r = _split(k, x)
    return k.ldexp(k.fma(k.fma(polynomial(k, "exp", r), r, 1), r, 1), whole)


def _expm1_of_rest(k: KernelBuilder, r: Expr) -> Expr:
    """exp(r) - 1 for |r| <= log(2) / 2."""
    return k.let(k.fma(k.mul(r, r), polynomial(k, "exp", r), r))


def exp(k: KernelBuilder, x: Expr) -> Expr:
    """e**x."""
    return exp_of_finite(k, clamp(k, x, *_EXP_RANGE[k.dtype(x).name]))


def exp2(k: KernelBuilder, x: Expr) -> Expr:
    """2**x: the fraction is exact, so only its product with log(2) is rounded."""
    x = clamp(k, x, *_EXP2_RANGE[k.dtype(x).name])
    whole = nearest_whole(k, x)
    return exp2_of_parts(k, whole, k.let(k.sub(x, whole)))


def exp2_of_parts(k: KernelBuilder, whole: Expr, r: Expr) -> Expr:
    """2**(whole + r) for |r| <= 1/2."""
    tail = k.mul(k.mul(r, r), polynomial(k, "exp2", r))
    return k.ldexp(k.add(1, k.fma(r, math.log(2), tail)), whole)


def expm1(k: KernelBuilder, x: Expr) -> Expr:
    """e**x - 1 = 2**n * (expm1(r) + (1 - 2**-n)); where n is 0 nothing cancels."""
    dtype = k.dtype(x)
    limited = clamp(k, x, -(format_of(k, x).mantissa + 10.0), _EXP_RANGE[dtype.name][1])
    whole, r = _split(k, limited)
    p = k.mul(k.mul(r, r), polynomial(k, "exp", r))
    complement = k.sub(1, k.ldexp(k.const(1, dtype), k.neg(whole)))
    return k.copysign(k.ldexp(k.add(k.add(complement, r), p), whole), x)


def sigmoid(k: KernelBuilder, x: Expr) -> Expr:
    """1 / (1 + exp(-x)) = w / (1 + w + expm1(r)) with x = n * log(2) - r and w = 2**n, which is exact. 1 + w is exact,
    too, but where w is small: there w is added to the small expm1(r) first.
    """
    dtype = k.dtype(x)
    limited = clamp(k, x, _EXP_RANGE[dtype.name][0], 50.0)
    high, low = parts("log(2)", dtype)
    whole = nearest_whole(k, limited, 1 / math.log(2))
    p = _expm1_of_rest(k, k.let(k.fma(whole, low, k.fma(whole, high, k.neg(limited)))))
    w = k.let(k.ldexp(k.const(1, dtype), whole))
    is_small = k.let(k.lt(w, 2.0 ** -(format_of(k, x).mantissa // 2)))
    rest = k.select(is_small, k.add(p, w), p)
    return k.div(w, k.add(k.select(is_small, k.const(1, dtype), k.add(1, w)), rest))


def sinh(k: KernelBuilder, x: Expr) -> Expr:
    """(exp(|x|) - exp(-|x|)) / 2 = 2**(n - 1) * ((1 - q) * cosh(r) + (1 + q) * sinh(r)), q = 4**-n; the sign of x."""
    whole, q, r, sine_rest, cosine_rest = _hyperbolic_parts(k, x)
    minus = k.let(k.sub(1, q))
    small = k.fma(minus, cosine_rest, k.fma(q, r, k.mul(k.add(1, q), sine_rest)))
    return k.copysign(k.ldexp(k.add(k.add(minus, r), small), k.sub(whole, 1)), x)


def cosh(k: KernelBuilder, x: Expr) -> Expr:
    """(exp(|x|) + exp(-|x|)) / 2 = 2**(n - 1) * ((1 + q) * cosh(r) + (1 - q) * sinh(r)), q = 4**-n."""
    whole, q, r, sine_rest, cosine_rest = _hyperbolic_parts(k, x)
    plus = k.let(k.add(1, q))
    small = k.fma(plus, cosine_rest, k.mul(k.sub(1, q), k.add(r, sine_rest)))
    return k.ldexp(k.add(plus, small), k.sub(whole, 1))


def _hyperbolic_parts(k: KernelBuilder, x: Expr) -> tuple[Expr, Expr, Expr, Expr, Expr]:
    """(n, 4**-n, r, sinh(r) - r, cosh(r) - 1) with |x| = n * log(2) + r."""
    a = k.let(k.abs(x))
    limit = _EXP_RANGE[k.dtype(x).name][1] + 1.0
    whole, r = _split(k, k.let(k.select(k.gt(a, limit), limit, a)))
    z = k.let(k.mul(r, r))
    inverse = k.let(k.ldexp(k.const(1, k.dtype(x)), k.neg(whole)))
    sine_rest, cosine_rest = k.mul(k.mul(r, z), polynomial(k, "sinh", z)), k.mul(z, polynomial(k, "cosh", z))
    return whole, k.let(k.mul(inverse, inverse)), r, sine_rest, cosine_rest


def tanh(k: KernelBuilder, x: Expr) -> Expr:
    """(1 - e) / (1 + e) with the sign of x, for e = exp(-2 |x|) = w * (1 + expm1(r)) with w = 2**n: both are rounded
    once, and r needs no second part of log(2), as e is small where n is large. That is within 2 ULP at every number of
    float32; float64 has a polynomial below 0.625, else 1 - 2 / (exp(2 |x|) + 1)."""
    if k.dtype(x).bits == 64:
        return _tanh_of_double(k, x)
    below = k.let(k.neg(k.abs(k.add(x, x))))
    below = k.let(k.select(k.lt(below, -50.0), -50.0, below))
    whole, w = nearest_power(k, below, 1 / math.log(2))
    p = _expm1_of_rest(k, k.let(k.fma(whole, -math.log(2), below)))
    return k.copysign(k.div(k.fma(k.neg(w), p, k.sub(1, w)), k.fma(w, p, k.add(1, w))), x)


def _tanh_of_double(k: KernelBuilder, x: Expr) -> Expr:
    z = k.let(k.mul(x, x))
    small = k.fma(k.mul(x, z), polynomial(k, "tanh", z), x)
    twice = k.let(k.abs(k.add(x, x)))
    e = exp_of_finite(k, k.let(k.select(k.gt(twice, 50.0), 50.0, twice)))
    large = k.sub(1, k.div(2, k.add(e, 1)))
    return k.copysign(k.select(k.lt(k.abs(x), 0.625), small, large), x)
