"""Normalisation: zero mean and unit variance over some axes, then a scale and a shift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tracejit as tj


def layer_norm(
    input: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """(x - mean) / sqrt(var + eps) over the last axes, whose sizes are `normalized_shape`, then scaled and shifted
    (Ba et al. 2016). `ValueError` for other sizes."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if tuple(input.shape[input.ndim - len(shape) :]) != shape:
        raise ValueError(f"layer_norm: the last axes of {input.shape} are not {shape}")
    return _affine(_standardised(input, tuple(-1 - i for i, _ in enumerate(shape)), eps), weight, bias)


def _standardised(input: Any, axes: tuple[int, ...], eps: float) -> Any:
    mean = input.mean(axis=axes, keepdims=True)
    centred = input - mean
    return centred / tj.sqrt(tj.square(centred).mean(axis=axes, keepdims=True) + eps)


def _affine(y: Any, weight: Any, bias: Any) -> Any:
    if weight is not None:
        y = y * weight
    if bias is not None:
        y = y + bias
    return y


def _per_channel(x: Any, rank: int) -> Any:
    """A vector shaped to meet axis 1 of a tensor of this rank."""
    return x.reshape(-1, *([1] * (rank - 2)))


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """(x - mean) / sqrt(var + eps) per channel (axis 1), then scaled and shifted (Ioffe and Szegedy 2015).

    In training, and without running statistics, mean and variance are those of the batch, and the running ones (vectors
    over the channels, or None) are moved towards them by `momentum`, the variance with Bessel's correction; else the
    running ones are used. `ValueError` for a batch of one value per channel.
    """
    rank = input.ndim
    if rank < 2:
        raise ValueError(f"batch_norm: the input has a batch axis and a channel axis, got shape {input.shape}")
    if training or running_mean is None:
        axes = tuple(i for i in range(rank) if i != 1)
        count = 1
        for i in axes:
            count = count * input.shape[i]
        if training and count == 1:
            raise ValueError(f"batch_norm: training needs more than one value per channel, got shape {input.shape}")
        mean = tj.mean(input, axis=axes, keepdims=True)
        centred = input - mean
        var = tj.square(centred).mean(axis=axes, keepdims=True)
        if running_mean is not None:
            with tj.no_grad():
                correction = count / (count - 1.0)
                running_mean.mul_(1.0 - momentum).add_(mean.detach().reshape(-1) * momentum)
                running_var.mul_(1.0 - momentum).add_(var.detach().reshape(-1) * (momentum * correction))
        y = centred / tj.sqrt(var + eps)
    else:
        y = (input - _per_channel(running_mean, rank)) / tj.sqrt(_per_channel(running_var, rank) + eps)
    return _affine(
        y,
        None if weight is None else _per_channel(weight, rank),
        None if bias is None else _per_channel(bias, rank),
    )


def rms_norm(input: Any, normalized_shape: int | Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """x / sqrt(mean of the squares + eps) over the last axes, whose sizes are `normalized_shape`, then scaled
    (Zhang and Sennrich 2019); `eps` is the dtype's if None. `ValueError` for other sizes."""
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if tuple(input.shape[input.ndim - len(shape) :]) != shape:
        raise ValueError(f"rms_norm: the last axes of {input.shape} are not {shape}")
    added = tj.finfo(input.dtype).eps if eps is None else eps
    squares = tj.square(input).mean(axis=tuple(-1 - i for i, _ in enumerate(shape)), keepdims=True)
    return _affine(input / tj.sqrt(squares + added), weight, None)


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Each of `num_groups` groups of channels (axis 1) of each sample normalised by itself, then scaled and shifted per
    channel (Wu and He 2018)."""
    if input.shape[1] % num_groups != 0:
        raise ValueError(f"group_norm: {input.shape[1]} channels do not make {num_groups} groups")
    rows = input.reshape(input.shape[0], num_groups, -1)
    y = _standardised(rows, (2,), eps).reshape(input.shape)
    return _affine(
        y,
        None if weight is None else _per_channel(weight, input.ndim),
        None if bias is None else _per_channel(bias, input.ndim),
    )


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Each channel (axis 1) of each sample normalised by itself, then scaled and shifted (Ulyanov and others 2016);
    without `use_input_stats` by the running statistics. Else these, vectors over the channels or None, are moved by
    `momentum` towards the means over the batch of mean and variance (with Bessel's correction)."""
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if running_mean is not None:
        with tj.no_grad():
            rows = input.detach().reshape(input.shape[0], input.shape[1], -1)
            running_mean.mul_(1.0 - momentum).add_(rows.mean(2).mean(0) * momentum)
            running_var.mul_(1.0 - momentum).add_(rows.var(2, correction=1).mean(0) * momentum)
    return group_norm(input, input.shape[1], weight, bias, eps)


def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    """input / (k + alpha * mean of the squares in `size` channels around)**beta (Krizhevsky and others 2012)."""
    channels = input.shape[1]
    rows = tj.square(input).reshape(input.shape[0], 1, channels, -1)
    around = tj.pad(rows, (0, 0, size // 2, (size - 1) // 2))
    means = tj.avg_pool2d(around, (size, 1), stride=1).reshape(input.shape)
    return input / (means * alpha + k) ** beta
