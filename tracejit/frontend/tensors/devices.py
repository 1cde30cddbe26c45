"""A graph runs on one device: that of its arguments, or of arrays from outside where no argument is an array."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tracejit.errors import ScriptError
from tracejit.frontend.boundary.signature import ArraySpec
from tracejit.frontend.restarts import NeedsDevice

if TYPE_CHECKING:
    from tracejit.frontend.context import Context


def require_device(ctx: Context, wanted: str, node: ast.AST) -> None:
    """Refuse to make or move an array elsewhere."""
    if wanted.partition(":")[0] != ctx.device:
        where = "the device of its arguments" if not ctx.is_anywhere else "the CPU without arrays among its arguments"
        ctx.refuse(node, f"a script runs on {where}, here {ctx.device}", "make or move the array before the call")


def require_outer(ctx: Context, spec: ArraySpec) -> None:
    """Refuse an array from outside that is elsewhere; NumPy's may be constants, and are passed on."""
    if spec.device == ctx.device or (spec.device == "cpu" and not spec.tensor):
        return
    if ctx.is_anywhere:
        raise NeedsDevice(spec.device)
    raise ScriptError(
        f"the arguments are on the device {ctx.device}, this array is on {spec.device}",
        ctx.b.span,
        instead="move it there first: x.cuda() or x.cpu()",
    )
