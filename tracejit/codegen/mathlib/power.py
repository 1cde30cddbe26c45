"""half_power, pow, cbrt, hypot, rsqrt and fmod."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from tracejit.codegen.loop_ir import Const, Expr
from tracejit.codegen.mathlib.arithmetic import (
    Pair,
    binary_exponent,
    clamp,
    format_of,
    head,
    nearest_whole,
    parts,
    polynomial,
    two_product,
)
from tracejit.codegen.mathlib.basic import fmod_integer, integer_power
from tracejit.codegen.mathlib.exponential import exp2_of_parts
from tracejit.ir.types import F32, F64

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder

T = TypeVar("T")

#: Exponents that are known, and so small that products take less time than a logarithm.
PRODUCTS = frozenset(range(5, 17))


def rsqrt(k: KernelBuilder, x: Expr) -> Expr:
    """1 / sqrt(x)."""
    return k.div(1, k.sqrt(x))


def half_power(k: KernelBuilder, x: Expr) -> Expr:
    """x ** 0.5 as the C library's `pow` rounds it: the square root, but where that is nearly halfway between two
    floats, of which `pow`, whose error is some hundredths of an ULP beyond a half, may give the other. That error
    grows with the exponent of x."""
    root = k.let(k.sqrt(x))
    high = head(k, root)
    low = k.let(k.sub(root, high))
    left = k.let(k.sub(k.sub(k.sub(x, k.mul(high, high)), k.mul(k.mul(2, high), low)), k.mul(low, low)))
    fmt = format_of(k, x)
    exponent = (2 * fmt.bias + 1) << fmt.mantissa
    power = k.bitcast(k.bitand(k.bitcast(root, fmt.integer), exponent), k.dtype(x))
    is_common = k.logical_and(k.ge(x, 2.0 ** -(fmt.bias // 4)), k.le(x, 2.0 ** (fmt.bias // 4)))
    near = k.select(is_common, *(k.const(part * 2.0**-fmt.mantissa, k.dtype(x)) for part in (0.97, 0.94)))
    is_near = k.le(k.abs(left), k.mul(k.mul(root, power), near))
    is_tiny = k.logical_and(k.lt(x, 2.0 ** (2 * fmt.mantissa + 10 - fmt.bias)), k.ne(x, 0))
    is_rare = k.let(k.logical_or(k.logical_not(is_near), is_tiny))
    return k.rare(is_rare, k.let(k.abs(root)), "pow", x, k.const(0.5, k.dtype(x)))


# -- pow ------------------------------------------------------------------------------------------------------------


def pow(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """x to the y: 2**(y * log2(|x|)), then C99's rules for signs, zeros, infinities and NaN."""
    dtype = k.dtype(x)
    if dtype.is_integer:
        return integer_power(k, x, y)
    if isinstance(y, Const) and y.value in PRODUCTS:
        return _product_of_equals(k, x, int(y.value.real))
    a = k.let(k.abs(x))
    infinity = float("inf")
    magnitude = k.let(_power_of_size_f32(k, a, y) if dtype == F32 else _power_of_size(k, a, y))
    half = k.let(k.mul(0.5, y))
    is_integer = k.let(k.eq(k.floor(y), y))
    is_odd = k.logical_and(is_integer, k.ne(k.floor(half), half))
    signed = k.select(is_odd, k.copysign(magnitude, x), magnitude)
    is_undefined = k.logical_and(k.logical_and(k.lt(x, 0), k.lt(a, infinity)), k.logical_not(is_integer))
    result = k.select(is_undefined, k.const(float("nan"), dtype), signed)
    return k.select(k.logical_or(k.eq(y, 0), k.eq(x, 1)), k.const(1, dtype), result)


