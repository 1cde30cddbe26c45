"""Elementwise functions of analysis: exponentials, logarithms, trigonometric and hyperbolic functions, erf.

`slope` is the derivative as ops; the product with the cotangent is strong (see `define.sloped`).
"""

from __future__ import annotations

import functools
import math
from typing import Any

from tracejit.ir.types import BOOL, F64, FLOATS, INEXACT
from tracejit.ops import define
from tracejit.ops.define import spellings, uniform
from tracejit.ops.elementwise import pow_base_slope, pow_exponent_slope

#: What one element costs, in additions: a polynomial, a division, a table or two.
unary = functools.partial(define.unary, cost=16)
binary = functools.partial(define.binary, cost=16)

#: Every real sample range is repeated in f16 where the function is tame there.
HALF = ("float16",)
MORE = (*HALF, "bfloat16", "complex128")


def _arc(name: str) -> tuple[str, ...]:
    """`asin` under its own name everywhere and NumPy's `arcsin`."""
    long = f"arc{name.removeprefix('a')}"
    return spellings(name, *(f"{kind} {long}" for kind in ("function", "method", "numpy")))


# -- powers, exponentials, logarithms -------------------------------------------------------------------------

unary(
    "sqrt",
    INEXACT,
    doc="The square root; its slope at 0 is inf.",
    slope=lambda b, x, out: b.div(b.number(0.5, x), out),
    samples=uniform((0.3, 9.0), more=MORE),
)
unary(
    "rsqrt",
    INEXACT,
    doc="1 / sqrt(x).",
    eager=lambda xp, x: xp.reciprocal(xp.sqrt(x)),
    slope=lambda b, x, out: out / x * -0.5,
    samples=uniform((0.3, 9.0), more=("complex128",)),
    names=spellings("rsqrt", kinds=("function", "method")),
)
unary(
    "cbrt",
    FLOATS,
    doc="The real cube root.",
    slope=lambda b, x, out: b.reciprocal(out * out * 3),
    samples=uniform((0.3, 9.0)),
)
define.binary(
    "library_pow",
    (F64,),
    doc="x ** y by the C library's `pow`: for Python's floats, whose powers are CPython's to the last bit.",
    eager=lambda xp, x, y: xp.power(x, y),
    slopes=(pow_base_slope, pow_exponent_slope),
    scalar=lambda k, x, y: k.rare(k.const(True, BOOL), x, "pow", x, y),
    samples=uniform((0.3, 2.5), (-2.0, 2.5), dtypes=("float64",)),
    names=(),
    cost=60,
)
unary(
    "half_power",
    (F64,),
    doc="x ** 0.5 of Python's floats: CPython's to the last bit.",
    eager=lambda xp, x: xp.power(x, xp.full_like(x, 0.5)),
    slope=lambda b, x, out: b.div(b.number(0.5, x), out),
    samples=uniform((0.3, 9.0), dtypes=("float64",)),
    names=(),
)
unary(
    "exp",
    INEXACT,
    doc="e ** x.",
    slope=lambda b, x, out: out,
    samples=uniform((-4.0, 4.0), more=MORE),
)
unary(
    "exp2",
    INEXACT,
    doc="2 ** x.",
    slope=lambda b, x, out: out * math.log(2.0),
    samples=uniform((-4.0, 4.0), more=("complex128",)),
)
unary(
    "expm1",
    INEXACT,
    doc="exp(x) - 1, accurate near 0.",
    slope=lambda b, x, out: b.exp(x),
    samples=uniform((-2.0, 2.0), more=("complex128",)),
)
unary(
    "log",
    INEXACT,
    doc="The natural logarithm.",
    slope=lambda b, x, out: b.reciprocal(x),
    samples=uniform((0.2, 5.0), more=MORE),
)
unary(
    "log1p",
    INEXACT,
    doc="log(1 + x), accurate near 0.",
    slope=lambda b, x, out: b.reciprocal(x + 1),
    samples=uniform((-0.6, 3.0), more=("complex128",)),
)
unary(
    "log2",
    INEXACT,
    doc="The logarithm to base 2.",
    slope=lambda b, x, out: b.reciprocal(x * math.log(2.0)),
    samples=uniform((0.2, 5.0), more=("complex128",)),
)
unary(
    "log10",
    INEXACT,
    doc="The logarithm to base 10.",
    slope=lambda b, x, out: b.reciprocal(x * math.log(10.0)),
    samples=uniform((0.2, 5.0), more=("complex128",)),
)

# -- trigonometric and hyperbolic -----------------------------------------------------------------------------

