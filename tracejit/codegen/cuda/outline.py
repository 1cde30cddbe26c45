"""Element code of the entry becomes kernels: what a host must not do element by element on a GPU's memory.

First `resolve` removes pointers that loops and branches carry unchanged, as in-place updates do. Then every run of
statements that only compute, load and store is one kernel; a check inside it leaves the kernel and reports through
memory, and values that later statements need come back through memory too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from tracejit.codegen import kernel_walk as facts
from tracejit.codegen.loop_ir import (
    Alloc,
    Bitcast,
    Call,
    Const,
    Expr,
    Fail,
    For,
    Free,
    If,
    Input,
    Kernel,
    Let,
    Load,
    Pointer,
    Program,
    Scalar,
    Stmt,
    Store,
    Var,
)
from tracejit.codegen.lowering.code import free_variables, stored_buffers
from tracejit.codegen.lowering.elements import ONE, ZERO, parts
from tracejit.codegen.support.names import MAX_PAYLOAD
from tracejit.errors import Span
from tracejit.ir.types import BOOL, F64, I64, DType

Launches = Callable[[Kernel, tuple[Expr, ...]], list[Stmt]]

# -- pointers ---------------------------------------------------------------------------------------------------------


def resolve(stmts: Sequence[Stmt], names: dict[Var, Expr]) -> tuple[Stmt, ...]:
    """Statements in which a pointer carried unchanged stands for itself; `names` says what stands for what."""
    made: list[Stmt] = []
    for stmt in stmts:
        stmt = facts.with_expressions(stmt, lambda e: facts.substitute(e, names))
        match stmt:
            case For():
                made.append(_resolve_loop(stmt, names))
            case If():
                made.append(_resolve_branch(stmt, names))
            case _:
                made.append(stmt)
    return tuple(made)


def _resolve_loop(loop: For, names: dict[Var, Expr]) -> For:
    """Assume that all pointers are carried unchanged, and drop the assumption for those that are not."""
    fixed = [c for c in loop.carried if isinstance(c.var.type, Pointer)]
    while True:
        inside = names | {c.var: c.init for c in fixed}
        body = resolve(loop.body, inside)
        changed = [c for c in fixed if facts.substitute(c.next, inside) is not c.init]
        if not changed:
            break
        fixed = [c for c in fixed if c not in changed]
    names.update((c.result, c.init) for c in fixed)
    kept = tuple(replace(c, next=facts.substitute(c.next, inside)) for c in loop.carried if c not in fixed)
    go = None if loop.go is None else (*loop.go[:2], facts.substitute(loop.go[2], inside))
    return replace(loop, body=body, carried=kept, go=go)


def _resolve_branch(stmt: If, names: dict[Var, Expr]) -> If:
    inside = [dict(names), dict(names)]
    bodies = [resolve(body, known) for body, known in zip((stmt.then, stmt.orelse), inside, strict=True)]
    values = [
        [facts.substitute(v, known) for v in found]
        for found, known in zip((stmt.then_values, stmt.else_values), inside, strict=True)
    ]
    kept: list[int] = []
    for i, result in enumerate(stmt.results):
        if isinstance(result.type, Pointer) and values[0][i] is values[1][i]:
            names[result] = values[0][i]
        else:
            kept.append(i)
    results, then_values, else_values = (tuple(group[i] for i in kept) for group in (stmt.results, *values))
    return replace(
        stmt, then=bodies[0], orelse=bodies[1], results=results, then_values=then_values, else_values=else_values
    )


# -- kernels ----------------------------------------------------------------------------------------------------------


class Outliner:
    """Moves element code of an entry into kernels; `launches(kernel, args)` gives the statements that run one."""

    def __init__(self, program: Program, launches: Launches) -> None:
        self.program = program
        self.launches = launches
        self.count = 0
        self.uses: dict[Var, int] = {}

    def entry(self) -> tuple[Stmt, ...]:
        """The entry's statements as the host runs them, launches not yet replaced."""
        body = resolve(self.program.entry.body, {})
        for var in facts.read(body):
            self.uses[var] = self.uses.get(var, 0) + 1
        return self.body(body)

    def body(self, stmts: Sequence[Stmt]) -> tuple[Stmt, ...]:
        """Statements with runs of element code outlined."""
        made: list[Stmt] = []
        run: list[Stmt] = []
        for stmt in stmts:
            if _is_element_code(stmt):
                run.append(stmt)
                continue
            self._outline(run, made)
            run = []
            made.append(self._nested(stmt))
        self._outline(run, made)
        return tuple(made)

    def _nested(self, stmt: Stmt) -> Stmt:
        match stmt:
            case For():
                return replace(stmt, body=self.body(stmt.body))
            case If():
                return replace(stmt, then=self.body(stmt.then), orelse=self.body(stmt.orelse))
            case _:
                return stmt

    def _outline(self, run: list[Stmt], made: list[Stmt]) -> None:
        """Make a kernel of a run of statements and launch it."""
        if not run:
            return
        while made and self._belongs_to(made[-1], run):
            run.insert(0, made.pop())
        wanted = self._wanted(run)
        cells = [Var(f"{v.name}_cell", Pointer(_dtype(v))) for v in wanted]
        body = (*run, *(Store(cell, ZERO, v) for cell, v in zip(cells, wanted, strict=True)))
        params = free_variables(_without_failures(body))
        failures = [s for s in facts.walk(run) if isinstance(s, Fail)]
        status = Var("status", Pointer(I64))
        params += (status,) if failures else ()
        outputs = stored_buffers(_without_failures(body)).intersection(params) | ({status} if failures else set())
        kernel = Kernel(f"{self.program.name}.entry.{self.count}", params, frozenset(outputs), body, _spans(run))
        self.count += 1
        made += [Alloc(cell, ONE) for cell in cells]
        if failures:
            size = Const(MAX_PAYLOAD + 1, I64)
            made += [Alloc(status, size), Call("zero", (status, size))]
        made += self.launches(kernel, params)
        made += self._failures(failures, status)
        made += [Let(v, Load(cell, ZERO, _dtype(v))) for cell, v in zip(cells, wanted, strict=True)]
        made += [Free(cell) for cell in cells]

    def _wanted(self, run: Sequence[Stmt]) -> list[Var]:
        """The values a run binds that are read after it."""
        inside: dict[Var, int] = {}
        for var in facts.read(run):
            inside[var] = inside.get(var, 0) + 1
        return [v for stmt in run for v in facts.bound(stmt) if self.uses.get(v, 0) > inside.get(v, 0)]

    def _belongs_to(self, stmt: Stmt, run: Sequence[Stmt]) -> bool:
        """Whether a statement only loads an element for the run."""
        if not isinstance(stmt, Let) or not isinstance(stmt.var.type, DType) or not any(facts.loads(stmt.expr)):
            return False
        return sum(v is stmt.var for v in facts.read(run)) == self.uses.get(stmt.var, 0)

    def _failures(self, failures: Sequence[Fail], status: Var) -> list[Stmt]:
        """Leave the entry as the kernel left: the cell says which error, the others hold its payload."""
        if not failures:
            return []
        code = Var("code", I64)
        made: list[Stmt] = [Let(code, Load(status, ZERO, I64))]
        for error in dict.fromkeys(f.error for f in failures):
            dtypes = [p.type for p in next(f.payload for f in failures if f.error == error)]
            payload = tuple(_payload(status, i + 1, dtype) for i, dtype in enumerate(dtypes))
            made.append(If(Scalar("eq", (code, Const(error + 1, I64)), BOOL), (Fail(error, payload),)))
        return [*made, Free(status)]


