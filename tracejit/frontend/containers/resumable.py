"""Generators that are asked for one item after another (`next(g)`, `g.send(x)`, several in one `zip`): objects.

A loop over a generator is its body (`generators.py`). Where items are taken in other ways, calls of the function give
an object with `__next__` instead: its names lie in a cell, and a step is the function's body, in which what ran before
is skipped. `state` is the number of the `yield` that it waits at: 0 before the first step, -1 at the end and while it
runs.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tracejit.frontend.containers.tables import Special
from tracejit.frontend.context import Again, Context
from tracejit.frontend.instances.cells import Renaming, fresh, names_of, own_nodes
from tracejit.frontend.syntax.source import FunctionNode, FunctionSource
from tracejit.frontend.syntax.trees import nodes_in
from tracejit.frontend.values import Closure, FrontValue, GeneratorValue, ObjectValue, Static
from tracejit.frontend.written.cells import Cell

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_MADE = "_tracejit_resumable"
_CELL, _SENT, _STATE = "$cell", "$sent", "$resumed"


class Ended(Exception):
    """A generator has no more items."""


def ask(ctx: Context, value: GeneratorValue) -> None:
    """Lower again with the generators of a function as objects, where that is possible."""
    assert ctx.recursion is not None
    known, node = ctx.recursion.known.resumable, value.source.node
    if node not in known and _is_possible(node):
        known.add(node)
        raise Again


def _is_possible(node: FunctionNode) -> bool:
    """Whether a generator can be left at each `yield`, and be gone on with there."""
    if not isinstance(node, ast.FunctionDef):
        return False
    for n in own_nodes(node):
        if isinstance(n, ast.FunctionDef) or (
            isinstance(n, ast.Try) and any(isinstance(x, ast.Return) for x in nodes_in(n))
        ):
            return False
    return _can_be_left(node.body)


def _can_be_left(body: Sequence[ast.stmt]) -> bool:
    for s in body:
        match s:
            case _ if not has_yield(s):
                pass
            case ast.Expr(value) | ast.Assign(_, value) | ast.AnnAssign(value=value) | ast.Return(value):
                if not isinstance(value, ast.Yield | ast.YieldFrom) or (
                    value.value is not None and has_yield(value.value)
                ):
                    return False
            case ast.If():
                if has_yield(s.test) or not (_can_be_left(s.body) and _can_be_left(s.orelse)):
                    return False
            case ast.While(test, body, orelse):
                if any(map(has_yield, (test, *orelse))) or not _can_be_left(body):
                    return False
            case ast.For(_, iterated, body, orelse):
                if has_yield(iterated) or not (_can_be_left(body) and _can_be_left(orelse)):
                    return False
            case _:
                return False
    return True


def has_yield(node: ast.AST) -> bool:
    """Whether something yields."""
    return any(isinstance(n, ast.Yield | ast.YieldFrom) for n in nodes_in(node))


def made(c: Calls, value: GeneratorValue, node: ast.AST) -> FrontValue:
    """The object of a generator that was called."""
    frame = c.objects.construct(Cell, [], {}, node)
    assert isinstance(frame, ObjectValue)
    c.objects.set_attribute(frame, "state", Static(0), node)
    c.objects.set_attribute(frame, "value", Static(None), node)
    for name, given in value.env.items():
        c.objects.set_attribute(frame, _name(name), given, node)
    closure = value.closure if value.closure is not None else Static(None)
    found = c.objects.construct(_class_of(value.source), [frame, closure], {}, node)
    assert found is not None
    return found


def is_resumable(value: FrontValue) -> bool:
    """Whether a value is the object of a generator."""
    from tracejit.frontend.instances.objects import class_of
    from tracejit.frontend.written.resumable import Resumable

    cls = class_of(value)
    return cls is not None and issubclass(cls, Resumable)


def _class_of(source: FunctionSource) -> type:
    """The class of the generators of a function, which knows the function of their steps."""
    from tracejit.frontend.written.resumable import Resumable, Watched

    node = source.node
    found: type | None = node.__dict__.get(_MADE)
    if found is None:
        base = Watched if any(map(_may_stop, own_nodes(node))) else Resumable
        body = {"__module__": base.__module__, "steps": dataclasses.replace(source, node=_steps(node))}
        found = node.__dict__[_MADE] = type("generator", (base,), body)
    return found


def _may_stop(node: ast.AST) -> bool:
    """Whether something may raise StopIteration."""
    match node:
        case ast.Call(ast.Name("next"), [_]) | ast.Call(ast.Attribute(_, "send" | "__next__")):
            return True
        case ast.Raise():
            return any(isinstance(n, ast.Name) and n.id == "StopIteration" for n in nodes_in(node))
        case _:
            return False


def _step(c: Calls, node: ast.AST, generator: FrontValue, sent: FrontValue) -> FrontValue:
    from tracejit.frontend.instances.objects import class_of

    cls = class_of(generator)
    closure = c.attribute(generator, "closure", node)
    frame = c.attribute(generator, "frame", node)
    source = cls.steps  # type: ignore[union-attr]
    return c.inline(source, [frame, sent], {}, node, closure if isinstance(closure, Closure) else None)


#: The next item of a generator, which is sent a value.
step = Special(_step)


# -- the function of the steps --------------------------------------------------------------------------------------


def _name(name: str) -> str:
    """The attribute that holds a name of the generator."""
    return f"{name}_" if name.strip("_") in ("state", "value") else name


def _steps(node: FunctionNode) -> ast.FunctionDef:
    """The function that goes on from where a generator waits, to its next item."""
    assert isinstance(node, ast.FunctionDef)
    names = frozenset(names_of(node))
    body = [_InCell(names, f"{_CELL}{node.lineno}").visit(fresh(s)) for s in node.body]
    return _Steps(node, f"{_CELL}{node.lineno}").function(body)


class _InCell(Renaming):
    """Puts attributes of the cell in the place of names."""

    def __init__(self, names: frozenset[str], cell: str) -> None:
        super().__init__(names)
        self.cell = cell

    def inner(self, hidden: set[str]) -> Renaming:
        return _InCell(self.names - hidden, self.cell)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.names:
            return node
        cell = ast.copy_location(ast.Name(self.cell, ast.Load()), node)
        return ast.copy_location(ast.Attribute(cell, _name(node.id), node.ctx), node)


class _Steps:
    """Makes the function of the steps: statements as they were, behind conditions on where it goes on."""

    def __init__(self, node: ast.FunctionDef, cell: str) -> None:
        self.node, self.cell = node, cell
        self.count = 0  #: yields so far
        self.parts = 0  #: attributes so far that hold what a loop takes its items of

    def function(self, body: list[ast.stmt]) -> ast.FunctionDef:
        ended = ast.Raise(ast.Call(ast.Constant(Ended), [], []))  # type: ignore[arg-type]
        resumed = ast.Name(_STATE, ast.Store())
        first: list[ast.stmt] = [
            ast.Assign([resumed], self.attribute("state")),
            ast.If(_is(-1), [ended], []),
            self.set("state", ast.Constant(-1)),
        ]
        made = copy.copy(self.node)
        args = [ast.arg(self.cell), ast.arg(_SENT)]
        made.args = ast.arguments([], args, None, [], [], None, [])
        rest = self.block(body)[0]
        made.body = [*(self.at(s, self.node) for s in first), *rest, self.at(copy.copy(ended), self.node)]
        made.decorator_list, made.returns = [], None
        for name in [k for k in made.__dict__ if k.startswith("_tracejit")]:
            del made.__dict__[name]
        for arg in args:
            ast.copy_location(arg, self.node)
        return ast.fix_missing_locations(made)

    # -- pieces -----------------------------------------------------------------------------------------------

    def attribute(self, name: str) -> ast.Attribute:
        return ast.Attribute(ast.Name(self.cell, ast.Load()), name, ast.Load())

    def set(self, name: str, value: ast.expr) -> ast.stmt:
        return ast.Assign([ast.Attribute(ast.Name(self.cell, ast.Load()), name, ast.Store())], value)

    def at(self, made: ast.stmt, node: ast.AST) -> ast.stmt:
        return ast.fix_missing_locations(ast.copy_location(made, node))  # type: ignore[type-var]

    def part(self, name: str) -> str:
        self.parts += 1
        return f"${name}{self.parts}"

    # -- statements -------------------------------------------------------------------------------------------

    def block(self, body: Sequence[ast.stmt]) -> tuple[list[ast.stmt], list[int]]:
        """Statements that go on at one of some yields among them, or are run from the first one on."""
        made: list[ast.stmt] = []
        inside: list[int] = []
        plain: list[ast.stmt] = []

        def finish() -> None:
            if plain:
                made.append(self.at(ast.If(_is(0), [*plain], []), plain[0]))
                plain.clear()

        for s in body:
            if not has_yield(s):
                plain.append(_returning(s, self.returned))
                continue
            finish()
            parts, places = self.statement(s)
            inside += places
            made.append(self.at(ast.If(_among([0, *places]), parts, []), s))
        finish()
        return made, inside

    def returned(self, s: ast.Return) -> list[ast.stmt]:
        """What a `return` does."""
        value = [] if s.value is None else [self.set("value", s.value)]
        ended = ast.Raise(ast.Call(ast.Constant(Ended), [], []))  # type: ignore[arg-type]
        return [self.at(part, s) for part in (*value, ended)]

    def statement(self, s: ast.stmt) -> tuple[list[ast.stmt], list[int]]:
        """A statement that yields, and the numbers of its yields."""
        match s:
            case ast.Expr(ast.Yield() as y):
                return self.leave(y, None, s)
            case ast.Assign(targets, ast.Yield() as y):
                return self.leave(y, lambda got: ast.Assign(targets, got), s)
            case ast.AnnAssign(target, _, ast.Yield() as y):
                return self.leave(y, lambda got: ast.Assign([target], got), s)
            case ast.Return(ast.Yield() as y):
                parts, places = self.leave(y, lambda got: self.set("value", got), s)
                return [*parts, *self.returned(ast.copy_location(ast.Return(None), s))], places
            case ast.Expr(ast.YieldFrom(value)):
                return self.hand_on(value, None, s)
            case ast.Assign(targets, ast.YieldFrom(value)):
                return self.hand_on(value, lambda got: ast.Assign(targets, got), s)
            case ast.AnnAssign(target, _, ast.YieldFrom(value)):
                return self.hand_on(value, lambda got: ast.Assign([target], got), s)
            case ast.Return(ast.YieldFrom(value)):
                parts, places = self.hand_on(value, lambda got: self.set("value", got), s)
                return [*parts, *self.returned(ast.copy_location(ast.Return(None), s))], places
            case ast.If(test, then, orelse):
                return self.branch(test, then, orelse, s)
            case ast.While(test, body, orelse):
                inner, places = self.block(body)
                going = ast.BoolOp(ast.Or(), [_among(places), test])
                return [self.at(ast.While(going, inner, self.block(orelse)[0]), s)], places
            case ast.For(target, iterated, body, orelse):
                return self.loop(target, iterated, body, orelse, s)
            case _:
                raise AssertionError(s)

    def leave(
        self, y: ast.Yield, bind: Callable[[ast.expr], ast.stmt] | None, s: ast.stmt
    ) -> tuple[list[ast.stmt], list[int]]:
        """A `yield`: leave with the item, and go on here with what is sent."""
        self.count += 1
        item = y.value or ast.Constant(None)
        found = ast.Assign([ast.Name("$item", ast.Store())], item)  # before the state, which stays -1 where it raises
        out: list[ast.stmt] = [
            found,
            self.set("state", ast.Constant(self.count)),
            ast.Return(ast.Name("$item", ast.Load())),
        ]
        parts: list[ast.stmt] = [ast.If(_is(0), out, []), ast.Assign([ast.Name(_STATE, ast.Store())], ast.Constant(0))]
        if bind is not None:
            parts.append(bind(ast.Name(_SENT, ast.Load())))
        return [self.at(part, s) for part in parts], [self.count]

    def hand_on(
        self, value: ast.expr, bind: Callable[[ast.expr], ast.stmt] | None, s: ast.stmt
    ) -> tuple[list[ast.stmt], list[int]]:
        """A `yield from`: the items of an iterator, which is sent what this one is."""
        from tracejit.frontend.written.resumable import begun, sent_on, value_of

        over, item, sent = self.part("from"), self.part("item"), self.part("sent")
        begin: list[ast.stmt] = [self.set(over, _call(begun, value)), self.set(sent, ast.Constant(None))]
        take = self.set(item, _call(sent_on, self.attribute(over), self.attribute(sent)))
        stop = ast.ExceptHandler(ast.Constant(StopIteration), None, [ast.Break()])  # type: ignore[arg-type]
        taken = ast.If(_is(0), [ast.Try([take], [stop], [], [])], [])
        out, places = self.leave(ast.Yield(self.attribute(item)), lambda got: self.set(sent, got), s)
        loop = ast.While(ast.Constant(True), [taken, *out], [])
        parts: list[ast.stmt] = [ast.If(_is(0), begin, []), loop]
        if bind is not None:
            parts.append(bind(_call(value_of, self.attribute(over))))
        return [self.at(part, s) for part in parts], places

    def branch(
        self, test: ast.expr, then: list[ast.stmt], orelse: list[ast.stmt], s: ast.stmt
    ) -> tuple[list[ast.stmt], list[int]]:
        """An `if` of which a side yields: that side where it goes on there."""
        first, places = self.block(then)
        second, others = self.block(orelse)
        here: ast.expr = ast.BoolOp(ast.And(), [_is(0), test])
        here = ast.BoolOp(ast.Or(), [_among(places), here]) if places else here
        return [self.at(ast.If(here, first or [ast.Pass()], second), s)], places + others

    def loop(
        self, target: ast.expr, iterated: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt], s: ast.stmt
    ) -> tuple[list[ast.stmt], list[int]]:
        """A `for` that yields: a `while` that takes the next item of an iterator, where it does not go on inside."""
        from tracejit.frontend.written.resumable import begun

        over, item, more = self.part("over"), self.part("item"), self.part("more")
        begin: list[ast.stmt] = [self.set(over, _call(begun, iterated)), self.set(more, ast.Constant(True))]
        call = ast.Call(ast.Attribute(self.attribute(over), "__next__", ast.Load()), [], [])
        stop = ast.ExceptHandler(ast.Constant(StopIteration), None, [self.set(more, ast.Constant(False))])  # type: ignore[arg-type]
        taken = ast.If(_is(0), [ast.Try([self.set(item, call)], [stop], [], [])], [])
        bound = ast.If(_is(0), [ast.Assign([target], self.attribute(item))], [])
        inner, places = self.block(body)
        loop = ast.While(
            ast.BoolOp(ast.Or(), [_among(places), self.attribute(more)]),
            [taken, ast.If(self.attribute(more), [bound, *inner], [])],
            [],
        )
        behind, others = self.block(orelse)
        parts: list[ast.stmt] = [ast.If(_is(0), begin, []), ast.If(_among([0, *places]), [loop], [])]
        if orelse:
            parts.append(ast.If(ast.UnaryOp(ast.Not(), self.attribute(more)), behind, []))
        return [self.at(part, s) for part in parts], places + others


def _is(state: int) -> ast.expr:
    return ast.Compare(ast.Name(_STATE, ast.Load()), [ast.Eq()], [ast.Constant(state)])


def _among(states: Sequence[int]) -> ast.expr:
    tests = [_is(state) for state in states]
    return tests[0] if len(tests) == 1 else ast.BoolOp(ast.Or(), tests)


def _call(fn: Any, *args: ast.expr) -> ast.expr:
    return ast.Call(ast.Constant(fn), [*args], [])


class _Returns(ast.NodeTransformer):
    """Replaces `return` in statements that do not yield."""

    def __init__(self, replace: Callable[[ast.Return], list[ast.stmt]]) -> None:
        self.replace = replace

    def visit_Return(self, node: ast.Return) -> Any:
        return self.replace(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        return node


def _returning(s: ast.stmt, replace: Callable[[ast.Return], list[ast.stmt]]) -> ast.stmt:
    found = _Returns(replace).visit(s)
    return found if isinstance(found, ast.stmt) else ast.copy_location(ast.If(ast.Constant(True), found, []), s)
