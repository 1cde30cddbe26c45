"""The bits of numbers read as numbers of another dtype, the lowest byte first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracejit.errors import DTypeMismatch
from tracejit.ir.builder import composite
from tracejit.ir.core import Value
from tracejit.ir.opdef import Pointwise, Sample
from tracejit.ir.types import BOOL, BY_NAME, F32, F64, I32, I64, U8, DType, TensorType, Type, real_dtype
from tracejit.ops.building import as_pairs, of_pairs
from tracejit.ops.define import (
    as_dtype,
    draw,
    dtype_name,
    element_type,
    op,
    pointwise,
    require_size,
    tensor_type,
    with_dtype,
)
from tracejit.ops.functions import Operand, function, inexact, on
from tracejit.ops.products import agree, with_sizes

_NO_SLOPE = "bits have no derivative"


def _readable(dtype: DType, name: str) -> DType:
    """A dtype whose numbers are integers of that many bits, or f32, or f64."""
    if not (dtype.is_integer or dtype in (F32, F64)):
        raise DTypeMismatch(f"{name} is not defined for {dtype.name}")
    return dtype


def _unsigned(dtype: DType) -> DType:
    return BY_NAME[f"u{dtype.bits}"]


def _bitcast_infer(x: Value, *, dtype: DType) -> tuple[Type, ...]:
    source, target = (_readable(d, "bitcast") for d in (element_type(x, "bitcast"), as_dtype(dtype)))
    if source.bits != target.bits:
        raise DTypeMismatch(f"bitcast: {source.name} and {target.name} differ in width")
    return (with_dtype(x.type, target),)


op(
    "bitcast",
    ("x",),
    doc="The bits of x as another dtype of the same width.",
    infer=_bitcast_infer,
    eager=lambda xp, x, *, dtype: xp.asarray(x).view(dtype_name(dtype))[()],
    vjp=_NO_SLOPE,
    lower=pointwise(lambda k, x, *, dtype: k.bitcast(x, as_dtype(dtype))),
    samples=lambda rng: [
        Sample((draw(rng, -50, 50, (4,), source),), {"dtype": BY_NAME[target]})
        for source, target in (("float64", "i64"), ("float32", "u32"), ("int32", "f32"), ("uint8", "i8"))
    ],
)


def _regroup_infer(x: Value, size: Value, *, dtype: DType) -> tuple[Type, ...]:
    source, target = tensor_type(x, "regroup_bits"), _readable(as_dtype(dtype), "regroup_bits")
    _readable(source.dtype, "regroup_bits")
    return (TensorType(target, (*source.shape[:-1], require_size(size, "regroup_bits").dim)),)


def _regroup_scalar(k: Any, index: Sequence[Any], x: Any, size: Any, *, dtype: DType) -> Any:
    target, source = as_dtype(dtype), x.type.dtype
    *outer, last = index
    narrow, wide = sorted((_unsigned(source), _unsigned(target)), key=lambda d: d.bits)
    ratio = wide.bits // narrow.bits
    if source.bits > target.bits:
        place = k.quotient(last, ratio)
        shift = k.cast(k.mul(k.sub(last, k.mul(place, ratio)), narrow.bits), wide)
        found = k.cast(k.lsr(k.bitcast(x((*outer, place)), wide), shift), narrow)
    else:
        found = k.const(0, wide)
        for i in range(ratio):
            part = k.cast(k.bitcast(x((*outer, k.add(k.mul(last, ratio), i))), narrow), wide)
            found = k.bitor(found, k.lsl(part, k.const(i * narrow.bits, wide)))
    return k.bitcast(found, target)


op(
    "regroup_bits",
    ("x", "size"),
    doc="The bits of the last axis as `size` numbers of a dtype of another width.",
    infer=_regroup_infer,
    eager=lambda xp, x, size, *, dtype: (
        xp.ascontiguousarray(x).view(dtype_name(dtype)).reshape((*x.shape[:-1], int(size)))
    ),
    vjp=_NO_SLOPE,
    lower=Pointwise(_regroup_scalar, own_index=False),
    samples=lambda rng: [
        Sample((draw(rng, -50, 50, shape, source), size), {"dtype": BY_NAME[target]})
        for source, target, shape, size in (
            ("float64", "u8", (2, 3), 24),
            ("int16", "i64", (3, 8), 2),
            ("float64", "f32", (3,), 6),
            ("uint8", "f32", (8,), 2),
            ("int32", "f64", (0, 4), 2),
        )
    ],
)


@composite
def read_as(b: Any, x: Any, dtype: DType) -> Any:
    """`x.view(dtype)` of NumPy's, as a copy: bits as numbers of another dtype, along the last axis where widths differ.
    Raises ValueError as NumPy does."""
    source, rank = b.dtype(x), b.rank(x)
    if source == dtype:
        return x
    if BOOL in (source, dtype):  # one byte, 0 or 1
        return b.ne(read_as(b, x, U8), 0) if dtype == BOOL else read_as(b, b.cast(x, dtype=U8), dtype)
    if rank == 0 and source.bits != dtype.bits:
        raise ValueError("Changing the dtype of a 0d array is only supported if the itemsize is unchanged")
    if source.is_complex:
        pairs = as_pairs(b, x)
        *outer, last, _ = (1, *b.shape(pairs)) if rank == 0 else b.shape(pairs)
        return read_as(b, b.reshape(pairs, (*outer, on(b).mul(last, 2))), dtype)
    if dtype.is_complex:
        parts = read_as(b, x, real_dtype(dtype))
        *outer, last = b.shape(parts)
        _require_whole(b, last, 2)
        return of_pairs(b, b.reshape(parts, (*outer, on(b).floordiv(last, 2), 2)))
    if source.bits == dtype.bits:
        return b.bitcast(x, dtype=dtype)
    last = b.shape(x)[-1]
    if source.bits > dtype.bits:
        return b.regroup_bits(x, on(b).mul(last, source.bits // dtype.bits), dtype=dtype)
    ratio = dtype.bits // source.bits
    _require_whole(b, last, ratio)
    return b.regroup_bits(x, on(b).floordiv(last, ratio), dtype=dtype)


@function(kinds=("function", "method"))
def frexp(b: Any, x: Operand) -> Any:
    """The mantissa, from 0.5 to below 1, and the exponent of 2 (int32), from the bits; both 0 for 0."""
    x, c = inexact(b, x), on(b)
    own = b.dtype(x)
    if own.is_complex:
        raise DTypeMismatch(f"frexp is not defined for {own.name}")
    wide = x if own in (F32, F64) else b.cast(x, dtype=F32)
    digits, bias, top, whole = (52, 1022, 2047, I64) if own == F64 else (23, 126, 255, I32)
    is_small = c.lt(c.abs(wide), 2.0 ** (1 - bias))  # below the normal numbers, whose exponent is in the bits
    bits = b.bitcast(b.detach(b.select(is_small, wide * 2.0**digits, wide)), dtype=whole)
    found = c.bitand(c.shr(bits, digits), top)
    power = c.sub(c.sub(found, bias), c.mul(b.cast(is_small, dtype=whole), digits))
    power = c.where(c.logical_or(c.eq(wide, 0), c.eq(found, top)), 0, power)
    half = c.shr(power, 1)
    for part in (half, c.sub(power, half)):
        wide = wide * b.bitcast(c.shl(c.sub(bias + 1, part), digits), dtype=F64 if own == F64 else F32)
    return b.cast(wide, dtype=own), b.cast(power, dtype=I32)


@composite
def with_bits(b: Any, whole: Any, part: Any) -> Any:
    """The bits of `part`, which was read from `whole`, in the shape and dtype of `whole`."""
    return with_sizes(b, read_as(b, part, b.dtype(whole)), b.shape(whole))


def _require_whole(b: Any, size: Any, ratio: int) -> None:
    text = "When changing to a larger dtype, its size must be a divisor of the total size in bytes of the last axis "
    agree(b, on(b).mod(size, ratio), 0, text + "of the array.")
