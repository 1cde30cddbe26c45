"""Tangents and cotangents that a program gives: they have the shape of what they belong to, and are never stretched."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.sizes import MAX_SHOWN, key, shown_shape
from tracejit.frontend.values import ArrayView, FrontValue
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def direction_for(calls: Calls, given: FrontValue, like: ArrayView, error: tuple[str, str], node: ast.AST) -> Value:
    """The content of `given`, cast to the dtype of `like`.

    `error` is the kind and text of what is raised where the shapes differ; the text has `{have}` and `{want}`.
    """
    ctx = calls.ctx
    given = calls.as_operand(given)
    have = given.lengths if isinstance(given, ArrayView) else ()
    want = like.lengths
    if ctx.same_lengths(have, want):
        return calls.indexing.content_for(given, want, like.dtype, node)
    kind, text = error
    sizes: list[Value] = []
    message = text.format(have=shown_shape(have, sizes, ", "), want=shown_shape(want, sizes, ", "))
    payload = sizes[:MAX_SHOWN]
    ctx.at(node)
    if len(have) != len(want) or not isinstance(given, ArrayView):
        ctx.check(ctx.b.constant(False, ScalarType(BOOL)), kind, message, *payload)
        raise Unreachable
    for n, m in zip(have, want, strict=True):
        if key(n) != key(m):
            ctx.check(ctx.b.emit("eq", (ctx.size_value(n), ctx.size_value(m)))[0], kind, message, *payload)
    content = ctx.load(given)
    if given.dtype != like.dtype:
        content = ctx.b.emit("cast", (content,), {"dtype": like.dtype})[0]
    return ctx.b.emit("broadcast", (content, *map(ctx.size_value, want)), {"exact": True})[0]
