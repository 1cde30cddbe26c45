"""Arithmetic of complex elements, written with real operations.

Formulas follow C99 Annex G where NumPy does: division is Smith's method, `abs` is `hypot`, square roots and
logarithms go through them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tracejit.codegen.loop_ir import Expr
from tracejit.ir.types import C64, C128, F32, I64, DType
from tracejit.records import record

Builder = Any


@record
class Complex:
    """A complex element: its two parts have one real dtype."""

    re: Expr
    im: Expr

    @property
    def type(self) -> DType:
        """c64 or c128."""
        return C64 if self.re.type == F32 else C128


def _let(k: Builder, z: Complex) -> Complex:
    return k.let(z, "z")


def _add(k: Builder, x: Complex, y: Complex) -> Complex:
    return Complex(k.add(x.re, y.re), k.add(x.im, y.im))


def _sub(k: Builder, x: Complex, y: Complex) -> Complex:
    return Complex(k.sub(x.re, y.re), k.sub(x.im, y.im))


def _mul(k: Builder, x: Complex, y: Complex) -> Complex:
    x, y = _let(k, x), _let(k, y)
    return Complex(
        k.sub(k.mul(x.re, y.re), k.mul(x.im, y.im)),
        k.add(k.mul(x.re, y.im), k.mul(x.im, y.re)),
    )


def _div(k: Builder, x: Complex, y: Complex) -> Complex:
    """Smith's method: scale by the larger part of the divisor."""
    x, y = _let(k, x), _let(k, y)
    wide = k.let(k.ge(k.abs(y.re), k.abs(y.im)))
    large, small = k.let(k.select(wide, y.re, y.im)), k.let(k.select(wide, y.im, y.re))
    ratio = k.let(k.select(k.eq(large, 0.0), small, k.div(small, large)))
    scale = k.let(k.div(1.0, k.add(large, k.mul(small, ratio))))
    along, across = k.let(k.select(wide, x.re, x.im)), k.let(k.select(wide, x.im, x.re))
    re = k.mul(k.add(along, k.mul(across, ratio)), scale)
    moved = k.let(k.mul(along, ratio))
    im = k.mul(k.select(wide, k.sub(across, moved), k.sub(moved, across)), scale)
    zero = k.logical_and(k.eq(y.re, 0.0), k.eq(y.im, 0.0))
    return Complex(
        k.select(zero, k.div(x.re, k.abs(y.re)), re),
        k.select(zero, k.div(x.im, k.abs(y.re)), im),
    )


def _reciprocal(k: Builder, x: Complex) -> Complex:
    """Smith's method, without the case of 0, of which NumPy's is no number."""
    x = _let(k, x)
    wide = k.let(k.ge(k.abs(x.re), k.abs(x.im)))
    large, small = k.let(k.select(wide, x.re, x.im)), k.let(k.select(wide, x.im, x.re))
    ratio = k.let(k.div(small, large))
    size = k.let(k.add(large, k.mul(small, ratio)))
    along, across = k.let(k.div(1.0, size)), k.let(k.div(ratio, size))
    return Complex(k.select(wide, along, across), k.neg(k.select(wide, across, along)))


def _neg(k: Builder, x: Complex) -> Complex:
    return Complex(k.neg(x.re), k.neg(x.im))


def _abs(k: Builder, x: Complex) -> Expr:
    return k.hypot(x.re, x.im)


def _eq(k: Builder, x: Complex, y: Complex) -> Expr:
    return k.logical_and(k.eq(x.re, y.re), k.eq(x.im, y.im))


def _ne(k: Builder, x: Complex, y: Complex) -> Expr:
    return k.logical_or(k.ne(x.re, y.re), k.ne(x.im, y.im))


def _exp(k: Builder, x: Complex) -> Complex:
    x = _let(k, x)
    size = k.let(k.exp(x.re))
    real = k.eq(x.im, 0.0)
    undirected = k.let(k.logical_and(k.isinf(x.re), k.logical_not(k.isfinite(x.im))))
    vanishes = k.logical_and(undirected, k.eq(size, 0.0))
    return Complex(
        k.select(k.logical_or(real, undirected), size, k.mul(size, k.cos(x.im))),
        k.select(real, x.im, k.select(vanishes, size, k.mul(size, k.sin(x.im)))),
    )


