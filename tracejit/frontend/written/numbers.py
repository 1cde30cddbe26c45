"""Elementwise functions and number theory of NumPy's that are made of others."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracejit.frontend.written import Library, extended, written
from tracejit.frontend.written.reductions import stored

inverse = Library("reciprocal")
replaced = Library("nan_to_num")
bessel_of = Library("i0")


@written(np.logaddexp2)
def logaddexp2(x: Any, y: Any) -> Any:
    """log2(2**x + 2**y) without overflow."""
    if np.iscomplexobj(x) or np.iscomplexobj(y):
        raise TypeError("ufunc 'logaddexp2' takes real numbers")
    x, y = np.asarray(x) * np.float16(1), np.asarray(y) * np.float16(1)  # integers as floats that hold them
    dtype = np.result_type(x, y)
    wide = np.float64 if dtype == np.float64 else np.float32
    made = np.logaddexp(x.astype(wide) * 0.6931471805599453, y.astype(wide) * 0.6931471805599453)
    return (made * 1.4426950408889634).astype(dtype)[()]


@written(np.float_power)
def float_power(x: Any, y: Any) -> Any:
    """x**y in 64-bit floats, or complex numbers of such."""
    dtype = np.complex128 if np.iscomplexobj(x) or np.iscomplexobj(y) else np.float64
    return np.power(np.asarray(x).astype(dtype), np.asarray(y).astype(dtype))[()]


@written(np.rint)
def rint(x: Any, out: Any = None) -> Any:
    """The nearest whole number, in floats."""
    x = np.asarray(x)
    return stored((np.round(x) if x.dtype.kind in "fc" else x * np.float16(1))[()], out)


@written(np.reciprocal)
def reciprocal(x: Any, out: Any = None) -> Any:
    """1 / x; of integers, rounded towards 0. That of 0 is what NumPy gives for the dtype."""
    x = np.asarray(x)
    if x.dtype.kind in "fc":
        return stored(inverse(x)[()], out)
    x = x.astype(np.int8) if x.dtype.kind == "b" else x
    of_zero = np.iinfo(x.dtype).min if x.dtype.kind == "i" and x.dtype.itemsize > 2 else 0
    return stored(np.where(x == 0, of_zero, np.where(np.abs(x) == 1, x, 0))[()], out)


@written(np.signbit)
def signbit(x: Any) -> Any:
    """Whether the sign is negative, that of -0 and nan included."""
    return np.copysign(1.0, x) < 0


@written(np.modf)
def modf(x: Any) -> Any:
    """The fraction and the whole part, both with the sign of x."""
    x = np.asarray(x) * np.float16(1)  # integers as the floats that hold them
    whole = np.trunc(x)
    return np.copysign(np.where(np.isinf(x), 0.0, x - whole), x)[()], whole


@written(np.frexp)
def frexp(x: Any) -> Any:
    """The fraction, from 0.5 to below 1, and the exponent of 2, from the bits; numbers below the normal ones are scaled
    up first."""
    own = np.asarray(x) * np.float16(1)  # integers as the floats that hold them
    x = own if own.dtype.itemsize > 2 else own.astype(np.float32)
    is_double = x.dtype.itemsize == 8
    digits, bias, top = (52, 1022, 2047) if is_double else (23, 126, 255)
    kind = np.int64 if is_double else np.int32
    is_small = np.abs(x) < 2.0 ** (1 - bias)
    bits = np.where(is_small, x * 2.0**digits, x).view(kind)
    exponent = (bits >> digits) & top
    is_plain = (x != 0) & (exponent != top)
    fraction = (bits & ~(top << digits) | (bias << digits)).view(x.dtype)
    power = exponent - bias - np.where(is_small, digits, 0)
    fraction = np.where(is_plain, fraction, x).astype(own.dtype)
    return fraction[()], np.where(is_plain, power, 0).astype(np.int32)[()]


@written(np.ldexp)
def ldexp(x: Any, n: Any) -> Any:
    """x * 2**n."""
    if not np.can_cast(np.asarray(n).dtype, np.int64):
        raise TypeError("ufunc 'ldexp' takes an integer exponent")
    x, half = np.asarray(x) * np.float16(1), np.floor_divide(n, 2)
    low, high = np.asarray(np.exp2(half * 1.0)), np.asarray(np.exp2((n - half) * 1.0))
    return (x * low.astype(x.dtype) * high.astype(x.dtype))[()]


@written(np.gcd)
def gcd(x: Any, y: Any) -> Any:
    """The greatest common divisors of integers."""
    dtype = np.result_type(x, y)
    if dtype.kind not in "iu":
        raise TypeError("ufunc 'gcd' takes integers")
    x, y = np.asarray(x, dtype=dtype), np.asarray(y, dtype=dtype)
    a, b = x + np.zeros_like(y), np.zeros_like(x) + y
    while np.any(b != 0):
        rest = np.where(b != 0, np.fmod(a, np.where(b != 0, b, 1)), 0)
        a = np.where(b != 0, b, a)
        b = rest
    return np.abs(a)


@written(np.lcm)
def lcm(x: Any, y: Any) -> Any:
    """The least common multiples of integers."""
    common = gcd(x, y)
    x, y = np.asarray(x, dtype=common.dtype), np.asarray(y, dtype=common.dtype)
    return np.where(common != 0, abs(x) // np.where(common != 0, common, 1) * abs(y), 0)[()]


@written(np.bitwise_count)
def bitwise_count(x: Any) -> Any:
    """The number of bits of |x| that are 1: sums of neighbouring groups of 1, 2 and 4 bits, then of the bytes."""
    x = np.asarray(x)
    if x.dtype.kind not in "biu":
        raise TypeError("ufunc 'bitwise_count' takes integers")
    bits = np.abs(x.astype(np.int64) if x.dtype.kind == "i" else x).astype(np.uint64)
    bits = bits - ((bits >> np.uint64(1)) & np.uint64(0x5555555555555555))
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return ((bits * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.uint8)[()]


@written(np.isreal)
def isreal(x: Any) -> Any:
    """Whether the imaginary part is 0."""
    return np.imag(x) == 0


@written(np.iscomplex)
def iscomplex(x: Any) -> Any:
    """Whether the imaginary part is not 0."""
    return np.imag(x) != 0


@written(np.iscomplexobj)
def iscomplexobj(x: Any) -> Any:
    """Whether the dtype is complex."""
    return np.asarray(x).dtype.kind == "c"


@written(np.isrealobj)
def isrealobj(x: Any) -> Any:
    """Whether the dtype is not complex."""
    return np.asarray(x).dtype.kind != "c"


@written(np.real)
def real(val: Any) -> Any:
    """The real part, the array itself where it is real."""
    x: Any = np.asarray(val) if isinstance(val, (list, tuple)) else val
    return x.real


@written(np.imag)
def imag(val: Any) -> Any:
    """The imaginary part."""
    x: Any = np.asarray(val) if isinstance(val, (list, tuple)) else val
    return x.imag


@written(np.i0)
def i0(x: Any) -> Any:
    """The modified Bessel function of the first kind of order 0, as an array."""
    x = np.asarray(x)
    return np.where(np.isinf(x), np.nan, bessel_of(x))  # NumPy divides one infinity by another


@written(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: Any = -1, *, period: Any = 6.283185307179586) -> Any:
    """Angles with jumps of more than half a period taken out."""
    p = np.moveaxis(np.asarray(p), axis, -1)
    step = np.diff(p)
    is_whole = np.result_type(step, period).kind in "iu"
    half = period // 2 if is_whole else period / 2
    low = -half
    short = np.mod(step - low, period) + low
    if not is_whole or period % 2 == 0:
        short = np.where((short == low) & (step > 0), half, short)
    correction = np.where(np.abs(step) < (period / 2 if discont is None else discont), 0, short - step)
    made = p * (1 if is_whole else 1.0)
    made[..., 1:] += np.cumsum(correction, axis=-1)
    return np.moveaxis(made, -1, axis)


@written(np.vander)
def vander(x: Any, N: Any = None, increasing: Any = False) -> Any:
    """The powers of x by columns, the highest first."""
    x = np.asarray(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n = x.size if N is None else N
    powers = np.cumprod(np.where(np.arange(n)[None, :] == 0, 1, x[:, None] * np.ones(1, dtype=np.int64)), axis=1)
    return powers if increasing else np.flip(powers, axis=1).copy()


@written(np.correlate)
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """The sums of products of a with v moved along it."""
    a, v = np.asarray(a), np.asarray(v)
    if a.size < v.size:
        return np.convolve(v, a.conj()[::-1], mode).conj()[::-1]
    return np.convolve(a, v.conj()[::-1], mode)


def require_numbers(x: Any) -> None:
    """Truth values are not subtracted from each other."""
    if np.asarray(x).dtype.kind == "b":
        raise TypeError(
            "numpy boolean subtract, the `-` operator, is not supported, use the bitwise_xor, the `^` operator, or the "
            "logical_xor function instead."
        )


@written(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of neighbours in the flattened array."""
    require_numbers(ary)
    made = np.diff(np.asarray(ary).reshape(-1))
    if to_begin is not None:
        made = np.concatenate((np.asarray(to_begin, dtype=made.dtype).reshape(-1), made))
    if to_end is not None:
        made = np.concatenate((made, np.asarray(to_end, dtype=made.dtype).reshape(-1)))
    return made


