"""Loops at each trip of which an integer loses a bit, as `while v: v &= v - 1; n += 1`: they make 64 trips at most.

They need not ask whether to go on, and whether their count overflows is asked after them: without either the compiler
knows the number of trips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tracejit.codegen.loop_ir import Carried, Cast, Const, Expr, Fail, For, If, Let, Scalar, Stmt, Var
from tracejit.ir.types import BOOL, I64

#: How many trips such loops make at most.
MOST_TRIPS = 64
#: Steps of a count, of which a loop takes too few to go around 64 bits.
_MOST_STEP = 1 << 32


def dwindles(loop: For) -> bool:
    """Whether the loop runs while an integer is not 0, or positive, and that loses a bit at each trip."""
    if loop.go is None:
        return False
    lets = lets_of(loop)
    match meaning(loop.go[2], lets):
        case Scalar(op="ne" | "gt" as condition, args=(x, Const(value=0))):
            after = meaning(x, lets)
            return any(
                meaning(c.next, lets) is after and _loses_a_bit(after, c.var, lets, condition) for c in loop.carried
            )
        case _:
            return False


def lets_of(loop: For) -> dict[Expr, Expr]:
    """What the names of a loop's body stand for."""
    return {stmt.var: stmt.expr for stmt in loop.body if isinstance(stmt, Let)}


def meaning(e: Expr, lets: Mapping[Expr, Expr]) -> Expr:
    """The expression that a name stands for."""
    while isinstance(e, Var) and e in lets:
        e = lets[e]
    return e


def _loses_a_bit(after: Expr, x: Var, lets: Mapping[Expr, Expr], condition: str) -> bool:
    match after:
        case Scalar(op="bitand", args=(a, b)):
            return (a is x and _is_one_less(b, x, lets)) or (b is x and _is_one_less(a, x, lets))
        case Scalar(op="sub", args=(a, b)):
            return a is x and _is_lowest_bit(b, x, lets)
        case Scalar(op="lsr", args=(a, Const(value=shift))):
            return a is x and int(shift.real) > 0
        case Scalar(op="asr", args=(a, Const(value=shift))):
            return a is x and int(shift.real) > 0 and condition == "gt"
        case Cast(x=Scalar(op="quotient", args=(Cast(x=a), Const(value=divisor)))):
            return a is x and int(divisor.real) > 1 and condition == "gt"
        case _:
            return False


def _is_one_less(e: Expr, x: Var, lets: Mapping[Expr, Expr]) -> bool:
    match meaning(e, lets):
        case Scalar(op="add", args=(a, Const(value=-1))) | Scalar(op="sub", args=(a, Const(value=1))):
            return a is x
        case _:
            return False


def _is_lowest_bit(e: Expr, x: Var, lets: Mapping[Expr, Expr]) -> bool:
    match meaning(e, lets):
        case Scalar(op="bitand", args=(a, b)):
            match meaning(b if a is x else a, lets):
                case Scalar(op="sub", args=(Const(value=0), y)):
                    return y is x and (a is x or b is x)
                case _:
                    return False
        case _:
            return False


def checked_after(loop: For) -> tuple[For, tuple[Stmt, ...]]:
    """A loop that `dwindles` and does nothing but to count, without its check, and the check behind it."""
    checks = [stmt for stmt in loop.body if not isinstance(stmt, Let)]
    lets = lets_of(loop)
    match checks:
        case [If(cond=Scalar(op="add_overflows", args=(count, Const() as step)), then=(Fail(payload=()),)) as check]:
            for c in loop.carried:
                if c.var is count and _moves_by(c, step, lets):
                    wrapped = Scalar("lt" if int(step.value.real) > 0 else "gt", (c.result, c.init), BOOL)
                    body = tuple(stmt for stmt in loop.body if stmt is not check)
                    return replace(loop, body=body), (replace(check, cond=wrapped),)
        case _:
            pass
    return loop, ()


def _moves_by(c: Carried, step: Const, lets: Mapping[Expr, Expr]) -> bool:
    after = meaning(c.next, lets)
    return 0 < abs(int(step.value.real)) <= _MOST_STEP and after == Scalar("add", (c.var, step), I64)
