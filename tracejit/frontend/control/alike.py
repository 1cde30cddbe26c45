"""What grows in a loop beside what was found to: it is guessed from how the loop uses it, so that lowering does not
begin anew for each."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracejit.frontend.containers import pooled_tables, tables
from tracejit.frontend.context import Again
from tracejit.frontend.restarts import ListGrows
from tracejit.frontend.syntax.trees import nodes_in
from tracejit.frontend.values import FrontValue, GrowingList, ListValue

if TYPE_CHECKING:
    from tracejit.frontend.context import Context

#: Guessing what grows costs a whole lowering, by which the kinds of items are found.
_SEVERAL = 2
#: So few containers of a pool are values of their own, and a list of more is known at run time only.
FEW_POOLED = 4
_APPENDS = frozenset(("append", "extend", "insert"))
_CHANGES = frozenset(("add", "discard", "remove", "update", "setdefault"))


@contextmanager
def growing_together(ctx: Context, loop: ast.AST) -> Iterator[None]:
    """The body of a loop."""
    try:
        yield
    except ListGrows as found:
        if ctx.growing.guesses:
            _guess_lists(ctx, loop, found.kinds.keys())
            _guess_tables(ctx, loop, found.kinds.keys())
        raise
    except Again:
        if ctx.growing.guesses:
            _guess_pools(ctx, loop)
        raise


def _guess_lists(ctx: Context, loop: ast.AST, found: Iterable[object]) -> None:
    """Where a list is found to grow, several others do to which the loop appends something."""
    names, of_items = _changed(loop, _APPENDS)
    keys = {key for x in _values(ctx, names) if isinstance(x, ListValue) for key in x.keys}
    items = _lists_in(ctx, _values(ctx, of_items))
    known = ctx.growing.keys() | set(found)
    if len(keys - known) >= _SEVERAL or items - known:
        ctx.growing.update(dict.fromkeys((keys | items) - known))
        ctx.growing.has_guessed = True
        _share(ctx, items)


def _guess_tables(ctx: Context, loop: ast.AST, found: Iterable[object]) -> None:
    """Where something is found to grow, dicts and sets do that the loop fills."""
    names, of_items = _changed(loop, _CHANGES)
    known = _values(ctx, names | of_items | _filled(loop))
    known.extend(item for x in _values(ctx, of_items) if isinstance(x, ListValue) for item in x.items)
    if new := {key for x in known for key in tables.places(ctx, x)} - ctx.growing.keys() - set(found):
        ctx.growing.update(dict.fromkeys(new))
        ctx.growing.has_guessed = True


def _guess_pools(ctx: Context, loop: ast.AST) -> None:
    """Where containers that a list holds are found to lie in a pool, those of other lists do of which the loop uses
    items, and lists of many of them need not be known while compiling."""
    items = (node.value for node in nodes_in(loop) if isinstance(node, ast.Subscript))
    for x in _values(ctx, {of.id for of in items if isinstance(of, ast.Name)}):
        if not isinstance(x, ListValue) or len(x.items) < _SEVERAL:
            continue
        if pooled_tables.put_together(ctx, x.items):
            ctx.growing.has_guessed = True
        if len(x.items) > FEW_POOLED and all(pooled_tables.lies_in_pool(ctx, item) for item in x.items):
            ctx.growing.update(dict.fromkeys(x.keys - ctx.growing.keys()))
            ctx.growing.has_guessed = True


def _changed(loop: ast.AST, methods: frozenset[str]) -> tuple[set[str], set[str]]:
    """The names of what some methods are called of in a loop, and of what has items that they are called of."""
    called = (node.func for node in nodes_in(loop) if isinstance(node, ast.Call))
    changed = [m.value for m in called if isinstance(m, ast.Attribute) and m.attr in methods]
    holders = (of.value for of in changed if isinstance(of, ast.Subscript))
    return {of.id for of in changed if isinstance(of, ast.Name)}, {of.id for of in holders if isinstance(of, ast.Name)}


def _filled(loop: ast.AST) -> set[str]:
    """The names of what a loop sets items of, at places that are no constants."""
    items = (node for node in nodes_in(loop) if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store))
    return {x.value.id for x in items if isinstance(x.value, ast.Name) and not isinstance(x.slice, ast.Constant)}


def _values(ctx: Context, names: Iterable[str]) -> list[FrontValue]:
    """What names stand for, as far as that is known."""
    found: list[FrontValue] = []
    for name in names:
        frame = ctx.frame
        while name not in frame.env and frame.enclosing is not None:
            frame = frame.enclosing
        if name in frame.env:
            found.append(frame.env[name])
    return found


def _lists_in(ctx: Context, lists: Iterable[object]) -> set[object]:
    """The places that make the lists which growing lists hold."""
    from tracejit.frontend.kinds import TupleKind

    kinds = [ctx.growing.get(key) for x in lists if isinstance(x, GrowingList) for key in x.keys]
    return {key for kind in kinds if isinstance(kind, TupleKind) and kind.cls is list for key in kind.keys}


def _share(ctx: Context, items: Iterable[object]) -> None:
    """Put the lists of these places, which growing lists hold, into pools, those of each place into one."""
    from tracejit.frontend.instances.pooled_objects import forget_lists

    new = [place for place in items if not ctx.pools_known.covers(place)]
    for place in new:
        ctx.pools_known.share((place,))
    if new:
        forget_lists(ctx)
