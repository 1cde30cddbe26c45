"""Slices and axes of views: start, count and step of a slice, and a view's axes in another order."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tracejit.frontend.context import Context
from tracejit.frontend.sizes import key
from tracejit.frontend.values import ArrayView, FrontValue, Size, SliceValue, Static
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, ScalarType

#: More than an array has elements; counts are computed with such a step as well.
_FAR = 1 << 62


def slice_bounds(ctx: Context, s: SliceValue, length: Size, node: ast.AST) -> tuple[Size, Size, Size]:
    """Start, count and step of a slice, clamped as Python does."""
    step = 1 if _is_none(s.step) else ctx.as_size(s.step, node)  # type: ignore[arg-type]
    if not isinstance(step, int):
        return _run_time_step(ctx, s, length, step, node)
    step = max(-_FAR, min(step, _FAR))
    if step == 0:
        ctx.always_raise("ValueError", "slice step cannot be zero")
        step = 1
    sizes, b = ctx.sizes, ctx.b
    low: Size = 0 if step > 0 else -1
    high: Size = length if step > 0 else sizes.sub(b, length, 1)
    start = _clamped(ctx, s.start, length, low, high, low if step > 0 else high, node)
    stop = _clamped(ctx, s.stop, length, low, high, high if step > 0 else low, node)
    if step > 0:
        span = sizes.sub(b, stop, start)
        count = sizes.floordiv(b, sizes.add(b, span, step - 1), step)
    else:
        span = sizes.sub(b, start, stop)
        count = sizes.floordiv(b, sizes.add(b, span, -step - 1), -step)
    return start, sizes.maximum(b, count, 0), step


def _is_none(bound: FrontValue | None) -> bool:
    return bound is None or (isinstance(bound, Static) and bound.value is None)


def _run_time_step(ctx: Context, s: SliceValue, length: Size, step: Size, node: ast.AST) -> tuple[Size, Size, Size]:
    """A slice with a step known at run time only: its sign chooses the bounds."""
    sizes, b = ctx.sizes, ctx.b
    by, zero = ctx.size_value(step), ctx.size_value(0)
    if not sizes.at_least(step, 1):
        ctx.check(b.emit("ne", (by, zero))[0], "ValueError", "slice step cannot be zero")
    up = b.emit("gt", (by, zero))[0]

    def either(forward: Size, backward: Size) -> Size:
        if sizes.at_least(step, 1):
            return forward
        return b.emit("select", (up, ctx.size_value(forward), ctx.size_value(backward)))[0]

    low, high = either(0, -1), either(length, sizes.sub(b, length, 1))
    start = _clamped(ctx, s.start, length, low, high, either(low, high), node)
    stop = _clamped(ctx, s.stop, length, low, high, either(high, low), node)
    span = b.emit("sub", (ctx.size_value(stop), ctx.size_value(start)))[0]
    gaps = b.emit("floordiv", (b.emit("add", (span, ctx.size_value(either(-1, 1))))[0], by))[0]
    count = b.emit("add", (gaps, ctx.size_value(1)))[0]  # nothing here overflows, whatever the step
    made = b.emit("maximum", (count, zero))[0]
    sizes.note_lower(made, 0)
    return start, made, step


def _clamped(
    ctx: Context, bound: FrontValue | None, length: Size, low: Size, high: Size, default: Size, node: ast.AST
) -> Size:
    """A slice bound: negative ones count from the end, then clamped into [low, high]."""
    sizes, b = ctx.sizes, ctx.b
    if bound is None or _is_none(bound):
        return default
    v = ctx.as_size(bound, node)
    if isinstance(v, int) and v < 0:
        return sizes.maximum(b, sizes.minimum(b, sizes.add(b, length, v), high), low)
    if sizes.at_least(v, 0):
        return sizes.minimum(b, v, high)
    zero, at = ctx.size_value(0), ctx.size_value(v)
    negative = b.emit("lt", (at, zero))[0]
    wrapped = b.emit("select", (negative, b.emit("add", (at, ctx.size_value(length)))[0], at))[0]
    return sizes.maximum(b, sizes.minimum(b, wrapped, high), low)


def permuted(view: ArrayView, perm: tuple[int, ...]) -> ArrayView:
    """The view with its axes in another order."""
    if perm == tuple(range(view.rank)):
        return view
    strides = tuple(view.strides[p] for p in perm)
    lengths = tuple(view.lengths[p] for p in perm)
    via: tuple[Any, ...] = ("transpose", perm) if view.is_whole else ()
    if view.via and view.via[0] == "transpose":
        combined = tuple(view.via[1][p] for p in perm)
        if combined == tuple(range(view.rank)):
            return dataclasses.replace(view.viewed(view.offset, strides, lengths), plain=True)
        via = ("transpose", combined)
    return view.viewed(view.offset, strides, lengths, via)


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    """The order of axes that undoes this one."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def restrided(ctx: Context, view: ArrayView, lengths: Sequence[Size]) -> tuple[Size, ...] | None:
    """Strides that give the view another shape of the same size without a copy; None where none are found.

    Axes that both shapes begin or end with keep their strides; those between must be evenly spaced. Sizes are
    compared as they are known, so that None does not prove that NumPy would copy.
    """
    sizes, b = ctx.sizes, ctx.b
    old = [(n, s) for n, s in zip(view.lengths, view.strides, strict=True) if n != 1]
    new = [k for k, n in enumerate(lengths) if n != 1]
    strides: list[Size] = [1] * len(lengths)
    while old and new and key(old[0][0]) == key(lengths[new[0]]):
        strides[new.pop(0)] = old.pop(0)[1]
    while old and new and key(old[-1][0]) == key(lengths[new[-1]]):
        strides[new.pop()] = old.pop()[1]
    for (_, outer), (n, inner) in pairwise(old):
        if key(outer) != key(sizes.mul(b, inner, n)):  # as strides of C order are made
            return None
    step: Size = old[-1][1] if old else 1
    for k in reversed(new):
        strides[k] = step
        step = sizes.mul(b, step, lengths[k])
    return tuple(strides)


