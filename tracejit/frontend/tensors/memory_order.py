"""The argument `order` of functions that make arrays: which axis is the outermost in memory, which the innermost.

Memory that does not lie by rows is that of a new array by rows, seen with its axes in another order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tracejit.frontend.functions.arguments import Arguments
from tracejit.frontend.tensors.slices import inverse, permuted
from tracejit.frontend.tensors.turned_operands import is_disordered, note_order
from tracejit.frontend.values import ArrayView, Size
from tracejit.ir.types import DType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def by_columns(x: ArrayView) -> ArrayView:
    """The array with its axes reversed: its rows are the columns."""
    return permuted(x, tuple(reversed(range(x.rank))))


def axes_in_memory(a: Arguments, rank: int, like: ArrayView | None = None) -> tuple[int, ...]:
    """The axes of a new array from the outermost to the innermost, as `order` says: by rows ("C"), by columns ("F"),
    or as another array lies ("K"; "A" where that is by columns), if that is known when compiling."""
    order = a.static("order")
    rows, columns = tuple(range(rank)), tuple(reversed(range(rank)))
    match order.upper() if isinstance(order, str) else order:
        case "C" | None:
            return rows
        case "F":
            return columns
        case "K" | "A" as kept:
            if like is None or like.rank != rank or not like.via or like.via[0] != "transpose":
                return rows
            found = inverse(like.via[1])
            return found if kept == "K" or found == columns else rows
        case _:
            return a.calls.arith.mismatch(
                ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})"), a.node
            )


def axes_to_read(a: Arguments, x: ArrayView) -> tuple[int, ...]:
    """The axes of an array from the outermost to the innermost, as its elements are read in the order asked for."""
    if a.static("order") in ("K", "A") and is_disordered(a.calls.ctx, x):
        a.calls.ctx.refuse(
            a.node, "how this array lies in memory is not known when the function is compiled", "order='C'"
        )
    return axes_in_memory(a, x.rank, x)


def noted(a: Arguments, made: ArrayView, like: ArrayView) -> ArrayView:
    """A new array in the order of another, that lies by rows where nothing is known of that order."""
    ctx = a.calls.ctx
    if a.static("order") in ("K", "A") and (like.storage in ctx.strided or like.storage in ctx.unordered):
        note_order(ctx, made, [like])
    return made


def made_in(axes: tuple[int, ...], lengths: list[Size], make: Callable[[list[Size]], ArrayView]) -> ArrayView:
    """A new array of these lengths with these axes from the outermost to the innermost; `make` makes it by rows."""
    return permuted(make([lengths[k] for k in axes]), inverse(axes))


def copied(c: Calls, x: ArrayView, axes: tuple[int, ...], dtype: DType | None = None) -> ArrayView:
    """A copy with these axes from the outermost to the innermost."""
    content = c.ctx.load(permuted(x, axes))
    if dtype not in (None, x.dtype):
        content = c.ctx.b.emit("cast", (content,), {"dtype": dtype})[0]
    elif c.ctx.notes_writes:  # not the memory that later writes change
        content = c.ctx.b.emit("fresh", (content,))[0]
    return permuted(c.ctx.fresh(content), inverse(axes))


def in_order(c: Calls, x: ArrayView, axes: tuple[int, ...]) -> ArrayView:
    """The array itself where it lies so, else a copy. Nobody may write either where that is known at run time only."""
    strided = x.storage in c.ctx.strided
    if x.storage in c.ctx.by_columns and x.is_whole and axes == tuple(reversed(range(x.rank))):
        return x
    inner = permuted(x, axes)
    if not strided and c.ctx.same_lengths(inner.strides, c.ctx.contiguous_strides(inner.lengths)):
        return x
    made = copied(c, x, axes)
    if strided and axes != tuple(range(x.rank)):
        c.ctx.hold(made, x)
    return made


def ordered(c: Calls, a: Arguments, x: ArrayView) -> ArrayView:
    """The array in the order of memory that is asked for: itself where any will do, or it has that one."""
    kept = a.static("order") in (None, "K")
    return x if kept else in_order(c, x, axes_in_memory(a, x.rank, x))
