"""How much memory a program allocates, as a program of its own: the source of `NAME_arena_size`.

Counted are the allocations on the straight line of the entry whose counts follow from the sizes and numbers of the
inputs. What loops and branches allocate, and what depends on data, comes from the C library as before.
"""

from __future__ import annotations

from collections.abc import Iterator

from tracejit.codegen.loop_ir import (
    Alloc,
    Bitcast,
    Cast,
    Const,
    Expr,
    Function,
    Input,
    Let,
    Load,
    Output,
    OutputSpec,
    Pointer,
    Program,
    Rare,
    Scalar,
    Select,
    Stmt,
    Var,
)
from tracejit.codegen.scalars import KernelBuilder
from tracejit.deploy.memory_ir import ALIGNMENT, HEADER
from tracejit.ir.types import I64, ScalarType


def working_memory(program: Program) -> Program | None:
    """A program with the same inputs and one i64 output, the bytes; None where nothing can be counted."""
    k = KernelBuilder()
    known: set[Var] = set()
    body: list[Stmt] = []
    total: Expr = Const(0, I64)
    counted = False
    for stmt in program.entry.body:
        match stmt:
            case Let(var, expr) if _is_known(expr, known):
                known.add(var)
                body.append(stmt)
            case Alloc(var, count, False) if _is_known(count, known):
                assert isinstance(var.type, Pointer)
                bytes_ = k.mul(count, Const(var.type.element.itemsize, I64))
                rounded = k.bitand(k.add(bytes_, Const(ALIGNMENT - 1, I64)), Const(-ALIGNMENT, I64))
                total = k.add(total, k.add(rounded, Const(HEADER, I64)))
                counted = True
            case _:
                continue
    if not counted:
        return None
    entry = Function(program.entry.name, (*body, Output(0, total)))
    return Program(f"{program.name}.memory", entry, (), program.inputs, (OutputSpec(ScalarType(I64)),))


def _is_known(expr: Expr, known: set[Var]) -> bool:
    """Whether an expression needs nothing but inputs' sizes and numbers."""
    return all(_leaf_is_known(leaf, known) for leaf in _leaves(expr))


def _leaf_is_known(leaf: Expr, known: set[Var]) -> bool:
    match leaf:
        case Var():
            return leaf in known
        case Input(kind):
            return kind != "data"
        case Const():
            return True
        case _:
            return False


def _leaves(expr: Expr) -> Iterator[Expr]:
    match expr:
        case Scalar(_, args):
            for arg in args:
                yield from _leaves(arg)
        case Cast(x) | Bitcast(x):
            yield from _leaves(x)
        case Select(cond, a, b):
            for part in (cond, a, b):
                yield from _leaves(part)
        case Rare(cond, value, _, args):
            for part in (cond, value, *args):
                yield from _leaves(part)
        case Load(buffer, index):
            yield buffer
            yield from _leaves(index)
        case _:
            yield expr
