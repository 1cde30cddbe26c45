"""Padding as layers: constants, the edge, the image reflected or around again, before and behind the last axes."""

from __future__ import annotations

from typing import Any, ClassVar

from tracejit.nn import functional as F
from tracejit.nn.module import Module


class _Pad(Module):
    """`padding` elements on every side of the last `space` axes, or so many before and behind each, the last axis
    first; negative numbers take elements away where the padding is a constant."""

    space: ClassVar[int]
    mode: ClassVar[str] = "constant"
    value: float = 0.0

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = (padding,) * (2 * self.space) if isinstance(padding, int) else tuple(padding)

    def forward(self, x: Any) -> Any:
        return F.pad(x, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _Constant(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_Constant):
    """Pads the last axis with constants."""

    space = 1


class ConstantPad2d(_Constant):
    """Pads the last two axes with constants."""

    space = 2


class ConstantPad3d(_Constant):
    """Pads the last three axes with constants."""

    space = 3


class ZeroPad1d(_Pad):
    """Pads the last axis with zeros."""

    space = 1


class ZeroPad2d(_Pad):
    """Pads the last two axes with zeros."""

    space = 2


class ZeroPad3d(_Pad):
    """Pads the last three axes with zeros."""

    space = 3


class ReflectionPad1d(_Pad):
    """Pads the last axis with the elements reflected at the edge."""

    space = 1
    mode = "reflect"


class ReflectionPad2d(_Pad):
    """Pads the last two axes with the elements reflected at the edge."""

    space = 2
    mode = "reflect"


class ReflectionPad3d(_Pad):
    """Pads the last three axes with the elements reflected at the edge."""

    space = 3
    mode = "reflect"


class ReplicationPad1d(_Pad):
    """Pads the last axis with the edge."""

    space = 1
    mode = "replicate"


class ReplicationPad2d(_Pad):
    """Pads the last two axes with the edge."""

    space = 2
    mode = "replicate"


class ReplicationPad3d(_Pad):
    """Pads the last three axes with the edge."""

    space = 3
    mode = "replicate"


class CircularPad1d(_Pad):
    """Pads the last axis with the elements of the other end."""

    space = 1
    mode = "circular"


class CircularPad2d(_Pad):
    """Pads the last two axes with the elements of the other end."""

    space = 2
    mode = "circular"


class CircularPad3d(_Pad):
    """Pads the last three axes with the elements of the other end."""

    space = 3
    mode = "circular"