def lies_by_rows(ctx: Context, view: ArrayView) -> bool | Value:
    """Whether the elements of a view lie in C order without gaps. Axes of size 1 have no stride that counts, and no
    elements lie so."""
    if view.plain or ctx.same_lengths(view.strides, ctx.contiguous_strides(view.lengths)):
        return True
    b, one = ctx.b, ctx.size_value(1)
    shared = b.constant(True, ScalarType(BOOL))
    empty = b.constant(False, ScalarType(BOOL))
    for n, stride, due in zip(view.lengths, view.strides, ctx.contiguous_strides(view.lengths), strict=True):
        even = b.emit("eq", (ctx.size_value(stride), ctx.size_value(due)))[0]
        even = b.emit("logical_or", (even, b.emit("eq", (ctx.size_value(n), one))[0]))[0]
        shared = b.emit("logical_and", (shared, even))[0]
        empty = b.emit("logical_or", (empty, b.emit("lt", (ctx.size_value(n), one))[0]))[0]
    return b.emit("logical_or", (shared, empty))[0]


def may_be_view(ctx: Context, view: ArrayView, lengths: Sequence[Size]) -> Value:
    """Whether NumPy may reshape a view without a copy: where the elements do not go on evenly from one axis to the
    next, the new shape must have a border too. Axes of size 1, whose strides mean nothing, count as even."""
    b, sizes = ctx.b, ctx.sizes
    one = ctx.size_value(1)

    def equal(x: Size, y: Size) -> Value:
        return b.emit("eq", (ctx.size_value(x), ctx.size_value(y)))[0]

    borders = _inner_sizes(ctx, lengths)
    shared = b.constant(True, ScalarType(BOOL))
    for axis, size in enumerate(_inner_sizes(ctx, view.lengths)):
        n, stride = view.lengths[axis + 1], view.strides[axis + 1]
        fits = equal(view.strides[axis], sizes.mul(b, n, stride))
        others = [b.emit("le", (ctx.size_value(m), one))[0] for m in (view.lengths[axis], n)]
        for other in (*others, *(equal(size, border) for border in borders)):
            fits = b.emit("logical_or", (fits, other))[0]
        shared = b.emit("logical_and", (shared, fits))[0]
    return shared


def require_view(ctx: Context, made: ArrayView) -> None:
    """A RuntimeError where another shape of a tensor, which is a copy here, has to be one."""
    text = "the tensor does not lie in memory so that it can be viewed so; use reshape(), or contiguous() first"
    found = ctx.maybe_views.get(made.storage)
    if found is None:
        ctx.check_false("RuntimeError", text)
    else:
        ctx.check(found.shared, "RuntimeError", text)


def _inner_sizes(ctx: Context, lengths: Sequence[Size]) -> list[Size]:
    """For each axis but the last: how many elements the axes behind it have."""
    found: list[Size] = []
    total: Size = 1
    for n in reversed(lengths[1:]):
        total = ctx.sizes.mul(ctx.b, total, n)
        found.insert(0, total)
    return found
