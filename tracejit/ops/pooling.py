"""Pooling: the maximum or the mean of windows over the last axes.

Equal maxima of a window share its cotangent evenly, as everywhere (`max`, `maximum`); nan is the maximum where there is
one. Sizes are PyTorch's, `ceil_mode` included: a window may then begin inside the input or its left padding and end
beyond the right.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

from tracejit.errors import DTypeMismatch, ShapeMismatch
from tracejit.ir.core import Value
from tracejit.ir.opdef import Pointwise, Sample
from tracejit.ir.types import I64, Type
from tracejit.ops.arrange import at_least, at_most
from tracejit.ops.define import draw, op, quiet, require_dtype, same_shape, tensor_type
from tracejit.ops.functions import Operand, Sizes, array, count_of, function, inexact, on
from tracejit.ops.reduction import ORDERED, lowest
from tracejit.ops.windows import (
    floor_quotient,
    padded_axes,
    per_axis,
    places,
    reach,
    require_at_least,
    window_strides,
)
from tracejit.records import record

LIBRARY = ("function",)

#: Windows of up to this many elements are read place by place: one kernel over the results, with vectors along rows.
UNROLLED = 25


def _max_of_infer(xs: Sequence[Value]) -> tuple[Type, ...]:
    same_shape("max_of", xs)
    for x in xs:
        if x.type != xs[0].type:
            raise DTypeMismatch(f"max_of: operands {xs[0].type} and {x.type} differ")
    require_dtype(xs[0], ORDERED, "max_of")
    return (tensor_type(xs[0], "max_of"),)


def _max_of_vjp(b: Any, g: Any, xs: Sequence[Any], out: Any) -> tuple[Any, ...]:
    """Equal maxima share the cotangent evenly; if one is nan, the nans do."""
    taken = [b.logical_or(b.eq(x, out), b.isnan(x)) for x in xs]
    count = functools.reduce(b.add, [b.cast(t, dtype=b.dtype(out)) for t in taken])
    share = g / count
    return (tuple(b.select(t, share, 0) for t in taken),)


op(
    "max_of",
    ("*xs",),
    doc="The largest of several tensors of one type, element by element; nan where one is.",
    infer=_max_of_infer,
    eager=quiet(lambda xp, xs: functools.reduce(xp.maximum, xs)),
    vjp=_max_of_vjp,
    lower=Pointwise(lambda k, index, xs: functools.reduce(k.maximum, [x(index) for x in xs])),
    samples=lambda rng: [
        Sample((tuple(draw(rng, -3, 3, shape, dtype) for _ in range(count)),))
        for shape, dtype, count in (
            ((4,), "float64", 3),
            ((2, 3), "float32", 2),
            ((2, 3), "int64", 4),
            ((), "float64", 2),
            ((0, 2), "float64", 2),
            ((3,), "float64", 1),
        )
    ],
)


def _last_axes(b: Any, name: str, x: Any, space: int) -> Any:
    if b.rank(x) not in (space + 1, space + 2):
        raise ShapeMismatch(f"{name}: the input has {space + 1} or {space + 2} axes, got {b.rank(x)}")
    return b.shape(x)[b.rank(x) - space :]


def _settings(b: Any, space: int, kernel: Any, stride: Any, padding: Any, dilation: Any) -> list[tuple[Any, ...]]:
    """Kernel, stride (the kernel's size if None), padding and dilation, one per axis each."""
    kernel = per_axis(kernel, space, "kernel_size")
    empty = stride is None or (isinstance(stride, tuple | list) and not stride)
    stride = kernel if empty else per_axis(stride, space, "stride")
    padding, dilation = per_axis(padding, space, "padding"), per_axis(dilation, space, "dilation")
    for sizes, least, name in ((kernel, 1, "kernel_size"), (stride, 1, "stride"), (dilation, 1, "dilation")):
        require_at_least(b, sizes, least, name)
    require_at_least(b, padding, 0, "padding")
    for p, k, d in zip(padding, kernel, dilation, strict=True):
        half = floor_quotient(b, reach(k, d), 2)
        message = "padding is at most half the kernel"
        if isinstance(p, int) and isinstance(half, int):
            if p > half:
                raise ShapeMismatch(f"{message} ({half}), got {p}")
        else:
            b.check(b.ge(half - p, 0), (), kind="ValueError", message=message)
    return [kernel, stride, padding, dilation]


def _ends(b: Any, name: str, size: Any, settings: Sequence[Any], ceil: bool) -> tuple[Any, Any]:
    """The number of windows along an axis and the padding that they need after it."""
    k, s, p, d = settings
    count = places(b, size + p + p, k, s, d, name)
    if not ceil or (isinstance(s, int) and s == 1):
        return count, p
    more = places(b, size + p + p + (s - 1), k, s, d, name)
    # The last window begins in the input or in the padding before it.
    begun = floor_quotient(b, size + p - 1, s) + 1
    count = at_most(b, more, begun)
    return count, at_least(b, (count - 1) * s + reach(k, d) - size - p, p)


@record
class _Windows:
    """The windows over the last axes of an array that has its padding."""

    full: Any
    offsets: tuple[Any, ...]  #: element strides from one kernel place to the next
    strides: tuple[Any, ...]  #: element strides of (leading axes, places)
    lengths: tuple[Any, ...]  #: sizes of (leading axes, places)
    kernel: tuple[Any, ...]

    def parts(self, b: Any) -> list[Any] | None:
        """For each place of the kernel, the elements that all windows have there; None where these are too many."""
        kernel = [k for k in self.kernel if isinstance(k, int)]
        if len(kernel) < len(self.kernel) or math.prod(kernel) > UNROLLED:
            return None
        found: list[Any] = []
        for place in itertools.product(*map(range, kernel)):
            start: Any = 0
            for i, step in zip(place, self.offsets, strict=True):
                start = start + step * i if i else start
            found.append(b.vread(self.full, start, self.strides, self.lengths))
        return found

    def whole(self, b: Any) -> tuple[Any, tuple[int, ...]]:
        """All windows as one array with the kernel's axes last, and these axes."""
        rank = len(self.lengths)
        made = b.vread(self.full, 0, (*self.strides, *self.offsets), (*self.lengths, *self.kernel))
        return made, tuple(range(rank, rank + len(self.kernel)))


def _windows(
    b: Any, name: str, space: int, x: Any, settings: Sequence[tuple[Any, ...]], ceil: bool, fill: Any
) -> _Windows:
    kernel, stride, padding, dilation = settings
    sizes = _last_axes(b, name, x, space)
    ends = [_ends(b, name, n, given, ceil) for n, given in zip(sizes, zip(*settings, strict=True), strict=True)]
    full = padded_axes(b, x, [(lo, hi) for lo, (_, hi) in zip(padding, ends, strict=True)], fill)
    strides = window_strides(b, b.shape(full), stride, dilation)
    lead = b.rank(x) - space
    return _Windows(
        full,
        strides[lead : lead + space],
        (*strides[:lead], *strides[lead + space :]),
        (*b.shape(x)[:lead], *(count for count, _ in ends)),
        kernel,
    )


def _max_pool(
    b: Any, space: int, x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, indices: bool
) -> Any:
    x = array(b, x)
    settings = _settings(b, space, kernel, stride, padding, dilation)
    windows = _windows(b, f"max_pool{space}d", space, x, settings, ceil, lowest(b.dtype(x)))
    if indices:
        return _max_and_places(b, windows, b.shape(x)[b.rank(x) - space :], settings)
    parts = windows.parts(b)
    if parts is not None:
        return b.max_of(tuple(parts))
    made, axes = windows.whole(b)
    return b.max(made, axes=axes)


def _max_and_places(b: Any, windows: _Windows, sizes: Sequence[Any], settings: Sequence[Any]) -> tuple[Any, Any]:
    """The maximum of each window, and where its first one is among the elements of the last axes in C order."""
    made, axes = windows.whole(b)
    shape = b.shape(made)[: axes[0]]
    places = b.argmax(b.reshape(made, (*shape, count_of(b, made, axes))), axis=len(shape))
    c, found, rest = on(b), b.full(0, (), I64), places
    steps: list[Any] = []
    for k in reversed(windows.kernel):
        steps.insert(0, c.mod(rest, k))
        rest = c.floordiv(rest, k)
    lead = len(shape) - len(sizes)
    for i, (n, step, (_, s, p, d)) in enumerate(zip(sizes, steps, zip(*settings, strict=True), strict=True)):
        window = b.iota(shape, axis=lead + i, dtype=I64)
        at = c.sub(c.add(c.mul(window, s), c.mul(step, d)), p)
        found = c.add(c.mul(found, n), at)
    return b.max(made, axes=axes), found


@function(kinds=LIBRARY)
def max_pool1d(
    b: Any,
    x: Operand,
    kernel_size: Sizes,
    stride: Sizes = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window over the last axis of x (batch, channels, size); see `max_pool2d`."""
    return _max_pool(b, 1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@function(kinds=LIBRARY)
def max_pool2d(
    b: Any,
    x: Operand,
    kernel_size: Sizes,
    stride: Sizes = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window over the last two axes of x (batch, channels, height, width) or (channels, height,
    width). `stride` is the kernel's size if None; padding counts as the lowest number and is at most half the kernel;
    equal maxima share their cotangent evenly. With `return_indices` also the place of each (first) maximum, counted in
    C order over the last axes: i64. `ValueError` where a window does not fit."""
    return _max_pool(b, 2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@function(kinds=LIBRARY)
def max_pool3d(
    b: Any,
    x: Operand,
    kernel_size: Sizes,
    stride: Sizes = None,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window over the last three axes of x (batch, channels, depth, height, width); see
    `max_pool2d`."""
    return _max_pool(b, 3, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _covered(b: Any, size: Any, count: Any, k: Any, s: Any, p: Any, padded: bool) -> Any:
    """How many elements each window along an axis averages: i64[count]. `padded` counts the user's padding too, but not
    what `ceil_mode` added."""
    start = b.iota((count,), axis=0, dtype=I64)
    start = b.sub(b.mul(start, s), p)
    stop = b.minimum(b.add(start, k), size + p if padded else size)
    return b.sub(stop, start if padded else b.maximum(start, 0))


def _avg_pool(
    b: Any, space: int, x: Any, kernel: Any, stride: Any, padding: Any, ceil: bool, include: bool, divisor: Any
) -> Any:
    name = f"avg_pool{space}d"
    x = inexact(b, x)
    settings = _settings(b, space, kernel, stride, padding, 1)
    kernel, stride, padding, _ = settings
    windows = _windows(b, name, space, x, settings, ceil, 0)
    parts = windows.parts(b)
    if parts is not None:
        total = functools.reduce(b.add, parts)
    else:
        made, axes = windows.whole(b)
        total = b.sum(made, axes=axes)
    if divisor is not None:
        require_at_least(b, (divisor,), 1, "divisor_override")
        return b.div(total, divisor if isinstance(divisor, int) else b.cast(divisor, dtype=b.dtype(total)))
    unpadded = all(isinstance(p, int) and p == 0 for p in padding)
    if not ceil and (include or unpadded):
        area = _area(kernel)
        return b.div(total, float(area) if isinstance(area, int) else b.cast(area, dtype=b.dtype(total)))
    shape = b.shape(total)
    lead = len(shape) - space
    sizes = b.shape(x)[lead:]
    spots = shape[lead:]
    area = b.full(1, spots, I64)
    for i, (n, k, s, p) in enumerate(zip(sizes, kernel, stride, padding, strict=True)):
        column = b.reshape(_covered(b, n, spots[i], k, s, p, include), (spots[i], *(1,) * (space - 1 - i)))
        area = b.mul(area, b.broadcast(column, spots))
    return b.div(total, b.broadcast(b.cast(area, dtype=b.dtype(total)), shape))


def _area(kernel: Sequence[Any]) -> Any:
    area: Any = 1
    for k in kernel:
        area = k if isinstance(area, int) and area == 1 else area * k
    return area


@function(kinds=LIBRARY)
def avg_pool1d(
    b: Any,
    x: Operand,
    kernel_size: Sizes,
    stride: Sizes = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window over the last axis of x (batch, channels, size); see `avg_pool2d`."""
    return _avg_pool(b, 1, x, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


@function(kinds=LIBRARY)
def avg_pool2d(
    b: Any,
    x: Operand,
    kernel_size: Sizes,
    stride: Sizes = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Sizes = None,
) -> Any:
    """The mean of each window over the last two axes of x (batch, channels, height, width) or (channels, height,
    width). `stride` is the kernel's size if None; the zeros of the padding count unless `count_include_pad` is false;
    `divisor_override` divides instead of the number of elements. `ValueError` where a window does not fit."""
    return _avg_pool(b, 2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@function(kinds=LIBRARY)
def avg_pool3d(
    b: Any,
    x: Operand,
    kernel_size: Sizes,
    stride: Sizes = None,
    padding: Sizes = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Sizes = None,
) -> Any:
    """The mean of each window over the last three axes of x (batch, channels, depth, height, width); see
    `avg_pool2d`."""
    return _avg_pool(b, 3, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
