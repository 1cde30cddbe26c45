"""Discrete Fourier transforms: `np.fft` and `tj.fft`.

Three ops: the plain transform of complex lines along an axis, whose adjoint is the transform with the other sign, and
that of real lines and its inverse. Everything else (lengths, norms, several axes) is made of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Sample
from tracejit.ir.types import BY_NUMPY_NAME, C128, COMPLEXES, F32, F64, TensorType, Type, complex_dtype, real_dtype
from tracejit.ops import fourier_loops, fourier_real_loops
from tracejit.ops.arrange import at_most, part, ramp, roll
from tracejit.ops.define import conjugate, draw, op, quiet, require_dtype, require_size, tensor_type
from tracejit.ops.functions import Axis, Operand, Size, Sizes, array, axes_of, function, is_positive, on, one_axis
from tracejit.ops.loops import insert_axis, without_axis


def _fft_infer(x: Value, *, axis: int, inverse: bool = False) -> tuple[Type, ...]:
    require_dtype(x, COMPLEXES, "fft")
    source = tensor_type(x, "fft")
    if not 0 <= axis < source.rank:
        raise ShapeMismatch(f"axis {axis} is out of bounds for {source}")
    return (source,)


def _fft_eager(xp: Any, x: Any, *, axis: int, inverse: bool = False) -> Any:
    if not x.size:
        return xp.array(x)
    found = xp.fft.ifft(x, axis=axis, norm="forward") if inverse else xp.fft.fft(x, axis=axis)
    return found.astype(x.dtype)


def _fft_samples(rng: Any) -> list[Sample]:
    shapes = (
        ((8,), 0, False),
        ((12,), 0, True),
        ((2, 7), 1, False),
        ((1,), 0, True),
        ((0,), 0, False),
        ((43,), 0, True),
    )
    found = [
        Sample((draw(rng, -2, 2, shape, "complex128"),), {"axis": axis, "inverse": inverse})
        for shape, axis, inverse in (*shapes, ((2, 16, 3), 1, False))
    ]
    return [*found, Sample((draw(rng, -2, 2, (3, 24), "complex64"),), {"axis": 1})]


op(
    "fft",
    ("x",),
    doc="y[k] = sum_j x[j] e^(-2 pi i j k / n) along `axis`, for any length n; `inverse`: with the other sign, and not "
    "divided by n.",
    infer=_fft_infer,
    eager=quiet(_fft_eager),
    vjp=lambda b, g, x, out, *, axis, inverse=False: (b.fft(g, axis=axis, inverse=not inverse),),
    lower=Opaque(fourier_loops.fft),
    samples=_fft_samples,
)


# -- real lines ------------------------------------------------------------------------------------------------------


def _rfft_infer(half: Value, x: Value, *, axis: int) -> tuple[Type, ...]:
    require_size(half, "rfft")
    require_dtype(x, (F32, F64), "rfft")
    source = tensor_type(x, "rfft")
    return (TensorType(complex_dtype(source.dtype), _with_size(source, axis, half.dim)),)


def _irfft_infer(size: Value, x: Value, *, axis: int) -> tuple[Type, ...]:
    require_size(size, "irfft")
    require_dtype(x, COMPLEXES, "irfft")
    source = tensor_type(x, "irfft")
    return (TensorType(real_dtype(source.dtype), _with_size(source, axis, size.dim)),)


def _with_size(source: TensorType, axis: int, size: Any) -> tuple[Any, ...]:
    if not 0 <= axis < source.rank:
        raise ShapeMismatch(f"axis {axis} is out of bounds for {source}")
    return insert_axis(without_axis(source.shape, axis), axis, size)


def _rfft_eager(xp: Any, half: Any, x: Any, *, axis: int) -> Any:
    dtype = complex_dtype(BY_NUMPY_NAME[x.dtype.name]).numpy_name
    return xp.fft.rfft(x, axis=axis).astype(dtype) if x.size else _nothing(xp, x, axis, half, dtype)


def _irfft_eager(xp: Any, size: Any, x: Any, *, axis: int) -> Any:
    dtype = real_dtype(BY_NUMPY_NAME[x.dtype.name]).numpy_name
    if not x.size:
        return _nothing(xp, x, axis, size, dtype)
    return xp.fft.irfft(x, int(size), axis, norm="forward").astype(dtype)


def _nothing(xp: Any, x: Any, axis: int, size: Any, dtype: str) -> Any:
    """No lines of this size."""
    return xp.empty(insert_axis(without_axis(x.shape, axis), axis, int(size)), dtype)


def _weighted(b: Any, x: Any, n: Any, axis: int, weight: float) -> Any:
    """Coefficients of n real numbers times a weight, but for the first and, where n is even, the last one: these occur
    once in the whole transform, the others twice."""
    c, shape, dtype = on(b), b.shape(x), b.dtype(x)
    place = ramp(b, shape[axis])
    is_single = c.logical_or(c.eq(place, 0), c.eq(c.mul(place, 2), n))
    one, other = (b.full(w, (shape[axis],), dtype) for w in (1, weight))
    weights = b.reshape(b.select(is_single, one, other), tuple(n if i == axis else 1 for i, n in enumerate(shape)))
    return b.mul(x, b.broadcast(weights, shape))


_REAL_SAMPLES = (
    *(((n,), 0, "float64") for n in (1, 2, 7, 8, 12, 43, 86)),
    ((3, 6), 1, "float64"),
    ((6, 2), 0, "float64"),
    ((2, 9, 3), 1, "float64"),
    ((3, 24), 1, "float32"),
)


def _half_spectrum(rng: Any, shape: tuple[int, ...], axis: int, dtype: str) -> Any:
    """Arbitrary coefficients of real lines of that shape."""
    half = tuple(n // 2 + 1 if i == axis else n for i, n in enumerate(shape))
    return draw(rng, -2, 2, half, {"float32": "complex64", "float64": "complex128"}[dtype])


op(
    "rfft",
    ("half", "x"),
    doc="The first `half` = n // 2 + 1 numbers of the transform of n real numbers along `axis`.",
    infer=_rfft_infer,
    eager=quiet(_rfft_eager),
    vjp=lambda b, g, half, x, out, *, axis: (
        None,
        b.irfft(b.shape(x)[axis], _weighted(b, g, b.shape(x)[axis], axis, 0.5), axis=axis),
    ),
    lower=Opaque(fourier_real_loops.rfft),
    samples=lambda rng: [
        Sample((shape[axis] // 2 + 1, draw(rng, -2, 2, shape, dtype)), {"axis": axis})
        for shape, axis, dtype in _REAL_SAMPLES
    ],
)
op(
    "irfft",
    ("size", "x"),
    doc="The `size` = n real numbers along `axis` whose transform begins with the n // 2 + 1 numbers x, times n. The "
    "imaginary parts of the first one and, where n is even, of the last one do not count.",
    infer=_irfft_infer,
    eager=quiet(_irfft_eager),
    vjp=lambda b, g, size, x, out, *, axis: (
        None,
        _weighted(b, b.rfft(b.shape(x)[axis], g, axis=axis), size, axis, 2.0),
    ),
    lower=Opaque(fourier_real_loops.irfft),
    samples=lambda rng: [
        Sample((shape[axis], _half_spectrum(rng, shape, axis, dtype)), {"axis": axis})
        for shape, axis, dtype in _REAL_SAMPLES
    ],
)


# -- lengths and norms ------------------------------------------------------------------------------------------


def _as_complex(b: Any, x: Operand) -> Any:
    x = array(b, x)
    dtype = b.dtype(x)
    if dtype.is_complex:
        return x
    return b.cast(x, dtype=complex_dtype(dtype) if dtype.is_float else C128)


def _as_real(b: Any, x: Operand, name: str) -> Any:
    x = array(b, x)
    if b.dtype(x).is_complex:
        raise DTypeMismatch(f"{name} takes real numbers, got {b.dtype(x).numpy_name}")
    return x


def _length(b: Any, x: Any, axis: int, n: Any) -> Any:
    """The length of a transform; `ValueError` unless it is at least 1."""
    n = b.shape(x)[axis] if n is None else n
    message = "Invalid number of FFT data points ({0}) specified."
    if isinstance(n, int):
        if n < 1:
            raise ShapeMismatch(message.format(n))
    elif not is_positive(b, n):
        b.check(b.ge(n, 1), (n,), kind="ValueError", message=message)
    return n


def _resized(b: Any, x: Any, axis: int, n: Any) -> Any:
    """x cut, or continued with zeros, to n elements along an axis."""
    size = b.shape(x)[axis]
    if b.same_size(size, n):
        return x
    both_known = isinstance(size, int) and isinstance(n, int)
    if both_known and n < size:
        return part(b, x, axis, 0, n)
    kept = (
        x
        if both_known
        else part(b, x, axis, 0, at_most(b, size, n) if not isinstance(size, int) else on(b).minimum(n, size))
    )
    rest = n - b.shape(kept)[axis]
    zeros = b.full(0, tuple(rest if i == axis else s for i, s in enumerate(b.shape(x))), b.dtype(x))
    return b.cat(n, (kept, zeros), axis=axis)


_SWAPPED = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


def _scaled(b: Any, x: Any, n: Any, norm: str | None, inverse: bool) -> Any:
    """A transform of length n divided as the norm says."""
    if norm not in _SWAPPED:
        raise ShapeMismatch(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    if norm != "ortho" and (norm == "forward") == inverse:
        return x
    power = 0.5 if norm == "ortho" else 1.0
    if isinstance(n, int):
        return x * float(n) ** -power
    size = b.cast(n, dtype=real_dtype(b.dtype(x)))
    return on(b).mul(x, b.reciprocal(b.sqrt(size) if norm == "ortho" else size))


def _transform(b: Any, x: Any, n: Any, axis: int, norm: str | None, inverse: bool) -> Any:
    """The complex transform along an axis counted from the front."""
    n = _length(b, x, axis, n)
    made = b.fft(_resized(b, _as_complex(b, x), axis, n), axis=axis, inverse=inverse)
    return _scaled(b, made, n, norm, inverse)


def _half(b: Any, n: Any) -> Any:
    """How many of n coefficients of a real signal are different."""
    return n // 2 + 1 if isinstance(n, int) else on(b).floordiv(n, 2) + 1


def _real_transform(b: Any, x: Any, n: Any, axis: int, norm: str | None) -> Any:
    n = _length(b, x, axis, n)
    dtype = b.dtype(x)
    x = b.cast(x, dtype=real_dtype(complex_dtype(dtype)) if dtype.is_float else F64)
    return _scaled(b, b.rfft(_half(b, n), _resized(b, x, axis, n), axis=axis), n, norm, False)


def _real_inverse(b: Any, x: Any, n: Any, axis: int, norm: str | None) -> Any:
    """The real signal of n elements with these coefficients; the second half are conjugates of the first."""
    x = _as_complex(b, x)
    n = _length(b, x, axis, (b.shape(x)[axis] - 1) * 2 if n is None else n)
    return _scaled(b, b.irfft(n, _resized(b, x, axis, _half(b, n)), axis=axis), n, norm, True)


# -- as users call them -----------------------------------------------------------------------------------------


def _spelt(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return function(f"function fft.{name}", f"numpy fft.{name}", kinds=())


@_spelt("fft")
def fft_(b: Any, x: Operand, n: Size = None, axis: int = -1, norm: str | None = None) -> Any:
    """The discrete Fourier transform along an axis, of x cut or continued with zeros to n elements. `norm`:
    "backward" (the inverse divides by n, the default), "ortho" (both by its root) or "forward"."""
    x = array(b, x)
    return _transform(b, x, n, one_axis(axis, b.rank(x)), norm, False)


@_spelt("ifft")
def ifft_(b: Any, x: Operand, n: Size = None, axis: int = -1, norm: str | None = None) -> Any:
    """The inverse of `fft`."""
    x = array(b, x)
    return _transform(b, x, n, one_axis(axis, b.rank(x)), norm, True)


@_spelt("rfft")
def rfft_(b: Any, x: Operand, n: Size = None, axis: int = -1, norm: str | None = None) -> Any:
    """The first n // 2 + 1 coefficients of the transform of a real signal; the others are their conjugates."""
    x = _as_real(b, x, "rfft")
    return _real_transform(b, x, n, one_axis(axis, b.rank(x)), norm)


