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
    fast_two_sum,
    format_of,
    nearest_integer,
    nearest_whole,
    parts,
    polynomial,
    power_of_two,
    scale,
)

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder

#: Arguments beyond which exp is 0 or infinite, with room for the two scaling steps.
_EXP_RANGE = {"f32": (-104.5, 89.0), "f64": (-746.0, 710.0)}
_EXP2_RANGE = {"f32": (-151.0, 129.0), "f64": (-1076.0, 1025.0)}


def _reduced(k: KernelBuilder, x: Expr) -> tuple[Expr, Expr, Expr]:
    """(n, r, c) with x = n * log(2) + r + c, c a rounding error of r."""
    high, low = parts("log(2)", k.dtype(x))
    whole, n = nearest_integer(k, k.mul(x, 1 / math.log(2)))
    exact = k.let(k.sub(x, k.mul(whole, high)))
    tail = k.let(k.mul(whole, low))
    r = k.let(k.sub(exact, tail))
    return n, r, k.let(k.sub(k.sub(exact, r), tail))


def exp_of_finite(k: KernelBuilder, x: Expr) -> Expr:
    """exp(x) for x in the clamped range."""
    high, low = parts("log(2)", k.dtype(x))
    whole = nearest_whole(k, x, 1 / math.log(2))
    r = k.let(k.fma(whole, -low, k.fma(whole, -high, x)))
    return k.ldexp(k.fma(k.fma(polynomial(k, "exp", r), r, 1), r, 1), whole)


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


def exp_pair(k: KernelBuilder, x: Expr) -> tuple[Expr, Pair]:
    """(n, (hi, lo)) with exp(x) = 2**n * (hi + lo) to a few bits beyond the dtype."""
    n, r, error = _reduced(k, x)
    small = k.let(k.fma(k.mul(r, r), polynomial(k, "exp", r), error))
    lead, rest = fast_two_sum(k, k.const(1, k.dtype(x)), r)
    hi, lo = fast_two_sum(k, lead, k.let(k.add(rest, small)))
    return n, (hi, lo)


def expm1(k: KernelBuilder, x: Expr) -> Expr:
    """e**x - 1 = 2**n * (expm1(r) + (1 - 2**-n)); where n is 0 nothing cancels."""
    fmt = format_of(k, x)
    dtype = k.dtype(x)
    limited = clamp(k, x, -(fmt.mantissa + 10.0), _EXP_RANGE[dtype.name][1])
    n, r, error = _reduced(k, limited)
    p = k.fma(k.mul(r, r), polynomial(k, "exp", r), error)
    inverse = power_of_two(k, k.select(k.gt(n, 100), -100, k.neg(n)), dtype)
    complement = k.let(k.sub(1, inverse))
    lead, rest = fast_two_sum(k, complement, r)
    swapped, swapped_rest = fast_two_sum(k, r, complement)
    larger = k.let(k.ge(k.abs(complement), k.abs(r)))
    total = k.add(k.select(larger, lead, swapped), k.add(k.select(larger, rest, swapped_rest), p))
    return k.copysign(scale(k, k.let(total), n), x)


def sigmoid(k: KernelBuilder, x: Expr) -> Expr:
    """1 / (1 + exp(-x)), from e = exp(-|x|) so that neither side overflows: 1 / (1 + e) or e / (1 + e).

    The quotient is corrected for the rounding of 1 + e, and 1 / (1 + e) is known well enough for that from itself.
    """
    dtype = k.dtype(x)
    below = k.let(k.neg(k.abs(x)))
    lowest = _EXP_RANGE[dtype.name][0]
    e = k.let(exp_of_finite(k, k.let(k.select(k.lt(below, lowest), lowest, below))))
    total, rest = fast_two_sum(k, k.const(1, dtype), e)
    is_negative = k.let(k.lt(x, 0))
    quotient = k.let(k.div(k.select(is_negative, e, k.const(1, dtype)), total))
    inverse = k.select(is_negative, k.sub(1, quotient), quotient)
    return k.fma(k.mul(quotient, k.neg(rest)), inverse, quotient)


def sinh(k: KernelBuilder, x: Expr) -> Expr:
    """A polynomial below 1, else (exp(|x|) - exp(-|x|)) / 2 with the sign of x."""
    z = k.let(k.mul(x, x))
    small = k.fma(k.mul(x, z), polynomial(k, "sinh", z), x)
    n, (hi, lo), inverse = _exp_and_inverse(k, x)
    large = scale(k, k.let(k.add(k.sub(hi, inverse), lo)), k.sub(n, 1))
    return k.select(k.lt(k.abs(x), 1), small, k.copysign(large, x))


def cosh(k: KernelBuilder, x: Expr) -> Expr:
    """(exp(|x|) + exp(-|x|)) / 2."""
    n, (hi, lo), inverse = _exp_and_inverse(k, x)
    return scale(k, k.let(k.add(hi, k.add(inverse, lo))), k.sub(n, 1))


def _exp_and_inverse(k: KernelBuilder, x: Expr) -> tuple[Expr, Pair, Expr]:
    """(n, pair, inverse) with exp(|x|) = 2**n * pair and exp(-|x|) = 2**n * inverse."""
    fmt = format_of(k, x)
    limited = clamp(k, k.let(k.abs(x)), 0.0, _EXP_RANGE[k.dtype(x).name][1] + 1.0)
    n, (hi, lo) = exp_pair(k, limited)
    limited_n = k.let(k.select(k.gt(n, fmt.mantissa), fmt.mantissa, n))
    inverse = k.let(k.div(power_of_two(k, k.mul(limited_n, -2), k.dtype(x)), hi))
    return n, (hi, lo), inverse


def tanh(k: KernelBuilder, x: Expr) -> Expr:
    """A polynomial below 0.625, else 1 - 2 / (exp(2 |x|) + 1) with the sign of x."""
    z = k.let(k.mul(x, x))
    small = k.fma(k.mul(x, z), polynomial(k, "tanh", z), x)
    twice = k.let(k.abs(k.add(x, x)))
    e = exp_of_finite(k, k.let(k.select(k.gt(twice, 50.0), 50.0, twice)))
    large = k.sub(1, k.div(2, k.add(e, 1)))
    return k.copysign(k.select(k.lt(k.abs(x), 0.625), small, large), x)
