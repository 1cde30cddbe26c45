"""Structured control flow without jumps: `break`, `continue` and early `return` become conditions.

A function body turns into a short list of statement forms: simple `ast` statements as they were, plus the
classes below. Statements after a branch that always returns move into its other side, so the usual early
`return` needs no flag, while a side that raises needs nothing; where a jump leaves a loop, boolean flags guard what
follows it. Flags whose value is never read again are dropped by liveness, and flags that are constants never reach
the graph.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tracejit.frontend.syntax.trees import nodes_in

RETURN_FLAG = "$returned"
RETURN_VALUE = "$value"
JUMPS = (RETURN_FLAG, "$broke", "$skipped")  #: how the names of flags of jumps begin


@dataclass(slots=True)
class SetFlag:
    """Set an internal boolean."""

    name: str
    value: bool


@dataclass(slots=True)
class SetReturn:
    """Bind the function's result. `value` None means the constant None."""

    value: ast.expr | None
    node: ast.AST


@dataclass(slots=True)
class NotFlags:
    """A condition: none of these flags is set."""

    names: tuple[str, ...]


@dataclass(slots=True)
class NotCaught:
    """A condition: the handler (None: any handler) of a `try` has not caught an error of its body."""

    block: TryBlock
    handler: int | None = None


@dataclass(slots=True)
class NotPending:
    """A condition: no error is on this way on behind a `finally`."""

    holder: Any
    key: object


Test = ast.expr | NotFlags | NotCaught | NotPending


@dataclass(slots=True)
class Branch:
    """`if`; `live` is filled by `scopes.annotate`: the names read afterwards."""

    test: Test
    then: list[Statement]
    orelse: list[Statement]
    node: ast.AST
    live: frozenset[str] = frozenset()


@dataclass(slots=True)
class ForLoop:
    """`for`, stopped early when a flag of `exits` is set. `live_head`: read by a later iteration or afterwards."""

    target: ast.expr
    iter: ast.expr
    body: list[Statement]
    exits: tuple[str, ...]
    node: ast.AST
    live: frozenset[str] = frozenset()
    live_head: frozenset[str] = frozenset()


@dataclass(slots=True)
class WhileLoop:
    """`while`; the test is not evaluated again once a flag of `exits` is set."""

    test: ast.expr
    body: list[Statement]
    exits: tuple[str, ...]
    node: ast.AST
    live: frozenset[str] = frozenset()
    live_head: frozenset[str] = frozenset()


@dataclass(slots=True)
class WithBlock:
    """`with`: the body runs once."""

    items: list[ast.withitem]
    body: list[Statement]
    node: ast.With
    live: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class TryBlock:
    """The body of a `try` with handlers. An error that one of them catches leaves it, and is remembered. `live` is
    filled by `scopes.annotate`: the names that handlers, or what follows, read."""

    body: list[Statement]
    handlers: list[ast.ExceptHandler]
    node: ast.AST
    live: frozenset[str] = frozenset()
    named: dict[int, bool] = field(default_factory=dict[int, bool])  #: the handlers that look at what they caught


@dataclass(slots=True)
class FinalBlock:
    """What a `finally` guards, and what that does before an error leaves it. Where nothing leaves, it follows."""

    body: list[Statement]
    final: list[Statement]
    node: ast.AST
    live: frozenset[str] = frozenset()


@dataclass(slots=True)
class Resumed:
    """What a `finally` does before an error goes on."""

    final: list[Statement]
    go: Any
    node: ast.AST


@dataclass(slots=True)
class BindError:
    """The start of a handler: names are bound to what it caught."""

    block: TryBlock
    handler: int
    names: tuple[str, ...]


@dataclass(slots=True)
class Unbind:
    """The name of the error is unbound at the end of its handler."""

    name: str


@dataclass(slots=True)
class RaiseAgain:
    """A `raise` without an exception: that of the handler, by its internal name."""

    name: str
    block: TryBlock
    handler: int
    node: ast.Raise


@dataclass(slots=True)
class Rest:
    """The iterations of an unrolled loop from `start` on; `items` is what a `for` loop iterates over."""

    loop: ForLoop | WhileLoop
    items: Any
    start: int


Statement = (
    ast.stmt
    | Rest
    | SetFlag
    | SetReturn
    | Branch
    | ForLoop
    | WhileLoop
    | WithBlock
    | TryBlock
    | FinalBlock
    | Resumed
    | BindError
    | Unbind
    | RaiseAgain
)


@dataclass(slots=True)
class _Loop:
    """Flag names of the innermost loop, and whether its body uses them."""

    broke: str
    skipped: str
    breaks: bool
    continues: bool


