"""What the body of a loop contains: how much it computes and reads, and whether its trips can be lanes of vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from tracejit.codegen.loop_ir import (
    Bitcast,
    Cast,
    Const,
    Expr,
    For,
    If,
    Let,
    Load,
    Pointer,
    Rare,
    Scalar,
    Select,
    Stmt,
    Store,
    Var,
)
from tracejit.codegen.scalars import SCALARS, expansion
from tracejit.ir.types import BOOL, I64, DType

#: With fewer operations per memory access, a loop waits for memory.
LIGHT = 8


@dataclass(slots=True)
class Survey:
    """What a loop body contains. `varying` are the vars that differ between lanes."""

    varying: set[Var]
    ragged: bool = False  #: inner loops may make different numbers of trips in different lanes
    widest: int = 0
    narrowest: int = 64
    weight: int = 0
    accesses: int = 0
    possible: bool = True
    seen: set[int] = field(default_factory=set[int])
    answers: dict[int, bool] = field(default_factory=dict[int, bool])

    @property
    def is_memory_bound(self) -> bool:
        """Whether what was surveyed rather waits for memory than for arithmetic."""
        return self.weight < LIGHT * self.accesses

    def stmts(self, body: Sequence[Stmt]) -> None:
        """Survey statements in order."""
        for stmt in body:
            match stmt:
                case Let(var, expr):
                    self.expr(expr)
                    if self.varies(expr):
                        self.varying.add(var)
                case Store(buffer, index, value):
                    assert isinstance(buffer.type, Pointer)
                    self._element(buffer.type.element)
                    self.expr(value)
                    self._index(index)
                case If():
                    self._if(stmt)
                case For():
                    self._for(stmt)
                case _:
                    self.possible = False

    def _if(self, stmt: If) -> None:
        self.expr(stmt.cond)
        self.stmts(stmt.then)
        self.stmts(stmt.orelse)
        for value in (*stmt.then_values, *stmt.else_values):
            self.expr(value)
        self.varying.update(stmt.results)

    def _for(self, loop: For) -> None:
        if not self.ragged and (loop.go is not None or loop.axis == "parallel" or self.varies(loop.extent)):
            self.possible = False
        for carried in loop.carried:
            self.varying.update((carried.var, carried.result))
            self.expr(carried.init)
        self.stmts(loop.body)
        for carried in loop.carried:
            self.expr(carried.next)
        if loop.go is not None:
            self.expr(loop.go[2])

    def _element(self, dtype: DType) -> None:
        self.accesses += 1
        self.widest = max(self.widest, dtype.bits)
        self.narrowest = min(self.narrowest, dtype.bits)

    def _index(self, e: Expr) -> None:
        """An index: its loads and its own arithmetic count only where it is no ramp; loads are enough to see."""
        match e:
            case Load(_, index, _):
                self.weight += 1
                self._index(index)
            case Scalar(_, args, _):
                for arg in args:
                    self._index(arg)
            case Cast(x, _) | Bitcast(x, _):
                self._index(x)
            case Select(cond, a, b, _):
                self._index(cond)
                self._index(a)
                self._index(b)
            case _:
                return

    def expr(self, e: Expr) -> None:
        """A value: its dtypes decide the width, its operations the weight."""
        if id(e) in self.seen or isinstance(e, Const):
            return
        self.seen.add(id(e))
        match e:
            case Load(_, index, dtype):
                self._element(dtype)
                self._index(index)
            case Scalar(op, args, dtype):
                self._operation(_weight(op, args[0]), dtype, args)
            case Cast(x, dtype) | Bitcast(x, dtype):
                self._operation(1, dtype, (x,))
            case Select(cond, a, b, dtype):
                self._operation(1, dtype, (cond, a, b))
            case Rare(cond, value, _, args, dtype):
                self._operation(4, dtype, (cond, value, *args))
            case _:
                return

    def _operation(self, weight: int, dtype: DType, operands: Iterable[Expr]) -> None:
        self.weight += weight
        if dtype not in (BOOL, I64):
            self.widest = max(self.widest, dtype.bits)
        for operand in operands:
            self.expr(operand)

    def varies(self, e: Expr) -> bool:
        """Whether the expression differs between lanes."""
        known = self.answers.get(id(e))
        if known is None or not known:
            known = self.answers[id(e)] = self._varies(e)
        return known

    def _varies(self, e: Expr) -> bool:
        match e:
            case Var():
                return e in self.varying
            case Load(_, index, _):
                return self.varies(index)
            case Scalar(_, args, _):
                return any(self.varies(a) for a in args)
            case Cast(x, _) | Bitcast(x, _):
                return self.varies(x)
            case Select(cond, a, b, _):
                return self.varies(cond) or self.varies(a) or self.varies(b)
            case Rare(cond, value, _, args, _):
                return any(self.varies(x) for x in (cond, value, *args))
            case _:
                return False


def _weight(op: str, operand: Expr) -> int:
    dtype = operand.type
    row = SCALARS[op]
    if not isinstance(dtype, DType) or dtype.kind in row.llvm:
        return 1
    return expansion_weight(op, dtype)


@cache
def expansion_weight(op: str, dtype: DType) -> int:
    """About how many instructions an expanded operation is."""
    template = expansion(op, dtype)
    survey = Survey(set(template.params))
    survey.stmts(template.lets)
    survey.expr(template.result)
    return survey.weight
