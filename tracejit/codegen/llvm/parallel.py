"""Parallel loops: the body becomes a function over a range of indices, which the thread pool runs in chunks.

The function gets what it reads from outside through a record on the caller's stack. Chunk borders follow from the
work alone, never from the number of threads, and a reduction combines one partial result per chunk in chunk order:
the result has the same bits however many threads there are. Little work is one chunk, run by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tracejit.codegen.llvm import streams as llvm_streams
from tracejit.codegen.llvm.memory import store, to_memory
from tracejit.codegen.llvm.survey import Survey
from tracejit.codegen.llvm.values import ZERO, Value, memory_type_text
from tracejit.codegen.loop_ir import (
    Bitcast,
    Call,
    Cast,
    Const,
    Expr,
    For,
    If,
    Input,
    Let,
    Pointer,
    Scalar,
    Select,
    Stmt,
    Store,
    Var,
)
from tracejit.codegen.scalars import KernelBuilder
from tracejit.codegen.support import ordering
from tracejit.codegen.support.sharing import MAX_CHUNKS
from tracejit.ir.types import I64, DType

if TYPE_CHECKING:
    from tracejit.codegen.llvm.function import FunctionPrinter

#: Work is counted in 1/64 of a scalar instruction (about 1/200 ns).
UNIT = 64
#: Below this (25 us) waking another thread costs more than it brings. Where cores wait for memory, only data beyond
#: their caches (200 us of work) is worth sharing.
PARALLEL_WORK = 5_000_000
MEMORY_BOUND_WORK = 40_000_000
#: Instructions of a vector loop per element, against a scalar one.
_VECTOR_GAIN = 8
#: Instructions per element that is put in order.
_ORDERING = 25
#: Guessed trips where an extent is read from memory, or a condition ends the loop.
_GUESS = 64


def parallel_loop(p: FunctionPrinter, loop: For) -> bool:
    """Print a loop whose trips may run in any order, by several threads; False where it must be serial."""
    if p.record is not None or loop.go is not None or any(c.combine is None for c in loop.carried):
        return False
    extent = p.uniform(loop.extent)
    inits = [p.value(c.init) for c in loop.carried]
    each, enough = _work(p, loop, extent)
    large = _are_results_large(p, loop, extent)
    partials = [p.alloca(f"[{MAX_CHUNKS} x {memory_type_text(i.dtype)}]") for i in inits]
    function, record = _outline(p, loop, inits, partials, large)
    p.declare("declare i64 @tj_share(ptr, ptr, i64, i64, i64, i1)")
    operands = f"ptr {function}, ptr {record.text}, {extent.typed()}, {each.typed()}, i64 {enough}"
    chunks = p.define(f"call i64 @tj_share({operands}, i1 {'true' if loop.carried else 'false'})", I64)
    p.epoch += 1
    p.bind([c.result for c in loop.carried], _combine(p, loop, inits, partials, chunks))
    return True


def _work(p: FunctionPrinter, loop: For, extent: Value) -> tuple[Value, int]:
    """The work of one trip, and how much of it is enough to share."""
    k = KernelBuilder()
    count = Var("count", I64)
    p.env[count] = extent
    each: Expr = Work(p, k).body(loop.body, {loop.var: k.quotient(count, 2)}, UNIT)
    for carried in loop.carried:
        each = k.add(each, UNIT * size(carried.element or carried.next))
    survey = Survey(set())
    survey.stmts(loop.body)
    return p.uniform(each), MEMORY_BOUND_WORK if survey.is_memory_bound else PARALLEL_WORK


def _are_results_large(p: FunctionPrinter, loop: For, extent: Value) -> Value | None:
    """Whether the results of a loop are to be written past the caches; None where that is never so."""
    buffers = llvm_streams.candidates(loop.body)
    if not buffers or p.options.vector_bits < 512:
        return None
    k = KernelBuilder()
    count = Var("count", I64)
    p.env[count] = extent
    stored = Work(p, k).stored(loop.body, {loop.var: k.quotient(count, 2)}, buffers)
    return p.uniform(k.ge(k.mul(stored, count), llvm_streams.LARGE))


class Work:
    """Estimates the work of statements, as an expression over what is in scope outside the loop.

    An index stands at the middle of its range; an extent that is read from memory or computed in the loop is guessed.
    """

    def __init__(self, p: FunctionPrinter, k: KernelBuilder) -> None:
        self.p = p
        self.k = k

    def body(self, body: Sequence[Stmt], known: Mapping[Var, Expr], unit: int) -> Expr:
        """The work of statements; one instruction counts `unit`."""
        k, known = self.k, dict(known)
        fixed, total = 0, k.const(0, I64)
        for stmt in body:
            match stmt:
                case Let(var, expr):
                    fixed += size(expr)
                    known[var] = substitute(expr, known)
                case For():
                    total = k.add(total, self._loop(stmt, known, unit))
                case If(cond, then, orelse):
                    sides = self.body(then, known, unit), self.body(orelse, known, unit)
                    cond = substitute(cond, known)
                    side = k.select(cond, *sides) if self._is_known(cond) else k.maximum(*sides)
                    total = k.add(total, side)
                case Store(_, _, value):
                    fixed += size(value)
                case Call(name, args) if name.startswith("gemm"):
                    sizes = [self._trips(substitute(a, known)) for a in args[:3]]
                    total = k.add(
                        total, k.mul(k.mul(sizes[0], sizes[1]), k.mul(sizes[2], max(unit // _VECTOR_GAIN, 1)))
                    )
                case Call(name, args) if name in ordering.NAMES:
                    count = next(a for a in args if a.type == I64)
                    total = k.add(total, k.mul(self._trips(substitute(count, known)), _ORDERING * unit))
                case _:
                    fixed += 1
        return k.add(total, fixed * unit)

    def stored(self, body: Sequence[Stmt], known: Mapping[Var, Expr], buffers: frozenset[Var]) -> Expr:
        """The bytes that statements write to buffers."""
        k, known, total = self.k, dict(known), self.k.const(0, I64)
        for stmt in body:
            match stmt:
                case Let(var, expr):
                    known[var] = substitute(expr, known)
                case For():
                    trips = self._trips(substitute(stmt.extent, known))
                    inner = self.stored(stmt.body, {**known, stmt.var: k.quotient(trips, 2)}, buffers)
                    total = k.add(total, k.mul(trips, inner))
                case Store(buffer) if buffer in buffers:
                    total = k.add(total, llvm_streams.itemsize(buffer))
                case _:
                    pass
        return total

    def _loop(self, loop: For, known: Mapping[Var, Expr], unit: int) -> Expr:
        k = self.k
        if loop.axis in ("vector", "lanes"):
            unit = max(unit // _VECTOR_GAIN, 1)
        trips = self._trips(substitute(loop.extent, known)) if loop.go is None else k.const(_GUESS, I64)
        each = self.body(loop.body, {**known, loop.var: k.quotient(trips, 2)}, unit)
        return k.mul(trips, k.add(each, unit * sum(size(c.element or c.next) for c in loop.carried)))

    def _trips(self, extent: Expr) -> Expr:
        if self._is_known(extent):
            return extent
        bounded = extent.args if isinstance(extent, Scalar) and extent.op == "minimum" else ()
        return min((a for a in bounded if isinstance(a, Const)), key=lambda a: a.value.real, default=Const(_GUESS, I64))

    def _is_known(self, e: Expr) -> bool:
        match e:
            case Var():
                return self.p.knows(e)
            case Const() | Input():
                return True
            case Scalar(_, args, _):
                return all(self._is_known(a) for a in args)
            case Cast(x, _) | Bitcast(x, _):
                return self._is_known(x)
            case Select(cond, a, b, _):
                return self._is_known(cond) and self._is_known(a) and self._is_known(b)
            case _:
                return False


def size(expr: Expr) -> int:
    """About how many instructions an expression is."""
    survey = Survey(set())
    survey.expr(expr)
    return 1 + survey.weight


def substitute(e: Expr, known: Mapping[Var, Expr]) -> Expr:
    """The expression with vars replaced."""
    match e:
        case Var():
            return known.get(e, e)
        case Scalar(op, args, type, contract):
            return Scalar(op, tuple(substitute(a, known) for a in args), type, contract)
        case Cast(x, type):
            return Cast(substitute(x, known), type)
        case Bitcast(x, type):
            return Bitcast(substitute(x, known), type)
        case Select(cond, a, b, type):
            return Select(substitute(cond, known), substitute(a, known), substitute(b, known), type)
        case _:
            return e


class Record:
    """What an outlined body reads from its caller: one 8-byte cell per value, loaded at its start. The first cell is
    for the number of trips per chunk, which the pool decides."""

    def __init__(self, outer: FunctionPrinter, inner: FunctionPrinter) -> None:
        self.outer = outer
        self.inner = inner
        self.cells: dict[str, tuple[Value, Value]] = {}

    def capture(self, value: Value) -> Value:
        """The inner value of an outer one."""
        if value.is_literal:
            return value
        if value.text not in self.cells:
            loaded = self._read(1 + len(self.cells), memory_type_text(value.dtype), value.dtype)
            if memory_type_text(value.dtype) != value.typed().split()[0]:
                loaded = self.inner.prologue(f"icmp ne i8 {loaded.text}, 0", value.dtype)
            self.cells[value.text] = value, loaded
        return self.cells[value.text][1]

    def grain(self) -> Value:
        """The number of trips per chunk."""
        return self._read(0, "i64", I64)

    def _read(self, cell: int, type: str, dtype: DType | Pointer) -> Value:
        place = self.inner.prologue(f"getelementptr i64, ptr %record, i64 {cell}", Pointer(I64))
        return self.inner.prologue(f"load {type}, ptr {place.text}", dtype)

    def fill(self) -> Value:
        """Write the record in the caller; returns its address."""
        record = self.outer.alloca(f"[{1 + len(self.cells)} x i64]")
        for i, (value, _) in enumerate(self.cells.values(), 1):
            assert isinstance(value.dtype, DType | Pointer)
            stored = to_memory(self.outer, value, value.dtype) if isinstance(value.dtype, DType) else value
            cell = self.outer.define(f"getelementptr i64, ptr {record.text}, i64 {i}", Pointer(I64))
            self.outer.line(f"store {stored.typed()}, ptr {cell.text}")
        return record


def _outline(
    p: FunctionPrinter, loop: For, inits: list[Value], partials: list[Value], large: Value | None
) -> tuple[str, Value]:
    from tracejit.codegen.llvm.function import FunctionPrinter

    inner = FunctionPrinter(p.texts)
    inner.readonly = p.readonly
    inner.record = record = Record(p, inner)
    if large is not None:
        inner.streams, inner.streamed = record.capture(large), llvm_streams.candidates(loop.body)
    begin, end = Value("%begin", I64), Value("%end", I64)

    def emit(index: Value, state: list[Value]) -> tuple[list[Value], None]:
        inner.env[loop.var] = index
        inner.bind([c.var for c in loop.carried], state)
        inner.body(loop.body)
        return [inner.value(c.next) for c in loop.carried], None

    state = inner.counted(begin, end, 1, [record.capture(i) for i in inits], emit)
    if loop.carried:
        chunk = inner.define(f"sdiv i64 %begin, {record.grain().text}", I64)
        for partial, value in zip(partials, state, strict=True):
            assert isinstance(value.dtype, DType)
            store(inner, record.capture(partial), chunk, value, value.dtype)
    name = f'@"{p.texts.prefix}.parallel.{next(p.texts.outlined)}"'
    if inner.streams is not None:
        inner.branch(inner.streams, lambda: llvm_streams.fence(inner), list)
    header = f"define hidden void {name}(ptr %record, i64 %begin, i64 %end) #0"
    p.texts.functions.append(inner.finish(header, "  ret void"))
    return name, record.fill()


def _combine(p: FunctionPrinter, loop: For, inits: list[Value], partials: list[Value], chunks: Value) -> list[Value]:
    """The partial results of all chunks, in order."""
    if not loop.carried:
        return []

    def emit(chunk: Value, state: list[Value]) -> tuple[list[Value], None]:
        following: list[Value] = []
        for carried, partial, value in zip(loop.carried, partials, state, strict=True):
            assert isinstance(value.dtype, DType) and carried.combine is not None
            element = p.read_cell(partial, chunk, value.dtype)
            combined = p.apply(carried.combine, [value, element], value.dtype)
            assert isinstance(combined, Value)
            following.append(combined)
        return following, None

    return p.counted(ZERO, chunks, 1, inits, emit)
