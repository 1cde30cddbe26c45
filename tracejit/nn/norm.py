"""Normalisation layers: of a batch, of instances, layers and groups, and across channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import tracejit as tj
from tracejit.nn import functional as F
from tracejit.nn import init
from tracejit.nn.module import Module
from tracejit.nn.parameter import Parameter


class _BatchNorm(Module):
    """Normalises each channel (axis 1): over the batch in training, by the running statistics otherwise.

    Each forward in training moves the buffers `running_mean` and `running_var` by `momentum` (None: their plain average
    over all batches) and counts in `num_batches_tracked`.
    """

    ranks: ClassVar[tuple[int, ...]]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        size = num_features
        self.register_parameter("weight", Parameter(tj.ones(size, device=device, dtype=dtype)) if affine else None)
        self.register_parameter("bias", Parameter(tj.zeros(size, device=device, dtype=dtype)) if affine else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", tj.zeros(size, device=device, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", tj.ones(size, device=device, dtype=dtype) if tracked else None)
        count = tj.zeros((), dtype=tj.int64, device=device)
        self.register_buffer("num_batches_tracked", count if tracked else None)

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batches."""
        if self.track_running_stats:
            with tj.no_grad():
                self.running_mean.zero_()
                self.running_var.fill_(1)
                self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and no batches."""
        self.reset_running_stats()
        if self.affine:
            init.ones_(self.weight)
            init.zeros_(self.bias)

    def forward(self, x: Any) -> Any:
        if x.ndim not in self.ranks:
            raise ValueError(f"{type(self).__name__}: the input has {self.ranks} axes, got {x.ndim}")
        if x.shape[1] != self.num_features:
            raise ValueError(f"{type(self).__name__} of {self.num_features} channels, got {x.shape[1]}")
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            with tj.no_grad():
                self.num_batches_tracked.add_(1)
            if momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked)
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            0.0 if momentum is None else momentum,
            self.eps,
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of (batch, channels) or (batch, channels, size)."""

    ranks = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of (batch, channels, height, width)."""

    ranks = (4,)


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of (batch, channels, depth, height, width)."""

    ranks = (5,)


class _InstanceNorm(_BatchNorm):
    """Normalises each channel (axis 1) of each sample; by the running statistics outside training, where there are
    any."""

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def forward(self, x: Any) -> Any:
        rank = self.ranks[0]
        if x.ndim not in (rank, rank - 1):
            raise ValueError(f"{type(self).__name__}: the input has {rank - 1} or {rank} axes, got {x.ndim}")
        rows = x if x.ndim == rank else x.unsqueeze(0)
        y = F.instance_norm(
            rows,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y if x.ndim == rank else y[0]


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of (batch, channels, size) or (channels, size)."""

    ranks = (3,)


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of (batch, channels, height, width) or (channels, height, width)."""

    ranks = (4,)


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of (batch, channels, depth, height, width) or (channels, depth, height, width)."""

    ranks = (5,)


class LocalResponseNorm(Module):
    """Divides by a power of the mean square of `size` channels around."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Any) -> Any:
        return F.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class LayerNorm(Module):
    """Normalises over the last axes, then scales and shifts."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        has_bias = elementwise_affine and bias
        shape = self.normalized_shape
        ones = Parameter(tj.ones(shape, device=device, dtype=dtype)) if elementwise_affine else None
        zeros = Parameter(tj.zeros(shape, device=device, dtype=dtype)) if has_bias else None
        self.register_parameter("weight", ones)
        self.register_parameter("bias", zeros)

    def forward(self, x: Any) -> Any:
        return F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Module):
    """Divides by the root of the mean square over the last axes, then scales."""

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        ones = tj.ones(self.normalized_shape, device=device, dtype=dtype)
        self.register_parameter("weight", Parameter(ones) if elementwise_affine else None)

    def forward(self, x: Any) -> Any:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.weight is not None}"


class GroupNorm(Module):
    """Normalises each of `num_groups` groups of channels of each sample, then scales and shifts each channel."""

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"{num_channels} channels do not make {num_groups} groups")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        size = num_channels
        self.register_parameter("weight", Parameter(tj.ones(size, device=device, dtype=dtype)) if affine else None)
        self.register_parameter("bias", Parameter(tj.zeros(size, device=device, dtype=dtype)) if affine else None)

    def forward(self, x: Any) -> Any:
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
