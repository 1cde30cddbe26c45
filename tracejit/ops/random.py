"""Random numbers by counting: element i of a draw is a function of a key and of `start + i`.

The function is that of SplitMix64 (Steele, Lea and Flood 2014), so that a draw needs no state of its own and its order
of evaluation does not matter. `tracejit.eager.random` keeps the key and how far it has been used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tracejit.errors import DTypeMismatch
from tracejit.ir.builder import composite
from tracejit.ir.core import Value
from tracejit.ir.opdef import Pointwise, Sample
from tracejit.ir.types import F32, F64, I32, I64, U64, DType, ScalarType, TensorType, Type
from tracejit.ops.arrange import part
from tracejit.ops.define import as_dtype, dims_of, op
from tracejit.ops.functions import array, on
from tracejit.ops.shape import ints
from tracejit.records import record

_GAMMA, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_MASK = (1 << 64) - 1

#: Elements that the eager rule works on at once, so that they stay in the cache.
_BLOCK = 1 << 14


def _infer(key: Value, start: Value, shape: Sequence[Value]) -> tuple[Type, ...]:
    if key.type != ScalarType(U64) or start.type != ScalarType(U64):
        raise DTypeMismatch(f"random_bits: key and start are u64 scalars, got {key.type} and {start.type}")
    return (TensorType(U64, dims_of(shape, "random_bits")),)


def _eager(xp: Any, key: Any, start: Any, shape: Sequence[Any]) -> Any:
    out = xp.empty(ints(shape), "uint64")
    flat = out.reshape(-1)
    origin = (int(key) + int(start) * _GAMMA) & _MASK
    for begin in range(0, flat.size, _BLOCK):
        z = flat[begin : begin + _BLOCK]
        z[...] = xp.arange(begin, begin + z.size, dtype="uint64")
        z *= xp.uint64(_GAMMA)
        z += xp.uint64(origin)
        for shift, factor in ((30, _FIRST), (27, _SECOND)):
            z ^= z >> xp.uint64(shift)
            z *= xp.uint64(factor)
        z ^= z >> xp.uint64(31)
    return out


def _scalar(k: Any, index: Sequence[Any], key: Any, start: Any, shape: Sequence[Any]) -> Any:
    place = k.const(0, I64)
    for i, size in zip(index, shape, strict=True):
        place = k.add(k.mul(place, size(())), i)
    z = k.add(key(()), k.mul(k.add(start(()), k.cast(place, U64)), k.const(_GAMMA, U64)))
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        z = k.mul(k.bitxor(z, k.lsr(z, k.const(shift, U64))), k.const(factor, U64))
    return k.bitxor(z, k.lsr(z, k.const(31, U64)))


op(
    "random_bits",
    ("key", "start", "*shape"),
    doc="Random 64-bit integers: element i in C order belongs to the number `start + i` under `key`.",
    infer=_infer,
    eager=_eager,
    vjp=lambda b, g, key, start, shape, out: (None, None, None),
    lower=Pointwise(_scalar, own_index=False),
    cost=20,
    samples=lambda rng: [
        Sample((key, start, shape))
        for key, start, shape in (
            (rng.integers(1 << 63, dtype="uint64"), rng.integers(1 << 40, dtype="uint64"), (5,)),
            (rng.integers(1 << 63, dtype="uint64"), rng.integers(1 << 40, dtype="uint64"), (2, 3)),
            (rng.integers(1 << 63, dtype="uint64"), rng.integers(1 << 40, dtype="uint64"), ()),
            (rng.integers(1 << 63, dtype="uint64"), rng.integers(1 << 40, dtype="uint64"), (0, 2)),
        )
    ],
)


def drawing_dtype(dtype: DType) -> DType:
    """The dtype in which numbers of a dtype are drawn: f64 for itself, f32 for all others."""
    return F64 if as_dtype(dtype) == F64 else F32


@composite
def random_uniform(b: Any, key: Any, start: Any, shape: Sequence[Any], dtype: DType) -> Any:
    """Uniform numbers from [0, 1): multiples of 2**-24 (f32) or 2**-53 (f64)."""
    wide = as_dtype(dtype) == F64
    bits = b.random_bits(key, start, tuple(shape))
    kept = b.shr(bits, b.number(11 if wide else 40, bits))
    whole = b.cast(kept, dtype=I64 if wide else I32)
    return b.cast(whole, dtype=F64 if wide else F32) * (2.0**-53 if wide else 2.0**-24)


@composite
def random_normal(b: Any, key: Any, start: Any, shape: Sequence[Any], dtype: DType, count: Any) -> Any:
    """Standard normal numbers, each from two uniform ones (Box and Muller 1958): takes 2 * `count` numbers, `count`
    being the number of elements as u64."""
    radius = random_uniform(b, key, start, shape, dtype)
    angle = random_uniform(b, key, start + count, shape, dtype)
    return b.sqrt(b.log(1.0 - radius) * -2.0) * b.cos(angle * (2.0 * math.pi))


@composite
def random_integers(b: Any, key: Any, start: Any, shape: Sequence[Any], low: Any, high: Any) -> Any:
    """Integers from low up to but not including high (i64): the remainder of 64 random bits, whose bias is below
    (high - low) / 2**64."""
    bits = b.random_bits(key, start, tuple(shape))
    span = b.cast(b.full(high - low, tuple(shape), I64), dtype=U64)
    return b.cast(b.mod(bits, span), dtype=I64) + low


# -- what fills arrays ----------------------------------------------------------------------------------------


@record
class Fill:
    """How `x.<name>_(*parameters)` fills an array: `values(c, drawn, *parameters)` of uniform or `is_normal` numbers,
    with the ops of `c`, which promote and broadcast. Parameters for which `fits(c, *parameters)` does not hold are
    refused."""

    values: Callable[..., Any]
    defaults: dict[str, Any]
    fits: Callable[..., Any]
    needs: str  #: what `fits` says
    is_normal: bool = False


#: PyTorch's methods that fill a tensor with random numbers.
FILLS = {
    "uniform_": Fill(
        lambda c, u, low, high: c.add(c.mul(u, c.sub(high, low)), low),
        {"low": 0.0, "high": 1.0},
        lambda c, low, high: c.le(low, high),
        "low is not above high",
    ),
    "normal_": Fill(
        lambda c, z, mean, std: c.add(c.mul(z, std), mean),
        {"mean": 0.0, "std": 1.0},
        lambda c, _, std: c.ge(std, 0),
        "std is not negative",
        True,
    ),
    "log_normal_": Fill(
        lambda c, z, mean, std: c.exp(c.add(c.mul(z, std), mean)),
        {"mean": 1.0, "std": 2.0},
        lambda c, _, std: c.gt(std, 0),
        "std is above 0",
        True,
    ),
    "exponential_": Fill(
        lambda c, u, lambd: c.div(c.neg(c.log1p(c.neg(u))), lambd),
        {"lambd": 1.0},
        lambda c, lambd: c.gt(lambd, 0),
        "lambd is above 0",
    ),
    "bernoulli_": Fill(
        lambda c, u, p: c.lt(u, p),
        {"p": 0.5},
        lambda c, p: c.logical_and(c.ge(p, 0), c.le(p, 1)),
        "probabilities lie between 0 and 1",
    ),
}


def filled(b: Any, fill: Fill, drawn: Any, *parameters: Any) -> Any:
    """What fills an array, made of drawn numbers."""
    fits = array(b, fill.fits(on(b), *parameters))
    b.check(b.fetch(b.all(fits, axes=tuple(range(b.rank(fits)))), ()), (), kind="ValueError", message=fill.needs)
    return fill.values(on(b), drawn, *parameters)


def limit_of(dtype: DType) -> int:
    """The number below which `random_` draws integers for an array of this dtype: all that it has and that are not
    negative (and below the largest of 64 bits), of floats those up to which every integer is one of its numbers."""
    digits = {"f16": 11, "bf16": 8, "f32": 24, "f64": 53, "bool": 1}
    return min(1 << digits.get(dtype.name, dtype.bits - (dtype.kind == "i")), (1 << 63) - 1)


def drawn_places(b: Any, p: Any, uniform: Any, count: Any, replacement: bool) -> Any:
    """Places along the last axis of p, `count` for each line, with probabilities in proportion to p. They are made of
    uniform numbers: one for each place that is drawn with `replacement`, without it one for each element of p."""
    axis = b.rank(p) - 1
    c = on(b)
    p = b.cast(p, dtype=b.dtype(uniform))
    if not replacement:  # exponential numbers of rate p arrive in an order of that probability (Efraimidis, Spirakis)
        arrivals = c.div(c.neg(c.log1p(c.neg(uniform))), p)
        return part(b, b.argsort(arrivals, axis=axis), axis, 0, count)
    reached = b.cumsum(p, axis=axis)
    size = b.shape(p)[axis]
    total = part(b, reached, axis, c.sub(size, 1), 1)
    lines = b.shape(p)[:-1]
    wide = (*lines, count, size)
    wanted = b.reshape(uniform * b.broadcast(total, (*lines, count)), (*lines, count, 1))
    below = b.le(b.broadcast(b.reshape(reached, (*lines, 1, size)), wide), b.broadcast(wanted, wide))
    return c.minimum(b.sum(b.cast(below, dtype=I64), axes=(axis + 1,)), c.sub(size, 1))
