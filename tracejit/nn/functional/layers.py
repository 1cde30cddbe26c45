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


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Any:
    """Zero each element with probability p and scale the others by 1 / (1 - p); `input` itself outside training."""
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
