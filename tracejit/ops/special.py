"""Functions of analysis beyond the elementary ones, some of them the C library's, and the next number after another.

Derivatives of the gamma function are digamma: its recurrence brings an argument to 10 or more, where the asymptotic
series in 1 / x**2 holds to the last bits; arguments below 1/2 are reflected (Abramowitz and Stegun, 6.3.5 to 6.3.18).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.c_library import BY_C_NAME
from tracejit.ir.types import BOOL, F64, FLOATS
from tracejit.ops.define import binary, spellings, unary, uniform
from tracejit.ops.functions import CountOrOperand, Operand, function, inexact, on
from tracejit.ops.transcendental import erf_of_arrays

#: Where the dtypes are those that the C library has functions for.
_C_FLOATS = tuple(d for d in FLOATS if d.bits >= 32)
_TORCH = ("function", "method")
#: B(2k) / 2k for k = 1, 2, ...: the series of digamma.
_ASYMPTOTIC = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
#: How often the recurrence is applied.
_STEPS = 10


def _eager(name: str, cupys: str) -> Any:
    """The C library's function, element by element, as NumPy has none; CuPy's own where the array is on a GPU."""

    def eager(xp: Any, x: Any) -> Any:
        if xp.__name__ != "numpy":
            return getattr(import_module(f"{xp.__name__}x.scipy.special"), cupys)(x)
        return BY_C_NAME[name](x)

    return eager


def _called(name: str) -> Callable[..., Any]:
    """The lowering that calls a function of the C library."""
    return lambda k, *xs: k.rare(k.const(True, BOOL), xs[0], name, *xs)


unary(
    "erfc",
    _C_FLOATS,
    doc="1 - erf(x), accurate where that is small.",
    eager=_eager("erfc", "erfc"),
    scalar=_called("erfc"),
    slope=lambda b, x, out: b.exp(b.neg(x * x)) * (-2.0 / math.sqrt(math.pi)),
    samples=uniform((-2.5, 2.5)),
    names=spellings("erfc", kinds=_TORCH),
    cost=60,
)
unary(
    "lgamma",
    _C_FLOATS,
    doc="log(abs(gamma(x))); inf at 0, -1, -2 ...",
    eager=_eager("lgamma", "gammaln"),
    scalar=_called("lgamma"),
    slope=lambda b, x, out: digamma(b, x),
    samples=uniform((0.2, 6.0)),
    names=spellings("lgamma", kinds=_TORCH),
    cost=80,
)
unary(
    "tgamma",
    _C_FLOATS,
    doc="The gamma function; nan at -1, -2 ...",
    eager=_eager("tgamma", "gamma"),
    scalar=_called("tgamma"),
    slope=lambda b, x, out: out * digamma(b, x),
    samples=uniform((0.2, 6.0)),
    names=(),
    cost=80,
)
binary(
    "nextafter",
    _C_FLOATS,
    doc="The next number of the dtype after x towards y.",
    scalar=_called("nextafter"),
    vjp="it is a step function",
    samples=uniform((-3.0, 3.0), (-3.0, 3.0)),
    names=spellings("nextafter"),
    cost=10,
)


@function(kinds=_TORCH)
def digamma(b: Any, x: Operand) -> Any:
    """The derivative of log(gamma(x)); nan at 0, -1, -2 ..."""
    x = x if b.is_scalar(x) else inexact(b, x)
    mirrored = b.lt(x, 0.5)
    z = b.select(mirrored, 1.0 - x, x)
    below = b.reciprocal(z)
    for k in range(1, _STEPS):
        below = below + b.reciprocal(z + float(k))
    z = z + float(_STEPS)
    inverse = b.reciprocal(z * z)
    series = inverse * _ASYMPTOTIC[-1]
    for c in reversed(_ASYMPTOTIC[:-1]):
        series = (series + c) * inverse
    found = b.log(z) - b.reciprocal(z) * 0.5 - series - below
    turned = math.pi / b.tan(b.select(mirrored, x, 0.25) * math.pi)
    poles = on(b).logical_and(b.le(x, 0), b.eq(b.floor(x), x))
    return b.select(poles, math.nan, b.select(mirrored, found - turned, found))


@function(kinds=_TORCH)
def polygamma(b: Any, n: CountOrOperand, x: CountOrOperand) -> Any:
    """The n-th derivative of `digamma` for x > 0 (n = 1 for all x); nan for other x. n is at least 0; the method has x
    in front."""
    n, x = (n, x) if isinstance(n, int) else (x, n)
    if not isinstance(n, int):
        raise DTypeMismatch("polygamma takes a Python integer for the number of derivatives")
    if n < 0:
        raise ShapeMismatch(f"polygamma: {n} is no number of derivatives")
    x = inexact(b, x)
    if n == 0:
        return digamma(b, x)
    if n > 1:
        inside = b.gt(x, 0)
        return b.select(inside, _polygamma(b, n, b.select(inside, x, 0.5)), math.nan)
    mirrored = b.lt(x, 0.5)
    found = _polygamma(b, n, b.select(mirrored, 1.0 - x, x))
    sine = b.sin(b.select(mirrored, x, 0.5) * math.pi)
    whole = b.logical_and(mirrored, b.eq(b.floor(x), x))
    return b.select(whole, math.inf, b.select(mirrored, math.pi**2 / (sine * sine) - found, found))


def _polygamma(b: Any, n: int, x: Any) -> Any:
    """(-1)**(n+1) n! sum of (x + k)**-(n+1): the first terms, and the asymptotic series of the others (6.4.11)."""

    def power(y: Any, exponent: int) -> Any:
        return b.pow(y, b.number(float(exponent), y))

    steps = _STEPS + n
    total = power(x, -n - 1)
    for k in range(1, steps):
        total = total + power(x + float(k), -n - 1)
    z = x + float(steps)
    inverse = b.reciprocal(z * z)
    series: Any = None
    for k in reversed(range(1, len(_ASYMPTOTIC) + 1)):
        # B(2k) (2k+n-1)! / (2k)!, where _ASYMPTOTIC has B(2k) / 2k
        term = _ASYMPTOTIC[k - 1] * math.factorial(2 * k + n - 1) / math.factorial(2 * k - 1) / math.factorial(n)
        series = b.number(term, x) if series is None else series * inverse + term
    rest = power(z, -n) * (1.0 / n) + power(z, -n - 1) * 0.5 + series * power(z, -n - 2)
    return (total + rest) * float((-1) ** (n + 1) * math.factorial(n))


@function(kinds=_TORCH)
def mvlgamma(b: Any, x: Operand, p: int) -> Any:
    """The logarithm of the multivariate gamma function of dimension p."""
    x = inexact(b, x)
    total = b.number(math.log(math.pi) * p * (p - 1) / 4, x)
    for k in range(p):
        total = total + b.lgamma(x - k / 2)
    return total


# -- the inverse of erf, and the normal distribution ----------------------------------------------------------

#: Giles (2012): approximations in w = -log(1 - x*x), for w < 5 in w - 2.5, and beyond (to 16) in sqrt(w) - 3.
_CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
    -0.00125372503, -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
    -0.0076224613, 0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip


def _erfinv(k: Any, x: Any, erf: Any, erfc: Any) -> Any:
    """The approximation, and two steps of Halley's method on erf near 0, on erfc near 1, where that is accurate."""
    size = k.abs(x)
    w = k.neg(k.log(k.mul(k.sub(1.0, size), k.add(1.0, size))))
    centre, tail = k.sub(w, 2.5), k.sub(k.sqrt(w), 3.0)

    def polynomial(coefficients: tuple[float, ...], at: Any) -> Any:
        value: Any = coefficients[0]
        for c in coefficients[1:]:
            value = k.add(k.mul(at, value), c)
        return value

    near = k.mul(k.select(k.lt(w, 5.0), polynomial(_CENTRE, centre), polynomial(_TAIL, tail)), size)
    rest = k.neg(k.log(k.sub(1.0, size)))
    far = k.sqrt(k.sub(rest, k.mul(k.log(k.mul(rest, math.pi)), 0.5)))  # erfc(z) is about exp(-z*z) / (z sqrt(pi))
    z = k.select(k.lt(w, 12.0), near, far)
    for _ in range(2):
        beyond = k.select(k.lt(size, 0.5), k.sub(erf(z), size), k.sub(k.sub(1.0, size), erfc(z)))
        step = k.mul(k.mul(beyond, k.exp(k.mul(z, z))), math.sqrt(math.pi) / 2)
        z = k.sub(z, k.div(step, k.add(k.mul(z, step), 1.0)))
    return k.select(k.eq(size, 1.0), math.inf, k.select(k.gt(size, 1.0), math.nan, z))