def _exp2(k: Builder, x: Complex) -> Complex:
    return _exp(k, _scaled(k, x, math.log(2.0)))


def _expm1(k: Builder, x: Complex) -> Complex:
    """(e^re - 1) cos(im) - 2 sin(im / 2)^2, accurate near 0."""
    x = _let(k, x)
    half = k.let(k.sin(k.mul(x.im, 0.5)))
    re = k.sub(k.mul(k.expm1(x.re), k.cos(x.im)), k.mul(k.mul(half, half), 2.0))
    return Complex(re, k.mul(k.exp(x.re), k.sin(x.im)))


def _scaled(k: Builder, x: Complex, factor: float) -> Complex:
    return Complex(k.mul(x.re, factor), k.mul(x.im, factor))


def _log(k: Builder, x: Complex) -> Complex:
    """The logarithm of the modulus, near 1 from its square less 1, and the angle."""
    x = _let(k, x)
    a, b = k.let(k.abs(x.re)), k.let(k.abs(x.im))
    large, small = k.let(k.maximum(a, b)), k.let(k.minimum(a, b))
    excess = k.add(k.mul(k.sub(large, 1.0), k.add(large, 1.0)), k.mul(small, small))
    near = k.logical_and(k.gt(large, 0.5), k.lt(large, 1.5))
    return Complex(k.select(near, k.mul(k.log1p(excess), 0.5), k.log(_abs(k, x))), k.atan2(x.im, x.re))


def _log1p(k: Builder, x: Complex) -> Complex:
    """Half of log1p(|1 + x|^2 - 1) where that is neither too large nor near -1."""
    x = _let(k, x)
    beyond = k.let(k.add(x.re, 1.0))
    excess = k.let(k.add(k.mul(x.re, k.add(x.re, 2.0)), k.mul(x.im, x.im)))
    small = k.logical_and(k.gt(excess, -0.5), k.lt(excess, 1e3))
    re = k.select(small, k.mul(k.log1p(excess), 0.5), k.log(k.hypot(beyond, x.im)))
    return Complex(re, k.atan2(x.im, beyond))


def _sqrt(k: Builder, x: Complex) -> Complex:
    """The principal root: the larger part from half the modulus plus |re|, the other by division."""
    x = _let(k, x)
    size = k.let(k.sqrt(k.mul(0.5, k.add(_abs(k, x), k.abs(x.re)))))
    part = k.div(k.abs(x.im), k.mul(2.0, size))
    other = k.let(k.select(k.eq(size, 0.0), k.const(0.0, size.type), k.select(k.isinf(x.im), size, part)))
    right = k.ge(x.re, 0.0)
    return Complex(k.select(right, size, other), k.copysign(k.select(right, other, size), x.im))


def _rsqrt(k: Builder, x: Complex) -> Complex:
    return _div(k, k.const(1.0, x.type), _sqrt(k, x))


def _sinh(k: Builder, x: Complex) -> Complex:
    x = _let(k, x)
    re = _without_direction(k, x, k.sinh(x.re), k.mul(k.sinh(x.re), k.cos(x.im)))
    return Complex(
        k.select(k.logical_and(k.eq(x.re, 0.0), k.logical_not(k.isfinite(x.im))), x.re, re),
        k.select(k.eq(x.im, 0.0), x.im, k.mul(k.cosh(x.re), k.sin(x.im))),
    )


def _cosh(k: Builder, x: Complex) -> Complex:
    x = _let(k, x)
    one = k.const(1.0, x.re.type)
    im = k.mul(k.sinh(x.re), k.sin(x.im))
    im = k.select(k.logical_and(k.eq(x.re, 0.0), k.logical_not(k.isfinite(x.im))), x.re, im)
    return Complex(
        _without_direction(k, x, k.cosh(x.re), k.mul(k.cosh(x.re), k.cos(x.im))),
        k.select(k.eq(x.im, 0.0), k.mul(k.copysign(one, x.re), x.im), im),
    )


