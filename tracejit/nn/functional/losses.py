"""Losses as functions. `reduction` is "mean", "sum" or "none"."""

from __future__ import annotations

import math
from typing import Any

import tracejit as tj
from tracejit.nn.functional.layers import cosine_similarity, from_zero, pairwise_distance


def _reduced(loss: Any, reduction: str) -> Any:
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError("reduction is 'mean', 'sum' or 'none'")


def _require_same_shape(input: Any, target: Any) -> None:
    if target.shape != input.shape:
        raise ValueError(f"the target has shape {target.shape}, the input {input.shape}")


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """(input - target)**2."""
    return _reduced(tj.square(input - target), reduction)


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """|input - target|."""
    return _reduced(tj.abs(input - target), reduction)


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Squared below beta, absolute above it; `l1_loss` for beta 0."""
    if beta == 0.0:
        return l1_loss(input, target, reduction)
    return huber_loss(input, target, reduction, beta) / beta


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    """d**2 / 2 for distances d up to delta, delta * (d - delta / 2) above."""
    difference = input - target
    distance = tj.abs(difference)
    return _reduced(
        tj.where(distance < delta, 0.5 * tj.square(difference), delta * (distance - 0.5 * delta)), reduction
    )


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
    _require_same_shape(input, target)
    yes = tj.clamp(tj.log(input), min=-100.0)
    no = tj.clamp(tj.log(1.0 - input), min=-100.0)
    loss = -(target * yes + (1.0 - target) * no)
    return _reduced(loss if weight is None else loss * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Any:
    """Binary cross entropy of sigmoid(input), without overflow. `weight` scales elements, `pos_weight` the part of
    positive targets."""
    _require_same_shape(input, target)
    rest = -tj.logsigmoid(input)
    if pos_weight is not None:
        rest = rest * ((pos_weight - 1.0) * target + 1.0)
    loss = (1.0 - target) * input + rest
    return _reduced(loss if weight is None else loss * weight, reduction)


def nll_loss(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """Minus the log-probability of each target class. Classes are axis 1 of `input` (axis 0 of a vector); `weight`
    scales classes, and the mean is weighted by it; places with `ignore_index` count nothing. Raises `IndexError` for
    other places outside the classes, `ValueError` for targets that are not one for each row."""
    wanted = (input.shape[0], *input.shape[2:]) if input.ndim > 1 else ()
    if target.shape != wanted:
        raise ValueError(f"targets of shape {target.shape} do not fit an input of shape {input.shape}")
    if target.dtype.kind not in "iu":
        raise TypeError(f"targets are class numbers, or probabilities of the input's shape; they are {target.dtype}")
    classes = input.shape[1] if input.ndim > 1 else input.shape[0]
    rows = tj.movedim(input, 1, -1).reshape(-1, classes) if input.ndim > 1 else input.reshape(1, classes)
    places = target.reshape(-1)
    counted = places != ignore_index
    safe = from_zero(tj.where(counted, places, 0), classes)
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
    near = tj.where(target != -1, input, 0.0)
    return _reduced(near + tj.where(target != 1, tj.clamp(margin - input, min=0.0), 0.0), reduction)


def margin_ranking_loss(input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Any:
    """max(margin - target * (input1 - input2), 0)."""
    return _reduced(tj.clamp(margin - target * (input1 - input2), min=0.0), reduction)


def cosine_embedding_loss(input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Any:
    """1 - cos where the target is 1, max(cos - margin, 0) where it is -1; vectors lie along the last axis."""
    cosine = cosine_similarity(input1, input2, -1, 1e-6)
    apart = tj.where(target == -1, tj.clamp(cosine - margin, min=0.0), 0.0)
    return _reduced(tj.where(target == 1, 1.0 - cosine, apart), reduction)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """max(d(anchor, positive) - d(anchor, negative) + margin, 0) of p-distances along the last axis; with `swap` the
    negative is as far as it is from the nearer one of the other two."""

    def distance(a: Any, b: Any) -> Any:
        return pairwise_distance(a, b, p, eps)

    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Any = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """`triplet_margin_loss` with a distance of the caller's; by default `pairwise_distance`."""
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(
    anchor: Any, positive: Any, negative: Any, distance: Any, margin: float, swap: bool, reduction: str
) -> Any:
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = tj.minimum(far, distance(positive, negative))
    return _reduced(tj.clamp(near - far + margin, min=0.0), reduction)


def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean"
) -> Any:
    """max(margin - x[target] + x[j], 0)**p over the classes j other than the target, divided by the number of classes;
    `input` is (batch, classes) or (classes,)."""
    rows = input if input.ndim > 1 else tj.unsqueeze(input, 0)
    places = target.reshape(-1, 1)
    apart = tj.clamp(margin - tj.gather(rows, 1, places) + rows, min=0.0) ** p
    if weight is not None:
        apart = apart * weight[places]
    others = tj.arange(rows.shape[1], device=input.device) != places
    loss = tj.where(others, apart, 0.0).sum(1) / rows.shape[1]
    return _reduced(loss if input.ndim > 1 else loss[0], reduction)