def _erfinv_scalar(k: Any, x: Any) -> Any:
    wide = k.cast(x, F64)
    found = _erfinv(k, wide, k.erf, lambda z: k.rare(k.const(True, BOOL), z, "erfc", z))
    return k.cast(k.copysign(found, wide), k.dtype(x))


class _Arrays:
    """The functions that `_erfinv` takes, on NumPy's arrays."""

    def __init__(self, xp: Any) -> None:
        self.abs, self.log, self.sqrt, self.exp, self.neg = xp.abs, xp.log, xp.sqrt, xp.exp, xp.negative
        self.add, self.sub, self.mul, self.div = xp.add, xp.subtract, xp.multiply, xp.divide
        self.lt, self.gt, self.eq, self.select = xp.less, xp.greater, xp.equal, xp.where


def _erfinv_eager(xp: Any, x: Any) -> Any:
    if xp.__name__ != "numpy":
        return import_module(f"{xp.__name__}x.scipy.special").erfinv(x)
    wide = xp.asarray(x, "float64")
    found = _erfinv(_Arrays(xp), wide, lambda z: erf_of_arrays(xp, z), BY_C_NAME["erfc"])
    return xp.copysign(found, wide).astype(xp.asarray(x).dtype)[()]


unary(
    "erfinv",
    _C_FLOATS,
    doc="The number whose erf is x: inf for 1, nan beyond.",
    eager=_erfinv_eager,
    scalar=_erfinv_scalar,
    slope=lambda b, x, out: b.exp(out * out) * (math.sqrt(math.pi) / 2),
    samples=uniform((-0.95, 0.95)),
    names=spellings("erfinv", kinds=_TORCH),
    cost=200,
)


