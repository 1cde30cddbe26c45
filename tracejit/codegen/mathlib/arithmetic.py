"""Building blocks of the library: float formats, polynomials, rounding, scaling and error-free sums and products.

Everything is right with and without fused multiply-add: where a product must be exact its factors are short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from tracejit.codegen.loop_ir import Expr
from tracejit.codegen.mathlib.coefficients import COEFFICIENTS, SPLITS
from tracejit.ir.types import F32, F64, I32, I64, DType
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder

#: A value as an unevaluated sum of a leading part and a small correction.
Pair: TypeAlias = tuple[Expr, Expr]


@record
class Format:
    """The layout of a float dtype. `head` is the mask of sign, exponent and upper half of the mantissa."""

    integer: DType
    mantissa: int
    bias: int
    head: int
    largest: float


FORMATS = {
    F32: Format(I32, 23, 127, ~0xFFF, (2 - 2.0**-23) * 2.0**127),
    F64: Format(I64, 52, 1023, ~0x7FFFFFF, (2 - 2.0**-52) * 2.0**1023),
}


def format_of(k: KernelBuilder, x: Expr) -> Format:
    """The format of an f32 or f64 expression."""
    return FORMATS[k.dtype(x)]


def polynomial(k: KernelBuilder, name: str, x: Expr, variant: str | None = None) -> Expr:
    """The fitted polynomial of that name at x."""
    coefficients = COEFFICIENTS[name, variant or k.dtype(x).name]
    result: Expr = k.const(coefficients[-1], k.dtype(x))
    for coefficient in reversed(coefficients[:-1]):
        result = k.fma(result, x, k.const(coefficient, k.dtype(x)))
    return k.let(result)


def either_polynomial(k: KernelBuilder, first: Expr, a: tuple[str, Expr], b: tuple[str, Expr]) -> Expr:
    """The first of two fitted polynomials of the same degree where `first`, else the second, each at its variable: one
    evaluation, whose coefficients are chosen, costs less than two."""
    dtype = k.dtype(a[1])
    chosen = [
        k.select(first, k.const(p, dtype), k.const(q, dtype))
        for p, q in zip(COEFFICIENTS[a[0], dtype.name], COEFFICIENTS[b[0], dtype.name], strict=True)
    ]
    x = k.let(k.select(first, a[1], b[1]))
    result: Expr = chosen[-1]
    for coefficient in reversed(chosen[:-1]):
        result = k.fma(result, x, coefficient)
    return k.let(result)


def parts(name: str, dtype: DType, variant: str | None = None) -> tuple[float, ...]:
    """A constant as a sum of parts."""
    return SPLITS[name, variant or dtype.name]


# -- rounding and scaling ---------------------------------------------------------------------------------------


def nearest_whole(k: KernelBuilder, x: Expr, factor: float = 1.0) -> Expr:
    """x * factor rounded to a whole number, as a float; for results up to half the mantissa's range."""
    magic = 1.5 * 2.0 ** format_of(k, x).mantissa
    return k.let(k.sub(_shifted(k, x, factor, magic), magic))


def _shifted(k: KernelBuilder, x: Expr, factor: float, magic: float) -> Expr:
    """x * factor + magic."""
    return k.add(x, magic) if factor == 1 else k.fma(x, factor, magic)


def nearest_integer(k: KernelBuilder, x: Expr) -> tuple[Expr, Expr]:
    """x rounded to an integer, as a float and as a machine integer; any integer for NaN or a huge x.

    Adding 1.5 * 2**mantissa leaves the integer in the low bits, without a conversion that is undefined for NaN.
    """
    fmt = format_of(k, x)
    magic = 1.5 * 2.0**fmt.mantissa
    shifted = k.let(k.add(x, magic))
    bits = k.bitcast(k.const(magic, k.dtype(x)), fmt.integer)
    return k.let(k.sub(shifted, magic)), k.let(k.sub(k.bitcast(shifted, fmt.integer), bits))


def nearest_power(k: KernelBuilder, x: Expr, factor: float) -> Pair:
    """n, x * factor rounded to a whole number, as a float, and 2**n, for n in the range of normal exponents."""
    fmt = format_of(k, x)
    magic = 1.5 * 2.0**fmt.mantissa
    shifted = k.let(_shifted(k, x, factor, magic))
    whole = k.let(k.sub(shifted, magic))
    return whole, k.let(power_of_two(k, k.bitcast(shifted, fmt.integer), k.dtype(x)))  # what is above n is shifted out


def power_of_two(k: KernelBuilder, n: Expr, dtype: DType) -> Expr:
    """2**n as a float, for n in the range of normal exponents."""
    fmt = FORMATS[dtype]
    return k.bitcast(k.lsl(k.add(n, fmt.bias), fmt.mantissa), dtype)


def ldexp(k: KernelBuilder, x: Expr, whole: Expr) -> Expr:
    """x * 2**n for a float that is a whole number, up to twice the range of exponents."""
    fmt = format_of(k, x)
    magic = k.const(1.5 * 2.0**fmt.mantissa, k.dtype(x))
    return scale(k, x, k.let(k.sub(k.bitcast(k.add(whole, magic), fmt.integer), k.bitcast(magic, fmt.integer))))


