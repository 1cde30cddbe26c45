"""Short-time Fourier transforms: the spectra of overlapping, windowed parts of signals, and signals made of them.

A signal is the last axis of a vector or matrix; spectra are (..., frequencies, frames), as PyTorch has them.
"""

from __future__ import annotations

from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.types import I64
from tracejit.ops.arrange import at_most_size, padded, part
from tracejit.ops.building import as_pairs
from tracejit.ops.fourier import fft_, ifft_, irfft_, rfft_
from tracejit.ops.functions import Operand, Size, array, function, inexact, on
from tracejit.ops.products import agree

TORCH = ("function", "method")


def _window(b: Any, window: Operand, n_fft: int, win_length: int | None, like: Any) -> Any:
    """The window with zeros around it, n_fft numbers."""
    size = n_fft if win_length is None else win_length
    if not 0 < size <= n_fft:
        raise ShapeMismatch(f"a window of {size} numbers does not fit transforms of {n_fft}")
    dtype = b.dtype(b.real(like))
    line = b.full(1, (size,), dtype) if window is None else array(b, window)
    if b.rank(line) != 1:
        raise ShapeMismatch(f"the window is a vector of {size} numbers")
    agree(b, b.shape(line)[0], size, "the window has {0} numbers, not {1}")
    before = (n_fft - size) // 2
    return padded(b, line, [(before, n_fft - size - before)], "constant", 0)


def _hop(n_fft: int, hop_length: int | None) -> int:
    """How far parts of n_fft numbers are apart."""
    hop = n_fft // 4 if hop_length is None else hop_length
    if n_fft < 1 or hop < 1:
        raise ShapeMismatch(f"parts have at least 1 number and are at least 1 apart, not {n_fft} and {hop}")
    return hop


def _turned(b: Any, x: Any) -> Any:
    """Its last two axes exchanged."""
    rank = b.rank(x)
    return b.transpose(x, perm=(*range(rank - 2), rank - 1, rank - 2))


def _places(b: Any, frames: Any, n_fft: int, hop: int) -> Any:
    """Where the elements of each frame lie in the signal: (frames, n_fft)."""
    shape = (frames, n_fft)
    return b.iota(shape, axis=0, dtype=I64) * hop + b.iota(shape, axis=1, dtype=I64)


def _spread(b: Any, window: Any, shape: Any) -> Any:
    return b.broadcast(b.reshape(window, (*(1,) * (len(shape) - 1), shape[-1])), shape)


@function(kinds=TORCH)
def stft(
    b: Any,
    x: Operand,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Operand = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool = True,
) -> Any:
    """The Fourier transforms of parts of n_fft numbers, `hop_length` (n_fft // 4) apart, times a window of `win_length`
    numbers; with `center` the parts are around their places, and the signal is continued by `pad_mode`. Of real signals
    the n_fft // 2 + 1 first numbers unless `onesided` is False; divided by sqrt(n_fft) with `normalized`; real and
    imaginary parts along a last axis without `return_complex`.

    ValueError where the signal is shorter than a part."""
    x = inexact(b, x)
    if b.rank(x) not in (1, 2):
        raise ShapeMismatch(f"stft takes vectors and matrices, not {b.rank(x)}-d")
    if onesided and b.dtype(x).is_complex:
        raise DTypeMismatch("stft: the spectrum of complex numbers has two sides")
    hop = _hop(n_fft, hop_length)
    if center:
        half = n_fft // 2
        x = padded(b, x, [*[(0, 0)] * (b.rank(x) - 1), (half, half)], pad_mode, 0)
    *batch, size = b.shape(x)
    at_most_size(b, n_fft, size, "stft: parts of {0} numbers do not fit a signal of {1}")
    frames = on(b).add(on(b).floordiv(on(b).sub(size, n_fft), hop), 1)
    parts = b.gather(x, _places(b, frames, n_fft, hop), axis=len(batch))
    parts = on(b).mul(parts, _spread(b, _window(b, window, n_fft, win_length, x), b.shape(parts)))
    norm = "ortho" if normalized else None
    whole = b.dtype(parts).is_complex or onesided is False
    spectra = _turned(b, (fft_ if whole else rfft_)(b, parts, None, -1, norm))
    return spectra if return_complex else as_pairs(b, spectra)


@function(kinds=TORCH)
def istft(
    b: Any,
    x: Operand,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Operand = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: Size = None,
    return_complex: bool = False,
) -> Any:
    """The signal whose `stft` is nearest to x: the parts, times the window, added where they lie, over the sum of the
    squared windows there. `length` cuts it, or continues it with zeros.

    ValueError where windows leave a gap, and for another number of frequencies than n_fft // 2 + 1 (n_fft of a spectrum
    of two sides)."""
    x = array(b, x)
    if b.rank(x) not in (2, 3) or not b.dtype(x).is_complex:
        raise DTypeMismatch(f"istft takes complex spectra of 2 or 3 axes, not {b.rank(x)}-d {b.dtype(x).numpy_name}")
    hop = _hop(n_fft, hop_length)
    *batch, frequencies, frames = b.shape(x)
    norm = "ortho" if normalized else None
    whole = return_complex or onesided is False
    needed = n_fft if whole else n_fft // 2 + 1
    agree(b, frequencies, needed, f"istft: parts of {n_fft} numbers have {{1}} frequencies, not {{0}}")
    parts = (ifft_ if whole else irfft_)(b, _turned(b, x), n_fft, -1, norm)
    parts = parts if return_complex or not whole else b.real(parts)
    shape = b.shape(parts)
    line = _window(b, window, n_fft, win_length, parts)
    size = on(b).add(on(b).mul(on(b).sub(frames, 1), hop), n_fft)
    places = _places(b, frames, n_fft, hop)

    def added(values: Any, lead: tuple[Any, ...]) -> Any:
        return b.scatter_add(b.full(0, (*lead, size), b.dtype(values)), places, values, axis=len(lead))

    line = on(b).cast(line, dtype=b.dtype(b.real(parts)))
    signal = added(on(b).mul(parts, _spread(b, line, shape)), tuple(batch))
    weights = added(_spread(b, on(b).mul(line, line), shape[-2:]), ())
    start = n_fft // 2 if center else 0
    axis = len(batch)
    kept = on(b).sub(size, 2 * start)
    if length is not None:
        kept = on(b).minimum(length, on(b).sub(size, start))
    signal, weights = part(b, signal, axis, start, kept), part(b, weights, 0, start, kept)
    gap = b.fetch(b.min(weights, axes=(0,)), ())
    b.check(on(b).gt(gap, 1e-11), (), kind="ValueError", message="istft: the windows leave a gap in the signal")
    signal = on(b).div(signal, _spread(b, weights, b.shape(signal)))
    if length is None:
        return signal
    return padded(b, signal, [*[(0, 0)] * axis, (0, on(b).sub(length, kept))], "constant", 0)
