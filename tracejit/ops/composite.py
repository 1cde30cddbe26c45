"""Elementwise functions made of ops: activations, and small helpers of NumPy and PyTorch."""

from __future__ import annotations

import math
from typing import Any

from tracejit.ir.types import C128, F64, FLOATS
from tracejit.ops.coerce import operands_of
from tracejit.ops.functions import Operand, array, function, inexact, on

ACTIVATION = ("function", "method")


def _float(b: Any, x: Operand) -> Any:
    """x as floats; a host scalar stays one."""
    return x if not hasattr(x, "x") and not isinstance(x, bool | int) and b.dtype(x) in FLOATS else inexact(b, x)


@function(kinds=ACTIVATION)
def gelu(b: Any, x: Operand, approximate: str = "none") -> Any:
    """x times the normal distribution function of x; `approximate="tanh"` for the usual approximation."""
    x = _float(b, x)
    if approximate == "tanh":
        inner = (x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)
        return x * 0.5 * (b.tanh(inner) + 1.0)
    return x * 0.5 * (b.erf(x * math.sqrt(0.5)) + 1.0)


@function("swish", kinds=ACTIVATION)
def silu(b: Any, x: Operand) -> Any:
    """x * sigmoid(x)."""
    x = _float(b, x)
    return x * b.sigmoid(x)


@function(kinds=ACTIVATION)
def softplus(b: Any, x: Operand, beta: Operand = 1.0, threshold: Operand = 20.0) -> Any:
    """log(1 + exp(beta * x)) / beta; x itself where beta * x is above the threshold."""
    x = _float(b, x)
    scaled = on(b).mul(x, beta)
    smooth = on(b).div(b.log1pexp(scaled), beta)
    return b.select(on(b).gt(scaled, threshold), x, smooth)


@function(kinds=ACTIVATION)
def logsigmoid(b: Any, x: Operand) -> Any:
    """log(sigmoid(x)) without overflow."""
    return b.neg(b.log1pexp(b.neg(_float(b, x))))


@function(kinds=ACTIVATION)
def leaky_relu(b: Any, x: Operand, negative_slope: Operand = 0.01) -> Any:
    """x where positive, else negative_slope * x."""
    x = _float(b, x)
    return b.select(b.gt(x, 0), x, on(b).mul(x, negative_slope))


@function(kinds=ACTIVATION)
def elu(b: Any, x: Operand, alpha: Operand = 1.0) -> Any:
    """x where positive, else alpha * (exp(x) - 1)."""
    x = _float(b, x)
    return b.select(b.gt(x, 0), x, on(b).mul(b.expm1(x), alpha))


@function(kinds=ACTIVATION)
def selu(b: Any, x: Operand) -> Any:
    """The self-normalising `elu` of Klambauer et al. (2017)."""
    return elu(b, x, 1.6732632423543772) * 1.0507009873554805


@function(kinds=ACTIVATION)
def mish(b: Any, x: Operand) -> Any:
    """x * tanh(softplus(x))."""
    x = _float(b, x)
    return x * b.tanh(b.log1pexp(x))


@function(kinds=ACTIVATION)
def hardtanh(b: Any, x: Operand, min_val: Operand = -1.0, max_val: Operand = 1.0) -> Any:
    """x limited to min_val..max_val, with slope 0 on these."""
    return _limited(b, _float(b, x), min_val, max_val)


@function(kinds=ACTIVATION)
def relu6(b: Any, x: Operand) -> Any:
    """x limited to 0..6, with slope 0 on these."""
    return _limited(b, x, 0, 6)


def _limited(b: Any, x: Operand, low: Operand, high: Operand) -> Any:
    f = on(b)
    return f.where(f.le(x, low), low, f.where(f.ge(x, high), high, x))


@function(kinds=ACTIVATION)
def softsign(b: Any, x: Operand) -> Any:
    """x / (1 + |x|)."""
    x = _float(b, x)
    return x / (b.abs(x) + 1.0)


# -- choices and limits ---------------------------------------------------------------------------------------


@function("clamp")
def clip(b: Any, x: Operand, min: Operand = None, max: Operand = None) -> Any:
    """x limited to min..max; None does not limit."""
    return on(b).clamp(x, min, max)


@function(kinds=("function", "numpy"), rank_0="array")
def where(b: Any, condition: Operand, x: Operand, y: Operand) -> Any:
    """x where the condition holds, else y."""
    return on(b).select(condition, x, y)


