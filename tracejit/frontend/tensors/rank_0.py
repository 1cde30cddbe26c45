"""Arrays of rank 0 that meet numbers: what they meet in is a scalar."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from tracejit.frontend.kinds import number_type
from tracejit.frontend.values import ArrayView, FrontValue

if TYPE_CHECKING:
    from tracejit.frontend.context import Context
    from tracejit.frontend.control.sides import Side


def meets_number(x: FrontValue | None, other: FrontValue | None, ctx: Context) -> TypeGuard[ArrayView]:
    """Whether `x` is an array of rank 0 and `other` a number; a Tensor meets those only that are elements of one."""
    found = None if other is None else number_type(other)
    return isinstance(x, ArrayView) and x.rank == 0 and found is not None and not (ctx.tensors and found[1])


def scalar_beside(ctx: Context, side: Side, x: FrontValue | None, other: FrontValue | None) -> FrontValue | None:
    """The element of an array of rank 0 that meets a number, read in its branch; other values as they are."""
    if not meets_number(x, other, ctx):
        return x
    with ctx.within(side.b, side.storage, side.sizes):
        return ctx.element(x, ())
