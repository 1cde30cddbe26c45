"""Losses as functions. `reduction` is "mean", "sum" or "none"."""

from __future__ import annotations

from typing import Any

import tracejit as tj
from tracejit.nn.functional.layers import cosine_similarity, pairwise_distance


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
    """Squared below beta, absolute above it; `l1_loss` for beta 0."""
    if beta == 0.0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction, beta) / beta


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """d**2 / 2 for distances d up to delta, delta * (d - delta / 2) above."""
    difference = input - target
    distance = difference.abs()
    return _reduced(tj.where(distance < delta, 0.5 * difference.square(), delta * (distance - 0.5 * delta)), reduction)


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    """Pointwise target * (log target - input), `input` being log-probabilities, `target` probabilities or (with
    `log_target`) log-probabilities; "batchmean" divides the sum by the first size."""
    if log_target:
        loss = tj.exp(target) * (target - input)
    else:
        loss = tj.where(target > 0.0, target * (tj.log(target) - input), 0.0)
    if reduction == "batchmean":
        return loss.sum() / float(input.shape[0])
    return _reduced(loss, reduction)


def binary_cross_entropy(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
    """-weight * (t log p + (1 - t) log(1 - p)) of probabilities; logarithms are at least -100, as in PyTorch."""
    yes = tj.clamp(tj.log(input), min=-100.0)
    no = tj.clamp(tj.log(1.0 - input), min=-100.0)
    loss = -(target * yes + (1.0 - target) * no)
    return _reduced(loss if weight is None else loss * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Any:
    """Binary cross entropy of sigmoid(input), without overflow. `weight` scales elements, `pos_weight` the part of
    positive targets."""
    rest = -tj.logsigmoid(input)
    if pos_weight is not None:
        rest = rest * ((pos_weight - 1.0) * target + 1.0)
    loss = (1.0 - target) * input + rest
    return _reduced(loss if weight is None else loss * weight, reduction)


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


def soft_margin_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """log(1 + exp(-target * input)) for targets -1 and 1."""
    return _reduced(-tj.logsigmoid(target * input), reduction)


def hinge_embedding_loss(input: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Any:
    """input where the target is 1, max(margin - input, 0) where it is -1."""
    return _reduced(tj.where(target == 1, input, tj.clamp(margin - input, min=0.0)), reduction)


def margin_ranking_loss(input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Any:
    """max(margin - target * (input1 - input2), 0)."""
    return _reduced(tj.clamp(margin - target * (input1 - input2), min=0.0), reduction)


def cosine_embedding_loss(input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Any:
    """1 - cos where the target is 1, max(cos - margin, 0) where it is -1; vectors lie along the last axis."""
    cosine = cosine_similarity(input1, input2, -1, 1e-6)
    return _reduced(tj.where(target == 1, 1.0 - cosine, tj.clamp(cosine - margin, min=0.0)), reduction)


def triplet_margin_loss(
    anchor: Any, positive: Any, negative: Any, margin: float = 1.0, p: float = 2.0, reduction: str = "mean"
) -> Any:
    """max(d(anchor, positive) - d(anchor, negative) + margin, 0) of p-distances along the last axis."""
    near, far = pairwise_distance(anchor, positive, p), pairwise_distance(anchor, negative, p)
    return _reduced(tj.clamp(near - far + margin, min=0.0), reduction)


def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, eps: float = 1e-8, reduction: str = "mean"
) -> Any:
    """rate - target * log(rate) for rates exp(input), or input itself without `log_input`."""
    loss = tj.exp(input) - target * input if log_input else input - target * tj.log(input + eps)
    return _reduced(loss, reduction)


def gaussian_nll_loss(input: Any, target: Any, var: Any, eps: float = 1e-6, reduction: str = "mean") -> Any:
    """(log var + (input - target)**2 / var) / 2, the variance being at least eps."""
    limited = tj.maximum(var, eps)
    return _reduced(0.5 * (tj.log(limited) + (input - target).square() / limited), reduction)