@dataclass(slots=True)
class _Desugar:
    loops: list[_Loop] = field(default_factory=list["_Loop"])
    count: int = 0
    #: the handlers around: internal names of what they caught, and which they are
    handling: list[tuple[str, TryBlock, int]] = field(default_factory=list["tuple[str, TryBlock, int]"])

    def block(self, statements: Sequence[ast.stmt]) -> list[Statement]:
        out: list[Statement] = []
        for i, statement in enumerate(statements):
            rest = statements[i + 1 :]
            match statement:
                case ast.Return(value) if (chosen := _chosen(statement)) is not None:
                    return [*out, *self.block([chosen])]
                case ast.Return(value):
                    return [*out, SetReturn(value, statement), SetFlag(RETURN_FLAG, True)]
                case ast.Break():
                    return [*out, SetFlag(self.loops[-1].broke, True)]
                case ast.Continue():
                    return [*out, SetFlag(self.loops[-1].skipped, True)]
                case ast.If():
                    leaves = [ends(side) for side in (statement.body, statement.orelse)]
                    raises = any(_raises(side) for side in (statement.body, statement.orelse))
                    if any(leaves) and (all(leaves) or not raises):
                        return [*out, self.branch_with_rest(statement, rest)]
                    out.append(
                        Branch(statement.test, self.block(statement.body), self.block(statement.orelse), statement)
                    )
                case ast.Expr() if (chosen := _retaining(statement)) is not None:
                    out.extend(self.block([chosen]))
                case ast.For():
                    out.extend(self.for_loop(statement))
                case ast.While():
                    out.extend(self.while_loop(statement))
                case ast.With():
                    out.append(WithBlock(statement.items, self.block(statement.body), statement))
                case ast.Raise(None) if self.handling:
                    return [*out, RaiseAgain(*self.handling[-1], statement)]
                case ast.Try():
                    out.extend(self.try_statement(statement))
                case _:
                    out.append(statement)
            if isinstance(statement, ast.Try | ast.While) and ends([statement]):
                return out
            flags = self.flags_set_by(statement)
            if flags and rest:
                return [*out, Branch(NotFlags(flags), self.block(rest), [], statement)]
        return out

    def branch_with_rest(self, statement: ast.If, rest: Sequence[ast.stmt]) -> Branch:
        """An `if` of which a side always leaves: what follows belongs to the other side."""
        then, orelse = list(statement.body), list(statement.orelse)
        if not ends(then):
            then += rest
        elif not ends(orelse):
            orelse += rest
        return Branch(statement.test, self.block(then), self.block(orelse), statement)

    def try_statement(self, s: ast.Try) -> list[Statement]:
        made = TryBlock(self.block(s.body), s.handlers, s)
        orelse = self.block(s.orelse)
        flags = self.flags_set_by(ast.With([], s.body))
        if flags and orelse:
            guarded: list[Statement] = [Branch(NotFlags(flags), orelse, [], s)]
            orelse = guarded
        caught: list[Statement] = []
        for i in range(len(s.handlers) - 1, -1, -1):
            body = self.handler(made, i)
            is_last = i == len(s.handlers) - 1
            caught = body if is_last else [Branch(NotCaught(made, i), caught, body, s.handlers[i])]
        whole: list[Statement] = [*made.body]
        if s.handlers:
            whole = [made, Branch(NotCaught(made), orelse, caught, s)]
        if not s.finalbody:
            return whole
        return [FinalBlock(whole, self.block(s.finalbody), s), *self.block(s.finalbody)]

    def handler(self, made: TryBlock, i: int) -> list[Statement]:
        handler = made.handlers[i]
        self.count += 1
        internal = f"$error{self.count}"
        self.handling.append((internal, made, i))
        body = self.block(handler.body)
        self.handling.pop()
        names = [internal] if raises_again(handler) else []
        names += [handler.name] if handler.name is not None and reads(handler.body, handler.name) else []
        made.named[i] = bool(names)
        end = [Unbind(handler.name)] if handler.name is not None else []
        return [BindError(made, i, tuple(names)), *body, *end]

    def enter(self, body: Sequence[ast.stmt]) -> _Loop:
        self.count += 1
        breaks, continues = _jumps(body)
        loop = _Loop(f"$broke{self.count}", f"$skipped{self.count}", breaks, continues)
        self.loops.append(loop)
        return loop

    def loop_body(self, body: Sequence[ast.stmt], loop: _Loop) -> tuple[list[Statement], tuple[str, ...]]:
        statements = self.block(body)
        self.loops.pop()
        if loop.continues:
            statements = [SetFlag(loop.skipped, False), *statements]
        exits = (*([loop.broke] if loop.breaks else []), *([RETURN_FLAG] if _returns(body) else []))
        return statements, exits

    def for_loop(self, statement: ast.For) -> list[Statement]:
        loop = self.enter(statement.body)
        body, exits = self.loop_body(statement.body, loop)
        made = ForLoop(statement.target, statement.iter, body, exits, statement)
        return self.with_else(made, statement.orelse, loop, exits, statement)

    def while_loop(self, statement: ast.While) -> list[Statement]:
        loop = self.enter(statement.body)
        body, exits = self.loop_body(statement.body, loop)
        made = WhileLoop(statement.test, body, exits, statement)
        return self.with_else(made, statement.orelse, loop, exits, statement)

    def with_else(
        self, made: Statement, orelse: Sequence[ast.stmt], loop: _Loop, exits: tuple[str, ...], node: ast.stmt
    ) -> list[Statement]:
        out: list[Statement] = [SetFlag(loop.broke, False)] if loop.breaks else []
        out.append(made)
        if orelse:
            body = self.block(orelse)
            out.extend([Branch(NotFlags(exits), body, [], node)] if exits else body)
        return out

    def flags_set_by(self, statement: ast.stmt) -> tuple[str, ...]:
        """Flags that may be set after the statement and that must guard what follows in the same block."""
        if not isinstance(statement, ast.If | ast.For | ast.While | ast.With | ast.Try):
            return ()
        flags = [RETURN_FLAG] if _returns([statement]) else []
        if self.loops and isinstance(statement, ast.If | ast.With | ast.Try):
            breaks, continues = _jumps([statement])
            flags += [self.loops[-1].broke] if breaks else []
            flags += [self.loops[-1].skipped] if continues else []
        if self.loops and isinstance(statement, ast.For | ast.While):
            breaks, continues = _jumps(statement.orelse)
            flags += [self.loops[-1].broke] if breaks else []
            flags += [self.loops[-1].skipped] if continues else []
        return tuple(flags)


