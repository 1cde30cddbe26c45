"""Growing kernel code: nested loops, and shared expressions placed in the outermost loop they can live in.

`Code.bind` names an expression. It puts the `Let` into the scope of the innermost loop whose variables the
expression reads, and gives the same name to an equal expression there: loop-invariant code is hoisted and common
subexpressions are found while code is made. This needs loads that no store of the kernel changes; buffers that
a kernel both reads and writes are declared `volatile`, and what loads from them stays where it was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from tracejit.codegen.loop_ir import (
    Alloc,
    Axis,
    Call,
    Carried,
    Const,
    Expr,
    Fail,
    For,
    Free,
    If,
    Invoke,
    Launch,
    Let,
    Load,
    Output,
    Pointer,
    Stmt,
    Store,
    Var,
    Way,
)
from tracejit.codegen.lowering.elements import ElementBuilder, parts, variables
from tracejit.ir.types import BOOL, I64, DType


@dataclass(slots=True, eq=False)
class Scope:
    """The statements of one loop body (or of the whole kernel) under construction."""

    axis: Axis | None = None
    stmts: list[Stmt] = field(default_factory=list[Stmt])
    names: dict[Expr, Var] = field(default_factory=dict[Expr, Var])


@dataclass(slots=True)
class Fold:
    """One value a fold carries: starts at `init`; `combine` names the scalar op of a reduction, None is general."""

    init: Expr
    combine: str | None = None
    name: str = "acc"


def carried_by(fold: Fold, var: Var, following: Expr, result: Var) -> Carried:
    """A fold as its loop carries it; `following`: the folded element where the fold names how it combines."""
    if fold.combine is None:
        return Carried(var, fold.init, following, result)
    combined = ElementBuilder(lambda e, _name: e).op(fold.combine, var, following)
    return Carried(var, fold.init, combined, result, fold.combine, following)


class Code:
    """Statements in nested scopes; `k` builds expressions whose shared parts are bound here."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = [Scope()]
        self.depths: dict[Var, int] = {}
        self.volatile: set[Var] = set()
        self.k = ElementBuilder(self.bind)

    @property
    def top(self) -> Scope:
        """The innermost open scope."""
        return self.scopes[-1]

    @property
    def in_vector(self) -> bool:
        """Whether an open loop is a vector loop already."""
        return any(s.axis == "vector" for s in self.scopes)

    def depth(self, e: Expr) -> int:
        """The innermost scope whose variables an expression reads; 0 is the kernel itself."""
        if type(e) is Var:
            return self.depths.get(e, 0)
        if type(e) is Const:
            return 0
        if type(e) is Load and e.buffer in self.volatile:
            return len(self.scopes) - 1
        deepest = 0
        for part in parts(e):
            depth = self.depth(part)
            if depth > deepest:
                deepest = depth
        return deepest

    def bind(self, e: Expr, name: str = "t") -> Expr:
        """A name for an expression; vars and literals stand for themselves."""
        if type(e) is Var or type(e) is Const:
            return e
        depth = self.depth(e)
        scope = self.scopes[depth]
        is_shared = not self._is_unlike_its_equals(e)
        found = scope.names.get(e) if is_shared else None
        if found is None:
            assert isinstance(e.type, DType)
            found = Var(name, e.type)
            scope.stmts.append(Let(found, e))
            self.depths[found] = depth
            if is_shared:
                scope.names[e] = found
        return found

    def _is_unlike_its_equals(self, e: Expr) -> bool:
        """Whether an equal expression may have another value: where volatile memory is read, and where -0.0 stands."""
        if type(e) is Var:
            return False
        if type(e) is Const:
            return e.value == 0 and e.type.is_float and str(e.value)[0] == "-"
        if type(e) is Load and e.buffer in self.volatile:
            return True
        return any(map(self._is_unlike_its_equals, parts(e)))

    def here(self, e: Expr, name: str) -> Expr:
        """A name for an expression in the innermost scope: what is made of the name stays there too."""
        if isinstance(e, Const):
            return e
        assert isinstance(e.type, DType)
        found = Var(name, e.type)
        self.emit(Let(found, e))
        self.depths[found] = len(self.scopes) - 1
        return found

    def emit(self, *stmts: Stmt) -> None:
        """Append statements to the innermost scope."""
        self.top.stmts.extend(stmts)

    def call(self, name: str, args: Sequence[Expr]) -> Var:
        """Call a support function that gives a whole number."""
        found = Var(name, I64)
        self.emit(Call(name, tuple(args), (found,)))
        self.depths[found] = len(self.scopes) - 1
        return found

    @contextmanager
    def at(self, depth: int) -> Iterator[None]:
        """Emit into an outer scope for a while."""
        outer = self.scopes
        self.scopes = outer[: depth + 1]
        yield
        self.scopes = outer

    @contextmanager
    def loop(self, extent: Expr, axis: Axis = "serial", name: str = "i") -> Iterator[Expr]:
        """A counted loop around what is emitted inside; gives the index (0 without a loop if the extent is 1)."""
        if extent == Const(1, I64):
            yield Const(0, I64)
            return
        var = Var(name, I64)
        with self._scope(var, axis) as scope:
            yield var
        self.emit(For(var, extent, tuple(scope.stmts), axis))

    @contextmanager
    def when(self, cond: Expr) -> Iterator[None]:
        """A conditional around what is emitted inside."""
        scope = Scope()
        outer = self.scopes
        self.scopes = [*outer, scope]
        yield
        self.scopes = outer
        self.emit(If(cond, tuple(scope.stmts)))

    @contextmanager
    def fold(self, extent: Expr, folds: Sequence[Fold], axis: Axis = "serial", name: str = "i") -> Iterator[FoldBody]:
        """A loop that carries values: inside, set `body.next` (for a `combine`, the folded element); afterwards
        `body.results` holds the final values."""
        var = Var(name, I64)
        carried = [Var(f.name, f.init.type) for f in folds]
        body = FoldBody(var, carried)
        with self._scope(var, axis) as scope:
            for c in carried:
                self.depths[c] = len(self.scopes) - 1
            yield body
        results = tuple(Var(f.name, f.init.type) for f in folds)
        entries = tuple(map(carried_by, folds, carried, body.next, results))
        self.emit(For(var, extent, tuple(scope.stmts), axis, entries))
        for r in results:
            self.depths[r] = len(self.scopes) - 1
        body.results = results

    @contextmanager
    def _scope(self, var: Var, axis: Axis) -> Iterator[Scope]:
        scope = Scope(axis)
        outer = self.scopes
        self.scopes = [*outer, scope]
        self.depths[var] = len(outer)
        yield scope
        self.scopes = outer


