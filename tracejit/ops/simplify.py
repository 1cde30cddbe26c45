"""Simplification rules of ops that need more than the algebraic fields of a definition (`OpDef.simplify`).

A rule gets the simplifying builder and handles, and gives a simpler value, `()` for an op to drop, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tracejit.ir.types import BF16, F16, F32, F64, I64, DType, ScalarType, TensorType, real_dtype

Rule = Callable[..., Any]

#: Digits of a float's significand, its leading one included.
_DIGITS = {"f16": 11, "bf16": 8, "f32": 24, "f64": 53}


def holds(wide: DType, narrow: DType) -> bool:
    """Whether every number of one dtype is one of the other, so that a cast to it loses nothing."""
    if wide == narrow or narrow.kind == "b":
        return True
    if narrow.is_complex:
        return wide.is_complex and wide.bits >= narrow.bits
    wide = real_dtype(wide)
    if wide == narrow or wide.kind == "b":
        return wide == narrow
    if narrow.is_float:
        return wide.is_float and wide.bits > narrow.bits
    value_bits = narrow.bits - (narrow.kind == "i")
    if wide.is_float:
        return _DIGITS[wide.name] >= value_bits
    return wide.bits - (wide.kind == "i") >= value_bits and (wide.kind == "i" or narrow.kind == "u")


def involution(name: str) -> Rule:
    """The rule of a function that undoes itself."""

    def rule(b: Any, x: Any) -> Any:
        inner = b.made_by(x, name)
        return None if inner is None else inner.operands[0]

    return rule


def dim(b: Any, x: Any, *, axis: int) -> Any:
    """A size that the type states as a number or as a value."""
    size = x.type.shape[axis]
    if isinstance(size, int):
        return b.constant(size, ScalarType(I64))
    return None if isinstance(size, str) else size


def _dims(shape: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(size.value.dim for size in shape)


def broadcast(b: Any, x: Any, shape: Sequence[Any], *, exact: bool = False) -> Any:
    """To its own shape; of something that was broadcast before."""
    if isinstance(x.type, TensorType) and x.type.shape == _dims(shape):
        return x
    inner = b.made_by(x, "broadcast")
    if inner is None:
        return None
    source = b.wrap(inner.operands[0])
    if b.is_scalar(source):
        return b.broadcast(source, shape)
    may_skip = inner.attrs.get("exact", False) == exact and not contradict(source.type.shape, _dims(shape))
    return b.broadcast(source, shape, **inner.attrs) if may_skip else None


def contradict(source: Sequence[Any], target: Sequence[Any]) -> bool:
    """Whether no array of one shape stretches to the other. On a path that a check of sizes rules out, one broadcast
    after another may ask for that."""
    pairs = zip(reversed(source), reversed(target), strict=False)
    return any(isinstance(have, int) and isinstance(want, int) and have not in (1, want) for have, want in pairs)


def reshape(b: Any, x: Any, shape: Sequence[Any]) -> Any:
    """To its own shape; of something that was reshaped before; of one number everywhere."""
    if x.type.shape == _dims(shape):
        return x
    number = b.number_of(x)
    if number is not None:
        return b.full(number, shape, b.dtype(x))
    inner = b.made_by(x, "reshape")
    return None if inner is None else b.reshape(inner.operands[0], shape)


def mask_read(b: Any, x: Any, mask: Any) -> Any:
    """Of the indices themselves: they need not be in memory."""
    if b.rank(x) != 1 or b.made_by(x, "iota") is None or b.dtype(x) != I64:
        return None
    return tuple(result.value for result in b.mask_places(mask))


def transpose(b: Any, x: Any, *, perm: tuple[int, ...]) -> Any:
    """That keeps the order; of one number everywhere; of something that was transposed before."""
    if perm == tuple(range(len(perm))):
        return x
    number = b.number_of(x)
    if number is not None:
        shape = b.shape(x)
        return b.full(number, tuple(shape[p] for p in perm), b.dtype(x))
    inner = b.made_by(x, "transpose")
    if inner is None:
        return None
    return b.transpose(inner.operands[0], perm=tuple(inner.attrs["perm"][p] for p in perm))


def cast(b: Any, x: Any, *, dtype: Any) -> Any:
    """To its own dtype; after a cast that lost nothing; of a host scalar that was broadcast."""
    target = getattr(dtype, "dtype", dtype)
    if b.dtype(x) == target:
        return x
    inner = b.made_by(x, "cast")
    if inner is not None and _may_skip(inner.operands[0].type.dtype, b.dtype(x), target):
        return b.cast(inner.operands[0], dtype=dtype)
    inner = b.made_by(x, "broadcast")
    if inner is not None and isinstance(inner.operands[0].type, ScalarType):
        return b.broadcast(b.cast(inner.operands[0], dtype=dtype), inner.operands[1:])
    return None


def _may_skip(source: DType, middle: DType, target: DType) -> bool:
    """Whether a cast by way of `middle` is the cast itself. Integers wrap, floats beyond an integer's range do not."""
    wraps = source.is_integer and middle.is_inexact and target.is_integer
    return holds(middle, source) and not wraps


