"""Discrete Fourier transforms: `np.fft` and `tj.fft`.

One op, the plain transform of complex lines along an axis; its adjoint is the transform with the other sign. Everything
else (real input, Hermitian symmetry, lengths, norms, several axes) is made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import Opaque, Sample
from tracejit.ir.types import C128, COMPLEXES, F64, Type, complex_dtype, real_dtype
from tracejit.ops import fourier_loops
from tracejit.ops.arrange import at_most, part, ramp, roll
from tracejit.ops.define import conjugate, draw, op, quiet, require_dtype, tensor_type
from tracejit.ops.functions import Axis, Operand, Size, Sizes, array, axes_of, function, is_positive, on, one_axis


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
    return part(b, _transform(b, x, n, axis, norm, False), axis, 0, _half(b, n))


def _real_inverse(b: Any, x: Any, n: Any, axis: int, norm: str | None) -> Any:
    """The real signal of n elements with these coefficients; the second half are conjugates of the first."""
    x = _as_complex(b, x)
    n = _length(b, x, axis, (b.shape(x)[axis] - 1) * 2 if n is None else n)
    x = _resized(b, x, axis, _half(b, n))
    place = ramp(b, n)
    mirrored = on(b).sub(n, place)
    is_first = on(b).lt(place, _half(b, n))
    whole = b.gather(x, b.select(is_first, place, mirrored), axis=axis)
    shape = b.shape(whole)
    first = b.broadcast(b.reshape(is_first, tuple(n if i == axis else 1 for i in range(len(shape)))), shape)
    whole = b.select(first, whole, b.conj(whole))
    return b.real(_scaled(b, b.fft(whole, axis=axis, inverse=True), n, norm, True))


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
    return c.div(c.cast(places, dtype=F64), c.mul(n if isinstance(n, int) else b.cast(n, dtype=F64), d))


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
