"""Functions that remember their results (`functools.cache`), and `functools.wraps`."""

from __future__ import annotations

import ast
import functools
from typing import TYPE_CHECKING, Any

from tracejit.frontend.functions.handlers import handles
from tracejit.frontend.values import FrontValue, Static

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

CACHED = functools._lru_cache_wrapper


def cached(c: Calls, fn: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """A call of a function outside that remembers its results: it is taken to give the same each time."""
    wrapped = fn.__wrapped__
    if any(f.source.function is wrapped for f in c.ctx.frames()):
        c.ctx.refuse(
            node,
            f"{wrapped.__name__!r} calls itself and remembers results",
            "define it inside the script, or keep them in a dict",
        )
    return c.call_object(wrapped, args, kwargs, node)


@handles(functools.cache)
def _cache(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    from tracejit.frontend.written.remembering import remembering

    return c.call_object(remembering, args, kwargs, node)


@handles(functools.lru_cache)
def _lru_cache(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """How many results are kept makes no difference for them."""
    given = dict(zip(("maxsize", "typed"), args, strict=False)) | kwargs
    if c.static(given.get("typed", Static(False)), node, "'typed'"):
        c.ctx.refuse(node, "a function remembers by the values of its arguments, not by their types", "leave out typed")
    size = given.get("maxsize", Static(None))
    if isinstance(size, Static) and isinstance(size.value, int | None):
        return Static(functools.cache)
    return _cache(c, [size], {}, node)


@handles(functools.wraps)
def _wraps(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    from tracejit.frontend.written.remembering import same

    return Static(same)