def desugar(body: Sequence[ast.stmt], node: ast.AST) -> list[Statement]:
    """The body of a function without jumps; the result is bound to `RETURN_VALUE` on every path."""
    statements = list(body)
    if not ends(statements):
        last = ast.Return(None)
        ast.copy_location(last, statements[-1] if statements else node)  # type: ignore[type-var]
        statements.append(last)
    return [SetFlag(RETURN_FLAG, False), *_Desugar().block(statements)]


def _chosen(statement: ast.Return) -> ast.If | None:
    """`return a if test else b` and `return name or b` as statements, where it is known that no name is read later."""
    match statement.value:
        case ast.IfExp(test, body, orelse):
            pass
        case ast.BoolOp(ast.Or(), [ast.Name() as test, *rest]):
            body, orelse = test, rest[0] if len(rest) == 1 else ast.BoolOp(ast.Or(), rest)
        case ast.BoolOp(ast.And(), [ast.Name() as test, *rest]):
            body, orelse = rest[0] if len(rest) == 1 else ast.BoolOp(ast.And(), rest), test
        case _:
            return None
    returns = [ast.copy_location(ast.Return(x), statement) for x in (body, orelse)]
    for made in (body, orelse):
        ast.copy_location(made, made if hasattr(made, "lineno") else statement.value)
    return ast.copy_location(ast.If(test, returns[:1], returns[1:]), statement.value)  # type: ignore[list-item]


def _retaining(statement: ast.Expr) -> ast.If | None:
    """`y.backward(retain_graph=test)` as two statements, of which each knows whether it retains."""
    match statement.value:
        case ast.Call(ast.Attribute(_, "backward"), args, keywords) as call:
            tests = [k.value for k in keywords if k.arg == "retain_graph" and not isinstance(k.value, ast.Constant)]
        case _:
            return None
    is_simple = all(isinstance(x, _SIMPLE) or _is_length(x) for test in tests for x in nodes_in(test))
    if (
        len(tests) != 1
        or len(keywords) != 1
        or not is_simple
        or any(isinstance(x, ast.NamedExpr) for x in nodes_in(call))
    ):
        return None
    sides: list[ast.stmt] = []
    for flag in (True, False):
        known = ast.copy_location(ast.Constant(flag), tests[0])
        keyword = ast.copy_location(ast.keyword("retain_graph", known), keywords[0])
        made = ast.Call(copy.deepcopy(call.func), copy.deepcopy(args), [keyword])
        sides.append(ast.copy_location(ast.Expr(ast.copy_location(made, call)), statement))
    return ast.copy_location(ast.If(tests[0], sides[:1], sides[1:]), statement)


