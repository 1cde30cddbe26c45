"""Indices that fall while the count of a loop rises, as values that the loop carries.

Loops of gradients go backward: trip `i` of them is at `last - i`. Written so, LLVM does not see that the place which
one trip writes is the place which the next one reads, and the adjoint goes through memory; of an index that is one less
at each trip it does.
"""

from __future__ import annotations

from dataclasses import replace

from tracejit.codegen.kernel_walk import bound
from tracejit.codegen.loop_ir import Carried, Const, For, Let, Scalar, Stmt, Var
from tracejit.ir.types import I64


def with_falling_indices(loop: For) -> For:
    """The loop with what is a number from outside less the count carried from trip to trip."""
    found = [step for stmt in loop.body if (step := _less_count(stmt, loop.var)) is not None]
    if not found:
        return loop
    inside = {*(c.var for c in loop.carried), *(var for stmt in loop.body for var in bound(stmt))}
    steps = tuple(step for step in found if step.init not in inside)
    carried = {step.var for step in steps}
    body = tuple(stmt for stmt in loop.body if not (isinstance(stmt, Let) and stmt.var in carried))
    return replace(loop, carried=loop.carried + steps, body=body)


def _less_count(stmt: Stmt, count: Var) -> Carried | None:
    match stmt:
        case Let(var, Scalar("sub", (Var() as start, x))) if x is count and start is not count:
            return Carried(var, start, Scalar("sub", (var, Const(1, I64)), I64), Var(var.name, I64))
        case _:
            return None
