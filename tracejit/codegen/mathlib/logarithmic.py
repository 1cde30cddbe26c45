"""log and what follows from it: log1p, log2, log10, asinh, acosh, atanh.

x = 2**e * (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); with s = f / (2 + f) and R = s**2 * P(s**2),
log(1 + f) = f - f**2 / 2 + s * (f**2 / 2 + R), which loses nothing to cancellation (fdlibm, Ng 1993).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Expr
from tracejit.codegen.mathlib.arithmetic import (
    Pair,
    binary_exponent,
    fast_two_sum,
    head,
    parts,
    polynomial,
    sqrt_pair,
    two_product,
    two_sum,
)
from tracejit.ir.types import F32, F64

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder


def _log_fraction(k: KernelBuilder, f: Expr) -> Pair:
    """(f**2 / 2, s * (f**2 / 2 + R)): log(1 + f) is f minus the first plus the second."""
    s = k.let(k.div(f, k.add(2, f)))
    z = k.let(k.mul(s, s))
    half_square = k.let(k.mul(k.mul(0.5, f), f))
    return half_square, k.let(k.mul(s, k.fma(z, polynomial(k, "log", z), half_square)))


def _log_parts(k: KernelBuilder, e: Expr, f: Expr, correction: Expr | float) -> Expr:
    """e * log(2) + log(1 + f) + correction."""
    high, low = parts("log(2)", k.dtype(f))
    half_square, rest = _log_fraction(k, f)
    small = k.add(rest, k.fma(e, low, correction) if not isinstance(correction, float) else k.mul(e, low))
    return k.sub(k.mul(e, high), k.sub(k.sub(half_square, small), f))


def _with_limits(k: KernelBuilder, x: Expr, result: Expr) -> Expr:
    """The logarithm's values at 0, below 0, at infinity and NaN."""
    infinity = float("inf")
    ordinary = k.select(k.eq(x, infinity), infinity, result)
    at_zero = k.select(k.eq(x, 0), k.const(-infinity, k.dtype(x)), ordinary)
    return k.select(k.ge(x, 0), at_zero, float("nan"))


def log(k: KernelBuilder, x: Expr) -> Expr:
    """The natural logarithm."""
    e, m = binary_exponent(k, x)
    return _with_limits(k, x, _log_parts(k, e, k.let(k.sub(m, 1)), 0.0))


def log1p(k: KernelBuilder, x: Expr) -> Expr:
    """log(1 + x): what 1 + x loses to rounding is added back as a fraction of it."""
    total, lost = two_sum(k, k.const(1, k.dtype(x)), x)
    result = k.copysign(_log1p_pair(k, x, total, lost, 0.0), x)
    return _with_limits(k, k.let(k.add(1, x)), result)


def _log1p_pair(k: KernelBuilder, x: Expr, total: Expr, lost: Expr, tail: Expr | float) -> Expr:
    """log(1 + x + tail), where total + lost is 1 + x."""
    e, m = binary_exponent(k, total)
    is_small = k.let(k.eq(e, 0))
    f = k.let(k.select(is_small, x, k.sub(m, 1)))
    lost = k.select(is_small, k.const(0, k.dtype(x)), lost)
    lost = lost if isinstance(tail, float) else k.add(lost, tail)
    return _log_parts(k, e, f, k.let(k.div(lost, total)))


def _log_in_base(k: KernelBuilder, x: Expr, inverse: tuple[float, ...], of_two: tuple[float, float]) -> Expr:
    """The logarithm to a base, `inverse` being 1 / log(base) and `of_two` the logarithm of 2, both in two parts.

    f - f**2 / 2 is cut to half a mantissa, so that its product with the first part is exact.
    """
    e, m = binary_exponent(k, x)
    f = k.let(k.sub(m, 1))
    half_square, rest = _log_fraction(k, f)
    hi = head(k, k.sub(f, half_square))
    lo = k.let(k.add(k.sub(k.sub(f, hi), half_square), rest))
    lead, lead_rest = fast_two_sum(k, k.let(k.mul(e, of_two[0])), k.let(k.mul(hi, inverse[0])))
    small = k.add(k.mul(k.add(lo, hi), inverse[1]), k.mul(lo, inverse[0]))
    small = k.fma(e, of_two[1], small) if of_two[1] else small
    return _with_limits(k, x, k.add(k.add(small, lead_rest), lead))