def scale(k: KernelBuilder, x: Expr, n: Expr) -> Expr:
    """x * 2**n in two steps, so that it overflows to infinity and rounds once to a subnormal."""
    half = k.let(k.asr(n, 1))
    dtype = k.dtype(x)
    return k.mul(k.mul(x, power_of_two(k, half, dtype)), power_of_two(k, k.sub(n, half), dtype))


def clamp(k: KernelBuilder, x: Expr, low: float, high: float) -> Expr:
    """x limited to [low, high]; NaN passes."""
    x = k.let(k.select(k.lt(x, low), low, x))
    return k.let(k.select(k.gt(x, high), high, x))


def _normal(k: KernelBuilder, x: Expr) -> tuple[Expr, Expr]:
    """(x, or a subnormal x scaled up to a normal number; the exponent that adds)."""
    fmt, dtype = format_of(k, x), k.dtype(x)
    is_subnormal = k.let(k.lt(k.abs(x), 2.0 ** (1 - fmt.bias)))
    added = k.select(is_subnormal, k.const(fmt.mantissa + 2, dtype), k.const(0, dtype))
    return k.let(k.select(is_subnormal, k.mul(x, 2.0 ** (fmt.mantissa + 2)), x)), added


def exponent(k: KernelBuilder, x: Expr) -> Expr:
    """The e of |x| = 2**e * m with m in [1, 2), as a float; -inf at 0, inf at infinities, NaN for NaN."""
    fmt, dtype = format_of(k, x), k.dtype(x)
    infinity = k.const(float("inf"), dtype)
    normal, added = _normal(k, x)
    biased = k.lsr(k.bitcast(k.abs(normal), fmt.integer), fmt.mantissa)
    finite = k.sub(integer_to_float(k, k.sub(biased, fmt.bias), dtype), added)
    usual = k.select(k.lt(k.abs(x), infinity), finite, k.abs(x))
    return k.select(k.eq(x, 0), k.neg(infinity), usual)


def significand(k: KernelBuilder, x: Expr) -> Expr:
    """The m in [3/4, 3/2) of x = 2**e * m; 1 at zeros and infinity, NaN for negative numbers."""
    fmt, dtype = format_of(k, x), k.dtype(x)
    least = k.bitcast(k.const(0.75, dtype), fmt.integer)
    above = k.bitand(k.sub(k.bitcast(_normal(k, x)[0], fmt.integer), least), (1 << fmt.mantissa) - 1)
    return k.select(k.ge(x, 0), k.bitcast(k.add(above, least), dtype), float("nan"))


def binary_exponent(k: KernelBuilder, x: Expr) -> tuple[Expr, Expr]:
    """(e, m) with x = 2**e * m and m in [3/4, 3/2), e a float; (-inf, 1) at 0, (inf, 1) at infinity, NaN below 0."""
    m = k.let(k.significand(x))
    e = k.let(k.exponent(x))
    return k.let(k.select(k.lt(m, 1), k.add(e, 1), e)), m


def integer_to_float(k: KernelBuilder, n: Expr, dtype: DType) -> Expr:
    """A small machine integer as a float, by the inverse of `nearest_integer` (processors lack i64 conversions)."""
    fmt = FORMATS[dtype]
    magic = k.const(1.5 * 2.0**fmt.mantissa, dtype)
    return k.sub(k.bitcast(k.add(n, k.bitcast(magic, fmt.integer)), dtype), magic)


# -- error-free transformations -----------------------------------------------------------------------------------


def head(k: KernelBuilder, x: Expr) -> Expr:
    """x with the lower half of its mantissa cleared: the product of two such numbers is exact."""
    fmt = format_of(k, x)
    return k.let(k.bitcast(k.bitand(k.bitcast(x, fmt.integer), fmt.head), k.dtype(x)))


def fast_two_sum(k: KernelBuilder, a: Expr, b: Expr) -> Pair:
    """a + b and its rounding error, for |a| >= |b| (Dekker 1971)."""
    total = k.let(k.add(a, b))
    return total, k.let(k.sub(b, k.sub(total, a)))


def two_sum(k: KernelBuilder, a: Expr, b: Expr) -> Pair:
    """a + b and its rounding error (Knuth)."""
    total = k.let(k.add(a, b))
    other = k.let(k.sub(total, a))
    return total, k.let(k.add(k.sub(a, k.sub(total, other)), k.sub(b, other)))


def _halves(k: KernelBuilder, x: Expr) -> Pair:
    """x as a sum of two parts of half the mantissa each (Veltkamp); x must not be near the largest float."""
    factor = 2.0 ** ((format_of(k, x).mantissa + 2) // 2) + 1
    scaled = k.let(k.mul(x, factor))
    upper = k.let(k.sub(scaled, k.sub(scaled, x)))
    return upper, k.let(k.sub(x, upper))


def two_product(k: KernelBuilder, a: Expr, b: Expr) -> Pair:
    """a * b and its rounding error, from products of halves (Dekker 1971)."""
    product = k.let(k.mul(a, b))
    (ah, al), (bh, bl) = _halves(k, a), _halves(k, b)
    cross = k.add(k.sub(k.mul(ah, bh), product), k.mul(ah, bl))
    return product, k.let(k.add(k.add(cross, k.mul(al, bh)), k.mul(al, bl)))