@_spelt("irfft")
def irfft_(b: Any, x: Operand, n: Size = None, axis: int = -1, norm: str | None = None) -> Any:
    """The inverse of `rfft`: a real signal of n elements, by default twice the coefficients less two."""
    x = array(b, x)
    return _real_inverse(b, x, n, one_axis(axis, b.rank(x)), norm)


@_spelt("hfft")
def hfft_(b: Any, x: Operand, n: Size = None, axis: int = -1, norm: str | None = None) -> Any:
    """The real transform of a signal of which one half is given, the other being its conjugate."""
    x = array(b, x)
    return _real_inverse(b, conjugate(b, x), n, one_axis(axis, b.rank(x)), _SWAPPED.get(norm, norm))


@_spelt("ihfft")
def ihfft_(b: Any, x: Operand, n: Size = None, axis: int = -1, norm: str | None = None) -> Any:
    """The inverse of `hfft`."""
    x = _as_real(b, x, "ihfft")
    return b.conj(_real_transform(b, x, n, one_axis(axis, b.rank(x)), _SWAPPED.get(norm, norm)))


def _plan(b: Any, x: Any, s: Any, axes: Any) -> list[tuple[int, Any]]:
    """The axes of a transform, each with its length (None: as it is)."""
    rank = b.rank(x)
    if axes is None:
        axes = tuple(range(rank)) if s is None else tuple(range(rank - len(s), rank))
    if s is not None and len(s) != len(axes):
        raise ShapeMismatch("Shape and axes have different lengths.")
    return [(one_axis(a, rank), n) for a, n in zip(axes, s or (None,) * len(axes), strict=True)]