def log2(k: KernelBuilder, x: Expr) -> Expr:
    """The logarithm to base 2; exact for powers of two."""
    return _log_in_base(k, x, parts("1/log(2)", k.dtype(x)), (1.0, 0.0))


def log10(k: KernelBuilder, x: Expr) -> Expr:
    """The logarithm to base 10."""
    high, low = parts("log10(2)", k.dtype(x))
    return _log_in_base(k, x, parts("1/log(10)", k.dtype(x)), (high, low))


def log_of_wide(k: KernelBuilder, x: Expr) -> Pair:
    """(e, l) with log(x) = e * log(2) + l, for positive finite f64 x; l is accurate beyond f32."""
    e, m = binary_exponent(k, x)
    f = k.let(k.sub(m, 1))
    s = k.let(k.div(f, k.add(2, f)))
    z = k.let(k.mul(s, s))
    return e, k.let(k.fma(k.mul(s, z), polynomial(k, "log", z, "f32w"), k.add(s, s)))


# -- inverse hyperbolic functions ---------------------------------------------------------------------------------
#
# f32 is computed in f64, where the formulas lose less than f32 can show, once |x| is not tiny.

#: Where x and the next term of the series are exact enough for f32.
_TINY = 2.0**-10


def _narrow_log(k: KernelBuilder, x: Expr) -> Expr:
    """log(x) accurate beyond f32, for positive finite f64 x."""
    e, rest = log_of_wide(k, x)
    return k.fma(e, math.log(2), rest)


def asinh(k: KernelBuilder, x: Expr) -> Expr:
    """Inverse hyperbolic sine: an odd function."""
    if k.dtype(x) == F64:
        return _asinh_f64(k, x)
    wide = k.let(k.cast(x, F64))
    a, z = k.let(k.abs(wide)), k.let(k.mul(wide, wide))
    above = _narrow_log(k, k.let(k.add(a, k.sqrt(k.add(z, 1)))))
    usual = k.select(k.lt(a, _TINY), k.fma(k.mul(a, z), -1 / 6, a), above)
    return k.cast(k.copysign(k.select(k.lt(a, float("inf")), usual, a), wide), F32)


def acosh(k: KernelBuilder, x: Expr) -> Expr:
    """Inverse hyperbolic cosine; nan below 1."""
    if k.dtype(x) == F64:
        return _acosh_f64(k, x)
    wide = k.let(k.cast(x, F64))
    inside = _narrow_log(k, k.let(k.add(wide, k.sqrt(k.sub(k.mul(wide, wide), 1)))))  # squares of f32 are exact
    usual = k.select(k.lt(wide, float("inf")), inside, wide)
    return k.cast(k.select(k.ge(wide, 1), usual, float("nan")), F32)


def atanh(k: KernelBuilder, x: Expr) -> Expr:
    """Inverse hyperbolic tangent: an odd function, nan beyond 1."""
    if k.dtype(x) == F64:
        return _atanh_f64(k, x)
    wide = k.let(k.cast(x, F64))
    a = k.let(k.abs(wide))
    is_inside = k.let(k.lt(a, 1))
    b = k.let(k.select(is_inside, a, k.const(0, F64)))
    inside = k.mul(0.5, _narrow_log(k, k.let(k.div(k.add(1, b), k.sub(1, b)))))
    usual = k.select(k.lt(a, _TINY), k.fma(k.mul(a, k.mul(a, a)), 1 / 3, a), inside)
    beyond = k.select(k.eq(a, 1), k.const(float("inf"), F64), k.const(float("nan"), F64))
    return k.cast(k.copysign(k.select(is_inside, usual, beyond), wide), F32)