def _payload(status: Var, cell: int, dtype: object) -> Expr:
    word = Load(status, Const(cell, I64), I64)
    return Bitcast(word, F64) if dtype == F64 else word


def _without_failures(stmts: Iterable[Stmt]) -> list[Stmt]:
    """Statements with every `Fail` as if it only read its payload."""
    made: list[Stmt] = []
    for stmt in stmts:
        match stmt:
            case Fail(_, payload):
                made += [Let(Var("payload", I64), e) for e in payload]
            case For():
                made.append(replace(stmt, body=tuple(_without_failures(stmt.body))))
            case If():
                bodies = tuple(_without_failures(stmt.then)), tuple(_without_failures(stmt.orelse))
                made.append(replace(stmt, then=bodies[0], orelse=bodies[1]))
            case _:
                made.append(stmt)
    return made


def _spans(stmts: Iterable[Stmt]) -> tuple[Span, ...]:
    return tuple(dict.fromkeys(s.span for s in facts.walk(stmts) if isinstance(s, For) and s.span is not None))


def _is_element_code(stmt: Stmt) -> bool:
    """Whether a statement of the entry touches elements and can run on the device."""
    if isinstance(stmt, Let) or not all(_is_device_code(s) for s in facts.walk((stmt,))):
        return False
    if not (facts.stored((stmt,)) or facts.loaded((stmt,))):
        return False
    fails = any(isinstance(s, Fail) for s in facts.walk((stmt,)))
    return not fails or isinstance(stmt, For)


def _is_device_code(stmt: Stmt) -> bool:
    if not isinstance(stmt, Let | Store | For | If | Fail):
        return False
    if any(isinstance(v.type, Pointer) for v in facts.bound(stmt)):
        return False
    return not any(_has_input(e) for e in facts.expressions_of(stmt))


def _has_input(e: Expr) -> bool:
    return isinstance(e, Input) or any(_has_input(part) for part in parts(e))


def _dtype(var: Var) -> DType:
    assert isinstance(var.type, DType)
    return var.type