def _product_of_equals(k: KernelBuilder, x: Expr, n: int) -> Expr:
    """x to the n by squares: f32 in f64; of f64 the rounding errors are carried beside the products (Dekker 1971)."""
    if k.dtype(x) == F32:
        return k.cast(_by_squares(n, k.let(k.cast(x, F64)), lambda a, b: k.let(k.mul(a, b))), F32)

    def times(a: Pair, b: Pair) -> Pair:
        product, error = two_product(k, a[0], b[0])
        return product, k.let(k.add(error, k.add(k.mul(a[0], b[1]), k.mul(a[1], b[0]))))

    product, error = _by_squares(n, (x, k.const(0, F64)), times)
    is_usual = k.logical_and(k.ne(product, 0), k.eq(error, error))
    return k.select(is_usual, k.add(product, error), product)


def _by_squares(n: int, x: T, times: Callable[[T, T], T]) -> T:
    """The product of n equal factors, n > 0, from the highest bit of n on."""
    made = x
    for bit in f"{n:b}"[1:]:
        made = times(made, made)
        made = times(made, x) if bit == "1" else made
    return made


def _power_of_size_f32(k: KernelBuilder, a: Expr, y: Expr) -> Expr:
    """a**y for f32 a >= 0, its logarithm to base 2 and the product with y in f64; any float for a = 1 or y = 0."""
    e, m = binary_exponent(k, a)
    f = k.let(k.sub(k.cast(m, F64), 1))
    s = k.let(k.div(f, k.add(2, f)))
    log = k.fma(s, polynomial(k, "log2", k.let(k.mul(s, s)), "f32w"), k.cast(e, F64))
    exponent = clamp(k, k.let(k.mul(k.cast(clamp(k, y, -(2.0**70), 2.0**70), F64), log)), -200.0, 200.0)
    whole = nearest_whole(k, exponent)
    return exp2_of_parts(k, k.let(k.cast(whole, F32)), k.let(k.cast(k.sub(exponent, whole), F32)))


def _power_of_size(k: KernelBuilder, a: Expr, y: Expr) -> Expr:
    """a**y for f64 a >= 0; the logarithm and its product with y carry some 15 extra bits (fdlibm)."""
    infinity = k.const(float("inf"), F64)
    is_special = k.let(k.logical_or(k.eq(a, 0), k.eq(a, infinity)))
    extreme = k.select(k.eq(k.eq(a, 0), k.lt(y, 0)), infinity, k.const(0, F64))
    log_hi, log_lo = _log2_pair(k, k.let(k.select(is_special, k.const(1, F64), a)))
    y = clamp(k, y, -(2.0**70), 2.0**70)
    y_hi = head(k, y)
    low = k.let(k.fma(k.sub(y, y_hi), log_hi, k.mul(y, log_lo)))
    high = k.let(k.mul(y_hi, log_hi))
    total = k.let(k.add(high, low))
    is_out = k.let(k.gt(k.abs(total), 1100.0))
    whole = nearest_whole(k, clamp(k, total, -1100.0, 1100.0))
    r_hi = k.select(is_out, k.const(0, F64), k.sub(high, whole))
    r_lo = k.select(is_out, k.const(0, F64), low)
    usual = k.ldexp(_exp2_of_pair(k, k.let(r_hi), k.let(r_lo)), whole)
    return k.select(k.logical_and(is_special, k.eq(y, y)), extreme, usual)