def select(b: Any, cond: Any, x: Any, y: Any) -> Any:
    """On a known condition, or between equals."""
    known = b.number_of(cond)
    if known is None:
        return x if x.value is y.value else None
    return x if known else y


def strong_mul(b: Any, g: Any, d: Any) -> Any:
    """Of a cotangent known to be zero or not to be, or by a known finite number: the product need not be strong."""
    known = b.number_of(g)
    if known is not None:
        return g if known == 0 else b.mul(g, d)
    known = b.number_of(d)
    return b.mul(g, d) if known is not None and known - known == 0 else None


def reduced(name: str) -> Rule:
    """The rule of a reduction along axes of size 1, which is a reshape, and of something transposed: what it was made
    of is read as it lies."""

    def rule(b: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
        if all(x.type.shape[axis] == 1 for axis in axes):
            return b.reshape(x, tuple(size for axis, size in enumerate(b.shape(x)) if axis not in axes))
        inner = b.made_by(x, "transpose")
        if inner is None:
            return None
        perm = inner.attrs["perm"]
        kept = [p for i, p in enumerate(perm) if i not in axes]
        found = getattr(b, name)(b.wrap(inner.operands[0]), axes=tuple(sorted(perm[a] for a in axes)))
        return b.transpose(found, perm=tuple(sorted(kept).index(p) for p in kept))

    return rule


def total(b: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    """A sum along axes of size 1; of something transposed; of products by one cotangent each: the total of the other
    factors by the cotangent, so that it does not have to wait for that. Not in f16 and bf16, where the other factors
    alone may overflow."""
    turned = reduced("sum")(b, x, axes=axes)
    if turned is not None:
        return turned
    if b.dtype(x) not in (F32, F64):
        return None
    inner = b.made_by(x, "neg")
    product = b.made_by(x if inner is None else inner.operands[0], "strong_mul")
    if product is None:
        return None
    cotangent = _without_axes(b, product.operands[0], axes)
    if cotangent is None:
        return None
    found = b.strong_mul(cotangent, b.sum(b.wrap(product.operands[1]), axes=axes))
    return found if inner is None else -found


def _without_axes(b: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """What is repeated along the axes; None where x differs along one of them."""
    inner = b.made_by(x, "broadcast")
    if inner is None:
        return None
    source, kept = b.wrap(inner.operands[0]), [d for i, d in enumerate(b.shape(b.wrap(x))) if i not in axes]
    if b.is_scalar(source) or b.rank(source) == 0:
        return b.broadcast(source, kept)
    shape, missing = b.shape(source), b.rank(b.wrap(x)) - b.rank(source)
    if any(i >= missing and source.type.shape[i - missing] != 1 for i in axes):
        return None
    own = [d for i, d in enumerate(shape) if i + missing not in axes]
    return b.broadcast(b.reshape(source, own), kept, **inner.attrs)


def matmul(b: Any, a: Any, other: Any) -> Any:
    """Of a row and a column: a sum of products, which fuses with what makes and uses them. Not in f16 and bf16, of
    which products sum in f32."""
    if a.type.shape[-2] != 1 or other.type.shape[-1] != 1 or b.dtype(a) in (F16, BF16):
        return None
    *leading, _, terms = b.shape(a)
    products = b.mul(b.reshape(a, (*leading, terms)), b.reshape(other, (*leading, terms)))
    return b.reshape(b.sum(products, axes=(len(leading),)), (*leading, 1, 1))


def strong_product(b: Any, g: Any, h: Any) -> Any:
    """By a known number: 0, or as `strong_mul` by it."""
    for known, other in ((b.number_of(g), h), (b.number_of(h), g)):
        if known is not None:
            return b.strong_mul(other, b.number(known, other)) if known else b.number(0, other)
    return None


def sync(b: Any, flag: Any, new: Any, old: Any) -> Any:
    """On a known flag, or between equals."""
    return select(b, flag, new, old)


def fetch(b: Any, x: Any, indices: Sequence[Any]) -> Any:
    """An element of a host scalar that was broadcast, or of a constant."""
    inner = b.made_by(x, "broadcast")
    if inner is not None and isinstance(inner.operands[0].type, ScalarType):
        return inner.operands[0]
    inner = b.made_by(x, "const")
    return None if inner is None else b.constant(inner.attrs["value"], ScalarType(b.dtype(x)))


def check(b: Any, cond: Any, payload: Sequence[Any], **_attrs: Any) -> Any:
    """Of what is known to hold."""
    return () if b.number_of(cond) else None


def check_eq(b: Any, x: Any, y: Any, *_payload: Any, **_attrs: Any) -> Any:
    """Of sizes known to be equal."""
    return () if b.same_size(x, y) else None


def broadcast_dim(b: Any, x: Any, y: Any) -> Any:
    """Of sizes known to be equal, or of which one is known as 1."""
    if b.same_size(x, y) or b.number_of(y) == 1:
        return x
    return y if b.number_of(x) == 1 else None
