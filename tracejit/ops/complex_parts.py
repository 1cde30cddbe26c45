"""Real and imaginary parts of complex numbers, and what puts them together."""

from __future__ import annotations

from typing import Any

from tracejit.ir.builder import composite
from tracejit.ir.types import BOOL, BY_NUMPY_NAME, F32, F64, NUMERIC, complex_dtype, real_dtype
from tracejit.ops import simplify
from tracejit.ops.define import binary, conjugate, spellings, unary, uniform

unary(
    "conj",
    NUMERIC,
    simplify=simplify.involution("conj"),
    doc="The complex conjugate.",
    vjp=lambda b, g, x, out: (conjugate(b, g),),
    scalar=lambda k, x: k.conj(x) if k.dtype(x).is_complex else x,
    samples=uniform((-2.0, 2.0), dtypes=("complex128", "float64")),
    names=spellings("conj", "function conjugate", "method conjugate", "numpy conjugate"),
)
unary(
    "real",
    NUMERIC,
    doc="The real part.",
    vjp=lambda b, g, x, out: (b.cast(g, dtype=b.dtype(x)),),
    scalar=lambda k, x: k.real(x) if k.dtype(x).is_complex else x,
    result=real_dtype,
    samples=uniform((-2.0, 2.0), dtypes=("complex128", "float64")),
    names=("function real", "numpy real"),
)


def _imag_vjp(b: Any, g: Any, x: Any, out: Any) -> tuple[Any, ...]:
    if not b.dtype(x).is_complex:
        return (None,)
    return (b.cast(g, dtype=b.dtype(x)) * b.number(1j, x),)


unary(
    "imag",
    (BOOL, *NUMERIC),
    doc="The imaginary part; 0 of a real number.",
    vjp=_imag_vjp,
    scalar=lambda k, x: k.imag(x) if k.dtype(x).is_complex else k.const(0, k.dtype(x)),
    result=real_dtype,
    samples=uniform((-2.0, 2.0), dtypes=("complex128", "float64")),
    names=("function imag", "numpy imag"),
)


def _complex_eager(xp: Any, re: Any, im: Any) -> Any:
    found = xp.empty(xp.shape(re), complex_dtype(BY_NUMPY_NAME[re.dtype.name]).numpy_name)
    found.real, found.imag = re, im
    return found[()]


binary(
    "complex",
    (F32, F64),
    doc="The complex number of a real and an imaginary part.",
    eager=_complex_eager,
    vjp=lambda b, g, x, y, out: (b.real(g), b.imag(g)),
    scalar=lambda k, re, im: k.complex(re, im),
    result=complex_dtype,
    samples=uniform((-3.0, 3.0), (-3.0, 3.0)),
    names=("function complex",),
)


@composite
def with_real(b: Any, x: Any, part: Any) -> Any:
    """The complex numbers x with another real part."""
    return b.complex(part, b.imag(x))


@composite
def with_imag(b: Any, x: Any, part: Any) -> Any:
    """The complex numbers x with another imaginary part."""
    return b.complex(b.real(x), part)