def _several(b: Any, x: Any, plan: list[tuple[int, Any]], norm: str | None, inverse: bool) -> Any:
    for axis, n in reversed(plan):
        x = _transform(b, x, n, axis, norm, inverse)
    return x


@_spelt("fftn")
def fftn_(b: Any, x: Operand, s: Sizes = None, axes: Any = None, norm: str | None = None) -> Any:
    """`fft` along several axes, by default all; `s` are their lengths."""
    x = array(b, x)
    return _several(b, x, _plan(b, x, s, axes), norm, False)


@_spelt("ifftn")
def ifftn_(b: Any, x: Operand, s: Sizes = None, axes: Any = None, norm: str | None = None) -> Any:
    """The inverse of `fftn`."""
    x = array(b, x)
    return _several(b, x, _plan(b, x, s, axes), norm, True)


@_spelt("rfftn")
def rfftn_(b: Any, x: Operand, s: Sizes = None, axes: Any = None, norm: str | None = None) -> Any:
    """`rfft` along the last one of several axes, `fft` along the others."""
    x = _as_real(b, x, "rfftn")
    *others, (axis, n) = _plan(b, x, s, axes)
    return _several(b, _real_transform(b, x, n, axis, norm), others, norm, False)


@_spelt("irfftn")
def irfftn_(b: Any, x: Operand, s: Sizes = None, axes: Any = None, norm: str | None = None) -> Any:
    """The inverse of `rfftn`."""
    x = array(b, x)
    *others, (axis, n) = _plan(b, x, s, axes)
    return _real_inverse(b, _several(b, x, others, norm, True), n, axis, norm)