unary(
    "sin",
    INEXACT,
    doc="The sine.",
    slope=lambda b, x, out: b.cos(x),
    samples=uniform((-4.0, 4.0), more=MORE),
)
unary(
    "cos",
    INEXACT,
    doc="The cosine.",
    slope=lambda b, x, out: b.neg(b.sin(x)),
    samples=uniform((-4.0, 4.0), more=MORE),
)
unary(
    "tan",
    INEXACT,
    doc="The tangent.",
    slope=lambda b, x, out: out * out + 1,
    samples=uniform((-1.2, 1.2), more=("complex128",)),
)
unary(
    "asin",
    INEXACT,
    doc="The inverse sine, in -pi/2..pi/2.",
    eager=lambda xp, x: xp.arcsin(x),
    slope=lambda b, x, out: b.rsqrt(1 - x * x),
    samples=uniform((-0.8, 0.8), more=("complex128",)),
    names=_arc("asin"),
)
unary(
    "acos",
    INEXACT,
    doc="The inverse cosine, in 0..pi.",
    eager=lambda xp, x: xp.arccos(x),
    slope=lambda b, x, out: b.neg(b.rsqrt(1 - x * x)),
    samples=uniform((-0.8, 0.8), more=("complex128",)),
    names=_arc("acos"),
)
unary(
    "atan",
    INEXACT,
    doc="The inverse tangent, in -pi/2..pi/2.",
    eager=lambda xp, x: xp.arctan(x),
    slope=lambda b, x, out: b.reciprocal(x * x + 1),
    samples=uniform((-3.0, 3.0), more=("complex128",)),
    names=_arc("atan"),
)
unary(
    "sinh",
    INEXACT,
    doc="The hyperbolic sine.",
    slope=lambda b, x, out: b.cosh(x),
    samples=uniform((-3.0, 3.0), more=("complex128",)),
)
unary(
    "cosh",
    INEXACT,
    doc="The hyperbolic cosine.",
    slope=lambda b, x, out: b.sinh(x),
    samples=uniform((-3.0, 3.0), more=("complex128",)),
)
unary(
    "tanh",
    INEXACT,
    doc="The hyperbolic tangent.",
    slope=lambda b, x, out: 1 - out * out,
    samples=uniform((-3.0, 3.0), more=MORE),
)
unary(
    "asinh",
    INEXACT,
    doc="The inverse hyperbolic sine.",
    eager=lambda xp, x: xp.arcsinh(x),
    slope=lambda b, x, out: b.rsqrt(x * x + 1),
    samples=uniform((-3.0, 3.0), more=("complex128",)),
    names=_arc("asinh"),
)
unary(
    "acosh",
    INEXACT,
    doc="The inverse hyperbolic cosine, for x >= 1.",
    eager=lambda xp, x: xp.arccosh(x),
    slope=lambda b, x, out: b.rsqrt(x - 1) * b.rsqrt(x + 1) if b.dtype(x).is_complex else b.rsqrt(x * x - 1),
    samples=uniform((1.3, 4.0), more=("complex128",)),
    names=_arc("acosh"),
)
unary(
    "atanh",
    INEXACT,
    doc="The inverse hyperbolic tangent, for -1 < x < 1.",
    eager=lambda xp, x: xp.arctanh(x),
    slope=lambda b, x, out: b.reciprocal(1 - x * x),
    samples=uniform((-0.8, 0.8), more=("complex128",)),
    names=_arc("atanh"),
)


def _atan2_slope(b: Any, numerator: Any, y: Any, x: Any) -> Any:
    return numerator / (x * x + y * y)


binary(
    "atan2",
    FLOATS,
    doc="The angle of the point (y, x), in -pi..pi.",
    eager=lambda xp, x, y: xp.arctan2(x, y),
    slopes=(
        lambda b, y, x, out: _atan2_slope(b, x, y, x),
        lambda b, y, x, out: b.neg(_atan2_slope(b, y, y, x)),
    ),
    samples=uniform((-3.0, 3.0), (0.3, 3.0)),
    names=_arc("atan2"),
)
binary(
    "hypot",
    FLOATS,
    doc="sqrt(x*x + y*y) without overflow; slope 0 at the origin.",
    slopes=(
        lambda b, x, y, out: b.select(b.eq(out, 0), 0, x / out),
        lambda b, x, y, out: b.select(b.eq(out, 0), 0, y / out),
    ),
    samples=uniform((0.3, 3.0), (0.3, 3.0)),
    commutative=True,
)

# -- error function and sigmoid -------------------------------------------------------------------------------


def erf_of_arrays(xp: Any, x: Any) -> Any:
    """NumPy has no erf: libm's, element by element; CuPy's own where the array is on a GPU."""
    if xp.__name__ != "numpy":
        from importlib import import_module

        return import_module(f"{xp.__name__}x.scipy.special").erf(x)
    x = xp.asarray(x)
    dtype = x.dtype if x.dtype.kind not in "biu" else xp.dtype("float64")
    return xp.fromiter(map(math.erf, x.reshape(-1).tolist()), "float64", x.size).reshape(x.shape).astype(dtype)[()]


unary(
    "erf",
    FLOATS,
    doc="The error function.",
    eager=erf_of_arrays,
    slope=lambda b, x, out: b.exp(b.neg(x * x)) * (2.0 / math.sqrt(math.pi)),
    samples=uniform((-2.5, 2.5)),
    names=spellings("erf", kinds=("function", "method")),
)


def _sigmoid_eager(xp: Any, x: Any) -> Any:
    small = xp.exp(-xp.abs(x))
    return xp.where(xp.greater_equal(x, 0), 1 / (1 + small), small / (1 + small))[()]


unary(
    "sigmoid",
    FLOATS,
    doc="1 / (1 + exp(-x)), without overflow.",
    eager=_sigmoid_eager,
    slope=lambda b, x, out: out * (1 - out),
    samples=uniform((-6.0, 6.0), more=HALF),
    names=spellings("sigmoid", "function expit", kinds=("function", "method")),
)


def _log1pexp_scalar(k: Any, x: Any) -> Any:
    return k.add(k.maximum(x, 0.0), k.log1p(k.exp(k.neg(k.abs(x)))))


unary(
    "log1pexp",
    FLOATS,
    doc="log(1 + exp(x)), without overflow.",
    eager=lambda xp, x: xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x))),
    slope=lambda b, x, out: b.sigmoid(x),
    scalar=_log1pexp_scalar,
    samples=uniform((-6.0, 6.0), more=HALF),
    names=(),
    cost=20,
)
