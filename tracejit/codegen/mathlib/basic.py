"""Compound operations on integers and simple ones on floats, by comparison, selection and truncating division.

Each function has the name of its row in `scalars.py` and takes the builder and operands that are variables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Expr
from tracejit.ir.types import BOOL

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder


def abs(k: KernelBuilder, x: Expr) -> Expr:
    """|x| of a signed integer; the least one stays."""
    return k.select(k.lt(x, 0), k.neg(x), x)


def sign(k: KernelBuilder, x: Expr) -> Expr:
    """-1, 0 or 1; NaN stays NaN, and -0 gives 0."""
    positive = k.select(k.gt(x, 0), k.const(1, k.dtype(x)), k.const(0, k.dtype(x)))
    if k.dtype(x).kind == "u":
        return positive
    signed = k.select(k.lt(x, 0), k.const(-1, k.dtype(x)), positive)
    return k.select(k.isnan(x), x, signed)


def minimum(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """The lesser, or the first NaN."""
    return k.select(k.isnan(x), x, k.select(k.lt(x, y), x, y)) if k.dtype(x) != BOOL else k.logical_and(x, y)


def maximum(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """The greater, or the first NaN."""
    return k.select(k.isnan(x), x, k.select(k.gt(x, y), x, y)) if k.dtype(x) != BOOL else k.logical_or(x, y)


def isnan(k: KernelBuilder, x: Expr) -> Expr:
    """Whether x is NaN: the only value unequal to itself."""
    return k.ne(x, x)


def isinf(k: KernelBuilder, x: Expr) -> Expr:
    """Whether x is an infinity."""
    return k.eq(k.abs(x), float("inf"))


def isfinite(k: KernelBuilder, x: Expr) -> Expr:
    """Whether x is neither NaN nor an infinity."""
    return k.lt(k.abs(x), float("inf"))


def logical_not(k: KernelBuilder, x: Expr) -> Expr:
    """Negation."""
    return k.eq(x, False)


def shl(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """x << y; 0 where y is not less than the width."""
    inside, amount = _amount(k, y)
    return k.select(inside, k.lsl(x, amount), 0)


def shr(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """x >> y; where y is not less than the width, 0 or the sign."""
    inside, amount = _amount(k, y)
    if k.dtype(x).kind == "u":
        return k.select(inside, k.lsr(x, amount), 0)
    return k.asr(x, k.select(inside, y, k.dtype(x).bits - 1))


def _amount(k: KernelBuilder, y: Expr) -> tuple[Expr, Expr]:
    """Whether a shift by y stays inside the width (a negative y does not), and the amount made safe."""
    dtype = k.dtype(y)
    inside = k.lt(y, dtype.bits)
    if dtype.kind == "i":
        inside = k.logical_and(inside, k.ge(y, 0))
    inside = k.let(inside)
    return inside, k.select(inside, y, 0)


def floordiv(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """The quotient rounded down; for integers 0 where y is 0."""
    if k.dtype(x).is_float:
        return _float_floordiv(k, x, y)
    divisor = _safe_divisor(k, y)
    quotient = k.let(k.quotient(x, divisor))
    if k.dtype(x).kind == "u":
        return k.select(k.eq(y, 0), 0, quotient)
    remainder = k.let(k.sub(x, k.mul(quotient, divisor)))
    down = k.logical_and(k.ne(remainder, 0), k.lt(k.bitxor(remainder, divisor), 0))
    floored = k.select(down, k.sub(quotient, 1), quotient)
    return k.select(k.eq(y, 0), 0, k.select(k.eq(y, -1), k.neg(x), floored))


def mod(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """The remainder of `floordiv`, with the sign of y; for integers 0 where y is 0."""
    if k.dtype(x).is_float:
        return _float_mod(k, x, y)
    divisor = _safe_divisor(k, y)
    remainder = k.let(k.remainder(x, divisor))
    if k.dtype(x).kind == "u":
        return remainder
    other_sign = k.logical_and(k.ne(remainder, 0), k.lt(k.bitxor(remainder, divisor), 0))
    return k.select(other_sign, k.add(remainder, divisor), remainder)


def fmod_integer(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """The remainder with the sign of x; 0 where y is 0."""
    return k.remainder(x, _safe_divisor(k, y))


def _safe_divisor(k: KernelBuilder, y: Expr) -> Expr:
    """y, but 1 where a machine division traps (0) or may overflow (-1); both have remainder 0."""
    unsafe = k.eq(y, 0) if k.dtype(y).kind == "u" else k.logical_or(k.eq(y, 0), k.eq(y, -1))
    return k.let(k.select(unsafe, k.const(1, k.dtype(y)), y))


def _float_mod(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """NumPy's npy_remainder: `fmod` moved to the sign of y; a zero gets that sign too."""
    remainder = k.let(k.fmod(x, y))
    other_sign = k.ne(k.lt(y, 0), k.lt(remainder, 0))
    moved = k.select(other_sign, k.add(remainder, y), remainder)
    return k.select(k.eq(remainder, 0), k.copysign(k.const(0, k.dtype(x)), y), moved)


def _float_floordiv(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """NumPy's npy_floor_divide: (x - fmod) / y, nudged to the nearest integer; x / y where y is 0."""
    remainder = k.let(k.fmod(x, y))
    exact = k.let(k.div(k.sub(x, remainder), y))
    other_sign = k.logical_and(k.ne(remainder, 0), k.ne(k.lt(y, 0), k.lt(remainder, 0)))
    quotient = k.let(k.select(other_sign, k.sub(exact, 1), exact))
    down = k.let(k.floor(quotient))
    nearest = k.select(k.gt(k.sub(quotient, down), 0.5), k.add(down, 1), down)
    plain = k.let(k.div(x, y))
    rounded = k.select(k.eq(quotient, 0), k.copysign(k.const(0, k.dtype(x)), plain), nearest)
    return k.select(k.eq(y, 0), plain, rounded)


def add_overflows(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """Both operands have the sign that the wrapped sum has not."""
    total = k.let(k.add(x, y))
    return k.lt(k.bitand(k.bitxor(x, total), k.bitxor(y, total)), 0)


def sub_overflows(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """The operands differ in sign, and the wrapped difference has not x's."""
    return k.lt(k.bitand(k.bitxor(x, y), k.bitxor(x, k.sub(x, y))), 0)


def mul_overflows(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """Dividing the wrapped product by y does not give x back."""
    dtype = k.dtype(x)
    least = -(1 << dtype.bits - 1)
    lost = k.ne(k.quotient(k.mul(x, y), _safe_divisor(k, y)), x)
    usual = k.logical_and(k.ne(y, 0), lost)
    return k.select(k.eq(y, -1), k.eq(x, least), usual)


def integer_power(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
    """x to the y modulo 2**bits, by squaring over every bit of the exponent below the sign."""
    dtype = k.dtype(x)
    result: Expr = k.const(1, dtype)
    square = x
    for bit in range(dtype.bits - (dtype.kind == "i")):
        is_set = k.ne(k.bitand(y, 1 << bit), 0)
        result = k.let(k.select(is_set, k.mul(result, square), result))
        square = k.let(k.mul(square, square))
    return result
