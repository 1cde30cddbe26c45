"""sin, cos, tan and their inverses.

The argument is reduced to r = x - n * pi / 2 with |r| <= pi / 4. pi / 2 is a sum of short parts, so that every product
with n is exact and r comes with its rounding error (Cody and Waite; fdlibm). For f32 r is computed in f64. Arguments
beyond `_LIMITS` go to the scalar library function.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Expr
from tracejit.codegen.mathlib.arithmetic import (
    Pair,
    fast_two_sum,
    nearest_integer,
    parts,
    polynomial,
    two_sum,
)
from tracejit.ir.types import F32, F64, I32

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder

#: Where n * (a part of pi / 2) stops being exact; in f32 where n is off by more than some hundredths of a turn.
_LIMITS = {"f32": 2.0**18, "f64": 2.0**20}


def _reduced_f32(k: KernelBuilder, x: Expr) -> tuple[Expr, Expr]:
    """(n, r) with x = n * pi / 2 + r, r in f64 and accurate beyond f32; of the integer n the two lowest bits count."""
    magic = 1.5 * 2.0**23
    shifted = k.let(k.fma(x, 2 / math.pi, magic))
    whole = k.let(k.cast(k.sub(shifted, magic), F64))
    first, last = parts("pi/2 reduction", F64, "f32w")
    return k.let(k.bitcast(shifted, I32)), k.let(k.fma(whole, -last, k.fma(whole, -first, k.cast(x, F64))))


def _reduced_f64(k: KernelBuilder, x: Expr) -> tuple[Expr, Pair]:
    """(n, (r, rest)) with x = n * pi / 2 + r + rest.

    In each sum the first term is a multiple of the other's last place, so that the rounding error is exact.
    """
    whole, n = nearest_integer(k, k.mul(x, 2 / math.pi))
    first, second, third, last = parts("pi/2 reduction", F64)
    exact = k.let(k.sub(x, k.mul(whole, first)))
    r1, rest1 = fast_two_sum(k, exact, k.let(k.mul(whole, -second)))
    r2, rest2 = fast_two_sum(k, r1, k.let(k.mul(whole, -third)))
    return n, fast_two_sum(k, r2, k.let(k.add(k.add(rest1, rest2), k.mul(whole, -last))))


def _sin_and_cos(k: KernelBuilder, x: Expr) -> tuple[Expr, Expr, Expr]:
    """(n, sin(r), cos(r)) with x = n * pi / 2 + r."""
    if k.dtype(x) == F32:
        n, wide = _reduced_f32(k, x)
        r = k.let(k.cast(wide, F32))
        z = k.let(k.mul(r, r))
        sine = k.fma(k.mul(r, z), polynomial(k, "sin", z), r)
        return n, sine, k.fma(k.mul(z, z), polynomial(k, "cos", z), k.fma(z, -0.5, 1))
    n, (r, rest) = _reduced_f64(k, x)
    z = k.let(k.mul(r, r))
    sine = k.add(r, k.fma(k.mul(r, z), polynomial(k, "sin", z), rest))
    lead, lead_rest = _one_minus_half(k, z)
    small = k.sub(k.mul(k.mul(z, z), polynomial(k, "cos", z)), k.mul(r, rest))
    return n, sine, k.add(lead, k.add(lead_rest, small))


def _one_minus_half(k: KernelBuilder, z: Expr) -> Pair:
    """1 - z / 2 and its rounding error."""
    half = k.let(k.mul(0.5, z))
    lead = k.let(k.sub(1, half))
    return lead, k.let(k.sub(k.sub(1, lead), half))


def _is_huge(k: KernelBuilder, x: Expr) -> Expr:
    return k.let(k.logical_not(k.le(k.abs(x), _LIMITS[k.dtype(x).name])))


def _turned(k: KernelBuilder, x: Expr, quarter: int, library: str) -> Expr:
    """sin(x + quarter * pi / 2)."""
    n, sine, cosine = _sin_and_cos(k, x)
    n = k.let(k.add(n, quarter))
    value = k.let(k.select(k.ne(k.bitand(n, 1), 0), cosine, sine))
    result = k.select(k.ne(k.bitand(n, 2), 0), k.neg(value), value)
    return k.rare(_is_huge(k, x), result, library, x)


def sin(k: KernelBuilder, x: Expr) -> Expr:
    """Sine of an angle in radians."""
    return k.select(k.eq(x, 0), x, _turned(k, x, 0, "sin"))


def cos(k: KernelBuilder, x: Expr) -> Expr:
    """Cosine of an angle in radians."""
    return _turned(k, x, 1, "cos")


def tan(k: KernelBuilder, x: Expr) -> Expr:
    """sin / cos, or -cos / sin in odd quarters."""
    quotient = _tan_f32(k, x) if k.dtype(x) == F32 else _tan_f64(k, x)
    return k.rare(_is_huge(k, x), k.select(k.eq(x, 0), x, quotient), "tan", x)


def _tan_f32(k: KernelBuilder, x: Expr) -> Expr:
    """The quotient in f64, rounded to f32."""
    n, r = _reduced_f32(k, x)
    z = k.let(k.mul(r, r))
    sine = k.let(k.fma(k.mul(r, z), polynomial(k, "sin", z, "f32w"), r))
    cosine = k.let(k.fma(k.mul(z, z), polynomial(k, "cos", z, "f32w"), k.fma(z, -0.5, 1)))
    is_odd = k.let(k.ne(k.bitand(n, 1), 0))
    return k.cast(k.div(k.select(is_odd, k.neg(cosine), sine), k.select(is_odd, sine, cosine)), F32)


def _tan_f64(k: KernelBuilder, x: Expr) -> Expr:
    """The quotient of the leading parts, and what the small parts change."""
    n, (r, rest) = _reduced_f64(k, x)
    z = k.let(k.mul(r, r))
    sine, sine_rest = fast_two_sum(k, r, k.let(k.fma(k.mul(r, z), polynomial(k, "sin", z), rest)))
    lead, lead_rest = _one_minus_half(k, z)
    tail = k.sub(k.mul(k.mul(z, z), polynomial(k, "cos", z)), k.mul(r, rest))
    cosine, cosine_rest = fast_two_sum(k, lead, k.let(k.add(lead_rest, tail)))
    is_odd = k.let(k.ne(k.bitand(n, 1), 0))
    above = k.let(k.select(is_odd, k.neg(cosine), sine)), k.select(is_odd, k.neg(cosine_rest), sine_rest)
    below = k.let(k.select(is_odd, sine, cosine)), k.select(is_odd, sine_rest, cosine_rest)
    quotient = k.let(k.div(above[0], below[0]))
    return k.add(quotient, k.div(k.sub(above[1], k.mul(quotient, below[1])), below[0]))


# -- inverses -----------------------------------------------------------------------------------------------------


def _asin_parts(k: KernelBuilder, x: Expr) -> tuple[Expr, Expr, Expr]:
    """(whether |x| < 1/2, u, asin(u) - u), u being |x| where it is, else sqrt((1 - |x|) / 2)."""
    a = k.let(k.abs(x))
    is_small = k.let(k.lt(a, 0.5))
    complement = k.let(k.mul(0.5, k.sub(1, a)))
    z = k.let(k.select(is_small, k.mul(a, a), complement))
    u = k.let(k.select(is_small, a, k.sqrt(complement)))
    return is_small, u, k.let(k.mul(k.mul(u, z), polynomial(k, "asin", z)))


def asin(k: KernelBuilder, x: Expr) -> Expr:
    """Inverse sine: a polynomial below 1/2, else pi / 2 - 2 asin(sqrt((1 - |x|) / 2))."""
    is_small, u, rest = _asin_parts(k, x)
    high, low = parts("pi/2", k.dtype(x))
    lead, lead_rest = fast_two_sum(k, k.const(high, k.dtype(x)), k.let(k.mul(u, -2)))
    large = k.add(lead, k.add(lead_rest, k.fma(rest, -2, low)))
    return k.copysign(k.select(is_small, k.add(u, rest), large), x)


def acos(k: KernelBuilder, x: Expr) -> Expr:
    """Inverse cosine: pi / 2 - asin(x) below 1/2, 2 asin(sqrt((1 - |x|) / 2)) or pi minus that above."""
    is_small, u, rest = _asin_parts(k, x)
    high, low = parts("pi/2", k.dtype(x))
    sign = k.let(k.copysign(k.const(1, k.dtype(x)), x))
    factor = k.let(k.select(is_small, k.neg(sign), k.add(sign, sign)))
    turns = k.let(k.select(is_small, k.const(1, k.dtype(x)), k.sub(1, sign)))
    return k.add(k.fma(factor, u, k.mul(turns, high)), k.fma(factor, rest, k.mul(turns, low)))


def _atan_of_quotient(k: KernelBuilder, y: Expr, x: Expr, steep: Expr) -> Expr:
    """atan(y / x) for f64 0 <= y <= x, or pi / 2 minus it where `steep` (the caller swapped them).

    A quotient above sqrt(2) - 1 is turned by pi / 4: (y - x) / (y + x).
    """
    is_middle = k.let(k.gt(y, k.mul(math.sqrt(2) - 1, x)))
    zero = k.const(0, F64)
    t, t_rest = _turned_quotient(k, y, x, is_middle)
    z = k.let(k.mul(t, t))
    small = k.let(k.fma(k.mul(t, z), polynomial(k, "atan", z), t_rest))
    high, low = parts("pi/2", F64)
    quarter = k.select(is_middle, k.const(0.25, F64), zero)
    quarters = k.let(k.select(steep, k.sub(0.5, quarter), quarter))
    sign = k.let(k.select(steep, k.const(-1, F64), k.const(1, F64)))
    lead, lead_rest = fast_two_sum(k, k.let(k.mul(quarters, 2 * high)), k.let(k.mul(sign, t)))
    return k.add(lead, k.add(lead_rest, k.fma(quarters, 2 * low, k.mul(sign, small))))


def _turned_quotient(k: KernelBuilder, y: Expr, x: Expr, is_middle: Expr) -> Pair:
    """y / x, or (y - x) / (y + x) where `is_middle`, in two parts."""
    difference, difference_rest = two_sum(k, y, k.let(k.neg(x)))
    total, total_rest = two_sum(k, y, x)
    zero = k.const(0, k.dtype(x))
    above, above_rest = k.let(k.select(is_middle, difference, y)), k.select(is_middle, difference_rest, zero)
    below, below_rest = k.let(k.select(is_middle, total, x)), k.select(is_middle, total_rest, zero)
    t = k.let(k.div(above, below))
    return t, k.let(k.div(k.sub(above_rest, k.mul(t, below_rest)), below))


def _atan_f32(k: KernelBuilder, t: Expr, quarters: Expr) -> Expr:
    """quarters * pi / 2 + atan(t) for f32 t in [-1, 1]."""
    high, low = parts("pi/2", F32)
    z = k.let(k.mul(t, t))
    rest = k.mul(k.mul(t, z), polynomial(k, "atan to 1", z))
    return k.add(k.fma(quarters, high, t), k.fma(quarters, low, rest))


def atan(k: KernelBuilder, x: Expr) -> Expr:
    """Inverse tangent: of a number beyond 1 a quarter turn and that of -1 / x."""
    a = k.let(k.abs(x))
    one, zero = k.const(1, k.dtype(x)), k.const(0, k.dtype(x))
    steep = k.let(k.gt(a, 1))
    if k.dtype(x) == F32:
        t = k.let(k.div(k.select(steep, k.neg(one), a), k.select(steep, a, one)))
        return k.copysign(_atan_f32(k, t, k.let(k.select(steep, one, zero))), x)
    is_infinite = k.eq(a, float("inf"))
    above = k.let(k.select(steep, k.select(is_infinite, zero, one), a))
    below = k.let(k.select(steep, k.select(is_infinite, one, a), one))
    return k.copysign(_atan_of_quotient(k, above, below, steep), x)


def atan2(k: KernelBuilder, y: Expr, x: Expr) -> Expr:
    """The angle of the point (x, y), with C99's values at zeros and infinities."""
    return _atan2_f32(k, y, x) if k.dtype(x) == F32 else _atan2_f64(k, y, x)


