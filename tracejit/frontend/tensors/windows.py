"""Views of NumPy's `stride_tricks`: windows of an array, and given strides."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from numpy.lib.stride_tricks import as_strided, sliding_window_view

from tracejit.frontend.functions.arguments import Arguments, normal_axis
from tracejit.frontend.functions.handlers import handles
from tracejit.frontend.tensors.creation import require_size
from tracejit.frontend.tensors.reshaping import total_size
from tracejit.frontend.values import ArrayView, FrontValue, Size
from tracejit.ir.core import Value

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


@handles(sliding_window_view)
def _sliding(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """The windows of an array: a view that may not be written."""
    a = Arguments(c, "sliding_window_view", "x window_shape axis=None subok=False writeable=False", args, kwargs, node)
    x, sizes = a.array(), a.sizes(a["window_shape"])
    given = a.static("axis")
    listed = range(x.rank) if given is None else [given] if isinstance(given, int) else given
    axes = [normal_axis(a, int(k), x.rank) for k in listed]
    if len(axes) != len(sizes):
        text = "Must provide window_shape for all dimensions of `x`; got "
        c.arith.mismatch(ValueError(f"{text}{len(sizes)} window_shape elements and `x.ndim` is {x.rank}."), node)
    lengths = list(x.lengths)
    b = c.ctx.b
    for k, w in zip(axes, sizes, strict=True):
        right = b.emit("ge", (c.ctx.size_value(w), c.ctx.size_value(0)))[0]
        c.ctx.check(right, "ValueError", "`window_shape` cannot contain negative values")
        n = c.ctx.sizes.add(b, c.ctx.sizes.sub(b, lengths[k], w), 1)
        fits = b.emit("gt", (c.ctx.size_value(n), c.ctx.size_value(0)))[0]
        c.ctx.check(fits, "ValueError", "window shape cannot be larger than input array shape")
        if not isinstance(n, int):
            c.ctx.sizes.note_lower(n, 1)
        lengths[k] = n
    strides = (*x.strides, *(x.strides[k] for k in axes))
    if a.static("writeable"):
        c.ctx.refuse(node, "windows are read only in a script", "write into the array itself")
    return _read_only(x.viewed(x.offset, strides, [*lengths, *sizes]))


@handles(as_strided)
def _as_strided(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """The view with given lengths and strides, in bytes; it may not be written, as its elements may lie in one place.
    One that leaves the memory of the array is a ValueError."""
    a = Arguments(c, "as_strided", "x shape=None strides=None subok=False writeable=True", args, kwargs, node)
    x = a.array()
    if x.storage in c.ctx.strided:
        c.ctx.refuse(node, "how this array lies in memory is not known in a script", "np.ascontiguousarray(x) first")
    lengths = list(x.lengths) if a.is_none("shape") else a.sizes(a["shape"])
    strides = list(x.strides) if a.is_none("strides") else [_elements(c, s, x) for s in a.sizes(a["strides"])]
    if len(strides) != len(lengths):
        c.arith.mismatch(ValueError("mismatch in length of strides and shape"), node)
    for n in lengths:
        require_size(c, n, node)
    _require_inside(c, x, strides, lengths)
    return _read_only(x.viewed(x.offset, strides, lengths))


def _read_only(x: ArrayView) -> ArrayView:
    return dataclasses.replace(x, readonly=True)


def _elements(c: Calls, stride: Size, x: ArrayView) -> Size:
    """A stride in bytes as one in elements."""
    width, b = x.dtype.itemsize, c.ctx.b
    if isinstance(stride, int) and stride % width == 0:
        return stride // width
    rest = b.emit("mod", (c.ctx.size_value(stride), c.ctx.size_value(width)))[0]
    whole = b.emit("eq", (rest, c.ctx.size_value(0)))[0]
    c.ctx.check(whole, "ValueError", f"strides have to be multiples of the {width} bytes of an element in a script")
    return c.ctx.sizes.floordiv(b, stride, width)


def _require_inside(c: Calls, x: ArrayView, strides: Sequence[Size], lengths: Sequence[Size]) -> None:
    """A ValueError where a view that has elements goes beyond the memory of its base."""
    sizes, b = c.ctx.sizes, c.ctx.b

    def is_true(op: str, one: Size, other: Size) -> Value:
        return b.emit(op, (c.ctx.size_value(one), c.ctx.size_value(other)))[0]

    first: Size = x.offset
    last: Size = x.offset
    for n, stride in zip(lengths, strides, strict=True):
        span = sizes.mul(b, sizes.sub(b, n, 1), stride)
        first, last = sizes.add(b, first, sizes.minimum(b, span, 0)), sizes.add(b, last, sizes.maximum(b, span, 0))
    end = total_size(c, c.ctx.whole_view(x.storage))
    within = b.emit("logical_and", (is_true("ge", first, 0), is_true("lt", last, end)))[0]
    for n in lengths:
        within = b.emit("logical_or", (within, is_true("eq", n, 0)))[0]
    c.ctx.check(within, "ValueError", "the view goes beyond the memory of the array")
