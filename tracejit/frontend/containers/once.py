"""What `zip`, `map`, `enumerate` and their like make is used up by what runs over it: a second use is refused, since
the sequence that stands for it here would begin anew."""

from __future__ import annotations

import ast
import dataclasses
from typing import TYPE_CHECKING

from tracejit.frontend.values import FrontValue, Once, SequenceValue

if TYPE_CHECKING:
    from tracejit.frontend.context import Context


def _place(ctx: Context) -> tuple[int, int]:
    """How deep in loops and in unrolled loops the program is."""
    return ctx.loops, sum(isinstance(step, int) for step in ctx.path)


def used_once(ctx: Context, value: FrontValue) -> FrontValue:
    """A sequence that may be run over once."""
    return dataclasses.replace(value, once=Once(_place(ctx))) if isinstance(value, SequenceValue) else value


def use_up(ctx: Context, value: SequenceValue, node: ast.AST) -> None:
    """Run over a sequence; refused where that was, or may have been, done before."""
    once = value.once
    if once is None:
        return
    if once.user not in (None, node) or once.place != _place(ctx):
        reason = "an iterator (of zip, map, filter, enumerate or reversed) may be used up here"
        ctx.refuse(node, reason, "make a list of it first: list(...)")
    once.user = node
