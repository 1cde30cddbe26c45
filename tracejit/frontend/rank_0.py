"""Arrays of rank 0 of NumPy's that meet numbers: what they meet in is a NumPy scalar."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from tracejit.frontend.kinds import number_type
from tracejit.frontend.values import ArrayView, FrontValue

if TYPE_CHECKING:
    from tracejit.frontend.context import Context
    from tracejit.frontend.joins import Side


def is_rank_0(x: FrontValue | None, ctx: Context) -> TypeGuard[ArrayView]:
    """Whether a value is an array of rank 0, and no Tensor."""
    return isinstance(x, ArrayView) and x.rank == 0 and not ctx.tensors


def scalar_beside(ctx: Context, side: Side, x: FrontValue | None, other: FrontValue | None) -> FrontValue | None:
    """The element of an array of rank 0 that meets a number, read in its branch; other values as they are."""
    if not is_rank_0(x, ctx) or other is None or number_type(other) is None:
        return x
    with ctx.within(side.b, side.storage, side.sizes):
        return ctx.element(x, ())
