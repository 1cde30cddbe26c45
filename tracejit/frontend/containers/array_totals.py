"""`x + sum(arrays)` and `x - sum(arrays)` of an array: where there are no arrays, `sum` is the number 0."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tracejit.frontend.containers.iterators import arguments
from tracejit.frontend.kinds import ArrayKind
from tracejit.frontend.values import ArrayView, FrontValue, GrowingList, Static

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def beside_sum(c: Calls, op: str, x: FrontValue, call: ast.expr, node: ast.AST) -> FrontValue | None:
    """`x op call`, where that is the sum of a list beside an array; None for others, of which nothing was evaluated."""
    match call:
        case ast.Call(ast.Name() as name, [items], []) if not isinstance(items, ast.Starred):
            is_array = isinstance(x, ArrayView) and x.rank > 0 and op in ("add", "sub")
            fn = c.expressions.value(name) if is_array and name.id == "sum" else None
        case _:
            return None
    if not isinstance(fn, Static) or fn.value is not sum:
        return None
    given = arguments(c, fn, [items])

    def beside_total() -> FrontValue:
        return c.expressions.binary(op, x, c.call_value(fn, given, {}, call), node)

    lst = given[0]
    if not isinstance(lst, GrowingList) or not isinstance(lst.kind, ArrayKind):
        return beside_total()
    zero = c.ctx.size_value(0)
    some = c.ctx.b.emit("gt", (c.ctx.size_value(c.ctx.list_length(lst)), zero))[0]
    return c.expressions.choose(node, some, beside_total, lambda: c.expressions.binary(op, x, Static(0), node))
