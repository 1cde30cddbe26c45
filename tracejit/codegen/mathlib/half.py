"""Conversions between f32 (or f64) and the bits of f16 and bf16, rounding to nearest even, without hardware support.

A processor without F16C would otherwise call run-time functions that a process or an exported library may not have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tracejit.codegen.loop_ir import Expr
from tracejit.ir.types import BF16, F16, F32, F64, U16, U32, DType

if TYPE_CHECKING:
    from tracejit.codegen.scalars import KernelBuilder


def half_conversion(source: DType, target: DType) -> Callable[[KernelBuilder, Expr], Expr]:
    """The function `(k, x)` that converts; halves are u16 bits on either side."""
    return {
        (F16, F32): f16_to_f32,
        (BF16, F32): bf16_to_f32,
        (F32, F16): f32_to_f16,
        (F32, BF16): f32_to_bf16,
        (F64, F16): lambda k, x: f32_to_f16(k, k.let(_f32_rounded_to_odd(k, x))),
        (F64, BF16): lambda k, x: f32_to_bf16(k, k.let(k.cast(x, F32))),
    }[source, target]


def storage_dtype(dtype: DType) -> DType:
    """What holds a value of `dtype` in a conversion: bits for halves."""
    return U16 if dtype in (F16, BF16) else dtype


def f16_to_f32(k: KernelBuilder, bits: Expr) -> Expr:
    """Exact. Rebiases the exponent; of a subnormal it subtracts the hidden bit as a float."""
    word = k.let(k.lsl(k.cast(bits, U32), 16))
    sign = k.bitand(word, 0x80000000)
    magnitude = k.let(k.add(word, word))
    normal = k.mul(k.bitcast(k.add(k.lsr(magnitude, 4), 0xE0 << 23), F32), 2.0**-112)
    subnormal = k.sub(k.bitcast(k.bitor(k.lsr(magnitude, 17), 126 << 23), F32), 0.5)
    value = k.select(k.lt(magnitude, 1 << 27), subnormal, normal)
    return k.bitcast(k.bitor(sign, k.bitcast(value, U32)), F32)


def f32_to_f16(k: KernelBuilder, x: Expr) -> Expr:
    """Adding 2**(e+13), e the exponent of x, lets the hardware round to 11 bits (fewer for subnormals)."""
    word = k.let(k.bitcast(x, U32))
    doubled = k.let(k.add(word, word))
    overflowing = k.mul(k.mul(k.abs(x), 2.0**112), 2.0**-110)
    exponent = k.let(k.bitand(doubled, 0xFF000000))
    exponent = k.select(k.lt(exponent, 0x71000000), 0x71000000, exponent)
    rounded = k.let(k.bitcast(k.add(k.bitcast(k.add(k.lsr(exponent, 1), 0x07800000), F32), overflowing), U32))
    value = k.add(k.bitand(k.lsr(rounded, 13), 0x7C00), k.bitand(rounded, 0x0FFF))
    value = k.select(k.gt(doubled, 0xFF000000), 0x7E00, value)
    return k.cast(k.bitor(k.lsr(k.bitand(word, 0x80000000), 16), value), U16)


def bf16_to_f32(k: KernelBuilder, bits: Expr) -> Expr:
    """Exact: the upper half of an f32."""
    return k.bitcast(k.lsl(k.cast(bits, U32), 16), F32)


def f32_to_bf16(k: KernelBuilder, x: Expr) -> Expr:
    """The upper half, after adding just under half of its last place (exactly half where that place is odd)."""
    word = k.let(k.bitcast(x, U32))
    rounded = k.lsr(k.add(k.add(word, 0x7FFF), k.bitand(k.lsr(word, 16), 1)), 16)
    quiet = k.bitor(k.lsr(word, 16), 0x0040)
    return k.cast(k.select(k.isnan(x), quiet, rounded), U16)


def _f32_rounded_to_odd(k: KernelBuilder, x: Expr) -> Expr:
    """x in f32, the last bit set where inexact, so that rounding once more is as rounding x itself."""
    near = k.let(k.cast(x, F32))
    word = k.let(k.bitcast(near, U32))
    back = k.let(k.cast(near, F64))
    even = k.eq(k.bitand(word, 1), 0)
    inexact = k.logical_and(k.ne(back, x), k.isfinite(near))
    toward = k.select(k.lt(k.abs(back), k.abs(x)), k.add(word, 1), k.sub(word, 1))
    return k.select(k.logical_and(even, inexact), k.bitcast(toward, F32), near)
