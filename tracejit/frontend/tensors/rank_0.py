"""Arrays of rank 0 that meet numbers: what they meet in is a scalar."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from tracejit.frontend.kinds import number_type
from tracejit.frontend.tensors import elements
from tracejit.frontend.values import ArrayView, FrontValue, Number

if TYPE_CHECKING:
    from tracejit.frontend.context import Context
    from tracejit.frontend.control.sides import Side


def meets_number(x: FrontValue | None, other: FrontValue | None) -> TypeGuard[ArrayView]:
    """Whether `x` is an array of rank 0 and `other` a number."""
    return isinstance(x, ArrayView) and x.rank == 0 and other is not None and number_type(other) is not None


def as_scalar(ctx: Context, x: ArrayView) -> Number:
    """The element of an array of rank 0; that of a Tensor is still its element."""
    return elements.read(ctx, x, ())


def scalar_beside(ctx: Context, side: Side, x: FrontValue | None, other: FrontValue | None) -> FrontValue | None:
    """The element of an array of rank 0 that meets a number, read in its branch; other values as they are."""
    if not meets_number(x, other):
        return x
    with ctx.within(side.b, side.storage, side.sizes):
        return as_scalar(ctx, x)
