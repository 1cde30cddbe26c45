"""Functions that the trips of a loop wait for: what they compute is part of their own argument in a later trip.

Our own elementary functions are made to be computed side by side, in the lanes of vectors or by a processor that looks
ahead. Where one waits for the one before, as in `x = math.sin(x) + 0.1`, it is the way from argument to result that
counts, and the C library's functions, which look numbers up in tables, are up to twice as fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set

from tracejit.codegen.loop_ir import Call, Expr, For, If, Invoke, Let, Scalar, Stmt, Var
from tracejit.codegen.lowering.elements import parts, variables
from tracejit.ir.types import F64

#: Operations whose results the C library gives sooner; their names there, and at most 1 ULP of error, are the same.
SOONER = frozenset("exp exp2 expm1 log log1p log2 sin cos tan asin acos atan atan2".split())


def waited_for(loop: For) -> frozenset[int]:
    """The ids of expressions in a loop, outside of loops in it, that the C library is asked for."""
    candidates = [(e, made) for made, whole in _made(loop, inner=False) for e in _within(whole) if _is_candidate(e)]
    if not loop.carried or not candidates:
        return frozenset()
    readers: dict[Var, set[Var]] = {}
    for made, e in _made(loop, inner=True):
        for var in variables(e):
            readers.setdefault(var, set()).add(made)
    return frozenset(id(e) for e, made in candidates if _comes_back(readers, made, set(variables(e))))


def _is_candidate(e: Expr) -> bool:
    return isinstance(e, Scalar) and e.op in SOONER and e.type == F64


def _within(e: Expr) -> Iterator[Expr]:
    yield e
    for part in parts(e):
        yield from _within(part)


def _comes_back(readers: Mapping[Var, set[Var]], made: Var, wanted: Set[Var]) -> bool:
    """Whether what is wanted is computed from what is made, in whatever trip."""
    waiting, seen = [made], {made}
    while waiting:
        var = waiting.pop()
        if var in wanted:
            return True
        following = readers.get(var, set()) - seen
        seen |= following
        waiting += following
    return False


def _made(loop: For, *, inner: bool) -> Iterator[tuple[Var, Expr]]:
    """The expressions of a trip, each with a var that it makes; a carried value's next one makes the value. `inner`:
    those of loops inside too."""
    yield from _of_statements(loop.body, inner)
    for carried in loop.carried:
        yield carried.var, carried.next


def _of_statements(stmts: Sequence[Stmt], inner: bool) -> Iterator[tuple[Var, Expr]]:
    for stmt in stmts:
        match stmt:
            case Let(var, expr):
                yield var, expr
            case If():
                yield from _of_statements((*stmt.then, *stmt.orelse), inner)
                for result, *values in zip(stmt.results, stmt.then_values, stmt.else_values, strict=True):
                    yield from ((result, value) for value in (stmt.cond, *values))
            case For() if inner:
                yield from _made(stmt, inner=True)
                for carried in stmt.carried:
                    yield carried.var, carried.init
                    yield carried.result, carried.var
            case Call(_, args, results) | Invoke(_, args, results):
                yield from ((result, arg) for result in results for arg in args)
            case _:
                continue
