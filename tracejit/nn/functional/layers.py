"""Layers with weights, dropout, and functions of rows."""

from __future__ import annotations

from typing import Any

import tracejit as tj

conv1d, conv2d, conv3d = tj.conv1d, tj.conv2d, tj.conv3d
conv_transpose1d, conv_transpose2d = tj.conv_transpose1d, tj.conv_transpose2d
max_pool1d, max_pool2d = tj.max_pool1d, tj.max_pool2d
avg_pool1d, avg_pool2d = tj.avg_pool1d, tj.avg_pool2d
pad = tj.pad


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """input @ weight.T + bias; weight has shape (out_features, in_features)."""
    y = tj.matmul(input, weight.T)
    if bias is None:
        return y
    return y + bias


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Zero each element with probability p and scale the others by 1 / (1 - p); `input` itself outside training. With
    `inplace` the result is written into `input`."""
    if inplace:
        return input.copy_(dropout(input, p, training))
    if not 0.0 <= p <= 1.0:
        raise ValueError("dropout: the probability lies between 0 and 1")
    if not training or p == 0.0:
        return input
    if p == 1.0:
        return input * 0.0
    keep = tj.rand(input.shape, device=input.device) >= p
    return tj.where(keep, input / (1.0 - p), 0.0)


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Rows of weight by integer index; the row `padding_idx` gets no gradient."""
    rows = weight[input]
    if padding_idx is None:
        return rows
    return tj.where((input == padding_idx).unsqueeze(-1), rows.detach(), rows)


def one_hot(input: Any, num_classes: int = -1) -> Any:
    """Integers as rows with a 1 at their place; as many classes as the largest integer needs if not given."""
    return tj.one_hot(input, num_classes)


def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    """input divided by its p-norm along an axis (at least eps)."""
    return input / tj.clamp(tj.norm(input, p, dim, keepdim=True), min=eps)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """The cosine of the angle between vectors along an axis; norms are at least eps."""
    norms = [tj.clamp(tj.norm(x, 2.0, dim), min=eps) for x in (x1, x2)]
    return (x1 * x2).sum(dim) / (norms[0] * norms[1])


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """The p-norm of x1 - x2 + eps along the last axis."""
    return tj.norm(x1 - x2 + eps, p, -1, keepdim=keepdim)


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """input1 @ weight[k] @ input2 for each k, plus bias; weight is (out_features, in1_features, in2_features)."""
    y = tj.einsum("...i,kij,...j->...k", input1, weight, input2)
    return y if bias is None else y + bias


def adaptive_avg_pool1d(input: Any, output_size: int) -> Any:
    """The mean of `output_size` windows of about equal size over the last axis."""
    return _window_means(input, -1, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """The means of windows of about equal size over the last two axes: so many rows and columns of them; None keeps the
    axis."""
    rows, columns = (output_size, output_size) if isinstance(output_size, int) else output_size
    y = input if rows is None else _window_means(input, -2, rows)
    return y if columns is None else _window_means(y, -1, columns)


def _window_means(input: Any, axis: int, count: int) -> Any:
    n = input.shape[axis]
    if count == 1:
        return input.mean(axis, keepdim=True)
    means = []
    for k in range(count):
        start, stop = k * n // count, ((k + 1) * n + count - 1) // count
        means.append(input.narrow(axis, start, stop - start).mean(axis, keepdim=True))
    return tj.cat(means, axis)


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """(..., C * r * r, H, W) as (..., C, H * r, W * r)."""
    r = upscale_factor
    *batch, channels, rows, columns = input.shape
    y = input.reshape(*batch, channels // (r * r), r, r, rows, columns)
    k = len(batch)
    y = y.permute(*range(k), k, k + 3, k + 1, k + 4, k + 2)
    return y.reshape(*batch, channels // (r * r), rows * r, columns * r)


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """(..., C, H * r, W * r) as (..., C * r * r, H, W): what `pixel_shuffle` takes back."""
    r = downscale_factor
    *batch, channels, rows, columns = input.shape
    y = input.reshape(*batch, channels, rows // r, r, columns // r, r)
    k = len(batch)
    y = y.permute(*range(k), k, k + 2, k + 4, k + 1, k + 3)
    return y.reshape(*batch, channels * r * r, rows // r, columns // r)