def _asinh_f64(k: KernelBuilder, x: Expr) -> Expr:
    """A polynomial below 0.5, else log(|x| + sqrt(x**2 + 1)), the argument in two parts; log(2 |x|) when large."""
    a = k.let(k.abs(x))
    z = k.let(k.mul(x, x))
    small = k.fma(k.mul(x, z), polynomial(k, "asinh", z), x)
    is_large = k.let(k.gt(a, 2.0**28))
    b = k.let(k.select(is_large, k.const(1, F64), a))
    square, square_rest = two_product(k, b, b)
    root, root_rest = sqrt_pair(k, *_pair_plus(k, (square, square_rest), 1.0))
    total, rest = two_sum(k, b, root)
    usual = _log_pair(k, total, k.let(k.add(rest, root_rest)), 0.0)
    large = _log_pair(k, a, k.const(0, F64), 1.0)
    above = k.select(is_large, _with_limits(k, a, large), usual)
    return k.copysign(k.select(k.lt(a, 0.5), small, above), x)


def _acosh_f64(k: KernelBuilder, x: Expr) -> Expr:
    """log1p(t + sqrt(t (t + 2))) with t = x - 1, the argument in two parts; log(2 x) when large."""
    is_large = k.let(k.gt(x, 2.0**28))
    b = k.let(k.select(is_large, k.const(2, F64), x))
    t = k.let(k.sub(b, 1))
    sum_hi, sum_lo = two_sum(k, t, k.const(2, F64))
    product, product_rest = two_product(k, t, sum_hi)
    root, root_rest = sqrt_pair(k, product, k.let(k.fma(t, sum_lo, product_rest)))
    argument, rest = two_sum(k, t, root)
    tail = k.let(k.add(rest, root_rest))
    total, lost = two_sum(k, k.const(1, F64), argument)
    usual = _log1p_pair(k, argument, total, lost, tail)
    large = _with_limits(k, x, _log_pair(k, x, k.const(0, F64), 1.0))
    inside = k.select(is_large, large, usual)
    return k.select(k.ge(x, 1), k.select(k.eq(x, 1), k.const(0, F64), inside), float("nan"))


def _atanh_f64(k: KernelBuilder, x: Expr) -> Expr:
    """log1p(2 |x| / (1 - |x|)) / 2, the quotient in two parts."""
    a = k.let(k.abs(x))
    b = k.let(k.select(k.lt(a, 1), a, k.const(0.5, F64)))
    divisor, divisor_rest = two_sum(k, k.const(1, F64), k.let(k.neg(b)))
    twice = k.let(k.add(b, b))
    quotient = k.let(k.div(twice, divisor))
    product, product_rest = two_product(k, quotient, divisor)
    remainder = k.sub(k.sub(twice, product), k.fma(quotient, divisor_rest, product_rest))
    tail = k.let(k.div(remainder, divisor))
    total, lost = two_sum(k, k.const(1, F64), quotient)
    usual = k.mul(0.5, _log1p_pair(k, quotient, total, lost, tail))
    beyond = k.select(k.eq(a, 1), k.const(float("inf"), F64), k.const(float("nan"), F64))
    return k.copysign(k.select(k.lt(a, 2.0**-28), a, k.select(k.lt(a, 1), usual, beyond)), x)


def _log_pair(k: KernelBuilder, hi: Expr, lo: Expr, extra: float) -> Expr:
    """log(2**extra * (hi + lo))."""
    e, m = binary_exponent(k, hi)
    return _log_parts(k, k.let(k.add(e, extra)) if extra else e, k.let(k.sub(m, 1)), k.let(k.div(lo, hi)))


def _pair_plus(k: KernelBuilder, pair: Pair, number: float) -> Pair:
    """A pair plus a number, as a pair."""
    total, rest = two_sum(k, pair[0], k.const(number, k.dtype(pair[0])))
    return total, k.let(k.add(rest, pair[1]))