def multilabel_margin_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """max(1 - x[y] + x[j], 0) over the labels y of a sample and the classes j that are none, divided by the number of
    classes. Labels are the numbers in a row of `target` before its first -1."""
    rows, labels = (x if x.ndim > 1 else tj.unsqueeze(x, 0) for x in (input, target))
    classes = rows.shape[1]
    given = (labels < 0).to(tj.int64).cumsum(1) == 0
    safe = tj.where(given, labels, 0)
    numbers = tj.arange(classes, device=input.device)
    is_label = ((safe.unsqueeze(2) == numbers) & given.unsqueeze(2)).any(1)
    apart = tj.clamp(1.0 - rows.gather(1, safe).unsqueeze(2) + rows.unsqueeze(1), min=0.0)
    counted = given.unsqueeze(2) & ~is_label.unsqueeze(1)
    loss = tj.where(counted, apart, 0.0).sum((1, 2)) / classes
    return _reduced(loss if input.ndim > 1 else loss[0], reduction)


def multilabel_soft_margin_loss(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
    """Binary cross entropy of sigmoid(input), averaged over the classes (the last axis)."""
    loss = -(target * tj.logsigmoid(input) + (1.0 - target) * tj.logsigmoid(-input))
    return _reduced((loss if weight is None else loss * weight).mean(-1), reduction)


def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    """Connectionist temporal classification (Graves and others 2006): minus the log-probability of all alignments of a
    sequence of labels.

    `log_probs` is (time, batch, classes), `targets` (batch, greatest length) or all labels in a row, the lengths are
    integer tensors or sequences of one per sample. The mean divides each loss by its number of labels. A sequence that
    does not fit its time has an infinite loss, or 0 with `zero_infinity`.
    """
    steps, batch, _ = log_probs.shape
    times, counts = (tj.asarray(n, dtype=tj.int64, device=log_probs.device) for n in (input_lengths, target_lengths))
    labels = targets.to(tj.int64)
    if labels.ndim == 1:
        first = (counts.cumsum(0) - counts).unsqueeze(1)
        within = tj.arange(labels.shape[0], device=log_probs.device)
        labels = labels[tj.where(within < counts.unsqueeze(1), first + within, 0)]
    width = 2 * labels.shape[1] + 1
    places = tj.arange(width, device=log_probs.device)
    # The labels with a blank before, between and behind them.
    spread = labels[:, (places // 2).clamp(0, labels.shape[1] - 1)]
    spread = tj.where(places % 2 == 1, spread, blank)
    before = tj.cat([tj.full_like(spread[:, :2], blank), spread[:, : width - 2]], 1)
    may_skip = (spread != blank) & (spread != before)
    none = -math.inf
    ways = tj.where(places < 2, log_probs[0].gather(1, spread), none)
    for t in range(1, steps):
        gone = tj.full_like(ways[:, :2], none)
        one = tj.cat([gone[:, :1], ways[:, : width - 1]], 1)
        two = tj.where(may_skip, tj.cat([gone, ways[:, : width - 2]], 1), none)
        after = _log_of_sums(ways, one, two) + log_probs[t].gather(1, spread)
        ways = tj.where((t < times).unsqueeze(1), after, ways)
    last = counts.unsqueeze(1) * 2
    at_label = tj.where(last > 0, ways.gather(1, (last - 1).clamp(0, width)), none)
    loss = -_log_of_sums(ways.gather(1, last), at_label, tj.full_like(at_label, none)).reshape(batch)
    if zero_infinity:
        loss = tj.where(loss == math.inf, 0.0, loss)
    if reduction == "mean":
        return (loss / counts.clamp(1, width).to(loss.dtype)).mean()
    return _reduced(loss, reduction)


def _log_of_sums(a: Any, b: Any, c: Any) -> Any:
    """log(exp(a) + exp(b) + exp(c)); minus infinity, with slope 0, where all are."""
    top = tj.maximum(tj.maximum(a, b), c).detach()
    some = top != -math.inf
    base = tj.where(some, top, 0.0)
    total = tj.exp(a - base) + tj.exp(b - base) + tj.exp(c - base)
    return tj.where(some, tj.log(tj.where(some, total, 1.0)) + base, -math.inf)


def poisson_nll_loss(
    input: Any, target: Any, log_input: bool = True, eps: float = 1e-8, reduction: str = "mean"
) -> Any:
    """rate - target * log(rate) for rates exp(input), or input itself without `log_input`."""
    loss = tj.exp(input) - target * input if log_input else input - target * tj.log(input + eps)
    return _reduced(loss, reduction)


def gaussian_nll_loss(input: Any, target: Any, var: Any, eps: float = 1e-6, reduction: str = "mean") -> Any:
    """(log var + (input - target)**2 / var) / 2, the variance being at least eps."""
    limited = tj.maximum(var, eps)
    return _reduced(0.5 * (tj.log(limited) + tj.square(input - target) / limited), reduction)