def _without_direction(k: Builder, x: Complex, size: Expr, found: Expr) -> Expr:
    """The real part of a function that grows as e^|re|: infinite where re is, whatever im may be."""
    return k.select(k.logical_and(k.isinf(x.re), k.logical_not(k.isfinite(x.im))), size, found)


def _tanh(k: Builder, x: Complex) -> Complex:
    """With t = tanh(re) and u = tan(im): (t + iu) / (1 + itu); 1 or -1 at infinity. Its imaginary part without
    cancellation, also where t is 1 (Kahan 1987): u / (1 + (1 + u^2) sinh(re)^2)."""
    x = _let(k, x)
    t, u = k.let(k.tanh(x.re)), k.let(k.tan(x.im))
    one, zero = k.const(1.0, x.re.type), k.const(0.0, x.re.type)
    found = _div(k, Complex(t, u), Complex(one, k.mul(t, u)))
    s = k.let(k.sinh(x.re))
    im = k.div(u, k.add(one, k.mul(k.mul(k.add(one, k.mul(u, u)), s), s)))
    im = k.select(k.eq(x.im, 0.0), x.im, k.select(k.isinf(x.re), k.copysign(zero, u), im))
    vertical = k.logical_and(k.eq(x.re, 0.0), k.logical_not(k.isfinite(x.im)))
    return Complex(k.select(k.logical_or(vertical, k.isinf(x.re)), t, found.re), im)


def _turned(function: Callable[..., Complex]) -> Callable[..., Complex]:
    """-i f(iz), as sin is of sinh."""

    def of(k: Builder, x: Complex) -> Complex:
        found = function(k, Complex(k.neg(x.im), x.re))
        return Complex(found.im, k.neg(found.re))

    return of


def _cos(k: Builder, x: Complex) -> Complex:
    return _cosh(k, Complex(k.neg(x.im), x.re))


def _roots(k: Builder, x: Complex) -> tuple[Complex, Complex]:
    """The roots of 1 - x and 1 + x; signs of zeros tell the sides of the cuts (Kahan 1987)."""
    x = _let(k, x)
    minus, plus = Complex(k.sub(1.0, x.re), k.neg(x.im)), Complex(k.add(1.0, x.re), x.im)
    return _let(k, _sqrt(k, minus)), _let(k, _sqrt(k, plus))


def _asin(k: Builder, x: Complex) -> Complex:
    x = _let(k, x)
    minus, plus = _roots(k, x)
    endless = k.let(_isinf(k, x))
    across = k.sub(k.mul(minus.re, plus.re), k.mul(minus.im, plus.im))
    im = k.asinh(k.sub(k.mul(minus.re, plus.im), k.mul(minus.im, plus.re)))
    return Complex(
        k.atan2(x.re, k.select(endless, k.abs(x.im), across)),
        k.select(endless, k.copysign(k.const(float("inf"), x.re.type), x.im), im),
    )


def _acos(k: Builder, x: Complex) -> Complex:
    minus, plus = _roots(k, x)
    im = k.asinh(k.sub(k.mul(plus.re, minus.im), k.mul(plus.im, minus.re)))
    return Complex(k.mul(k.atan2(minus.re, plus.re), 2.0), im)


def _acosh(k: Builder, x: Complex) -> Complex:
    x = _let(k, x)
    minus = _let(k, _sqrt(k, Complex(k.sub(x.re, 1.0), x.im)))
    plus = _let(k, _sqrt(k, Complex(k.add(x.re, 1.0), x.im)))
    re = k.asinh(k.add(k.mul(minus.re, plus.re), k.mul(minus.im, plus.im)))
    return Complex(re, k.mul(k.atan2(minus.im, plus.re), 2.0))


def _atanh(k: Builder, x: Complex) -> Complex:
    """Odd in re: a quarter of log1p(4 |re| / |1 - x|^2), which cancels nowhere."""
    x = _let(k, x)
    size = k.let(k.abs(x.re))
    below = k.let(k.sub(1.0, size))
    square = k.add(k.mul(below, below), k.mul(x.im, x.im))
    re = k.copysign(k.mul(k.log1p(k.div(k.mul(size, 4.0), square)), 0.25), x.re)
    angle = k.atan2(k.mul(x.im, 2.0), k.sub(k.mul(below, k.add(size, 1.0)), k.mul(x.im, x.im)))
    endless = k.let(_isinf(k, x))
    right = k.copysign(k.const(math.pi / 2, x.re.type), x.im)
    return Complex(
        k.select(endless, k.copysign(k.const(0.0, x.re.type), x.re), re), k.select(endless, right, k.mul(angle, 0.5))
    )


