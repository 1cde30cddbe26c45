"""Layers with weights, dropout, and functions of rows."""

from __future__ import annotations

import math
from typing import Any

import tracejit as tj

conv1d, conv2d, conv3d = tj.conv1d, tj.conv2d, tj.conv3d
conv_transpose1d, conv_transpose2d, conv_transpose3d = tj.conv_transpose1d, tj.conv_transpose2d, tj.conv_transpose3d
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


def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """`dropout` of whole channels of (batch, channels, size) or (channels, size)."""
    return _channel_dropout(input, p, training, inplace, 1)


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """`dropout` of whole channels of (batch, channels, height, width) or (channels, height, width)."""
    return _channel_dropout(input, p, training, inplace, 2)


def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """`dropout` of whole channels of (batch, channels, depth, height, width) or without a batch."""
    return _channel_dropout(input, p, training, inplace, 3)


def _channel_dropout(input: Any, p: float, training: bool, inplace: bool, space: int) -> Any:
    lead = tuple(input.shape[: input.ndim - space])
    kept = dropout(tj.ones((*lead, *(1 for _ in range(space))), dtype=input.dtype, device=input.device), p, training)
    return input.mul_(kept) if inplace else input * kept


def from_zero(places: Any, count: int) -> Any:
    """Indices below `count` that do not count from the end: negative ones lie outside, as in PyTorch."""
    return tj.where(places < 0, places.astype(tj.int64) - count, places)


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """Set each element to the limit of `selu` with probability p, and scale all so that mean and variance of normalised
    values stay (Klambauer et al. 2017)."""
    return _alpha_dropout(input, tuple(input.shape), p, training, inplace)


def feature_alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """`alpha_dropout` of whole channels of (batch, channels, ...)."""
    shape = (*input.shape[:2], *(1 for _ in range(input.ndim - 2)))
    return _alpha_dropout(input, shape, p, training, inplace)


#: Where `selu` ends for large negative numbers.
_SELU_LIMIT = -1.7580993408473766


def _alpha_dropout(input: Any, shape: Any, p: float, training: bool, inplace: bool) -> Any:
    if inplace:
        return input.copy_(_alpha_dropout(input, shape, p, training, False))
    if not 0.0 <= p <= 1.0:
        raise ValueError("alpha_dropout: the probability lies between 0 and 1")
    if not training or p == 0.0:
        return input
    if p == 1.0:
        return input * 0.0
    keep = tj.rand(shape, device=input.device) >= p
    scale = ((1.0 - p) * (1.0 + p * _SELU_LIMIT**2)) ** -0.5
    return tj.where(keep, input, _SELU_LIMIT) * scale - scale * _SELU_LIMIT * p


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Rows of weight by integer index; the row `padding_idx` gets no gradient."""
    rows = weight[from_zero(input, weight.shape[0])]
    if padding_idx is None:
        return rows
    return tj.where((input == padding_idx).unsqueeze(-1), rows.detach(), rows)


def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    *,
    mode: str = "mean",
    per_sample_weights: Any = None,
) -> Any:
    """Sums, means or maxima of rows of weight: of each row of indices, or of the parts of a vector of them that begin
    at `offsets`; those of no rows are 0. `per_sample_weights` multiply the rows of a sum."""
    if mode not in ("sum", "mean", "max"):
        raise ValueError("embedding_bag: mode is 'sum', 'mean' or 'max'")
    rows = weight[from_zero(input, weight.shape[0])]
    if per_sample_weights is not None:
        rows = rows * tj.unsqueeze(per_sample_weights, -1)
    if input.ndim == 2:
        return rows.sum(1) if mode == "sum" else rows.mean(1) if mode == "mean" else rows.amax(1)
    places = tj.arange(input.shape[0], device=input.device)
    stops = tj.cat([offsets[1:], tj.full_like(offsets[:1], input.shape[0])])
    held = (places >= offsets.unsqueeze(1)) & (places < stops.unsqueeze(1))
    if mode == "max":
        found = tj.where(held.unsqueeze(2), rows, -math.inf).amax(1)
        return tj.where(held.any(1, keepdim=True), found, 0.0)
    sums = held.to(rows.dtype) @ rows
    return sums if mode == "sum" else sums / (stops - offsets).clamp(min=1).to(rows.dtype).unsqueeze(1)


def one_hot(input: Any, num_classes: int = -1) -> Any:
    """Integers as rows with a 1 at their place; as many classes as the largest integer needs if not given."""
    return tj.one_hot(input, num_classes)


def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    """input divided by its p-norm along an axis (at least eps)."""
    return input / tj.clamp(tj.norm(input, p, dim, keepdim=True), min=eps)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """The cosine of the angle between vectors along an axis; norms are at least eps."""
    x1, x2 = tj.broadcast_tensors(x1, x2)
    norms = [tj.clamp(tj.norm(x, 2.0, dim), min=eps) for x in (x1, x2)]
    return (x1 * x2).sum(dim) / (norms[0] * norms[1])


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """The p-norm of x1 - x2 + eps along the last axis."""
    return tj.norm(x1 - x2 + eps, p, -1, keepdim=keepdim)


def pdist(input: Any, p: float = 2.0) -> Any:
    """The p-norms of the differences of each two rows, in the order (0, 1), (0, 2), ..., (1, 2), ..."""
    n = input.shape[0]
    numbers = tj.arange(n, device=input.device)
    first, second = (numbers.unsqueeze(1) < numbers).nonzero(as_tuple=True)
    return tj.norm(input[first] - input[second], p, -1)


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """input1 @ weight[k] @ input2 for each k, plus bias; weight is (out_features, in1_features, in2_features)."""
    y = tj.einsum("...i,kij,...j->...k", input1, weight, input2)
    return y if bias is None else y + bias


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """(..., C * r * r, H, W) as (..., C, H * r, W * r)."""
    r = upscale_factor
    *batch, channels, rows, columns = input.shape
    y = input.reshape(*batch, channels // (r * r), r, r, rows, columns)
    k = len(batch)
    y = tj.permute(y, (*range(k), k, k + 3, k + 1, k + 4, k + 2))
    return y.reshape(*batch, channels // (r * r), rows * r, columns * r)


def channel_shuffle(input: Any, groups: int) -> Any:
    """Channels (axis 1) in `groups` groups, each first one first: channel g * n + i goes to i * groups + g."""
    batch, channels, *rest = input.shape
    return input.reshape(batch, groups, channels // groups, *rest).transpose(1, 2).reshape(input.shape)


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """(..., C, H * r, W * r) as (..., C * r * r, H, W): what `pixel_shuffle` takes back."""
    r = downscale_factor
    *batch, channels, rows, columns = input.shape
    y = input.reshape(*batch, channels, rows // r, r, columns // r, r)
    k = len(batch)
    y = tj.permute(y, (*range(k), k, k + 2, k + 4, k + 1, k + 3))
    return y.reshape(*batch, channels * r * r, rows // r, columns // r)