#: What a test is made of that may be asked before what stands in front of it.
_SIMPLE = (
    *(ast.Name, ast.Constant, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.BinOp, ast.Attribute),
    *(ast.cmpop, ast.boolop, ast.unaryop, ast.operator),
)


def _is_length(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len"


def and_or(node: ast.BoolOp) -> tuple[ast.expr, ast.expr, ast.expr] | None:
    """`test and "a" or b` as the test and the sides of a conditional expression: what is written there is true."""
    match node:
        case ast.BoolOp(ast.Or(), [ast.BoolOp(ast.And(), [*tests, ast.Constant(value) as body]), *rest]) if value:
            return _joined(ast.And(), tests), body, _joined(ast.Or(), rest)
        case ast.BoolOp(ast.Or(), [ast.BoolOp(ast.And(), [*tests, ast.Tuple([_, *_]) as body]), *rest]):
            return _joined(ast.And(), tests), body, _joined(ast.Or(), rest)
        case _:
            return None


def _joined(op: ast.boolop, operands: list[ast.expr]) -> ast.expr:
    return operands[0] if len(operands) == 1 else ast.copy_location(ast.BoolOp(op, operands), operands[0])


def jumps_out(body: Sequence[ast.stmt]) -> bool:
    """Whether a `return`, or a `break` or `continue` of a loop around, stands in a block."""
    return _returns(body) or any(_jumps(body))


def suppresses(statement: ast.AST) -> bool:
    """Whether what follows a `with` may be reached by an error: one of its managers is called `suppress`."""
    items = statement.items if isinstance(statement, ast.With) else []
    calls = (item.context_expr.func for item in items if isinstance(item.context_expr, ast.Call))
    return any(ast.unparse(f).rpartition(".")[2] == "suppress" for f in calls)


def reads(body: Sequence[ast.stmt], name: str) -> bool:
    """Whether statements may read a name."""
    parts = (n for s in body for n in ast.walk(s))
    return any(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load) for n in parts)


def raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether a handler may have a bare `raise`."""
    return any(isinstance(n, ast.Raise) and n.exc is None for s in handler.body for n in ast.walk(s))


def ends(body: Sequence[ast.stmt]) -> bool:
    """Whether control never reaches the end of the block (`raise` ends it too)."""
    for statement in body:
        match statement:
            case ast.Return() | ast.Break() | ast.Continue() | ast.Raise():
                return True
            case ast.If() if statement.orelse and ends(statement.body) and ends(statement.orelse):
                return True
            case ast.With() if ends(statement.body) and not suppresses(statement):
                return True
            case ast.While(test=ast.Constant(value)) if value and not _jumps(statement.body)[0]:
                return True
            case ast.Try(body, handlers, orelse) if ends([*body, *orelse]):
                if all(ends(h.body) for h in handlers):
                    return True
            case _:
                pass
    return False


def _raises(body: Sequence[ast.stmt]) -> bool:
    """Whether the block can end with a `raise` only: what follows it needs no guard, for it is not reached."""
    if not body or _returns(body) or any(_jumps(body)):
        return False
    match body[-1]:
        case ast.Raise():
            return True
        case ast.If(body=then, orelse=orelse):
            return _raises(then) and _raises(orelse)
        case _:
            return False


def _returns(body: Sequence[ast.stmt]) -> bool:
    """Whether a `return` stands in the block, loops included, nested functions not."""
    return any(isinstance(s, ast.Return) or _returns(_parts(s)) for s in body)


def _jumps(body: Sequence[ast.stmt]) -> tuple[bool, bool]:
    """Whether a `break` / a `continue` of the enclosing loop stands in the block."""
    breaks = continues = False
    for s in body:
        breaks |= isinstance(s, ast.Break)
        continues |= isinstance(s, ast.Continue)
        inner = s.orelse if isinstance(s, ast.For | ast.While) else _parts(s)
        b, c = _jumps(inner)
        breaks, continues = breaks | b, continues | c
    return breaks, continues


def _parts(statement: ast.stmt) -> list[ast.stmt]:
    match statement:
        case ast.If() | ast.For() | ast.While():
            return [*statement.body, *statement.orelse]
        case ast.With():
            return statement.body
        case ast.Try():
            handled = [s for h in statement.handlers for s in h.body]
            return [*statement.body, *handled, *statement.orelse, *statement.finalbody]
        case _:
            return []
