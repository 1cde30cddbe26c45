"""What `len` makes of what `__len__` gives."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tracejit.frontend.values import FrontValue, Number, Static, type_name
from tracejit.ir.types import I64

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def checked(c: Calls, made: FrontValue, node: ast.AST) -> FrontValue:
    """The length that `__len__` gives: a Python int; errors where it is none, or below 0."""
    is_int = isinstance(made, Number) and made.dtype.is_integer
    if not is_int and type_name(made) not in ("int", "bool"):
        text = f"'{type_name(made)}' object cannot be interpreted as an integer"
        return c.arith.mismatch(TypeError(text), node)
    if isinstance(made, Static) and made.value >= 0:
        return Static(int(made.value))
    c.ctx.at(node)
    number = c.arith.scalar(made, I64)
    if not c.ctx.sizes.at_least(number, 0):
        c.ctx.check(c.ctx.b.emit("ge", (number, c.ctx.size_value(0)))[0], "ValueError", "__len__() should return >= 0")
    return Number(number, weak=True)