@function("function special.ndtr", kinds=())
def ndtr(b: Any, x: Operand) -> Any:
    """The distribution function of the standard normal distribution."""
    return b.erfc(inexact(b, x) * -math.sqrt(0.5)) * 0.5


@function("function special.ndtri", kinds=())
def ndtri(b: Any, p: Operand) -> Any:
    """The number below which a standard normal one is with probability p."""
    p = inexact(b, p)
    return b.erfinv(p * 2.0 - 1.0) * math.sqrt(2.0)


@function("function special.log_ndtr", kinds=())
def log_ndtr(b: Any, x: Operand) -> Any:
    """The logarithm of `ndtr`, accurate where that is near 1, or too small for a number (Abramowitz and Stegun
    26.2.12)."""
    x = inexact(b, x)
    limit = -20.0 if b.dtype(x) == F64 else -8.0
    far, near = b.lt(x, limit), b.lt(x, 0)
    z = b.select(far, x, limit)
    inverse = b.reciprocal(z * z)
    series = b.number(0.0, x)
    for k in reversed(range(1, 10)):
        series = (series + 1.0) * inverse * -(2.0 * k - 1.0)
    tail = z * z * -0.5 - b.log(b.neg(z)) - 0.5 * math.log(2 * math.pi) + b.log1p(series)
    below = b.log(b.erfc(b.select(b.logical_and(near, b.logical_not(far)), x, 0.0) * -math.sqrt(0.5)) * 0.5)
    above = b.log1p(b.erfc(b.select(near, 0.0, x) * math.sqrt(0.5)) * -0.5)
    return b.select(far, tail, b.select(near, below, above))


@function("function special.entr", kinds=())
def entr(b: Any, x: Operand) -> Any:
    """-x * log(x): 0 for 0, -inf below."""
    x = inexact(b, x)
    inside = b.gt(x, 0)
    found = b.neg(x * b.log(b.select(inside, x, 1)))
    at_zero = b.sqrt(b.select(inside, 0, x))  # 0 with an infinite slope, and nan where x is
    return b.select(inside, found, b.select(b.lt(x, 0), -math.inf, at_zero))


@function("function special.xlog1py", kinds=())
def xlog1py(b: Any, x: Operand, y: Operand) -> Any:
    """x * log1p(y); 0 where x is 0 and y is a number."""
    c = on(b)
    none = c.logical_and(c.eq(x, 0), c.logical_not(c.isnan(y)))
    return c.select(none, 0.0, c.mul(x, c.log1p(c.select(none, 1.0, y))))


# -- Bessel functions -----------------------------------------------------------------------------------------

#: Up to here the power series is summed, from here the asymptotic one (Abramowitz and Stegun 9.6.10 and 9.7.1).
_BESSEL_LIMIT = 20.0


def _bessel(name: str, order: int, scaled: bool) -> None:
    powers = [1 / (math.factorial(k) * math.factorial(k + order)) for k in range(38)]
    falling = [1.0]
    for k in range(1, 26):
        falling.append(-falling[-1] * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k))

    def bessel(b: Any, x: Operand) -> Any:
        x = inexact(b, x)
        size = b.abs(x)
        is_small = b.lt(size, _BESSEL_LIMIT)
        small, large = b.select(is_small, x, 0.0), b.select(is_small, _BESSEL_LIMIT, size)
        near = _series(b, powers, small * small * 0.25)
        near = near * (small * 0.5) if order else near
        far = _series(b, falling, b.reciprocal(large)) * b.rsqrt(large * (2 * math.pi))
        if scaled:
            near = near * b.exp(b.neg(b.abs(small)))
        else:
            half = b.exp(large * 0.5)  # its square may be infinite where the product is not
            far = b.select(b.eq(large, math.inf), math.inf, far * half * half)
        far = b.select(b.lt(x, 0), b.neg(far), far) if order else far
        return b.select(is_small, near, far)

    bessel.__name__ = name
    bessel.__doc__ = f"The modified Bessel function of the first kind of order {order}" + (
        ", times exp(-|x|)." if scaled else "."
    )
    function(f"function special.{name}", kinds=_TORCH if name == "i0" else ())(bessel)


def _series(b: Any, coefficients: list[float], x: Any) -> Any:
    total = b.number(coefficients[-1], x)
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


_bessel("i0", 0, scaled=False)
_bessel("i0e", 0, scaled=True)
_bessel("i1", 1, scaled=False)
_bessel("i1e", 1, scaled=True)
