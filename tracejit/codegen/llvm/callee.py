"""Functions of a program that other functions run: `fastcc { i32, results... } NAME(context, limit, params...)`.

Parameters and results travel in registers, as many as fit. The first result is the status: 0, or that with which the
entry is to leave. `limit` is the address below which the stack is not to grow; whoever runs a function looks first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracejit.codegen.kernel_walk import bound, walk
from tracejit.codegen.llvm.values import Value, type_text
from tracejit.codegen.loop_ir import (
    Alloc,
    Call,
    Expr,
    Fail,
    For,
    Free,
    Function,
    If,
    Invoke,
    Launch,
    Let,
    Output,
    Pointer,
    Stmt,
    Store,
    Var,
)
from tracejit.ir.types import BOOL, I32

if TYPE_CHECKING:
    from tracejit.codegen.llvm.entry import EntryPrinter


def symbol(prefix: str, function: Function) -> str:
    """The symbol of a function."""
    return f'@"{prefix}.function.{function.name}"'


def result_types(function: Function) -> list[str]:
    """The types of the status and the results."""
    return ["i32", *(type_text(e.type) for e in function.results)]


def result_text(function: Function) -> str:
    """The type of what a function returns."""
    return f"{{ {', '.join(result_types(function))} }}"


#: Calls that make or free a list.
_OWNING = ("list_new", "list_copy", "list_free")


def _moves_slot(name: str, args: Sequence[Expr], results: Sequence[Var]) -> bool:
    """Whether a buffer or list goes into a list or comes out of one."""
    moved = {"list_push": args[1:], "list_set": args[2:], "list_pop": results, "list_pop0": results}.get(name, ())
    return any(isinstance(e.type, Pointer) for e in moved)


def owns_memory(function: Function) -> bool:
    """Whether code of the function takes over memory that it must release where it fails."""
    for stmt in walk(function.body):
        match stmt:
            case Alloc(stack=False) | Output():
                return True
            case Call(name, args, results) if name in _OWNING or _moves_slot(name, args, results):
                return True
            case Invoke() if stmt.moved or any(isinstance(v.type, Pointer) for v in bound(stmt)):
                return True
            case _:
                continue
    return any(isinstance(v.type, Pointer) for v in function.results)


def leaves_owning(entry: Sequence[Stmt]) -> bool:
    """Whether an entry may end early while it owns memory: not where the only memory it takes is all that it can fail
    for from there on."""
    has_taken = False
    for stmt in entry:
        match stmt:
            case Let() | Store() | Launch() | Free() | Alloc(stack=True) | Output(owned=True):
                continue
            case Alloc() if not has_taken:
                has_taken = True
            case If() | For() | Fail() if not has_taken and all(isinstance(s, _TAKES_NOTHING) for s in walk((stmt,))):
                continue
            case _:
                return True
    return False


#: Statements that take no memory themselves.
_TAKES_NOTHING = (Let, Store, If, For, Fail, Launch)


def invoke(p: EntryPrinter, stmt: Invoke) -> None:
    """Print an `Invoke`."""
    function = p.functions[stmt.function]
    args = [p.value(a) for a in stmt.args]
    deep = p.define(f"icmp ult i64 {p.place_on_stack().text}, {p.limit().text}", BOOL)
    p.branch(deep, lambda: _leave_too_deep(p, stmt), list)
    for handle in stmt.moved:
        p.disown(p.value(handle), True)
    given = ["ptr %context", p.limit().typed(), *(a.typed() for a in args)]
    made = p.name("r")
    p.line(f"{made} = call fastcc {result_text(function)} {symbol(p.texts.prefix, function)}({', '.join(given)})")
    p.epoch += 1

    def part(i: int, type: object) -> Value:
        return p.define(f"extractvalue {result_text(function)} {made}, {i}", type)  # type: ignore[arg-type]

    status = part(0, I32)
    failed = p.define(f"icmp ne i32 {status.text}, 0", BOOL)
    p.branch(failed, lambda: _leave_failed(p, stmt, status), list)
    for i, result in enumerate(stmt.results):
        p.env[result] = value = part(i + 1, result.type)
        if isinstance(result.type, Pointer):
            p.adopt(value, result.type.is_list)


def _leave_too_deep(p: EntryPrinter, stmt: Invoke) -> list[Value]:
    if p.options.budget:  # better code takes less of the stack
        p.leave_too_long()
        return []
    p.body(stmt.failed)
    p.fail(stmt.too_deep, ())
    return []


def _leave_failed(p: EntryPrinter, stmt: Invoke, status: Value) -> list[Value]:
    p.body(stmt.failed)
    p.leave(status.text)
    p.terminated = True
    return []
