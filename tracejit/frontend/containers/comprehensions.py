"""List comprehensions and generator expressions: a list of the items of all iterations.

Over sequences of known length the items are lowered one after the other. Where a length or a filter is known at run
time only, the comprehension is the loop it abbreviates, with a growing list.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracejit.frontend.containers import list_calls
from tracejit.frontend.containers.generators import is_endless
from tracejit.frontend.containers.tables import is_iterator, is_table
from tracejit.frontend.context import Frame
from tracejit.frontend.control.alike import FEW_POOLED
from tracejit.frontend.restarts import ListGrows
from tracejit.frontend.syntax.desugar import Branch, ForLoop, Statement, desugar
from tracejit.frontend.syntax.scopes import annotate_within, names_bound
from tracejit.frontend.values import FrontValue, GeneratorValue, ListValue, SequenceValue, SharedList, SharedObject

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_LIST, _FOUND = "$list", "$found"


@contextmanager
def _own_names(c: Calls, node: ast.ListComp | ast.GeneratorExp) -> Iterator[None]:
    """The variables of a comprehension are its own; what `:=` binds is the function's."""
    frame = c.ctx.frame
    outer, around = dict(frame.env), frame.scope
    frame.scope = scope = Frame(frame.source, {}, enclosing=around or frame, is_function=False)
    try:
        yield
    finally:
        # Functions made here see the targets' last values from now on; until now they saw those in the frame.
        targets = frozenset().union(*(names_bound(g.target) for g in node.generators))
        scope.env = {name: frame.env[name] for name in targets if name in frame.env}
        outer |= {name: frame.env[name] for name in names_bound(node) if name in frame.env}
        frame.env, frame.scope = outer, around


def comprehension(c: Calls, node: ast.ListComp | ast.GeneratorExp) -> FrontValue:
    """The list that a comprehension makes."""
    with _own_names(c, node):
        place = c.ctx.place(node)
        if c.ctx.growing.covers(place) and place not in c.ctx.steady:
            return _looped(c, node)
        items: list[FrontValue] = []
        path = c.ctx.path
        env = dict(c.ctx.frame.env)
        try:
            _unroll(c, node, node.generators, items)
        except _AtRunTime:
            c.ctx.path, c.ctx.frame.env = path, env
            if place in c.ctx.steady:
                raise ListGrows((place,), None) from None
            c.ctx.growing.setdefault(place, None)
            c.ctx.stale.add(place)  # what was lowered of it so far goes with this lowering
            return _looped(c, node)
        return c.lists.made(items, node)


def leaves_early(c: Calls, call: ast.Call, generator: ast.GeneratorExp, wanted: bool) -> FrontValue:
    """`any(... for ...)` or `all(... for ...)`, which leaves the items behind the one that decides, and where `:=`
    binds names of the function."""
    made: list[ast.stmt] | None = call.__dict__.get(_FOUND)
    if made is None:
        test = generator.elt if wanted else ast.UnaryOp(ast.Not(), generator.elt)
        found: ast.expr = ast.Name(_FOUND, ast.Load())
        leave = ast.If(found if wanted else ast.UnaryOp(ast.Not(), found), [ast.Break()], [])
        body: list[ast.stmt] = [ast.If(test, [_set_found(wanted)], []), leave]
        for part in reversed(generator.generators):
            for condition in reversed(part.ifs):
                body = [ast.If(condition, body, [])]
            body = [ast.For(part.target, part.iter, body, []), copy.deepcopy(leave)]
        made = call.__dict__[_FOUND] = [_set_found(not wanted), body[0]]
        for inner in (n for statement in made for n in ast.walk(statement)):
            if "lineno" in inner._attributes and not hasattr(inner, "lineno"):
                ast.copy_location(inner, generator)  # type: ignore[type-var]
    with _own_names(c, generator):
        statements = desugar(made, c.ctx.frame.source.node)
        annotate_within(statements, names_bound(generator) | {_FOUND})
        for statement in statements:
            c.statements.statement(statement)
        return c.ctx.frame.env[_FOUND]


def _set_found(value: bool) -> ast.stmt:
    return ast.Assign([ast.Name(_FOUND, ast.Store())], ast.Constant(value))