@function(kinds=("function", "method"))
def nan_to_num(b: Any, x: Operand, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """x with nan and infinities replaced, infinities by the largest finite numbers unless given."""
    x = inexact(b, x)
    if b.dtype(x).is_complex:
        return b.complex(*(nan_to_num(b, part(x), nan, posinf, neginf) for part in (b.real, b.imag)))
    largest = {"f16": 65504.0, "bf16": 3.3895313892515355e38, "f32": 3.4028234663852886e38}.get(
        b.dtype(x).name, 1.7976931348623157e308
    )
    infinite = b.isinf(x)
    high, low = (largest if posinf is None else posinf), (-largest if neginf is None else neginf)
    limited = b.select(b.logical_and(infinite, b.gt(x, 0)), high, b.select(infinite, low, x))
    return b.select(b.isnan(x), nan, limited)


@function()
def isclose(b: Any, x: Operand, y: Operand, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Whether |x - y| <= atol + rtol * |y|; infinities must be equal."""
    c = on(b)
    if not isinstance(y, float | complex):
        y = array(b, y)
        y = y if b.dtype(y).is_inexact else b.cast(y, dtype=F64)
    near = c.le(c.abs(c.sub(x, y)), c.add(c.mul(c.abs(y), rtol), atol))
    same = c.logical_or(c.eq(x, y), c.logical_and(near, c.isfinite(y)))
    return c.logical_or(same, c.logical_and(c.isnan(x), c.isnan(y))) if equal_nan else same


@function(rank_0="python")
def allclose(b: Any, x: Operand, y: Operand, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Whether `isclose` holds everywhere."""
    near = array(b, isclose(b, x, y, rtol, atol, equal_nan))
    return b.all(near, axes=tuple(range(b.rank(near))))


@function()
def logaddexp(b: Any, x: Operand, y: Operand) -> Any:
    """log(exp(x) + exp(y)) without overflow."""
    c = on(b)
    x, y = operands_of(b, "log1p", x, y)
    distance = c.select(c.logical_and(c.isinf(x), c.eq(x, y)), 0.0, c.sub(y, x))
    return c.select(c.ge(x, y), c.add(x, c.log1pexp(distance)), c.add(y, c.log1pexp(c.neg(distance))))


@function(kinds=ACTIVATION)
def logaddexp2(b: Any, x: Operand, y: Operand) -> Any:
    """log2(2**x + 2**y) without overflow."""
    c = on(b)
    return c.div(logaddexp(b, c.mul(x, math.log(2.0)), c.mul(y, math.log(2.0))), math.log(2.0))


@function(kinds=ACTIVATION)
def float_power(b: Any, x: Operand, y: Operand) -> Any:
    """x ** y in float64, or complex128."""
    both = (array(b, x), array(b, y))
    dtype = C128 if any(b.dtype(z).is_complex for z in both) else F64
    return on(b).pow(*(b.cast(z, dtype=dtype) for z in both))


@function(kinds=ACTIVATION)
def ldexp(b: Any, x: Operand, y: Operand) -> Any:
    """x * 2**y."""
    return on(b).mul(x, on(b).exp2(y))


@function(kinds=ACTIVATION)
def sgn(b: Any, x: Operand) -> Any:
    """The sign of a real number; of a complex one x / |x|, and 0 of 0."""
    x = array(b, x)
    if not b.dtype(x).is_complex:
        return b.sign(x)
    size = b.cast(b.abs(x), dtype=b.dtype(x))
    none = b.eq(size, 0)
    return b.select(none, 0, x / b.select(none, 1, size))


for _name, _compare, _doc in (("isposinf", "gt", "inf"), ("isneginf", "lt", "-inf")):

    def _infinite(b: Any, x: Operand, _compare: str = _compare) -> Any:
        return on(b).logical_and(on(b).isinf(x), getattr(on(b), _compare)(x, 0))

    _infinite.__name__, _infinite.__doc__ = _name, f"Whether each element is {_doc}."
    function(kinds=ACTIVATION)(_infinite)


@function(kinds=ACTIVATION)
def isreal(b: Any, x: Operand) -> Any:
    """Whether the imaginary part of each element is 0."""
    return on(b).eq(on(b).imag(x), 0)


@function(kinds=("function", "method"))
def lerp(b: Any, start: Operand, end: Operand, weight: Operand) -> Any:
    """start + weight * (end - start)."""
    c = on(b)
    return c.add(start, c.mul(weight, c.sub(end, start)))


@function()
def heaviside(b: Any, x: Operand, y: Operand) -> Any:
    """0 below 0, y at 0, 1 above."""
    c = on(b)
    x, y = operands_of(b, "copysign", x, y)
    return c.select(c.lt(x, 0), 0.0, c.select(c.eq(x, 0), y, c.select(c.isnan(x), x, 1.0)))


for _name, _factor, _doc in (
    ("deg2rad", math.pi / 180.0, "Degrees as radians."),
    ("rad2deg", 180.0 / math.pi, "Radians as degrees."),
):

    def _scaled(b: Any, x: Operand, _factor: float = _factor) -> Any:
        return on(b).mul(*operands_of(b, "hypot", x), _factor)

    _scaled.__name__, _scaled.__doc__ = _name, _doc
    function("numpy radians" if _name == "deg2rad" else "numpy degrees")(_scaled)
