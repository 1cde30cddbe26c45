"""Arrays in another shape: a view where the memory allows it, else a copy."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracejit.frontend.first_call import with_sign_told
from tracejit.frontend.sizes import MAX_SHOWN, shown_shape, shown_size
from tracejit.frontend.tensors.memory_order import copied
from tracejit.frontend.tensors.slices import may_be_view, restrided
from tracejit.frontend.tensors.turned_operands import is_disordered
from tracejit.frontend.tensors.write_checks import MaybeView
from tracejit.frontend.values import ArrayView, Size
from tracejit.ir.core import Value

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.context import Context


def total_size(calls: Calls, view: ArrayView) -> Size:
    """The number of elements."""
    total: Size = 1
    for n in view.lengths:
        total = calls.ctx.sizes.mul(calls.ctx.b, total, n)
    return total


def reshaped(calls: Calls, view: ArrayView, lengths: list[Size], node: ast.AST) -> ArrayView:
    """The view with another shape of the same size: the same memory where it lies in C order, else a copy."""
    ctx = calls.ctx
    lengths = [with_sign_told(calls, n) for n in lengths]
    if ctx.tensors and any(isinstance(n, int) and n < -1 for n in lengths):
        calls.arith.mismatch(ValueError("at most one size may be -1, and none smaller"), node)
    lengths = [-1 if isinstance(n, int) and n < 0 else n for n in lengths]
    if ctx.same_lengths(view.lengths, lengths):
        return view
    total = total_size(calls, view)
    free = [i for i, n in enumerate(lengths) if isinstance(n, int) and n == -1]
    known: Size = 1
    for i, n in enumerate(lengths):
        known = known if i in free else ctx.sizes.mul(ctx.b, known, n)
    message, numbers = _misfit(total, lengths)
    is_only = len(lengths) == 1
    if not is_only:
        _require_sizes(ctx, lengths)
    if len(free) == 1:
        lengths[free[0]] = _quotient(calls, total, known, message, numbers)
    elif free:
        calls.arith.mismatch(ValueError("can only specify one unknown dimension"), node)
    elif isinstance(known, int) and isinstance(total, int) and known != total:
        calls.arith.mismatch(ValueError(message), node)
    elif not ctx.same_lengths([known], [total]):
        fits = ctx.b.emit("eq", (ctx.size_value(known), ctx.size_value(total)))[0]
        if is_only and not ctx.sizes.at_least(known, 0):
            is_free = ctx.b.emit("lt", (ctx.size_value(known), ctx.size_value(0)))[0]
            fits = ctx.b.emit("logical_or", (fits, is_free))[0]
            lengths = [total]
        ctx.check(fits, "ValueError", message, *numbers)
    is_strided = is_disordered(ctx, view)
    if is_strided:
        merged = None
    elif view.plain:
        merged = ctx.contiguous_strides(lengths)
    else:
        merged = restrided(ctx, view, lengths)
    if merged is not None:
        via: tuple[Any, ...] = ("reshape",) if view.is_whole else ()
        return view.viewed(view.offset, merged, lengths, via)
    made = ctx.fresh(ctx.b.emit("reshape", (ctx.load(view), *map(ctx.size_value, lengths)))[0])
    if is_strided:
        ctx.hold(made, view)
    else:
        ctx.maybe_views[made.storage] = MaybeView(view.storage, may_be_view(ctx, view, lengths))
    return made


def in_a_line(calls: Calls, view: ArrayView, node: ast.AST) -> ArrayView:
    """The elements of a view side by side: as `reshaped`, but a copy also where they lie a step apart. A step means
    nothing between fewer than two."""
    ctx, made = calls.ctx, reshaped(calls, view, [-1], node)
    is_apart = made.storage in ctx.strided and len(ctx.whole_view(made.storage).lengths) == 1
    if made.storage != view.storage or (made.strides[0] == 1 and not is_apart):
        return made
    copy = copied(calls, made, (0,))
    if is_apart and made.strides[0] != 1:  # the array may lie backwards
        ctx.hold(copy, view)
        return copy
    shared = ctx.b.emit("le", (ctx.size_value(made.lengths[0]), ctx.size_value(1)))[0]
    if not is_apart and isinstance(made.strides[0], Value):
        is_one = ctx.b.emit("eq", (made.strides[0], ctx.size_value(1)))[0]
        shared = ctx.b.emit("logical_or", (shared, is_one))[0]
    ctx.maybe_views[copy.storage] = MaybeView(view.storage, shared)
    return copy


def _misfit(total: Size, lengths: Sequence[Size]) -> tuple[str, list[Value]]:
    """NumPy's message where a shape does not fit, and the run-time sizes that it shows."""
    numbers: list[Value] = []
    size = shown_size(total, numbers)
    shape = shown_shape(["newaxis" if isinstance(n, int) and n == -1 else n for n in lengths], numbers)
    return f"cannot reshape array of size {size} into shape {shape}", numbers[:MAX_SHOWN]


def _require_sizes(ctx: Context, lengths: Sequence[Size]) -> None:
    """An error where a size that is computed is negative, -1 included."""
    for n in lengths:
        if isinstance(n, Value) and not ctx.sizes.at_least(n, 0):
            is_size = ctx.b.emit("ge", (n, ctx.size_value(0)))[0]
            ctx.check(is_size, "ValueError", "a size that a script computes cannot be negative: write -1 for the rest")
            ctx.sizes.note_lower(n, 0)


def _quotient(calls: Calls, total: Size, known: Size, message: str, numbers: Sequence[Value]) -> Size:
    """The size that -1 stands for."""
    ctx = calls.ctx
    if isinstance(total, int) and isinstance(known, int):
        if known == 0 or total % known:
            ctx.always_raise("ValueError", message)
            return 0
        return total // known
    if isinstance(known, int) and known == 1:
        return total
    if isinstance(total, int) and total == 0:
        return 0
    t, k = ctx.size_value(total), ctx.size_value(known)
    zero = ctx.size_value(0)
    if not ctx.sizes.at_least(known, 1):
        ctx.check(ctx.b.emit("ne", (k, zero))[0], "ValueError", message, *numbers)
    remainder = ctx.b.emit("mod", (t, k))[0]
    ctx.check(ctx.b.emit("eq", (remainder, zero))[0], "ValueError", message, *numbers)
    made = ctx.b.emit("floordiv", (t, k))[0]
    ctx.sizes.note_lower(made, 0)
    return made