def _atan2_f32(k: KernelBuilder, y: Expr, x: Expr) -> Expr:
    """Quarter turns and the inverse tangent of the smaller by the larger: nothing is lost where they overflow."""
    ay, ax = k.let(k.abs(y)), k.let(k.abs(x))
    one, zero = k.const(1, F32), k.const(0, F32)
    steep = k.let(k.gt(ay, ax))
    quotient = k.div(k.select(steep, ax, ay), k.select(steep, ay, ax))
    of_equal = k.select(k.eq(ax, 0), zero, one)
    size = k.select(k.eq(ax, ay), of_equal, quotient)
    sign = k.let(k.copysign(one, x))
    t = k.let(k.mul(size, k.select(steep, k.neg(sign), sign)))
    return k.copysign(_atan_f32(k, t, k.let(k.select(steep, one, k.sub(1, sign)))), y)


def _atan2_f64(k: KernelBuilder, y: Expr, x: Expr) -> Expr:
    ay, ax = k.let(k.abs(y)), k.let(k.abs(x))
    steep = k.let(k.gt(ay, ax))
    larger, smaller = k.let(k.select(steep, ay, ax)), k.let(k.select(steep, ax, ay))
    is_equal = k.let(k.eq(larger, smaller))
    one, zero = k.const(1, F64), k.const(0, F64)
    is_zero = k.eq(larger, 0)
    smaller = k.select(is_equal, k.select(is_zero, zero, one), smaller)
    larger = k.let(k.select(is_equal, one, larger))
    is_infinite = k.let(k.eq(larger, float("inf")))
    shrink = k.let(k.select(k.gt(larger, 2.0**1000), k.const(2.0**-60, F64), k.const(2.0**20, F64)))
    shrink = k.let(k.select(k.gt(larger, 2.0**900), shrink, one))
    smaller = k.let(k.select(is_infinite, zero, k.mul(smaller, shrink)))
    larger = k.let(k.select(is_infinite, one, k.mul(larger, shrink)))
    angle = k.let(_atan_of_quotient(k, smaller, larger, steep))
    high, low = parts("pi/2", F64)
    left = k.add(k.sub(2 * high, angle), 2 * low)
    is_left = k.lt(k.copysign(one, x), 0)
    result = k.copysign(k.select(is_left, left, angle), y)
    return k.select(k.logical_or(k.isnan(x), k.isnan(y)), k.add(x, y), result)
