"""Facts about statements (what they read, bind, load and store), and substitution in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tracejit.codegen.loop_ir import (
    Alloc,
    Bitcast,
    Call,
    Cast,
    Expr,
    Fail,
    For,
    Free,
    If,
    Invoke,
    Launch,
    Let,
    Load,
    Offset,
    Output,
    Program,
    Rare,
    Scalar,
    Select,
    Stmt,
    Store,
    Var,
    Way,
)
from tracejit.codegen.lowering.elements import ElementBuilder, parts, variables
from tracejit.ir.types import I64


def expressions_of(stmt: Stmt) -> tuple[Expr, ...]:
    """The expressions a statement reads itself (not those of nested statements)."""
    match stmt:
        case Let(_, expr):
            return (expr,)
        case Alloc(_, count):
            return (count,)
        case Free(var):
            return (var,)
        case Launch(_, args) | Call(_, args) | Fail(_, args) | Invoke(_, args):
            return args
        case Way():
            return ()
        case Output(_, value, dims):
            return (value, *dims)
        case Store(buffer, index, value):
            return (buffer, index, value)
        case For():
            carried = tuple(e for c in stmt.carried for e in (c.init, c.next))
            return (stmt.extent, *carried, *(stmt.go[1:] if stmt.go is not None else ()))
        case If():
            return (stmt.cond, *stmt.then_values, *stmt.else_values)


def bodies_of(stmt: Stmt) -> tuple[tuple[Stmt, ...], ...]:
    """The statement lists nested in a statement."""
    match stmt:
        case For():
            return (stmt.body,)
        case If():
            return (stmt.then, stmt.orelse)
        case Invoke():
            return (stmt.failed,)
        case Way():
            return (stmt.body,)
        case _:
            return ()


def walk(stmts: Iterable[Stmt]) -> Iterator[Stmt]:
    """Every statement, nested ones included."""
    for stmt in stmts:
        yield stmt
        for body in bodies_of(stmt):
            yield from walk(body)


def host_code(program: Program) -> Iterator[Stmt]:
    """Every statement that runs on the host, nested ones included."""
    for function in (program.entry, *program.functions):
        yield from walk(function.body)


def is_heavy(stmt: Stmt) -> bool:
    """Whether a statement of host code hands work on that takes longer than the host code around it."""
    return isinstance(stmt, Launch) or (
        isinstance(stmt, Call) and stmt.name.startswith(("gemm", "lapack", "order", "select", "places"))
    )


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
        case Let(var) | Alloc(var):
            return (var,)
        case For():
            return tuple(c.result for c in stmt.carried)
        case If() | Call() | Invoke():
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
    return {v for v in read(stmts) if v in named and v.type == I64 and v not in values}


# -- substitution -----------------------------------------------------------------------------------------------------

_k = ElementBuilder(lambda e, _name: e)


def substitute(e: Expr, values: Mapping[Var, Expr]) -> Expr:
    """The expression with variables replaced, and folded again; buffers are replaced by buffers."""
    if isinstance(e, Var):
        return values.get(e, e)
    if not any(v in values for v in variables(e)):
        return e
    match e:
        case Load(buffer, index, dtype):
            return Load(_buffer(buffer, values), substitute(index, values), dtype)
        case Offset(buffer, index, type):
            return Offset(_buffer(buffer, values), substitute(index, values), type)
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
            inner = tuple(substitute(x, values) for x in args)
            return Rare(substitute(cond, values), substitute(value, values), op, inner, dtype)
        case _:
            return e


def _buffer(buffer: Var, values: Mapping[Var, Expr]) -> Var:
    found = values.get(buffer, buffer)
    assert isinstance(found, Var)
    return found


def substituted(stmts: Sequence[Stmt], values: Mapping[Var, Expr]) -> tuple[Stmt, ...]:
    """Statements with variables replaced."""
    return tuple(_substituted(s, values) for s in stmts)


def _substituted(stmt: Stmt, values: Mapping[Var, Expr]) -> Stmt:
    stmt = with_expressions(stmt, lambda e: substitute(e, values))
    match stmt:
        case For():
            return replace(stmt, body=substituted(stmt.body, values))
        case If():
            return replace(stmt, then=substituted(stmt.then, values), orelse=substituted(stmt.orelse, values))
        case _:
            return stmt


def with_expressions(stmt: Stmt, new: Callable[[Expr], Any]) -> Stmt:
    """A statement with every expression that `expressions_of` gives replaced."""

    def each(expressions: tuple[Expr, ...]) -> tuple[Any, ...]:
        return tuple(new(e) for e in expressions)

    match stmt:
        case Let(var, expr):
            return Let(var, new(expr))
        case Store(buffer, index, value):
            return Store(new(buffer), new(index), new(value))
        case Alloc(var, count, stack):
            return Alloc(var, new(count), stack)
        case Free(var):
            return Free(new(var))
        case Launch(kernel, args):
            return Launch(kernel, each(args))
        case Call(name, args, results):
            return Call(name, each(args), results)
        case Invoke():
            return replace(stmt, args=each(stmt.args), moved=each(stmt.moved))
        case Way():
            return stmt
        case Fail(error, payload, way):
            return Fail(error, each(payload), way)
        case Output():
            return replace(stmt, value=new(stmt.value), dims=each(stmt.dims))
        case For():
            carried = tuple(
                replace(c, init=new(c.init), next=new(c.next), element=None if c.element is None else new(c.element))
                for c in stmt.carried
            )
            go = None if stmt.go is None else (stmt.go[0], new(stmt.go[1]), new(stmt.go[2]))
            return replace(stmt, extent=new(stmt.extent), carried=carried, go=go)
        case If():
            values = each(stmt.then_values), each(stmt.else_values)
            return replace(stmt, cond=new(stmt.cond), then_values=values[0], else_values=values[1])
