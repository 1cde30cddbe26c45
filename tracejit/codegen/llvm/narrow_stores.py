"""Loops that store bytes or 16-bit numbers side by side under a condition, as `if m[k, j]: m[i, j] = 1`.

Vectors of them need stores under a mask, which on x86-64 only AVX-512 has for elements that narrow. (To load what is
there, choose and store all would write elements that the program leaves alone, and undo what another thread writes
there meanwhile.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tracejit.codegen.kernel_walk import host_code, loads, substitute
from tracejit.codegen.loop_ir import Expr, For, If, Let, Pointer, Program, Stmt, Store, Var
from tracejit.codegen.lowering.elements import ONE, affine
from tracejit.codegen.scalars import KernelBuilder

#: Elements of fewer bits have no stores under a mask in AVX2.
_LEAST_BITS = 32


def stores_narrow_under_masks(program: Program) -> bool:
    """Whether host code of a program has such a loop."""
    return any(isinstance(stmt, For) and _is_such(stmt) for stmt in host_code(program))


def _is_such(loop: For) -> bool:
    """Whether such stores are in the branches of a loop that makes all its trips and calls nothing."""
    if loop.go is not None or not _is_straight(loop.body):
        return False
    found = _stores(loop.body, {})
    return any(is_inside and _is_narrow(store) and _steps_by_one(loop, at) for store, at, is_inside in found)


def _is_straight(stmts: Sequence[Stmt]) -> bool:
    """Whether statements have no loops in them, call nothing and leave nowhere."""
    return all(
        _is_straight((*stmt.then, *stmt.orelse)) if isinstance(stmt, If) else isinstance(stmt, Let | Store)
        for stmt in stmts
    )


def _stores(
    stmts: Sequence[Stmt], outer: Mapping[Var, Expr], *, inside: bool = False
) -> Iterator[tuple[Store, Expr, bool]]:
    """Every store, its index without names of the body, and whether it is in a branch."""
    names = dict(outer)
    for stmt in stmts:
        match stmt:
            case Let(var, expr):
                names[var] = substitute(expr, names)
            case Store():
                yield stmt, substitute(stmt.index, names), inside
            case If():
                for side in (stmt.then, stmt.orelse):
                    yield from _stores(side, names, inside=True)
            case _:
                pass


def _is_narrow(store: Store) -> bool:
    assert isinstance(store.buffer.type, Pointer)
    return store.buffer.type.element.bits < _LEAST_BITS


def _steps_by_one(loop: For, index: Expr) -> bool:
    """Whether an index is one more in each trip of a loop, whatever the data."""
    form = affine(KernelBuilder(), index, {loop.var})
    return form is not None and form.coefficients.get(loop.var) == ONE and not any(loads(form.rest))
