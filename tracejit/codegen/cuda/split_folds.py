"""Folds over more trips than one thread block should take, as two kernels: partial folds, then the fold of those.

    a parallel fold                          each block folds every `groups`-th trip
    a serial fold in a loop over columns     each column is folded by `groups` threads, each every `groups`-th trip

How many partial folds there are depends on sizes alone, so the result does not depend on the device.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tracejit.codegen import kernel_walk as facts
from tracejit.codegen.loop_ir import Carried, Const, Expr, For, Let, Load, Pointer, Stmt, Store, Var
from tracejit.codegen.lowering.elements import ElementBuilder, variables
from tracejit.ir.types import I64, DType
from tracejit.records import record

#: Partial folds of a parallel fold.
PARTIALS = 1024
#: Partial folds of a column, and of all columns together; trips that make one more partial fold worth while.
COLUMN_GROUPS, COLUMN_PARTIALS, COLUMN_TRIPS = 512, 1 << 18, 64

_k = ElementBuilder(lambda e, _name: e)


@record
class Partials:
    """Scratch memory for partial folds; `count` is an expression of names outside of all loops."""

    buffer: Var
    count: Expr


@record
class Split:
    """What `first` leaves in `partials`, `second` folds; both are the statements of a kernel."""

    first: tuple[Stmt, ...]
    second: tuple[Stmt, ...]
    partials: tuple[Partials, ...]


def split(body: tuple[Stmt, ...]) -> Split | None:
    """The first fold of a kernel that is worth splitting, split; None where there is none."""
    for at, stmt in enumerate(body):
        if not isinstance(stmt, For):
            continue
        if is_parallel_fold(stmt):
            return _split_blocks(body, at, stmt)
        place = _column_fold(body[:at], stmt)
        if place is not None:
            return _split_columns(body, at, stmt, place)
    return None


def is_parallel_fold(stmt: Stmt) -> bool:
    """Whether a statement is a parallel loop that folds."""
    return isinstance(stmt, For) and stmt.axis == "parallel" and bool(stmt.carried) and folds(stmt)


def folds(loop: For) -> bool:
    """Whether all that a loop carries is declared as a fold."""
    return loop.go is None and all(c.combine is not None for c in loop.carried)


def _split_blocks(body: tuple[Stmt, ...], at: int, loop: For) -> Split:
    groups = Var("groups", I64)
    count = Let(groups, _k.minimum(loop.extent, PARTIALS))
    buffers = _buffers(loop)
    group, i = Var("group", I64), Var("i", I64)
    trips, inner, results = _every_nth(loop, group, groups, "parallel")
    writes = (Store(p, group, r) for p, r in zip(buffers, results, strict=True))
    first = (*body[:at], count, For(group, groups, (trips, inner, *writes), "parallel"))
    again = For(i, groups, (), "vector", _refolds(loop, buffers, i))
    second = (*_without_stores(body[:at]), count, again, *body[at + 1 :])
    return Split(first, second, tuple(Partials(b, Const(PARTIALS, I64)) for b in buffers))


# -- columns ----------------------------------------------------------------------------------------------------------


def _column_fold(before: Sequence[Stmt], loop: For) -> int | None:
    """The place of the serial fold that a loop over columns does first, if its extent is known outside."""
    if loop.axis not in ("parallel", "vector") or loop.carried or loop.go is not None:
        return None
    outside = {v for s in (loop, *loop.body) for v in (loop.var, *facts.bound(s))}
    if outside & set(variables(loop.extent)):
        return None
    for at, stmt in enumerate(loop.body):
        if isinstance(stmt, For):
            is_fold = stmt.axis == "serial" and bool(stmt.carried) and folds(stmt)
            is_known = not outside & set(variables(stmt.extent)) and not any(facts.loads(stmt.extent))
            spread = any(isinstance(s, For) and s.axis in ("parallel", "vector") for s in facts.walk(stmt.body))
            is_short = isinstance(stmt.extent, Const) and int(stmt.extent.value.real) <= COLUMN_TRIPS
            return at if is_fold and is_known and not spread and not is_short else None
        if not isinstance(stmt, Let):
            return None
    return None


def _split_columns(body: tuple[Stmt, ...], at: int, columns: For, place: int) -> Split:
    loop = columns.body[place]
    assert isinstance(loop, For)
    lets, after = columns.body[:place], columns.body[place + 1 :]
    groups = Var("groups", I64)
    room = _k.quotient(Const(COLUMN_PARTIALS, I64), _k.maximum(columns.extent, 1))
    wanted = _k.minimum(_k.ceildiv(loop.extent, Const(COLUMN_TRIPS, I64)), COLUMN_GROUPS)
    count = Let(groups, _k.maximum(_k.minimum(wanted, room), 1))
    buffers = _buffers(loop)
    group, i = Var("group", I64), Var("i", I64)
    trips, inner, results = _every_nth(loop, group, groups, "serial")
    cell = _k.add(_k.mul(group, columns.extent), columns.var)
    writes = (Store(p, cell, r) for p, r in zip(buffers, results, strict=True))
    column = For(columns.var, columns.extent, (*lets, inner, *writes), "vector")
    first = (*body[:at], count, For(group, groups, (trips, column), "parallel", span=columns.span))
    again = For(i, groups, (), "unroll", _refolds(loop, buffers, _k.add(_k.mul(i, columns.extent), columns.var)))
    rest = replace(columns, body=(*lets, again, *after))
    second = (*_without_stores(body[:at]), count, rest, *body[at + 1 :])
    cells = _k.mul(_inlined(groups, (*body[:at], count)), _inlined(columns.extent, body[:at]))
    return Split(first, second, tuple(Partials(b, cells) for b in buffers))


def _inlined(e: Expr, stmts: Iterable[Stmt]) -> Expr:
    """An expression in terms of what the named values before it are made of."""
    values: dict[Var, Expr] = {}
    for stmt in stmts:
        if isinstance(stmt, Let):
            values[stmt.var] = facts.substitute(stmt.expr, values)
    return facts.substitute(e, values)


# -- pieces -----------------------------------------------------------------------------------------------------------


def _buffers(loop: For) -> tuple[Var, ...]:
    return tuple(Var(f"{c.var.name}_part", Pointer(_dtype(c.var))) for c in loop.carried)


def _every_nth(loop: For, first: Var, step: Var, axis: str) -> tuple[Let, For, tuple[Var, ...]]:
    """Every `step`-th trip of a fold from `first` on: the number of trips, the loop, its results."""
    turn = Var("turn", I64)
    trips = Let(Var("trips", I64), _k.ceildiv(_k.sub(loop.extent, first), step))
    trip = Let(loop.var, _k.add(first, _k.mul(turn, step)))
    carried = tuple(replace(c, result=Var(c.result.name, c.result.type)) for c in loop.carried)
    inner = For(turn, trips.var, (trip, *loop.body), axis, carried)  # type: ignore[arg-type]
    return trips, inner, tuple(c.result for c in carried)


def _refolds(loop: For, buffers: Sequence[Var], index: Expr) -> tuple[Carried, ...]:
    """The folds of a loop over partial folds."""
    made: list[Carried] = []
    for c, buffer in zip(loop.carried, buffers, strict=True):
        assert c.combine is not None
        var, element = Var(c.var.name, c.var.type), Load(buffer, index, _dtype(c.var))
        made.append(Carried(var, c.init, _k.op(c.combine, var, element), c.result, c.combine, element))
    return tuple(made)


def _without_stores(stmts: Iterable[Stmt]) -> tuple[Stmt, ...]:
    return tuple(s for s in stmts if not facts.stored((s,)))


def _dtype(var: Var) -> DType:
    assert isinstance(var.type, DType)
    return var.type
