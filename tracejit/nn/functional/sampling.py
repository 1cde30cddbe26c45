"""Images and volumes read at places that are data: `grid_sample` and the grids of affine maps."""

from __future__ import annotations

import itertools
from typing import Any

import tracejit as tj
from tracejit.nn.functional.resampling import cubic_weights

_MODES = ("bilinear", "nearest", "bicubic")
_PADDING = ("zeros", "border", "reflection")


def affine_grid(theta: Any, size: Any, align_corners: bool = False) -> Any:
    """The places that affine maps `theta`, (batch, 2, 3) or (batch, 3, 4), send those of images or volumes of `size`
    (batch, channels, *space) to, as `grid_sample` takes them: (batch, *space, 2 or 3)."""
    space = len(size) - 2
    axes = [_centres(theta, size, k, align_corners) for k in reversed(range(space))]
    axes.append(tj.ones(tuple(size[2:]), dtype=theta.dtype, device=theta.device))
    places = tj.stack(axes, -1).reshape(-1, space + 1)
    return (places @ theta.transpose(1, 2)).reshape(size[0], *size[2:], space)


def _centres(theta: Any, size: Any, k: int, aligned: bool) -> Any:
    """Where the elements lie along space axis k, from -1 to 1, for each element of an image of that size."""
    n = size[2 + k]
    line = tj.arange(n, dtype=theta.dtype, device=theta.device) * 2.0
    line = line / max(n - 1, 1) - (1.0 if n > 1 else 0.0) if aligned else (line + 1.0) / n - 1.0
    return line.reshape((-1, *(1 for _ in range(len(size) - 3 - k)))).expand(*size[2:])


def grid_sample(
    input: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Any:
    """(batch, channels, *space) read at the places of `grid`, (batch, *places, 2 or 3), whose last axis names the last
    axis of `input` first and runs from -1 to 1: over the centres of the elements with `align_corners`, else over their
    outer edges. Places between elements are interpolated (of images also by cubic convolution), or read at the nearest
    one; those outside are 0, or as `padding_mode` says the edge or the image reflected.

    Raises `ValueError` for other modes and for shapes that do not fit."""
    if mode not in _MODES or padding_mode not in _PADDING:
        raise ValueError(f"grid_sample: mode is one of {_MODES} and padding_mode one of {_PADDING}")
    space = input.ndim - 2
    if grid.ndim != input.ndim or grid.shape[-1] != space or grid.shape[0] != input.shape[0]:
        raise ValueError(f"grid_sample: the grid has the batch of the input, and {space} numbers for each place")
    if mode == "bicubic" and space != 2:
        raise ValueError(f"grid_sample: mode 'bicubic' is for images, not for {space} axes")
    batch, channels, *sizes = input.shape
    spots = tuple(grid.shape[1:-1])
    aligned = bool(align_corners)
    at = [_place(grid[..., space - 1 - k].reshape(batch, -1), sizes[k], aligned) for k in range(space)]
    rows = input.reshape(batch, channels, -1)
    if mode == "nearest":
        near = [tj.round(_inside(x, n, padding_mode, aligned)) for x, n in zip(at, sizes, strict=True)]
        return _read(rows, near, sizes).reshape(batch, channels, *spots)
    taps = [_taps(x, n, mode, padding_mode, aligned) for x, n in zip(at, sizes, strict=True)]
    total: Any = 0.0
    for corner in itertools.product(*taps):
        weight: Any = 1.0
        for _, part in corner:
            weight = weight * part
        total = total + _read(rows, [place for place, _ in corner], sizes) * weight.unsqueeze(1)
    return total.reshape(batch, channels, *spots)


def _taps(x: Any, n: Any, mode: str, padding_mode: str, aligned: bool) -> list[tuple[Any, Any]]:
    """The elements along an axis that an index between them is made of, and their weights. Lines are drawn between
    elements inside the axis, curves through what the padding continues it by."""
    if mode == "bilinear":
        x = _inside(x, n, padding_mode, aligned)
        low = x.floor()
        return [(low, 1.0 - (x - low)), (low + 1.0, x - low)]
    low = x.floor()
    weights = cubic_weights(x - low)
    return [(_inside(low + (k - 1.0), n, padding_mode, aligned), weights[k]) for k in range(4)]


def _place(x: Any, n: Any, aligned: bool) -> Any:
    """Places from -1 to 1 as indices along an axis of n elements."""
    return (x + 1.0) * (0.5 * (n - 1)) if aligned else ((x + 1.0) * n - 1.0) * 0.5


def _inside(x: Any, n: Any, padding_mode: str, aligned: bool) -> Any:
    """Indices moved into the axis as the padding says."""
    if padding_mode == "zeros":
        return x
    if padding_mode == "reflection":
        # Back and forth between the centres of the first and last element, or between the outer edges.
        low, span = (0.0, n - 1.0) if aligned else (-0.5, n * 1.0)
        if span > 0.0:
            far = tj.abs(x - low) % (2.0 * span)
            x = tj.minimum(far, 2.0 * span - far) + low
        else:
            x = tj.zeros_like(x)
    return x.clamp(0.0, n - 1.0)


def _read(rows: Any, at: Any, sizes: Any) -> Any:
    """The elements at whole-numbered places; 0 outside."""
    flat, inside = tj.zeros_like(at[0]).to(tj.int64), at[0] == at[0]
    for x, n in zip(at, sizes, strict=True):
        inside = inside & (x >= 0.0) & (x <= n - 1.0)
        flat = flat * n + x.clamp(0.0, n - 1.0).to(tj.int64)
    found = rows.gather(2, tj.where(inside, flat, 0).unsqueeze(1).expand(-1, rows.shape[1], -1))
    return tj.where(inside.unsqueeze(1), found, 0.0)