@dataclass(slots=True, eq=False)
class FoldBody:
    """The inside of a fold under construction."""

    index: Var
    carried: list[Var]
    next: list[Expr] = field(default_factory=list[Expr])
    results: tuple[Var, ...] = ()


def free_variables(stmts: Sequence[Stmt]) -> tuple[Var, ...]:
    """What statements read without binding it, in order of first use: the parameters of a kernel."""
    bound: set[Var] = set()
    found: dict[Var, None] = {}

    def read(e: Expr) -> None:
        if isinstance(e, Var):
            if e not in bound:
                found.setdefault(e)
            return
        for part in parts(e):
            read(part)

    def visit(body: Sequence[Stmt]) -> None:
        for stmt in body:
            match stmt:
                case Let(var, expr):
                    read(expr)
                    bound.add(var)
                case Store(buffer, index, value):
                    read(buffer)
                    read(index)
                    read(value)
                case For():
                    loop(stmt)
                case If(cond, then, orelse, results, then_values, else_values):
                    read(cond)
                    visit(then)
                    visit(orelse)
                    for e in (*then_values, *else_values):
                        read(e)
                    bound.update(results)
                case Alloc(var, count):
                    read(count)
                    bound.add(var)
                case Call(_, args, results):
                    for e in args:
                        read(e)
                    bound.update(results)
                case Free() | Launch() | Invoke() | Way() | Fail() | Output():
                    raise AssertionError(f"{type(stmt).__name__} does not belong into a kernel")

    def loop(stmt: For) -> None:
        read(stmt.extent)
        for c in stmt.carried:
            read(c.init)
        if stmt.go is not None:
            read(stmt.go[1])
            bound.add(stmt.go[0])
        bound.add(stmt.var)
        bound.update(c.var for c in stmt.carried)
        visit(stmt.body)
        for c in stmt.carried:
            read(c.next)
        if stmt.go is not None:
            read(stmt.go[2])
        bound.update(c.result for c in stmt.carried)

    visit(stmts)
    return tuple(found)


def has_loop(stmts: Sequence[Stmt]) -> bool:
    """Whether there is a loop among statements."""
    return any(isinstance(s, For) or (isinstance(s, If) and (has_loop(s.then) or has_loop(s.orelse))) for s in stmts)


def known_outside(stmts: Sequence[Stmt]) -> tuple[list[Let], tuple[Stmt, ...]]:
    """Whole numbers and conditions that a kernel of these statements needs not compute itself, and the others."""
    known: list[Let] = []
    rest: list[Stmt] = []
    own: set[Var] = set()

    def is_own(e: Expr) -> bool:
        return e in own if isinstance(e, Var) else isinstance(e, Load) or any(map(is_own, parts(e)))

    for stmt in stmts:
        match stmt:
            case Let(var, expr) if var.type in (I64, BOOL) and not is_own(expr):
                known.append(stmt)
                continue
            case Let(var) | Alloc(var):
                own.add(var)
            case For():
                own.update(c.result for c in stmt.carried)
            case If() | Call():
                own.update(stmt.results)
            case _:
                pass
        rest.append(stmt)
    return known, tuple(rest)


def stored_buffers(stmts: Sequence[Stmt]) -> frozenset[Var]:
    """The buffers that statements write."""
    found: set[Var] = set()
    for stmt in stmts:
        match stmt:
            case Store(buffer):
                found.add(buffer)
            case For():
                found |= stored_buffers(stmt.body)
            case If():
                found |= stored_buffers(stmt.then) | stored_buffers(stmt.orelse)
            case Call(_, args):
                found.update(v for a in args for v in variables(a) if isinstance(v.type, Pointer))
            case _:
                pass
    return frozenset(found)
