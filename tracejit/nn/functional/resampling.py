"""Images, signals and volumes of another size: each axis is resampled by itself."""

from __future__ import annotations

import math
from typing import Any

import tracejit as tj
from tracejit.nn.functional.pooling import of_axis

#: Which number of spatial axes a mode is for; any, where it is not named.
_RANKS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_MODES = ("nearest", "area", *_RANKS)


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Any:
    """(N, C, ...) with other sizes of the axes behind C: `size`, or the present ones times `scale_factor`, one number
    or one for each axis. With `align_corners` the first and last elements keep their places, else the outer edges do.

    Raises `ValueError` for a mode that is not for so many axes."""
    rank = input.ndim - 2
    if mode not in _MODES or _RANKS.get(mode, rank) != rank:
        raise ValueError(f"interpolate: no mode {mode!r} for {rank} axes")
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate takes either a size or a scale factor")
    y = input
    for k in range(rank):
        n = input.shape[2 + k]
        factor = of_axis(scale_factor, k)
        count = of_axis(size, k) if factor is None else math.floor(n * factor)
        step = n / count if factor is None or recompute_scale_factor else 1.0 / factor
        y = _resampled(y, 2 + k, n, count, step, mode, bool(align_corners))
    return y


def upsample(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Any:
    """`interpolate` under its older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` by the nearest elements."""
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` by straight lines, where the corners keep their places."""
    return interpolate(input, size, scale_factor, "bilinear", True)


def _resampled(y: Any, axis: int, n: Any, count: Any, step: Any, mode: str, aligned: bool) -> Any:
    """One axis of n elements as `count` elements that lie `step` apart."""
    if mode == "area":
        return _means(y, axis, n, count)
    places = tj.arange(count, dtype=tj.float64, device=y.device)
    if mode == "nearest":
        return tj.index_select(y, axis, _at((places * step).floor(), n))
    places = places * ((n - 1) / (count - 1) if count > 1 else 0.0) if aligned else (places + 0.5) * step - 0.5
    if mode != "bicubic":
        places = places.clamp(min=0.0)
    first = places.floor()
    t = _along(places - first, y, axis)
    if mode != "bicubic":
        low, high = (tj.index_select(y, axis, _at(first + k, n)) for k in (0, 1))
        return low * (1.0 - t) + high * t
    weights = cubic_weights(t)
    parts = [tj.index_select(y, axis, _at(first + (k - 1), n)) * weights[k] for k in range(4)]
    return parts[0] + parts[1] + parts[2] + parts[3]


def _at(places: Any, n: Any) -> Any:
    """Places as indices, those outside at the edge."""
    return places.clamp(0.0, n - 1.0).to(tj.int64)


def _along(values: Any, y: Any, axis: int) -> Any:
    """Numbers, one for each place of an axis, shaped to meet y."""
    return values.to(y.dtype).reshape((-1, *(1 for _ in range(y.ndim - 1 - axis))))


def cubic_weights(t: Any) -> tuple[Any, Any, Any, Any]:
    """The weights of four neighbours for a place t behind the second."""
    return _outer(t + 1.0), _inner(t), _inner(1.0 - t), _outer(2.0 - t)


def _inner(t: Any) -> Any:
    """The cubic convolution kernel of Keys (1981) with a = -0.75, for distances up to 1."""
    return (1.25 * t - 2.25) * t * t + 1.0


def _outer(t: Any) -> Any:
    """The same for distances from 1 to 2."""
    return ((-0.75 * t + 3.75) * t - 6.0) * t + 3.0


def _means(y: Any, axis: int, n: Any, count: Any) -> Any:
    """The means of windows of about equal size: differences of the sums up to each place."""
    zero = tj.zeros_like(tj.narrow(y, axis, 0, 1))
    sums = tj.cat([zero, y.cumsum(axis)], axis)
    places = tj.arange(count, device=y.device)
    starts, stops = places * n // count, ((places + 1) * n + count - 1) // count
    return (tj.index_select(sums, axis, stops) - tj.index_select(sums, axis, starts)) / _along(stops - starts, y, axis)
