"""Arithmetic of complex elements, written with real operations.

Formulas follow C99 Annex G where NumPy does: division is Smith's method, `abs` is `hypot`, square roots and
logarithms go through them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tracejit.codegen.loop_ir import Expr
from tracejit.ir.types import C64, C128, F32, DType

Builder = Any


@dataclass(frozen=True, slots=True)
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
    im = k.mul(k.sub(across, k.mul(along, ratio)), scale)
    zero = k.logical_and(k.eq(y.re, 0.0), k.eq(y.im, 0.0))
    return Complex(
        k.select(zero, k.div(x.re, k.abs(y.re)), re),
        k.select(zero, k.div(x.im, k.abs(y.re)), k.select(wide, im, k.neg(im))),
    )


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
    return Complex(
        k.select(real, size, k.mul(size, k.cos(x.im))),
        k.select(real, x.im, k.mul(size, k.sin(x.im))),
    )


def _log(k: Builder, x: Complex) -> Complex:
    x = _let(k, x)
    return Complex(k.log(_abs(k, x)), k.atan2(x.im, x.re))


def _sqrt(k: Builder, x: Complex) -> Complex:
    """The principal root: the larger part from half the modulus plus |re|, the other by division."""
    x = _let(k, x)
    size = k.let(k.sqrt(k.mul(0.5, k.add(_abs(k, x), k.abs(x.re)))))
    other = k.let(k.select(k.eq(size, 0.0), k.const(0.0, size.type), k.div(k.abs(x.im), k.mul(2.0, size))))
    right = k.ge(x.re, 0.0)
    return Complex(k.select(right, size, other), k.copysign(k.select(right, other, size), x.im))


def _sin(k: Builder, x: Complex) -> Complex:
    x = _let(k, x)
    return Complex(k.mul(k.sin(x.re), k.cosh(x.im)), k.mul(k.cos(x.re), k.sinh(x.im)))


def _cos(k: Builder, x: Complex) -> Complex:
    x = _let(k, x)
    return Complex(k.mul(k.cos(x.re), k.cosh(x.im)), k.neg(k.mul(k.sin(x.re), k.sinh(x.im))))


def _sinh(k: Builder, x: Complex) -> Complex:
    x = _let(k, x)
    return Complex(k.mul(k.sinh(x.re), k.cos(x.im)), k.mul(k.cosh(x.re), k.sin(x.im)))


def _cosh(k: Builder, x: Complex) -> Complex:
    x = _let(k, x)
    return Complex(k.mul(k.cosh(x.re), k.cos(x.im)), k.mul(k.sinh(x.re), k.sin(x.im)))


def _tanh(k: Builder, x: Complex) -> Complex:
    """With t = tanh(re) and u = tan(im): (t + iu) / (1 + itu)."""
    x = _let(k, x)
    t, u = k.let(k.tanh(x.re)), k.let(k.tan(x.im))
    one = k.const(1.0, x.re.type)
    return _div(k, Complex(t, u), Complex(one, k.mul(t, u)))


def _pow(k: Builder, x: Complex, y: Complex) -> Complex:
    """exp(y log x); 1 for a zero exponent and 0 for a zero base."""
    x, y = _let(k, x), _let(k, y)
    power = _exp(k, _mul(k, y, _log(k, x)))
    zero_base = k.logical_and(k.eq(x.re, 0.0), k.eq(x.im, 0.0))
    zero_exponent = k.logical_and(k.eq(y.re, 0.0), k.eq(y.im, 0.0))
    one, none = k.const(1.0, x.type), k.const(0.0, x.type)
    return k.select(zero_exponent, one, k.select(zero_base, none, power))


def _isnan(k: Builder, x: Complex) -> Expr:
    return k.logical_or(k.isnan(x.re), k.isnan(x.im))


#: Operations on complex elements by the name of the scalar operation.
OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "abs": _abs,
    "eq": _eq,
    "ne": _ne,
    "exp": _exp,
    "log": _log,
    "sqrt": _sqrt,
    "sin": _sin,
    "cos": _cos,
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "pow": _pow,
    "isnan": _isnan,
}