def _log2_pair(k: KernelBuilder, x: Expr) -> Pair:
    """log2(x) as a head of half a mantissa and the rest, for positive finite f64 x.

    log2(m) = 2 / (3 log(2)) * s * (3 + s**2 + r), s = (m - 1) / (m + 1), r = s**4 * Q(s**2).
    """
    e, m = binary_exponent(k, x)
    u, v = k.let(k.sub(m, 1)), k.let(k.div(1, k.add(m, 1)))
    s = k.let(k.mul(u, v))
    s_hi = head(k, s)
    sum_hi = head(k, k.add(m, 1))
    sum_lo = k.let(k.sub(m, k.sub(sum_hi, 1)))
    s_lo = k.let(k.mul(v, k.sub(k.sub(u, k.mul(s_hi, sum_hi)), k.mul(s_hi, sum_lo))))
    z = k.let(k.mul(s, s))
    r = k.mul(k.mul(z, z), polynomial(k, "pow_log", z))
    r = k.let(k.fma(s_lo, k.add(s_hi, s), r))
    z_hi = k.let(k.mul(s_hi, s_hi))
    t_hi = head(k, k.add(k.add(3, z_hi), r))
    t_lo = k.let(k.sub(r, k.sub(k.sub(t_hi, 3), z_hi)))
    u = k.let(k.mul(s_hi, t_hi))
    v = k.let(k.fma(s_lo, t_hi, k.mul(t_lo, s)))
    p_hi = head(k, k.add(u, v))
    p_lo = k.let(k.sub(v, k.sub(p_hi, u)))
    factor_hi, factor_lo = parts("2/(3*log(2))", F64)
    z_hi = k.let(k.mul(p_hi, factor_hi))
    z_lo = k.let(k.fma(p_hi, factor_lo, k.mul(p_lo, factor_hi + factor_lo)))
    log_hi = head(k, k.add(k.add(z_hi, z_lo), e))
    return log_hi, k.let(k.sub(z_lo, k.sub(k.sub(log_hi, e), z_hi)))


def _exp2_of_pair(k: KernelBuilder, hi: Expr, lo: Expr) -> Expr:
    """2**(hi + lo) for |hi + lo| <= 1/2: the product with log(2) in two parts, then exp."""
    ln_hi, ln_lo = parts("log(2) short", F64)
    r_hi = head(k, k.add(hi, lo))
    r_lo = k.let(k.sub(lo, k.sub(r_hi, hi)))
    lead = k.let(k.mul(r_hi, ln_hi))
    tail = k.let(k.fma(r_lo, ln_hi + ln_lo, k.mul(r_hi, ln_lo)))
    t = k.let(k.add(lead, tail))
    rest = k.sub(tail, k.sub(t, lead))
    return k.let(k.add(1, k.add(t, k.fma(k.mul(t, t), polynomial(k, "exp", t), rest))))


# -- roots and remainders -------------------------------------------------------------------------------------------


