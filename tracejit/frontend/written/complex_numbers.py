"""Functions of `cmath` on run-time values: Python complex numbers in, Python numbers out."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np

from tracejit.frontend.written import written


@written(cmath.sqrt)
def sqrt(z: Any) -> Any:
    """The root with a real part of at least 0."""
    return complex(np.sqrt(complex(z)))


@written(cmath.exp)
def exp(z: Any) -> Any:
    """e to the power z."""
    z = complex(z)
    made = complex(np.exp(z))
    if cmath.isfinite(z) and not cmath.isfinite(made):
        raise OverflowError("math range error")
    return made


@written(cmath.log)
def log(z: Any, base: Any = None) -> Any:
    """The logarithm with an imaginary part from -pi to pi."""
    z = complex(z)
    if z == 0:
        raise ValueError("math domain error")
    return complex(np.log(z)) if base is None else complex(np.log(z)) / complex(np.log(complex(base)))


@written(cmath.sin)
def sin(z: Any) -> Any:
    """The sine."""
    z = complex(z)
    return _bounded(z, z.real, np.sin)


@written(cmath.cos)
def cos(z: Any) -> Any:
    """The cosine."""
    z = complex(z)
    return _bounded(z, z.real, np.cos)


@written(cmath.tan)
def tan(z: Any) -> Any:
    """The tangent."""
    z = complex(z)
    return _bounded(z, z.real, np.tan)


@written(cmath.sinh)
def sinh(z: Any) -> Any:
    """The hyperbolic sine."""
    return _grown(complex(z), np.sinh)


@written(cmath.cosh)
def cosh(z: Any) -> Any:
    """The hyperbolic cosine."""
    return _grown(complex(z), np.cosh)


def _bounded(z: Any, turning: Any, fn: Any) -> Any:
    """A function that has no value where the part along which it is periodic is infinite."""
    if math.isinf(turning):
        raise ValueError("math domain error")
    return complex(fn(z))


def _grown(z: Any, fn: Any) -> Any:
    """A hyperbolic function, with Python's errors."""
    made = _bounded(z, z.imag, fn)
    if isfinite(z) and not isfinite(made):
        raise OverflowError("math range error")
    return made


@written(cmath.tanh)
def tanh(z: Any) -> Any:
    """The hyperbolic tangent."""
    z = complex(z)
    return _bounded(z, z.imag, np.tanh)


@written(cmath.asin)
def asin(z: Any) -> Any:
    """The inverse sine."""
    return complex(np.arcsin(complex(z)))


@written(cmath.acos)
def acos(z: Any) -> Any:
    """The inverse cosine."""
    return complex(np.arccos(complex(z)))


@written(cmath.atan)
def atan(z: Any) -> Any:
    """The inverse tangent."""
    return complex(np.arctan(complex(z)))


@written(cmath.asinh)
def asinh(z: Any) -> Any:
    """The inverse hyperbolic sine."""
    return complex(np.arcsinh(complex(z)))


@written(cmath.acosh)
def acosh(z: Any) -> Any:
    """The inverse hyperbolic cosine."""
    return complex(np.arccosh(complex(z)))


@written(cmath.atanh)
def atanh(z: Any) -> Any:
    """The inverse hyperbolic tangent."""
    z = complex(z)
    if z == 1 or z == -1:
        raise ValueError("math domain error")
    return complex(np.arctanh(z))


@written(cmath.log10)
def log10(z: Any) -> Any:
    """The logarithm to the base 10."""
    return log(z) / math.log(10)


@written(cmath.phase)
def phase(z: Any) -> Any:
    """The angle, from -pi to pi."""
    z = complex(z)
    return math.atan2(z.imag, z.real)


@written(cmath.polar)
def polar(z: Any) -> Any:
    """Length and angle."""
    return abs(complex(z)), phase(z)


@written(cmath.rect)
def rect(r: Any, phi: Any) -> Any:
    """The number of this length and angle."""
    return complex(r * math.cos(phi), r * math.sin(phi))


@written(cmath.isfinite)
def isfinite(z: Any) -> Any:
    """Whether both parts are finite."""
    z = complex(z)
    return math.isfinite(z.real) and math.isfinite(z.imag)


@written(cmath.isnan)
def isnan(z: Any) -> Any:
    """Whether a part is nan."""
    z = complex(z)
    return math.isnan(z.real) or math.isnan(z.imag)


@written(cmath.isinf)
def isinf(z: Any) -> Any:
    """Whether a part is infinite."""
    z = complex(z)
    return math.isinf(z.real) or math.isinf(z.imag)


@written(cmath.isclose)
def isclose(a: Any, b: Any, *, rel_tol: Any = 1e-09, abs_tol: Any = 0.0) -> Any:
    """Whether two numbers are equal within a relative or an absolute tolerance."""
    a, b = complex(a), complex(b)
    if rel_tol < 0 or abs_tol < 0:
        raise ValueError("tolerances must be non-negative")
    if a == b:
        return True
    if isinf(a) or isinf(b):
        return False
    apart = abs(a - b)
    return apart <= rel_tol * abs(b) or apart <= rel_tol * abs(a) or apart <= abs_tol