class _AtRunTime(Exception):
    """A length or a filter is known at run time only."""


def _unroll(
    c: Calls, node: ast.ListComp | ast.GeneratorExp, generators: Sequence[ast.comprehension], items: list[FrontValue]
) -> None:
    """Append the items of all iterations. Raises `_AtRunTime` where it takes a run to know which these are."""
    if not generators:
        items.append(c.expressions.value(node.elt))
        return
    first, *rest = generators
    source = c.objects.iterated(c.expressions.value(first.iter), first.iter)
    if isinstance(source, GeneratorValue) and is_endless(source):
        c.ctx.refuse(first.iter, "a generator that goes on until it is left has no last item", "leave a loop over it")
    if isinstance(node, ast.GeneratorExp) and is_iterator(source):
        reason = "a generator expression over an iterator may leave it anywhere"
        c.ctx.refuse(first.iter, reason, "a list comprehension, or a loop")
    if list_calls.is_unknown(c, source):
        raise _AtRunTime
    path, ended = c.ctx.path, None
    if isinstance(source, SequenceValue):
        source, ended = dataclasses.replace(source, ended=None), source.ended
    given = c.expressions.known_items(source, first.iter)
    lists = ((source, len(given)),) if isinstance(source, ListValue) else ()
    for k in range(len(given)):
        c.ctx.path = (*path, k)
        try:
            c.statements.bind(first.target, c.expressions.one_of(given, k, first.iter, source))
            if _keeps(c, first.ifs):
                _unroll(c, node, rest, items)
        finally:
            c.ctx.path = path
        if not k and items and len(given) > FEW_POOLED and _may_be_unknown(c, node, items[0]):
            c.ctx.growing.has_guessed = True
            raise ListGrows((c.ctx.place(node),), None)
    if ended is not None:
        ended(True)
    c.lists.require_length(lists, first.iter)


def _may_be_unknown(c: Calls, node: ast.ListComp | ast.GeneratorExp, item: FrontValue) -> bool:
    """Whether to guess that a list of such items needs not be known while compiling: they are numbers in a pool."""
    is_pooled = isinstance(item, SharedList) or (isinstance(item, SharedObject) and is_table(item))
    return is_pooled and isinstance(node, ast.ListComp) and len(node.generators) == 1 and c.ctx.growing.guesses


def _keeps(c: Calls, tests: Sequence[ast.expr]) -> bool:
    for test in tests:
        truth = c.expressions.condition(test)
        if not isinstance(truth, bool):
            raise _AtRunTime
        if not truth:
            return False
    return True


def _looped(c: Calls, node: ast.ListComp | ast.GeneratorExp) -> FrontValue:
    """The comprehension as loops that append to a list."""
    made = c.lists.empty(node)
    c.ctx.frame.env[_LIST] = made
    append = ast.Attribute(ast.Name(_LIST, ast.Load()), "append", ast.Load())
    step = ast.Expr(ast.Call(append, [node.elt], []))
    ast.copy_location(step, node.elt)
    ast.fix_missing_locations(step)
    body: list[Statement] = [step]
    for generator in reversed(node.generators):
        for test in reversed(generator.ifs):
            body = [Branch(test, body, [], test)]
        body = [ForLoop(generator.target, generator.iter, body, (), generator.iter)]
    if bound := names_bound(node):
        annotate_within(body, bound)
    for statement in body:
        c.statements.statement(statement)
    return made


def as_list(node: ast.SetComp | ast.DictComp) -> ast.ListComp:
    """The list comprehension of a set's items, or of a dict's pairs: the same node each time, since it is a place."""
    found: ast.ListComp | None = getattr(node, _LIST, None)
    if found is None:
        pair = None if isinstance(node, ast.SetComp) else ast.Tuple([node.key, node.value], ast.Load())
        item = node.elt if isinstance(node, ast.SetComp) else ast.copy_location(pair, node)  # type: ignore[type-var]
        assert item is not None
        found = ast.copy_location(ast.ListComp(item, node.generators), node)
        setattr(node, _LIST, found)
    return found
