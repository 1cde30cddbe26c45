"""One memory under bases of different rank: what joins and loops need where such bases meet."""

from __future__ import annotations

import dataclasses

from tracejit.frontend.context import Context
from tracejit.frontend.values import ArrayView, Size


def rebased(ctx: Context, view: ArrayView, rank: int, known: int | None = None) -> ArrayView:
    """The view as one of a class that is the same memory under a base of another rank (at least 1): a new one, or one
    that was `known` for that before."""
    base = ctx.storage.bases[view.storage]
    total: Size = 1
    for n in ctx.whole_view(view.storage).lengths:
        total = ctx.sizes.mul(ctx.b, total, n)
    sizes = map(ctx.size_value, (*(1,) * (rank - 1), total))
    content = ctx.b.emit("reshape", (base, *sizes), names=(base.name,))[0]
    is_known = known in ctx.storage.bases and ctx.storage.alias(known, view.storage) is True
    if known is not None and is_known and ctx.storage.apart(known, view.storage) is False:
        ctx.storage.bases[known], storage = content, known
    else:
        storage = ctx.storage.same(view.storage, content)
    return dataclasses.replace(view, storage=storage, prefix=(), plain=False, via=())
