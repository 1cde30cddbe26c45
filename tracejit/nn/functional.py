"""Layers as functions, written in tensor operations so that scripts compile them like any other helper.

Names, arguments and defaults are PyTorch's. `reduction` is "mean", "sum" or "none".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tracejit as tj

# -- activations ------------------------------------------------------------------------------------------------


def relu(x: Any) -> Any:
    """max(x, 0)."""
    return tj.relu(x)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return tj.tanh(x)


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return tj.sigmoid(x)


def silu(x: Any) -> Any:
    """x * sigmoid(x)."""
    return tj.silu(x)


def gelu(x: Any, approximate: str = "none") -> Any:
    """x times the normal distribution function of x; `approximate="tanh"` for Hendrycks and Gimpel's formula."""
    return tj.gelu(x, approximate=approximate)


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """log(1 + exp(beta * x)) / beta; x itself where beta * x is above the threshold."""
    return tj.softplus(x, beta=beta, threshold=threshold)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x where positive, else negative_slope * x."""
    return tj.leaky_relu(x, negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where positive, else alpha * (exp(x) - 1)."""
    return tj.elu(x, alpha)


def softmax(x: Any, dim: int = -1) -> Any:
    """exp(x) over its sum along an axis."""
    return tj.softmax(x, dim)


def log_softmax(x: Any, dim: int = -1) -> Any:
    """The logarithm of softmax."""
    return tj.log_softmax(x, dim)


# -- convolutions and pooling ---------------------------------------------------------------------------------------

conv1d, conv2d, conv3d = tj.conv1d, tj.conv2d, tj.conv3d
conv_transpose1d, conv_transpose2d = tj.conv_transpose1d, tj.conv_transpose2d
max_pool1d, max_pool2d = tj.max_pool1d, tj.max_pool2d
avg_pool1d, avg_pool2d = tj.avg_pool1d, tj.avg_pool2d


# -- layers -------------------------------------------------------------------------------------------------------


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """x @ weight.T + bias; weight has shape (out_features, in_features)."""
    y = tj.matmul(x, weight.T)
    if bias is None:
        return y
    return y + bias


def dropout(x: Any, p: float = 0.5, training: bool = True) -> Any:
    """Zero each element with probability p and scale the others by 1 / (1 - p); x itself outside training."""
    if not 0.0 <= p <= 1.0:
        raise ValueError("dropout: the probability lies between 0 and 1")
    if not training or p == 0.0:
        return x
    if p == 1.0:
        return x * 0.0
    keep = tj.rand_like(x) >= p
    return tj.where(keep, x / (1.0 - p), 0.0)