@_spelt("fft2")
def fft2_(b: Any, x: Operand, s: Sizes = None, axes: Any = (-2, -1), norm: str | None = None) -> Any:
    """`fftn` along two axes."""
    return fftn_(b, x, s, axes, norm)


@_spelt("ifft2")
def ifft2_(b: Any, x: Operand, s: Sizes = None, axes: Any = (-2, -1), norm: str | None = None) -> Any:
    """`ifftn` along two axes."""
    return ifftn_(b, x, s, axes, norm)


@_spelt("rfft2")
def rfft2_(b: Any, x: Operand, s: Sizes = None, axes: Any = (-2, -1), norm: str | None = None) -> Any:
    """`rfftn` along two axes."""
    return rfftn_(b, x, s, axes, norm)


@_spelt("irfft2")
def irfft2_(b: Any, x: Operand, s: Sizes = None, axes: Any = (-2, -1), norm: str | None = None) -> Any:
    """`irfftn` along two axes."""
    return irfftn_(b, x, s, axes, norm)


# -- frequencies and order --------------------------------------------------------------------------------------


def _frequencies(b: Any, places: Any, n: Any, d: Operand) -> Any:
    c = on(b)
    apart = c.div(1.0, c.mul(n if isinstance(n, int) else b.cast(n, dtype=F64), d))
    return c.mul(c.cast(places, dtype=F64), apart)


@_spelt("fftfreq")
def fftfreq_(b: Any, n: Size, d: Operand = 1.0) -> Any:
    """The frequencies of the coefficients of `fft` of n samples, `d` apart."""
    place = ramp(b, n)
    middle = (n - 1) // 2 + 1 if isinstance(n, int) else on(b).floordiv(n - 1, 2) + 1
    return _frequencies(b, b.select(on(b).lt(place, middle), place, on(b).sub(place, n)), n, d)


@_spelt("rfftfreq")
def rfftfreq_(b: Any, n: Size, d: Operand = 1.0) -> Any:
    """The frequencies of the coefficients of `rfft` of n samples, `d` apart."""
    return _frequencies(b, ramp(b, _half(b, n)), n, d)


def _shifted(b: Any, x: Operand, axes: Axis, places: Callable[[Any], Any]) -> Any:
    x = array(b, x)
    for axis in axes_of(axes, b.rank(x)):
        x = roll(b, x, places(b.shape(x)[axis]), axis)
    return x


@_spelt("fftshift")
def fftshift_(b: Any, x: Operand, axes: Axis = None) -> Any:
    """x with the coefficient of frequency 0 moved to the middle of axes (all by default)."""
    return _shifted(b, x, axes, lambda n: n // 2 if isinstance(n, int) else on(b).floordiv(n, 2))


@_spelt("ifftshift")
def ifftshift_(b: Any, x: Operand, axes: Axis = None) -> Any:
    """The inverse of `fftshift`."""
    return _shifted(b, x, axes, lambda n: -(n // 2) if isinstance(n, int) else b.neg(on(b).floordiv(n, 2)))
