"""How many values an assignment to several targets takes."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracejit.frontend.context import Context
from tracejit.frontend.tensors.values_alone import hint
from tracejit.frontend.texts.python_words import too_many
from tracejit.frontend.values import DictValue, FrontValue, ListValue, Static, TupleValue
from tracejit.ir.core import Value

if TYPE_CHECKING:
    from tracejit.frontend.arith import Arithmetic


def require_items(arith: Arithmetic, value: FrontValue, items: Sequence[FrontValue], count: int, node: ast.AST) -> None:
    """The items of a value are unpacked into `count` targets."""
    if len(items) < count:
        arith.mismatch(ValueError(f"not enough values to unpack (expected {count}, got {len(items)})"), node)
    if len(items) > count:
        known = isinstance(value, TupleValue | ListValue | DictValue)
        known = known or (isinstance(value, Static) and type(value.value) in (tuple, list, dict))
        arith.mismatch(ValueError(too_many(count, len(items) if known else None) + hint(arith.ctx.frame.here)), node)


def require_count(ctx: Context, length: Value, count: int, *, is_list: bool = False) -> None:
    """So many values, known at run time only, are unpacked into `count` targets."""
    wanted = ctx.size_value(count)
    enough, few = ctx.b.emit("ge", (length, wanted))[0], ctx.b.emit("le", (length, wanted))[0]
    ctx.check(enough, "ValueError", f"not enough values to unpack (expected {count}, got {{0}})", length)
    text = too_many(count, "{0}" if is_list else None) + hint(ctx.frame.here)
    ctx.check(few, "ValueError", text, *([length] if "{0}" in text else []))