@written(np.nan_to_num)
def nan_to_num(x: Any, copy: Any = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """nan and infinities replaced by numbers, in the array itself without `copy`; integers have none."""
    values = np.asarray(x)
    made = replaced(values, nan, posinf, neginf) if values.dtype.kind in "fc" else values
    if not copy and np.ndim(x) > 0:
        x[...] = made
        return x
    return made.copy()[()]


def _require_real(x: Any) -> None:
    if np.iscomplexobj(x):
        name = np.asarray(x).dtype
        raise TypeError(f"This operation is not supported for {name} values because it would be ambiguous.")


@written(np.isposinf)
def isposinf(x: Any, out: Any = None) -> Any:
    """Whether elements are positive infinity."""
    _require_real(x)
    return np.equal(x, np.inf, out=out)


@written(np.isneginf)
def isneginf(x: Any, out: Any = None) -> Any:
    """Whether elements are negative infinity."""
    _require_real(x)
    return np.equal(x, -np.inf, out=out)


@written(np.vecdot)
def vecdot(x: Any, y: Any, axis: Any = -1) -> Any:
    """Inner products along an axis, in the dtype of the products."""
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError("vecdot: Input operand 1 does not have enough dimensions")
    if x.shape[axis] != y.shape[axis]:
        raise ValueError("vecdot: Input operand 1 has a mismatch in its core dimension 0")
    products = x.conj() * y
    return np.sum(products, axis=axis, dtype=products.dtype)


@written(np.matvec)
def matvec(x: Any, y: Any) -> Any:
    """Matrices times vectors."""
    return (x @ y[..., None])[..., 0]


@written(np.vecmat)
def vecmat(x: Any, y: Any) -> Any:
    """Vectors times matrices."""
    return (np.asarray(x).conj()[..., None, :] @ y)[..., 0, :]


@written(np.fabs)
def fabs(x: Any) -> Any:
    """The absolute value in floats."""
    x = np.asarray(x) * np.float16(1)  # integers as floats that hold them
    if x.dtype.kind == "c":
        raise TypeError("ufunc 'fabs' takes no complex numbers")
    return np.abs(x)[()]


@extended("angle")
def angle(z: Any, deg: Any = False) -> Any:
    """The angle of a complex number, in degrees if asked."""
    return np.angle(z) * (180 / np.pi) if deg else np.angle(z)


@extended("interp")
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """The piecewise linear function through points, with values of its own outside, or periodic."""
    x, xp, fp = np.asarray(x) * 1.0, np.asarray(xp) * 1.0, np.asarray(fp) * 1.0
    if period is not None:
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = xp[order], fp[order]
        xp = np.concatenate((xp[-1:] - period, xp, xp[:1] + period))
        fp = np.concatenate((fp[-1:], fp, fp[:1]))
    made = np.interp(x, xp, fp)
    if left is not None and period is None:
        made = np.where(x < xp[0], left, made)
    if right is not None and period is None:
        made = np.where(x > xp[-1], right, made)
    return made[()]


@written(np.cumulative_sum)
def cumulative_sum(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: Any = False
) -> Any:
    """Sums of the first elements along an axis."""
    _require_axis(x, axis)
    made = np.cumsum(x, axis, dtype=dtype)
    return stored(_with_first(made, 0, axis) if include_initial else made, out)


@written(np.cumulative_prod)
def cumulative_prod(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: Any = False
) -> Any:
    """Products of the first elements along an axis."""
    _require_axis(x, axis)
    made = np.cumprod(x, axis, dtype=dtype)
    return stored(_with_first(made, 1, axis) if include_initial else made, out)


def _require_axis(x: Any, axis: Any) -> None:
    if axis is None and np.ndim(x) > 1:
        raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")


def _with_first(made: Any, value: Any, axis: Any) -> Any:
    """The results for no elements before the others."""
    lines = np.moveaxis(made, 0 if axis is None else axis, 0)
    first = np.full((1, *lines.shape[1:]), value, dtype=made.dtype)
    return np.moveaxis(np.concatenate((first, lines)), 0, 0 if axis is None else axis)


@written(np.divmod)
def divmod_of(x1: Any, x2: Any) -> Any:
    """The quotients rounded down, and the rests."""
    return np.floor_divide(x1, x2), np.mod(x1, x2)
