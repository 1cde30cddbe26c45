"""Convolutions, with PyTorch's names, weight layouts and initial distributions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import tracejit as tj
from tracejit.nn import functional as F
from tracejit.nn import init
from tracejit.nn.module import Module
from tracejit.nn.parameter import Parameter


def _tuple(given: Any, space: int) -> tuple[int, ...]:
    """One number per axis."""
    return tuple(given) if isinstance(given, tuple | list) else (given,) * space


class _Convolution(Module):
    """What all convolutions share: the weight, its initial values, the settings."""

    space: ClassVar[int]
    _function: ClassVar[Callable[..., Any]]
    transposed: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        for channels, word in ((in_channels, "in_channels"), (out_channels, "out_channels")):
            if groups < 1 or channels % groups:
                raise ValueError(f"{word} ({channels}) must be a multiple of groups ({groups})")
        modes = ("zeros",) if self.transposed else ("zeros", "reflect", "replicate", "circular")
        if padding_mode not in modes:
            raise ValueError(f"padding_mode is one of {', '.join(modes)}, not {padding_mode!r}")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f"padding is 'same', 'valid' or numbers, not {padding!r}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _tuple(kernel_size, self.space)
        self.stride = _tuple(stride, self.space)
        self.padding = padding if isinstance(padding, str) else _tuple(padding, self.space)
        self.dilation = _tuple(dilation, self.space)
        self.groups = groups
        self.padding_mode = padding_mode
        if padding == "same" and not self.transposed and any(s != 1 for s in self.stride):
            raise ValueError("padding='same' keeps the size, which a stride other than 1 cannot")
        self.around = () if padding_mode == "zeros" else self.widths()
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(tj.empty(first, second // groups, *self.kernel_size, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(tj.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform within 1 / sqrt(fan in), as PyTorch's."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init.fans(self.weight)
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0.0
            init.uniform_(self.bias, -bound, bound)

    def widths(self) -> tuple[int, ...]:
        """Elements of padding before and after each axis, the last axis first, as `pad` takes them."""
        found: list[int] = []
        for k, d, i in zip(
            reversed(self.kernel_size), reversed(self.dilation), reversed(range(self.space)), strict=True
        ):
            total = d * (k - 1)
            if self.padding == "same":
                found += [total // 2, total - total // 2]
            else:
                found += [0, 0] if self.padding == "valid" else [self.padding[i]] * 2  # type: ignore[list-item]
        return tuple(found)

    def extra_repr(self) -> str:
        shown = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        settings = {
            "padding": (self.padding, (0,) * self.space),
            "dilation": (self.dilation, (1,) * self.space),
            "groups": (self.groups, 1),
            "padding_mode": (self.padding_mode, "zeros"),
        }
        shown += "".join(f", {name}={value!r}" for name, (value, usual) in settings.items() if value != usual)
        return shown + ("" if self.bias is not None else ", bias=False")


class _Correlation(_Convolution):
    """Padding by other numbers than zeros is laid around first."""

    def forward(self, x: Any) -> Any:
        padding = self.padding
        if self.around:
            x, padding = F.pad(x, self.around, self.padding_mode), 0
        return self._function(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv1d(_Correlation):
    """The cross-correlation of (batch, in_channels, size) with weight (out_channels, in_channels / groups, kernel)."""

    space = 1
    _function = staticmethod(F.conv1d)


class Conv2d(_Correlation):
    """The cross-correlation of (batch, in_channels, height, width) with weight (out_channels, in_channels / groups,
    *kernel_size)."""

    space = 2
    _function = staticmethod(F.conv2d)


class Conv3d(_Correlation):
    """The cross-correlation of (batch, in_channels, depth, height, width) with weight (out_channels, in_channels /
    groups, *kernel_size)."""

    space = 3
    _function = staticmethod(F.conv3d)


class _Transposed(_Convolution):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )
        self.output_padding = _tuple(output_padding, self.space)

    def forward(self, x: Any) -> Any:
        return self._function(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )


class ConvTranspose1d(_Transposed):
    """The transposed convolution over one axis; weight (in_channels, out_channels / groups, kernel)."""

    space = 1
    _function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_Transposed):
    """The transposed convolution over two axes; weight (in_channels, out_channels / groups, *kernel_size)."""

    space = 2
    _function = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_Transposed):
    """The transposed convolution over three axes; weight (in_channels, out_channels / groups, *kernel_size)."""

    space = 3
    _function = staticmethod(F.conv_transpose3d)
