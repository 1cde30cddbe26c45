"""Windows that slide over the last axes of an array: the sizes and strides that convolutions and pooling share.

Along one axis of size n with p elements of padding in all, a kernel of k elements at distances d, moved by steps s, has
(n + p - d * (k - 1) - 1) // s + 1 places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ops.arrange import at_least, padded
from tracejit.ops.functions import on


def per_axis(given: Any, axes: int, name: str) -> tuple[Any, ...]:
    """One size for every axis, or a sequence of one per axis. `ValueError` for another number of them, `TypeError` for
    floats."""
    if not isinstance(given, tuple | list):
        given = (given,)
    if any(isinstance(size, float) for size in given):
        raise DTypeMismatch(f"{name}: 'float' object cannot be interpreted as an integer")
    if len(given) == 1:
        return tuple(given) * axes
    if len(given) != axes:
        raise ShapeMismatch(f"{name} is one number or {axes} of them, got {len(given)}")
    return tuple(given)


def are_known(*groups: Sequence[Any]) -> bool:
    """Whether all sizes are numbers now."""
    return all(isinstance(size, int) for sizes in groups for size in sizes)


def require_at_least(b: Any, sizes: Sequence[Any], least: int, name: str) -> None:
    """`ValueError` where a size is below `least`."""
    for size in sizes:
        message = f"{name} must be at least {least}"
        if not isinstance(size, int):
            b.check(b.ge(size, least), (), kind="ValueError", message=message)
        elif size < least:
            raise ShapeMismatch(f"{message}, got {size}")


def floor_quotient(b: Any, size: Any, step: Any) -> Any:
    """size // step of two sizes."""
    if isinstance(size, int) and isinstance(step, int):
        return size // step
    return size if isinstance(step, int) and step == 1 else on(b).floordiv(size, step)


def reach(kernel: Any, dilation: Any) -> Any:
    """The elements from the first to the last that a kernel meets."""
    if isinstance(dilation, int) and dilation == 1:
        return kernel
    return dilation * (kernel - 1) + 1


def places(b: Any, size: Any, kernel: Any, stride: Any, dilation: Any, what: str) -> Any:
    """How many places a kernel has along an axis of `size`, padding included. `ValueError` where it does not fit."""
    spread = reach(kernel, dilation)
    room = size - spread
    message = f"{what}: a kernel that spans {{0}} elements does not fit an axis of {{1}}, padding included"
    if isinstance(room, int):
        if room < 0:
            raise ShapeMismatch(message.format(spread, size))
    else:
        b.check(b.ge(room, 0), (spread, size), kind="ValueError", message=message)
        room = at_least(b, room, 0)
    return floor_quotient(b, room, stride) + 1


def padded_axes(b: Any, x: Any, widths: Sequence[tuple[Any, Any]], value: Any) -> Any:
    """x with `value` before and after its last axes, `widths[i]` elements each; x itself where there are none."""
    if all(isinstance(w, int) and w == 0 for pair in widths for w in pair):
        return x
    lead = b.rank(x) - len(widths)
    return padded(b, x, [(0, 0)] * lead + list(widths), "constant", value)


def window_strides(b: Any, shape: Sequence[Any], stride: Sequence[Any], dilation: Sequence[Any]) -> tuple[Any, ...]:
    """Element strides of (leading axes, kernel places, window places) over a C-order array of this shape."""
    strides = b.strides_of(shape)
    lead, inner = strides[: len(shape) - len(stride)], strides[len(shape) - len(stride) :]
    within = tuple(s if isinstance(d, int) and d == 1 else s * d for s, d in zip(inner, dilation, strict=True))
    between = tuple(s if isinstance(d, int) and d == 1 else s * d for s, d in zip(inner, stride, strict=True))
    return (*lead, *within, *between)
