"""Results larger than the caches are written past them: a third less traffic where memory is what a loop waits for.

A store to memory that is in no cache first reads the line it will overwrite. A nontemporal store does not; it wants
whole aligned vectors, and pays only where nobody reads the result while a cache could still hold it. Where the target
has such stores, sizes and addresses decide at run time: loops that compute little are printed in both ways, in others
the stores are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracejit.codegen import kernel_walk as facts
from tracejit.codegen.llvm import memory as llvm_memory
from tracejit.codegen.llvm.expressions import VectorContext
from tracejit.codegen.llvm.values import ONE, ZERO, Ramp, Value
from tracejit.codegen.loop_ir import For, Pointer, Stmt, Store, Var
from tracejit.codegen.lowering.elements import variables
from tracejit.ir.types import BOOL, I64

if TYPE_CHECKING:
    from tracejit.codegen.llvm.function import FunctionPrinter

#: Bytes of results from which on they are written past the caches.
LARGE = 1 << 24


def candidates(body: Sequence[Stmt]) -> frozenset[Var]:
    """Buffers that vector loops of a body write and nothing in it reads."""
    written = {
        store.buffer
        for stmt in facts.walk(body)
        if isinstance(stmt, For) and stmt.axis == "vector"
        for store in stmt.body
        if isinstance(store, Store)
    }
    return frozenset(written - facts.loaded(body))


def itemsize(buffer: Var) -> int:
    """Bytes of an element."""
    assert isinstance(buffer.type, Pointer)
    return buffer.type.element.itemsize


def fence(p: FunctionPrinter) -> list[Value]:
    """Order what was written past the caches before what follows: other threads wait for that."""
    p.declare("declare void @llvm.x86.sse.sfence()")
    p.line("call void @llvm.x86.sse.sfence()")
    return []


def whole_lines(p: FunctionPrinter, loop: For, lanes: int) -> tuple[frozenset[int], Value] | None:
    """The stores of a loop whose vectors may be whole lines, told by `id`, and whether they are and the results large;
    None where none can be."""
    if p.streams is None:
        return None
    stores = [s for s in loop.body if isinstance(s, Store) and s.buffer in p.streamed]
    stores = [s for s in stores if lanes * itemsize(s.buffer) % llvm_memory.LINE == 0]
    p.vector, p.env[loop.var] = VectorContext(lanes, ZERO), Ramp(ZERO, 0, ONE)
    places = [place for s in stores if (place := _first(p, loop, s)) is not None]
    p.vector = None
    if not stores or len(places) < len(stores):
        return None
    good = p.streams
    for place in places:
        address = p.pure(f"ptrtoint ptr {place.text} to i64", I64, 1, place)
        low = p.binary("and", address, Value(str(llvm_memory.LINE - 1), I64))
        good = p.binary("and", good, p.binary("icmp eq", low, ZERO, BOOL), BOOL)
    return frozenset(map(id, stores)), good


def _first(p: FunctionPrinter, loop: For, store: Store) -> Value | None:
    """Where the first element goes that a loop stores; None where elements do not lie side by side."""
    if not all(v is loop.var or p.knows(v) for v in variables(store.index)):
        return None
    ramp, buffer = p.expr(store.index), p.lookup(store.buffer)
    if not isinstance(ramp, Ramp) or ramp.step.text != "1" or not isinstance(buffer, Value):
        return None
    assert isinstance(store.buffer.type, Pointer)
    line = llvm_memory.element(p, buffer, ramp.offset, store.buffer.type.element)
    return llvm_memory.element(p, line, Value(str(ramp.constant), I64), store.buffer.type.element)