def cbrt(k: KernelBuilder, x: Expr) -> Expr:
    """x = m * 2**(3 q + j): a polynomial times 2**(j / 3), rounded so that its square is exact, then one step.

    With m * 2**j = t**3 * (1 + d / t) the root is t + d / 3 - d**2 / (9 t) + ..., and 1 / t is linear enough.
    """
    mantissa = format_of(k, x).mantissa
    a = k.let(k.abs(x))
    e, m = binary_exponent(k, a)
    q = k.let(k.floor(k.mul(e, 1 / 3)))
    j = k.let(k.fma(q, -3, e))
    of_two = k.fma(j, k.fma(j, 2 ** (2 / 3) / 2 - 2 ** (1 / 3) + 0.5, 2 * 2 ** (1 / 3) - 2 ** (2 / 3) / 2 - 1.5), 1)
    magic = 1.5 * 2.0 ** ((mantissa + 2) // 2)
    t = k.let(k.sub(k.add(k.mul(polynomial(k, "cbrt", m), of_two), magic), magic))
    d = k.let(k.sub(k.div(k.ldexp(m, j), k.mul(t, t)), t))
    step = k.fma(d, k.fma(t, 0.0673, -0.1783), 1 / 3)
    root = k.ldexp(k.fma(d, step, t), q)
    is_ordinary = k.logical_and(k.gt(a, 0), k.lt(a, float("inf")))
    return k.select(is_ordinary, k.copysign(root, x), k.add(x, x))


def hypot(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """sqrt(x**2 + y**2), infinite if either is, even beside NaN."""
    if k.dtype(x) == F64:
        return _hypot_f64(k, x, y)
    wide_x, wide_y = k.let(k.cast(x, F64)), k.let(k.cast(y, F64))
    root = k.cast(k.sqrt(k.add(k.mul(wide_x, wide_x), k.mul(wide_y, wide_y))), F32)  # squares of f32 are exact
    is_infinite = k.logical_or(k.isinf(x), k.isinf(y))
    return k.select(is_infinite, k.const(float("inf"), F32), root)


def _hypot_f64(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """The root of the sum, which loses an ULP at most, of numbers scaled away from overflow and underflow."""
    ax, ay = k.let(k.abs(x)), k.let(k.abs(y))
    infinity, one = k.const(float("inf"), F64), k.const(1, F64)
    larger = k.let(k.select(k.lt(ax, ay), ay, ax))
    is_large, is_small = k.let(k.gt(larger, 2.0**500)), k.let(k.lt(larger, 2.0**-450))
    down = k.let(k.select(is_large, k.const(2.0**-600, F64), k.select(is_small, k.const(2.0**600, F64), one)))
    up = k.select(is_large, k.const(2.0**600, F64), k.select(is_small, k.const(2.0**-600, F64), one))
    a, b = k.let(k.mul(ax, down)), k.let(k.mul(ay, down))
    root = k.mul(k.sqrt(k.fma(a, a, k.mul(b, b))), up)
    is_infinite = k.logical_or(k.eq(ax, infinity), k.eq(ay, infinity))
    return k.select(is_infinite, infinity, root)


def fmod(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """x - trunc(x / y) * y, exactly; the quotient is a machine number, else the scalar library function is asked."""
    dtype = k.dtype(x)
    if dtype.is_integer:
        return fmod_integer(k, x, y)
    if dtype == F32:
        wide_x, wide_y = k.let(k.cast(x, F64)), k.let(k.cast(y, F64))
        remainder, is_rare = _wide_remainder(k, wide_x, wide_y)
        return k.rare(is_rare, k.cast(remainder, F32), "fmod", x, y)
    remainder, is_rare = _exact_remainder(k, x, y)
    return k.rare(is_rare, remainder, "fmod", x, y)


def _wide_remainder(k: KernelBuilder, x: Expr, y: Expr) -> tuple[Expr, Expr]:
    """The remainder of f32 values in f64, exact for quotients below 2**28, and where it is not."""
    a, b = k.let(k.abs(x)), k.let(k.abs(y))
    quotient = k.let(k.div(a, b))
    whole = k.trunc(quotient)
    remainder = k.let(k.select(k.lt(a, b), a, k.sub(a, k.mul(whole, b))))
    return k.copysign(remainder, x), k.let(k.logical_and(k.ge(quotient, 2.0**28), k.isfinite(quotient)))


def _exact_remainder(k: KernelBuilder, x: Expr, y: Expr) -> tuple[Expr, Expr]:
    """The remainder of f64 values by an exact product, and where that may overflow, underflow or lack bits."""
    a, b = k.let(k.abs(x)), k.let(k.abs(y))
    is_less = k.let(k.lt(a, b))
    quotient = k.let(k.div(a, b))
    out_of_range = k.logical_or(k.gt(a, 2.0**990), k.lt(b, 2.0**-900))
    is_rare = k.logical_and(k.logical_or(out_of_range, k.ge(quotient, 2.0**52)), k.logical_not(is_less))
    is_rare = k.let(is_rare)
    whole = k.let(k.trunc(k.select(is_rare, k.const(0, F64), quotient)))
    product, product_rest = two_product(k, whole, k.let(k.select(is_less, k.const(1, F64), b)))
    remainder = k.let(k.sub(k.sub(a, product), product_rest))
    remainder = k.select(k.lt(remainder, 0), k.add(remainder, b), remainder)
    return k.copysign(k.select(is_less, a, remainder), x), is_rare