def _whole_power(k: Builder, x: Complex, exponent: Expr) -> Complex:
    """x to an integer below 128 in size, by squares: the products of NumPy and CPython, in their order."""
    one = k.const(1.0, x.type)
    made, square, left = one, x, k.let(k.abs(exponent))
    for bit in range(7):
        is_odd = k.ne(k.bitand(k.shr(left, bit), 1), 0)
        made = _let(k, k.select(is_odd, _mul(k, made, square), made))
        square = _let(k, _mul(k, square, square))
    return k.select(k.lt(exponent, 0), _div(k, one, made), made)


def _pow(k: Builder, x: Complex, y: Complex) -> Complex:
    """Products for a whole exponent below 100, else exp(y log x); 1 for a zero exponent; of a zero base 0 where the
    exponent has a positive real part, else nan."""
    x, y = _let(k, x), _let(k, y)
    is_small = k.logical_and(k.eq(y.im, 0.0), k.lt(k.abs(y.re), 100.0))
    is_whole = k.let(k.logical_and(is_small, k.eq(k.trunc(y.re), y.re)))
    products = _whole_power(k, x, k.let(k.cast(k.select(is_whole, y.re, k.const(1.0, y.re.type)), I64)))
    power = k.select(is_whole, products, _exp(k, _mul(k, y, _log(k, x))))
    zero_base = k.logical_and(k.eq(x.re, 0.0), k.eq(x.im, 0.0))
    zero_exponent = k.logical_and(k.eq(y.re, 0.0), k.eq(y.im, 0.0))
    real, one = y.re.type, k.const(1.0, x.type)
    of_zero = k.let(k.select(k.gt(y.re, 0.0), k.const(0.0, real), k.const(float("nan"), real)))
    return k.select(zero_exponent, one, k.select(zero_base, Complex(of_zero, of_zero), power))


def _isnan(k: Builder, x: Complex) -> Expr:
    return k.logical_or(k.isnan(x.re), k.isnan(x.im))


def _isinf(k: Builder, x: Complex) -> Expr:
    return k.logical_or(k.isinf(x.re), k.isinf(x.im))


def _isfinite(k: Builder, x: Complex) -> Expr:
    return k.logical_and(k.isfinite(x.re), k.isfinite(x.im))


def _sign(k: Builder, x: Complex) -> Complex:
    """x / |x|, and 0 of 0."""
    x = _let(k, x)
    size = k.let(_abs(k, x))
    safe = k.let(k.select(k.eq(size, 0.0), k.const(1.0, size.type), size))
    return Complex(k.div(x.re, safe), k.div(x.im, safe))


def _round(k: Builder, x: Complex) -> Complex:
    return Complex(k.round(x.re), k.round(x.im))


#: Operations on complex elements by the name of the scalar operation.
OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "reciprocal": _reciprocal,
    "neg": _neg,
    "abs": _abs,
    "eq": _eq,
    "ne": _ne,
    "exp": _exp,
    "log": _log,
    "sqrt": _sqrt,
    "sin": _turned(_sinh),
    "cos": _cos,
    "tan": _turned(_tanh),
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "asin": _asin,
    "acos": _acos,
    "atan": _turned(_atanh),
    "asinh": _turned(_asin),
    "acosh": _acosh,
    "atanh": _atanh,
    "exp2": _exp2,
    "expm1": _expm1,
    "log1p": _log1p,
    "log2": lambda k, x: _scaled(k, _log(k, x), 1.0 / math.log(2.0)),
    "log10": lambda k, x: _scaled(k, _log(k, x), 1.0 / math.log(10.0)),
    "rsqrt": _rsqrt,
    "sign": _sign,
    "round": _round,
    "pow": _pow,
    "isnan": _isnan,
    "isinf": _isinf,
    "isfinite": _isfinite,
}
