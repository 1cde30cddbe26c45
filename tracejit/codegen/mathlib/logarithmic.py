"""log and what follows from it: log1p, log2, log10, asinh, acosh, atanh.

x = 2**e * (1 + f) with 1 + f in [3/4, 3/2). In f32 log(1 + f) - f is f**2 times a polynomial. In f64, with
s = f / (2 + f) and R = s**2 * P(s**2), it is s * (f**2 / 2 + R) - f**2 / 2 (fdlibm, Ng 1993).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Expr
from tracejit.codegen.mathlib.arithmetic import binary_exponent, fast_two_sum, parts, polynomial
from tracejit.ir.types import F32, F64

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder


def _log_rest(k: KernelBuilder, f: Expr) -> Expr:
    """log(1 + f) - f for f in [-1/4, 1/2]."""
    if k.dtype(f) == F32:
        return k.mul(k.mul(f, f), polynomial(k, "log1p", f))
    s = k.let(k.div(f, k.add(2, f)))
    z = k.let(k.mul(s, s))
    half_square = k.let(k.mul(k.mul(0.5, f), f))
    return k.fma(s, k.fma(z, polynomial(k, "log", z), half_square), k.neg(half_square))


def _log_of_parts(k: KernelBuilder, e: Expr, f: Expr, lost: Expr | None = None) -> Expr:
    """The natural logarithm of 2**e * (1 + f + lost), `lost` a rounding error of f."""
    high, low = parts("log(2)", k.dtype(f))
    small = k.fma(e, low, _log_rest(k, f))
    return k.fma(e, high, k.add(f, k.add(small, lost) if lost is not None else small))


def log(k: KernelBuilder, x: Expr) -> Expr:
    """The natural logarithm."""
    e, m = binary_exponent(k, x)
    return _log_of_parts(k, e, k.let(k.sub(m, 1)))


def log2(k: KernelBuilder, x: Expr) -> Expr:
    """The logarithm to base 2; exact for powers of two."""
    e, m = binary_exponent(k, x)
    f = k.let(k.sub(m, 1))
    return k.add(k.add(e, f), _rest_in_base(k, f, "1/log(2) - 1", 1.0))


def log10(k: KernelBuilder, x: Expr) -> Expr:
    """The logarithm to base 10."""
    high, low = parts("log10(2)", k.dtype(x))
    e, m = binary_exponent(k, x)
    f = k.let(k.sub(m, 1))
    small = k.fma(e, low, _rest_in_base(k, f, "1/log(10) - 1/2", 0.5))
    return k.add(k.fma(e, high, k.mul(f, 0.5)), small)


def _rest_in_base(k: KernelBuilder, f: Expr, fraction: str, lead: float) -> Expr:
    """log(1 + f) / log(base) - lead * f, small beside the first; `fraction` names 1 / log(base) - lead."""
    if k.dtype(f) == F32:
        return k.mul(f, polynomial(k, fraction, f))
    (rest,) = parts(fraction, F64)
    return k.fma(f, rest, k.mul(_log_rest(k, f), lead + rest))


def log1p(k: KernelBuilder, x: Expr) -> Expr:
    """log(1 + x)."""
    half = k.let(k.fma(x, 0.5, 0.5))
    return k.copysign(_log_of_sum(k, half, x), x)


def _log_of_sum(k: KernelBuilder, half: Expr, x: Expr, rest: Expr | None = None) -> Expr:
    """log(1 + x + rest) for x >= rest, where `half` is half of that sum, rounded: its parts are scaled one by one."""
    e, m = binary_exponent(k, half)
    e = k.let(k.add(e, 1))
    scale = k.let(k.ldexp(k.const(1, k.dtype(half)), k.neg(e)))
    f = k.let(k.sub(scale, 1))
    if rest is None:
        usual = _log_of_parts(k, e, k.let(k.fma(x, scale, f)))
    else:
        usual = _log_of_parts(k, e, *fast_two_sum(k, k.let(k.mul(x, scale)), k.let(k.fma(rest, scale, f))))
    is_ordinary = k.logical_and(k.gt(half, 0), k.lt(half, float("inf")))
    return k.select(is_ordinary, usual, k.add(e, m))


# -- inverse hyperbolic functions ---------------------------------------------------------------------------------

#: From where on a number plus or minus 1, squared, is its square.
_LARGE = {"f32": 2.0**13, "f64": 2.0**28}


def asinh(k: KernelBuilder, x: Expr) -> Expr:
    """An odd polynomial below 0.53, where results get an exponent less, else log(|x| + sqrt(x**2 + 1))."""
    a, z = k.let(k.abs(x)), k.let(k.mul(x, x))
    small = k.fma(k.mul(a, z), polynomial(k, "asinh", z), a)
    root = k.let(k.select(k.lt(a, _LARGE[k.dtype(x).name]), k.sqrt(k.add(z, 1)), a))
    half = k.let(k.fma(a, 0.5, k.mul(root, 0.5)))
    large = _log_of_sum(k, half, a, k.let(k.sub(root, 1)))
    return k.copysign(k.select(k.lt(a, 0.53), small, large), x)


def acosh(k: KernelBuilder, x: Expr) -> Expr:
    """log(1 + t + sqrt(t**2 + 2 t)) with t = x - 1; nan below 1."""
    t = k.let(k.sub(x, 1))
    root = k.let(k.select(k.lt(x, _LARGE[k.dtype(x).name]), k.sqrt(k.fma(t, t, k.add(t, t))), x))
    above = _log_of_sum(k, k.let(k.fma(x, 0.5, k.mul(root, 0.5))), root, t)
    return k.select(k.ge(x, 1), above, float("nan"))


def atanh(k: KernelBuilder, x: Expr) -> Expr:
    """log((1 + |x|) / (1 - |x|)) / 2 with the sign of x; nan beyond 1.

    The quotient is 2**e * (1 + s) / (1 - s), where -e is the exponent of (1 - |x|) * (1 - |x| / 2), which is near
    its inverse; below 1/4 e is 0 and s is |x|.
    """
    dtype = k.dtype(x)
    a = k.let(k.abs(x))
    below, _ = binary_exponent(k, k.let(k.mul(k.sub(1, a), k.fma(a, -0.5, 1))))
    e = k.let(k.select(k.lt(a, 0.25), k.const(0, dtype), k.neg(below)))
    scale = k.let(k.ldexp(k.const(1, dtype), e))
    t = k.let(k.fma(a, scale, k.sub(1, scale)))  # exact: 1 - (1 - |x|) * 2**e
    s = k.let(k.div(k.add(t, a), k.add(2, k.sub(a, t))))
    z = k.let(k.mul(s, s))
    high, low = parts("log(2)", dtype)
    rest = k.fma(k.mul(s, z), polynomial(k, "atanh", z), k.mul(e, low / 2))
    inside = k.fma(e, high / 2, k.add(s, rest))
    beyond = k.select(k.eq(a, 1), k.const(float("inf"), dtype), k.const(float("nan"), dtype))
    return k.copysign(k.select(k.lt(a, 1), inside, beyond), x)
