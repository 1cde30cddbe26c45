"""Functions of the C library beyond the elementary ones, and the next number after another.

Derivatives of the gamma function are digamma: its recurrence brings an argument to 10 or more, where the asymptotic
series in 1 / x**2 holds to the last bits; arguments below 1/2 are reflected (Abramowitz and Stegun, 6.3.5 to 6.3.18).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

from tracejit.ir.c_library import BY_C_NAME
from tracejit.ir.types import BOOL, FLOATS
from tracejit.ops.define import binary, spellings, unary, uniform
from tracejit.ops.functions import Operand, function, inexact, on

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