def embedding(x: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Rows of weight by integer index; the row `padding_idx` gets no gradient."""
    rows = weight[x]
    if padding_idx is None:
        return rows
    return tj.where((x == padding_idx).unsqueeze(-1), rows.detach(), rows)


def layer_norm(x: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """(x - mean) / sqrt(var + eps) over the last axes, whose sizes are `normalized_shape`, then scaled and shifted."""
    if tuple(x.shape[x.ndim - len(normalized_shape) :]) != tuple(normalized_shape):
        raise ValueError(f"layer_norm: the last axes of {x.shape} are not {tuple(normalized_shape)}")
    axes = tuple(-1 - i for i, _ in enumerate(normalized_shape))
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    var = centred.square().mean(axis=axes, keepdims=True)
    y = centred / tj.sqrt(var + eps)
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y


def scaled_dot_product_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, is_causal: bool = False
) -> Any:
    """softmax(query @ key^T / sqrt(d) + mask) @ value over the last two axes; a boolean mask says what takes part."""
    scores = tj.matmul(query, key.mT) / float(query.shape[-1]) ** 0.5
    if is_causal:
        rows = tj.arange(query.shape[-2]).unsqueeze(1)
        columns = tj.arange(key.shape[-2]).unsqueeze(0)
        scores = tj.where(columns <= rows, scores, float("-inf"))
    if attn_mask is not None:
        is_choice = attn_mask.dtype == tj.bool
        scores = tj.where(attn_mask, scores, float("-inf")) if is_choice else scores + attn_mask
    return tj.matmul(tj.softmax(scores, -1), value)


# -- losses ---------------------------------------------------------------------------------------------------------


def _reduced(loss: Any, reduction: str) -> Any:
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError("reduction is 'mean', 'sum' or 'none'")


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """(input - target)**2."""
    return _reduced((input - target).square(), reduction)


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """|input - target|."""
    return _reduced((input - target).abs(), reduction)


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Squared below beta, absolute above it."""
    distance = (input - target).abs()
    return _reduced(tj.where(distance < beta, 0.5 * distance.square() / beta, distance - 0.5 * beta), reduction)


def binary_cross_entropy(input: Any, target: Any, reduction: str = "mean") -> Any:
    """-(t log p + (1 - t) log(1 - p)) of probabilities; logarithms are limited to -100 below, as PyTorch's."""
    yes = tj.clamp(tj.log(input), min=-100.0)
    no = tj.clamp(tj.log(1.0 - input), min=-100.0)
    return _reduced(-(target * yes + (1.0 - target) * no), reduction)


def binary_cross_entropy_with_logits(input: Any, target: Any, reduction: str = "mean") -> Any:
    """Binary cross entropy of sigmoid(input), without overflow."""
    loss = tj.relu(input) - input * target + tj.log1p(tj.exp(-tj.abs(input)))
    return _reduced(loss, reduction)


def nll_loss(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """Minus the log-probability of each target class. Classes are axis 1 of `input` (axis 0 of a vector); `weight`
    scales classes, and the mean is weighted by it; places with `ignore_index` count nothing."""
    classes = input.shape[1] if input.ndim > 1 else input.shape[0]
    rows = input.movedim(1, -1).reshape(-1, classes) if input.ndim > 1 else input.reshape(1, classes)
    places = target.reshape(-1)
    counted = places != ignore_index
    safe = tj.where(counted, places, 0)
    picked = tj.where(counted, rows[tj.arange(rows.shape[0]), safe], 0.0)
    share = counted.astype(rows.dtype) if weight is None else tj.where(counted, weight[safe], 0.0)
    loss = -(picked * share)
    if reduction == "mean":
        return loss.sum() / share.sum()
    if reduction == "none":
        return loss.reshape(target.shape)
    return _reduced(loss, reduction)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Cross entropy of softmax(input) with class numbers, or with probabilities of the shape of `input`."""
    axis = 1 if input.ndim > 1 else 0
    logp = tj.log_softmax(input, axis)
    if target.ndim == input.ndim and target.shape == input.shape and target.dtype.kind == "f":
        return _soft_cross_entropy(logp, target, weight, reduction, label_smoothing, axis)
    hard = nll_loss(logp, target, weight, ignore_index, reduction)
    if label_smoothing == 0.0:
        return hard
    counted = target != ignore_index
    every = logp if weight is None else logp * _along_classes(weight, logp.ndim)
    smooth = tj.where(counted, -every.sum(axis), 0.0)
    if reduction == "mean":
        share = (
            counted.astype(logp.dtype)
            if weight is None
            else tj.where(counted, weight[tj.where(counted, target, 0)], 0.0)
        )
        spread = smooth.sum() / share.sum()
    else:
        spread = _reduced(smooth, reduction)
    return (1.0 - label_smoothing) * hard + label_smoothing / input.shape[axis] * spread


def _along_classes(weight: Any, rank: int) -> Any:
    """Class weights shaped to meet a tensor of this rank at its class axis."""
    return weight.reshape(-1, *([1] * (rank - 2)))


def _soft_cross_entropy(logp: Any, target: Any, weight: Any, reduction: str, smoothing: float, axis: int) -> Any:
    """Cross entropy with class probabilities; the mean is over everything but the classes."""
    if smoothing > 0.0:
        target = target * (1.0 - smoothing) + smoothing / logp.shape[axis]
    if weight is not None:
        logp = logp * _along_classes(weight, logp.ndim)
    loss = -(logp * target).sum(axis)
    return _reduced(loss, reduction)


def one_hot(x: Any, num_classes: int = -1) -> Any:
    """Integers as rows with a 1 at their place; as many classes as the largest integer needs if not given."""
    return tj.one_hot(x, num_classes)


def normalize(x: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    """x divided by its p-norm along an axis (at least eps)."""
    return x / tj.clamp(tj.norm(x, p, dim, keepdim=True), min=eps)
