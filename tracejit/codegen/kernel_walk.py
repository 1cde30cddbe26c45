"""Facts about kernel statements (what they read, bind, load and store), and substitution in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tracejit.codegen.loop_ir import Bitcast, Cast, Expr, For, If, Let, Load, Rare, Scalar, Select, Stmt, Store, Var
from tracejit.codegen.lower_elements import ElementBuilder, parts, variables
from tracejit.ir.types import I64


def expressions_of(stmt: Stmt) -> tuple[Expr, ...]:
    """The expressions a kernel statement reads itself (not those of nested statements)."""
    match stmt:
        case Let(_, expr):
            return (expr,)
        case Store(buffer, index, value):
            return (buffer, index, value)
        case For():
            carried = tuple(e for c in stmt.carried for e in (c.init, c.next))
            return (stmt.extent, *carried, *(stmt.go[1:] if stmt.go is not None else ()))
        case If():
            return (stmt.cond, *stmt.then_values, *stmt.else_values)
        case _:
            return ()


def bodies_of(stmt: Stmt) -> tuple[tuple[Stmt, ...], ...]:
    """The statement lists nested in a statement."""
    match stmt:
        case For():
            return (stmt.body,)
        case If():
            return (stmt.then, stmt.orelse)
        case _:
            return ()


def walk(stmts: Iterable[Stmt]) -> Iterator[Stmt]:
    """Every statement, nested ones included."""
    for stmt in stmts:
        yield stmt
        for body in bodies_of(stmt):
            yield from walk(body)


def loads(e: Expr) -> Iterator[Load]:
    """Every load of an expression."""
    if isinstance(e, Load):
        yield e
    for part in parts(e):
        yield from loads(part)


def loaded(stmts: Iterable[Stmt]) -> set[Var]:
    """The buffers that statements load from."""
    return {load.buffer for stmt in walk(stmts) for e in expressions_of(stmt) for load in loads(e)}


def stored(stmts: Iterable[Stmt]) -> set[Var]:
    """The buffers that statements store to."""
    return {stmt.buffer for stmt in walk(stmts) if isinstance(stmt, Store)}


def read(stmts: Iterable[Stmt]) -> Iterator[Var]:
    """Every variable that statements read, with repetitions."""
    for stmt in walk(stmts):
        for e in expressions_of(stmt):
            yield from variables(e)


def bound(stmt: Stmt) -> tuple[Var, ...]:
    """The variables that a statement gives to those after it."""
    match stmt:
        case Let(var):
            return (var,)
        case For():
            return tuple(c.result for c in stmt.carried)
        case If():
            return stmt.results
        case _:
            return ()


def indices(stmts: Sequence[Stmt]) -> set[Var]:
    """The named i64 values that are used in indices, extents and other such values only: they do not overflow."""
    named = {s.var: s.expr for s in walk(stmts) if isinstance(s, Let)}
    values: set[Var] = set()

    def mark(e: Expr) -> None:
        """e is used as a value: so is what it reads, except inside the index of a load."""
        if isinstance(e, Var):
            if e not in values:
                values.add(e)
                if e in named:
                    mark(named[e])
            return
        for part in () if isinstance(e, Load) else parts(e):
            mark(part)

    for stmt in walk(stmts):
        match stmt:
            case Let(var, expr) if var.type != I64:
                mark(expr)
            case Store(_, _, value):
                mark(value)
            case For():
                for e in expressions_of(stmt)[1:]:
                    mark(e)
            case If():
                for e in expressions_of(stmt):
                    mark(e)
            case _:
                pass
    return {v for v in named if v.type == I64 and v not in values}


# -- substitution -----------------------------------------------------------------------------------------------------

_k = ElementBuilder(lambda e, _name: e)


def substitute(e: Expr, values: Mapping[Var, Expr]) -> Expr:
    """The expression with variables replaced, and folded again."""
    if isinstance(e, Var):
        return values.get(e, e)
    if not any(v in values for v in variables(e)):
        return e
    match e:
        case Load(buffer, index, dtype):
            return Load(buffer, substitute(index, values), dtype)
        case Scalar(op, args, _, contract):
            made = _k.op(op, *(substitute(a, values) for a in args))
            return replace(made, contract=True) if contract and isinstance(made, Scalar) else made
        case Cast(x, dtype):
            return _k.cast(substitute(x, values), dtype)
        case Bitcast(x, dtype):
            return _k.bitcast(substitute(x, values), dtype)
        case Select(cond, a, b):
            return _k.select(*(substitute(x, values) for x in (cond, a, b)))
        case Rare(cond, value, op, args, dtype):
            return Rare(
                substitute(cond, values),
                substitute(value, values),
                op,
                tuple(substitute(a, values) for a in args),
                dtype,
            )
        case _:
            return e


def substituted(stmts: Sequence[Stmt], values: Mapping[Var, Expr]) -> tuple[Stmt, ...]:
    """Kernel statements with variables replaced."""
    return tuple(_substituted(s, values) for s in stmts)


def _substituted(stmt: Stmt, values: Mapping[Var, Expr]) -> Stmt:
    def new(e: Expr) -> Expr:
        return substitute(e, values)

    match stmt:
        case Let(var, expr):
            return Let(var, new(expr))
        case Store(buffer, index, value):
            return Store(buffer, new(index), new(value))
        case For():
            carried = tuple(
                replace(c, init=new(c.init), next=new(c.next), element=None if c.element is None else new(c.element))
                for c in stmt.carried
            )
            go = None if stmt.go is None else (stmt.go[0], new(stmt.go[1]), new(stmt.go[2]))
            return replace(stmt, extent=new(stmt.extent), body=substituted(stmt.body, values), carried=carried, go=go)
        case If():
            return replace(
                stmt,
                cond=new(stmt.cond),
                then=substituted(stmt.then, values),
                orelse=substituted(stmt.orelse, values),
                then_values=tuple(new(e) for e in stmt.then_values),
                else_values=tuple(new(e) for e in stmt.else_values),
            )
        case _:
            return stmt
