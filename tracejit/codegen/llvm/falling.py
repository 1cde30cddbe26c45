"""Indices that fall while the count of a loop rises, as values that the loop carries.

Loops of gradients go backward: trip `i` of them is at `last - i`. Written so, LLVM does not see that the place which
one trip writes is the place which the next one reads, and the adjoint goes through memory; of an index that is one less
at each trip it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tracejit.codegen.kernel_walk import bound, expressions_of, loads
from tracejit.codegen.loop_ir import Carried, Const, Expr, For, Let, Scalar, Stmt, Store, Var
from tracejit.ir.types import I64


def with_falling_indices(loop: For) -> For:
    """The loop with what is a number from outside less the count carried from trip to trip, where a trip may read what
    the one before wrote."""
    found = [step for stmt in loop.body if (step := _less_count(stmt, loop.var)) is not None]
    if not (found and _meets_itself(loop.body)):
        return loop
    inside = {*(c.var for c in loop.carried), *(var for stmt in loop.body for var in bound(stmt))}
    steps = tuple(step for step in found if step.init not in inside)
    carried = {step.var for step in steps}
    body = tuple(stmt for stmt in loop.body if not (isinstance(stmt, Let) and stmt.var in carried))
    return replace(loop, carried=loop.carried + steps, body=body)


def _meets_itself(body: Sequence[Stmt]) -> bool:
    """Whether statements reach a buffer that they write at two places: then one trip may read what another wrote."""
    places: dict[Var, set[Expr]] = {}
    for stmt in body:
        for load in (load for e in expressions_of(stmt) for load in loads(e)):
            places.setdefault(load.buffer, set()).add(load.index)
    written = [(stmt.buffer, stmt.index) for stmt in body if isinstance(stmt, Store)]
    return any(places.get(buffer, set()) - {index} for buffer, index in written)


def _less_count(stmt: Stmt, count: Var) -> Carried | None:
    match stmt:
        case Let(var, Scalar("sub", (Var() as start, x))) if x is count and start is not count:
            return Carried(var, start, Scalar("sub", (var, Const(1, I64)), I64), Var(var.name, I64))
        case _:
            return None
