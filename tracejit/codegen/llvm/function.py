"""Loop-IR statements as LLVM text: straight-line code, branches, loops; the base of kernels and of the entry.

Loops are printed rotated (a guard, then do-while), so that loads which a loop does not change can be placed in
front of it. Vector and parallel loops have a file of their own; everything else is here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice, takewhile

from tracejit.codegen.llvm import calls as llvm_calls
from tracejit.codegen.llvm import memory as llvm_memory
from tracejit.codegen.llvm import parallel as llvm_parallel
from tracejit.codegen.llvm import vector as llvm_vector
from tracejit.codegen.llvm.expressions import ExpressionPrinter
from tracejit.codegen.llvm.falling import with_falling_indices
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.survey import expansion_weight
from tracejit.codegen.llvm.text import is_quick
from tracejit.codegen.llvm.values import ZERO, Ramp, Scope, Value, memory_type_text, type_text
from tracejit.codegen.loop_ir import (
    Alloc,
    Call,
    Expr,
    Fail,
    For,
    Free,
    If,
    Input,
    Invoke,
    Kernel,
    Launch,
    Let,
    Output,
    Pointer,
    Stmt,
    Store,
    Var,
    Way,
)
from tracejit.codegen.lowering.schedule import SPACED
from tracejit.codegen.scalars import expansion
from tracejit.ir.types import BOOL, I64, DType

#: `axis="unroll"` loops of at most this many trips are unrolled.
UNROLL_LIMIT = 64
#: More trips than any loop makes.
ENDLESS = str(2**63 - 1)


#: A function has at most so many copies of an expanded operation of at least so many instructions; further uses call
#: a function of its own. Code of hundreds of elementary functions compiles in a fraction of the time.
COPIES, LARGE_EXPANSION = 4, 12


class Texts:
    """What the functions of one module share: declarations, and functions already printed."""

    def __init__(
        self, options: LlvmOptions, fastmath: bool, kernels: dict[str, Kernel], prefix: str, outlined: Iterator[int]
    ) -> None:
        self.options = options
        self.scalar = options.for_scalar_code()  #: for the entry
        self.fastmath = fastmath
        self.kernels = kernels
        self.prefix = prefix
        self.outlined = outlined  #: numbers for the program's outlined functions
        self.declarations: set[str] = set()
        self.functions: list[str] = []
        self.launchers: list[
            str
        ] = []  #: those that only say what is to be shared, for a module that is compiled quickly
        self.elementary: dict[tuple[str, DType, int, str], tuple[str, DType]] = {}  #: functions of operations

    def kernel_symbol(self, name: str) -> str:
        """The symbol of a kernel."""
        return f'@"{self.prefix}.{name}"'


class FunctionPrinter(ExpressionPrinter):
    """Prints the body of one function."""

    attributes = "#0"

    def __init__(self, texts: Texts) -> None:
        super().__init__(texts.declarations, texts.options, texts.fastmath)
        self.texts = texts
        self.copies: Counter[tuple[str, DType, int]] = Counter()  #: of expanded operations in this function
        self.blocks: set[Var] = set()  #: the numbers of trips of blocks of long loops
        self.terminated = False  #: the current block has ended: what follows in this body is unreachable
        self.record: llvm_parallel.Record | None = None  #: in an outlined body: what comes from its caller
        self.streams: Value | None = None  #: whether results are written past the caches
        self.streamed: frozenset[Var] = frozenset()  #: the buffers of such results

    def lookup(self, var: Var) -> Value | Ramp:
        """What a var is bound to; an outlined body finds outer vars in its record."""
        found = self.env.get(var)
        if found is not None or self.record is None:
            return self.env[var] if found is None else found
        return self.record.capture(self.record.outer.value(var))

    def knows(self, var: Var) -> bool:
        """Whether a var is bound here."""
        return var in self.env or (self.record is not None and self.record.outer.knows(var))

    def input(self, e: Input) -> Value:
        """What the caller passed."""
        if self.record is None:
            return super().input(e)
        return self.record.capture(self.record.outer.input(e))

    def read_cell(self, pointer: Value, index: Value, dtype: DType) -> Value:
        """An element of memory that only this program's own code sees."""
        address = llvm_memory.element(self, pointer, index, dtype)
        stored = self.define(f"load {memory_type_text(dtype)}, ptr {address.text}", dtype)
        return llvm_memory.from_memory(self, stored, dtype)

    # -- elementary functions -----------------------------------------------------------------------------------

    def elementary(self, op: str, dtype: DType, args: list[Value | Ramp]) -> Value | Ramp:
        """An operation that LLVM does not have, in place or by a call."""
        values = [self.spread(a) for a in args]
        lanes = max(v.lanes for v in values)
        if self._in_template or expansion_weight(op, dtype) < LARGE_EXPANSION:
            return super().elementary(op, dtype, args)
        self.copies[op, dtype, lanes] += 1
        if self.copies[op, dtype, lanes] <= COPIES:
            return super().elementary(op, dtype, args)
        values = [self.splat(v, lanes) for v in values]
        name, result = self._own_function(op, dtype, lanes, len(values))
        given = ", ".join(v.typed() for v in values)
        return self.pure(f"call fastcc {type_text(result, lanes)} {name}({given})", result, lanes, *values)

    def _own_function(self, op: str, dtype: DType, lanes: int, arity: int) -> tuple[str, DType]:
        """The name and the result's dtype of an internal function of the module that computes an operation."""
        key = op, dtype, lanes, self.attributes
        if key not in self.texts.elementary:
            inner = FunctionPrinter(self.texts)
            inner.options = self.options
            params = [Value(f"%x{i}", dtype, lanes) for i in range(arity)]
            made = inner.splat(inner.spread(inner.expand(expansion(op, dtype), list(params))), lanes)
            assert isinstance(made.dtype, DType)
            name = f'@"elementary.{op}.{dtype.name}.{lanes}.{self.attributes[1:]}"'
            type = type_text(made.dtype, lanes)
            header = f"define internal fastcc {type} {name}({', '.join(p.typed() for p in params)})"
            self.texts.functions.append(inner.finish(f"{header} noinline {self.attributes}", f"  ret {made.typed()}"))
            self.texts.elementary[key] = name, made.dtype
        return self.texts.elementary[key]

    # -- statements ---------------------------------------------------------------------------------------------

    def body(self, stmts: Sequence[Stmt]) -> None:
        """Print statements in order."""
        at = 0
        while at < len(stmts) and not self.terminated:
            done = self._store_together(stmts[at : at + SPACED]) or self._store_past_caches(stmts, at)
            if not done:
                self.stmt(stmts[at])
            at += done or 1

    def stmt(self, stmt: Stmt) -> None:
        """Print one statement."""
        match stmt:
            case Let(var, expr):
                self.env[var] = self.expr(expr)
                if llvm_vector.is_of_block(expr):
                    self.blocks.add(var)
            case Store():
                llvm_memory.store(self, *self._stored(stmt))
            case For():
                self.loop(stmt)
            case If():
                self._if(stmt)
            case Alloc():
                self._alloc(stmt)
            case Free(var):
                self.free(self.value(var))
            case Launch(kernel, args):
                self._launch(kernel, [self.value(a) for a in args])
            case Call(name, args, results):
                llvm_calls.call(self, name, args, results)
            case Invoke():
                self.invoke(stmt)
            case Way():
                self.way(stmt)
            case Fail(error, payload, way):
                self.fail(error, payload, way)
            case Output():
                self.output(stmt)

    def _stored(self, store: Store) -> tuple[Value, Value | Ramp, Value, DType]:
        """Where a store writes, at which place, what, and the dtype of elements."""
        buffer = store.buffer
        assert isinstance(buffer.type, Pointer)
        pointer = self.lookup(buffer)
        assert isinstance(pointer, Value)
        return pointer, self.expr(store.index), self.value(store.value), buffer.type.element

    def _store_past_caches(self, stmts: Sequence[Stmt], at: int) -> int:
        """Print the statements from one on that are stores which may go past the caches; gives how many."""
        context = self.vector
        past = context and context.past_caches
        if context is None or past is None or past.mask is not context.mask:
            return 0
        stores = [s for s in takewhile(lambda s: id(s) in past.stores, islice(stmts, at, None)) if isinstance(s, Store)]
        if not stores:
            return 0
        prepared = [partial(llvm_memory.store, self, *self._stored(s)) for s in stores]

        def past_caches() -> list[Value]:
            context.mask = None
            for store in prepared:
                store(past_caches=True)
            context.mask = past.mask
            return []

        def through() -> list[Value]:
            for store in prepared:
                store()
            return []

        if past.condition is None:
            past_caches()
        else:
            self.branch(past.condition, past_caches, through)
        return len(stores)

    def _store_together(self, stmts: Sequence[Stmt]) -> int:
        """Print stores of elements side by side at once; gives how many, 0 where there are none to begin with."""
        first = stmts[0]
        if self.lanes == 1 or not isinstance(first, Store) or len(stmts) < 2:
            return 0
        buffer = first.buffer
        stores: list[Store] = []
        for stmt in stmts:
            if not isinstance(stmt, Store) or stmt.buffer is not buffer:
                break
            stores.append(stmt)
        places = llvm_memory.neighbours(self, [self.expr(s.index) for s in stores])
        pointer = self.lookup(buffer)
        if not places or not isinstance(pointer, Value):
            return 0
        assert isinstance(buffer.type, Pointer)
        values = [self.value(s.value) for s in stores[: len(places)]]
        llvm_memory.store_neighbours(self, pointer, places, values, buffer.type.element)
        return len(places)

    def _alloc(self, stmt: Alloc) -> None:
        assert isinstance(stmt.var.type, Pointer)
        element = stmt.var.type.element
        if stmt.stack:
            count = self.uniform(stmt.count)
            self.env[stmt.var] = self.alloca(f"[{count.text} x {memory_type_text(element)}]", 64)
            return
        size = llvm_memory.byte_count(self, stmt.count, element.itemsize)
        self.move(size)
        self.env[stmt.var] = self.allocate(size).viewed(stmt.var.type)

    def _launch(self, kernel: str, args: Sequence[Value]) -> None:
        symbol = self.texts.kernel_symbol(kernel)
        params = ", ".join(type_text(p.type) for p in self.texts.kernels[kernel].params)
        # passes make no second copy of a loop that launches kernels: it would be as long and no faster
        self.declare(f"declare void {symbol}({params}) noduplicate")
        self.line(f"call void {symbol}({', '.join(a.typed() for a in args)})")
        self.epoch += 1

    # -- what only an entry can do ------------------------------------------------------------------------------

    def allocate(self, size: Value) -> Value:
        """Memory of `size` bytes."""
        self.declare("declare noalias ptr @tj_alloc(i64)")
        return self.define(f"call ptr @tj_alloc({size.typed()})", Pointer(I64))

    def free(self, pointer: Value) -> None:
        """Give memory back."""
        self.declare("declare void @tj_free(ptr)")
        self.line(f"call void @tj_free({pointer.typed()})")
        self.epoch += 1

    def way(self, way: Way) -> None:
        """A way out."""
        raise TypeError("only the entry can fail")

    def fail(self, error: int, payload: Sequence[Expr], way: int | None = None) -> None:
        """Leave the entry with an error."""
        raise TypeError("only the entry can fail")

    def invoke(self, stmt: Invoke) -> None:
        """Run another function of the program."""
        raise TypeError("only host code runs functions")

    def output(self, stmt: Output) -> None:
        """Hand a result to the caller."""
        raise TypeError("only the entry has outputs")

    def context(self) -> Value:
        """The context of the call."""
        raise TypeError("only the entry can print")

    def leave_if_null(self, pointer: Value) -> None:
        """End the call if memory could not be had."""
        self.leave_unless(self.define(f"icmp ne ptr {pointer.text}, null", BOOL))

    def move(self, size: Value) -> None:
        """What is done before so many bytes are taken, copied or filled."""

    @property
    def call_site(self) -> str:
        """Attributes of the calls of support functions here."""
        return ""

    def leave_unless(self, there: Value) -> None:
        """End the call for want of memory unless the condition holds."""
        raise TypeError("only host code grows lists")

    def adopt(self, pointer: Value, is_list: bool) -> None:
        """This call now owns the memory."""

    def disown(self, pointer: Value, is_list: bool) -> None:
        """This call no longer owns the memory."""

    def start_of_trip(self, loop: For) -> None:
        """What a serial loop does at the start of each trip."""

    # -- branches -----------------------------------------------------------------------------------------------

    def branch(self, cond: Value, then: Callable[[], list[Value]], orelse: Callable[[], list[Value]]) -> list[Value]:
        """`cond ? then() : orelse()`, both in code that is run only when taken. An arm may end the function."""
        labels = [self.new_label("then"), self.new_label("else"), self.new_label("join")]
        arms = [self._arm(label, emit) for label, emit in zip(labels, (then, orelse), strict=False)]
        self._align_lanes(arms)
        empty = next((i for i, (scope, _, ended) in enumerate(arms) if not ended and not scope.lines), None)
        if empty is not None:
            labels[empty], arms[empty][0].label = labels[2], self.scope.label
        ends = [ended for _, _, ended in arms]  # errors are rare
        weights = ", !prof !0" if ends == [True, False] else ", !prof !1" if ends == [False, True] else ""
        self.line(f"br i1 {cond.text}, label %{labels[0]}, label %{labels[1]}{weights}")
        for i, (scope, _, ended) in enumerate(arms):
            if i == empty:
                continue
            self.scope.lines.append(f"{labels[i]}:")
            self.scope.lines.extend(scope.lines)
            if not ended:
                self.line(f"br label %{labels[2]}")
        reached = [(scope, values) for scope, values, ended in arms if not ended]
        self.terminated = not reached
        if self.terminated:
            return []
        self.begin(labels[2])
        return [self._phi([(values[i], scope.label) for scope, values in reached]) for i in range(len(reached[0][1]))]

    def _arm(self, label: str, emit: Callable[[], list[Value]]) -> tuple[Scope, list[Value], bool]:
        outer, vector_floor = self.floor, self.push(label)
        self.floor = vector_floor.depth
        values = emit()
        ended, self.terminated = self.terminated, False
        self.floor = outer
        return self.pop(), values, ended

    def _align_lanes(self, arms: list[tuple[Scope, list[Value], bool]]) -> None:
        """Make values that meet have the same number of lanes."""
        reached = [(scope, values) for scope, values, ended in arms if not ended]
        if len(reached) < 2 or self.vector is None:
            return
        for i in range(len(reached[0][1])):
            lanes = max(values[i].lanes for _, values in reached)
            for scope, values in reached:
                self.scopes.append(scope)
                outer, self.floor = self.floor, scope.depth
                values[i] = self.splat(values[i], lanes)
                self.floor = outer
                self.scopes.pop()

    def _phi(self, incoming: Sequence[tuple[Value, str]]) -> Value:
        first = incoming[0][0]
        if all(value.text == first.text for value, _ in incoming) and first.depth <= self.scope.depth:
            return first
        pairs = ", ".join(f"[ {value.text}, %{label} ]" for value, label in incoming)
        return self.define(f"phi {type_text(first.dtype, first.lanes)} {pairs}", first.dtype, first.lanes)

    def _if(self, stmt: If) -> None:
        cond = self.value(stmt.cond)
        if cond.lanes > 1:
            llvm_vector.predicated(self, stmt, cond)
            return
        if cond.is_literal:
            taken, values = (stmt.then, stmt.then_values) if cond.text == "true" else (stmt.orelse, stmt.else_values)
            self.body(taken)
            if not self.terminated:
                self.bind(stmt.results, [self.value(v) for v in values])
            return

        def arm(body: Sequence[Stmt], values: Sequence[Expr]) -> list[Value]:
            self.body(body)
            return [] if self.terminated else [self.value(v) for v in values]

        made = self.branch(cond, lambda: arm(stmt.then, stmt.then_values), lambda: arm(stmt.orelse, stmt.else_values))
        if not self.terminated:
            self.bind(stmt.results, made)

    def bind(self, names: Sequence[Var], values: Sequence[Value]) -> None:
        """Give names to values."""
        for var, value in zip(names, values, strict=True):
            self.env[var] = value

    # -- loops --------------------------------------------------------------------------------------------------

    def loop(self, loop: For) -> None:
        """Print a loop as its axis asks, serially where that cannot be had."""
        if loop.axis in ("vector", "lanes") and self.vector is None and llvm_vector.vector_loop(self, loop):
            return
        if self.lanes > 1 and (loop.go is not None or self.value(loop.extent).lanes > 1):
            llvm_vector.ragged(self, loop)
            return
        if loop.axis == "parallel" and self.vector is None and llvm_parallel.parallel_loop(self, loop):
            return
        if loop.axis == "unroll" and self._unrolled(loop):
            return
        self.serial_loop(loop)

    def _unrolled(self, loop: For) -> bool:
        extent = self.uniform(loop.extent)
        if not extent.is_literal or int(extent.text) > UNROLL_LIMIT or loop.go is not None:
            return False
        state = [self.value(c.init) for c in loop.carried]
        for i in range(int(extent.text)):
            self._forget(loop)
            self.env[loop.var] = Value(str(i), I64)
            self.bind([c.var for c in loop.carried], state)
            self.body(loop.body)
            state = [self.value(c.next) for c in loop.carried]
        self._forget(loop)
        self.bind([c.result for c in loop.carried], state)
        return True

    def _forget(self, loop: For) -> None:
        """Drop remembered expressions: the loop's vars are about to be rebound."""
        for scope in self.scopes:
            scope.expressions.clear()

    def serial_loop(self, loop: For) -> None:
        """A loop in index order."""
        if self.vector is None:
            loop = with_falling_indices(loop)
        extent = self.uniform(loop.extent)
        inits = [self._carried(self.value(c.init)) for c in loop.carried]
        go = None if loop.go is None else self.uniform(loop.go[1])

        def emit(index: Value, state: list[Value]) -> tuple[list[Value], Value | None]:
            self.env[loop.var] = index
            self.bind([c.var for c in loop.carried], state)
            if loop.go is not None:
                self.env[loop.go[0]] = Value("true", BOOL)
            self.start_of_trip(loop)
            self.body(loop.body)
            if self.terminated:
                return state, None
            following = [self._carried(self.value(c.next)) for c in loop.carried]
            return following, None if loop.go is None else self.uniform(loop.go[2])

        results = self.counted(ZERO, extent, 1, inits, emit, go)
        self.bind([c.result for c in loop.carried], results)

    def _carried(self, value: Value) -> Value:
        """Values carried inside a vector loop have all its lanes."""
        if self.vector is None or isinstance(value.dtype, Pointer):
            return value
        return self.splat(value, self.vector.lanes)

    def counted(
        self,
        start: Value,
        extent: Value,
        step: int,
        inits: list[Value],
        emit: Callable[[Value, list[Value]], tuple[list[Value], Value | None]],
        go: Value | None = None,
    ) -> list[Value]:
        """`for i = start; i < extent; i += step`. `emit(i, state)` prints the body and gives the next state and,
        where `go` is given, whether to go on. Returns the state after the loop."""
        guard = self._guard(start, extent, go)
        if guard.text == "false":
            return inits
        before = self.scope.label
        ahead, label, done = self.new_label("ahead"), self.new_label("loop"), self.new_label("done")
        self.push(ahead)
        self.push(label, is_loop_body=True)
        depth = self.scope.depth
        self.epoch += 1
        index = Value(self.name("i"), I64, 1, depth)
        phis = [Value(self.name("c"), init.dtype, init.lanes, depth) for init in inits]
        following, go_on = emit(index, list(phis))
        ended, self.terminated = self.terminated, False
        next_index = self.name("i")
        if not ended:
            self._latch(index, next_index, step, extent, go_on, label, done)
        body, preheader = self.pop(), self.pop()
        self.epoch += 1
        self._place_preheader(guard, ahead, label, done, preheader)
        back = "" if ended else f", [ {next_index}, %{body.label} ]"
        self.scope.lines.append(f"{label}:")
        self.line(f"{index.text} = phi i64 [ {start.text}, %{preheader.label} ]{back}")
        for phi, init, after in zip(phis, inits, following, strict=True):
            back = "" if ended else f", [ {after.text}, %{body.label} ]"
            self.line(f"{phi.text} = phi {type_text(phi.dtype, phi.lanes)} [ {init.text}, %{preheader.label} ]{back}")
        self.scope.lines.extend(body.lines)
        if ended and guard.text == "true":
            self.terminated = True
            return inits
        self.begin(done)
        leaving = [] if ended else [(after, body.label) for after in following]
        return [self._after_loop(init, None if ended else leaving[i], guard, before) for i, init in enumerate(inits)]

    def _guard(self, start: Value, extent: Value, go: Value | None) -> Value:
        if extent.is_literal and start.is_literal:
            guard = Value("true" if int(start.text) < int(extent.text) else "false", BOOL)
        else:
            guard = self.binary("icmp slt", start, extent, BOOL)
        if go is None or guard.text == "false" or go.text == "true":
            return guard
        return go if guard.text == "true" else self.binary("and", guard, go)

    def _latch(
        self, index: Value, next_index: str, step: int, extent: Value, go: Value | None, label: str, done: str
    ) -> None:
        self.line(f"{next_index} = add nsw i64 {index.text}, {step}")
        goes = go is not None and go.text != "true"
        if go is not None and goes and extent.text == ENDLESS:
            more = go
        else:
            more = self.define(f"icmp slt i64 {next_index}, {extent.text}", BOOL)
            more = self.define(f"and i1 {more.text}, {go.text}", BOOL) if go is not None and goes else more
        self.line(f"br i1 {more.text}, label %{label}, label %{done}")

    def _place_preheader(self, guard: Value, ahead: str, label: str, done: str, preheader: Scope) -> None:
        if guard.text == "true":
            self.line(f"br label %{ahead}")
        else:
            self.line(f"br i1 {guard.text}, label %{ahead}, label %{done}")
        self.scope.lines.append(f"{ahead}:")
        self.scope.lines.extend(preheader.lines)
        self.line(f"br label %{label}")

    def _after_loop(self, init: Value, last: tuple[Value, str] | None, guard: Value, before: str) -> Value:
        incoming = ([] if guard.text == "true" else [(init, before)]) + ([] if last is None else [last])
        pairs = ", ".join(f"[ {value.text}, %{label} ]" for value, label in incoming)
        return self.define(f"phi {type_text(init.dtype, init.lanes)} {pairs}", init.dtype, init.lanes)

    # -- text ---------------------------------------------------------------------------------------------------

    def finish(self, header: str, footer: str) -> str:
        """The whole function: header, stack memory, prologue, body, footer."""
        prologue, start = self.scopes
        lines = [header + " {", "prologue:", *self.allocas, *prologue.lines, "  br label %start", "start:"]
        return "\n".join([*lines, *start.lines, *([] if self.terminated else [footer]), "}"])


def print_kernel(texts: Texts, kernel: Kernel, symbol: str | None = None) -> None:
    """Print a kernel as a function that other modules of the program can call."""
    printer = FunctionPrinter(texts)
    params: list[str] = []
    for i, param in enumerate(kernel.params):
        printer.env[param] = Value(f"%p{i}", param.type)
        params.append(f"{type_text(param.type)} %p{i}")
        if isinstance(param.type, Pointer) and param not in kernel.outputs:
            printer.readonly.add(param)
    printer.body(kernel.body)
    name = symbol or texts.kernel_symbol(kernel.name)
    header = f"define hidden void {name}({', '.join(params)})"
    text = printer.finish(f"{header} #0", "  ret void")
    is_launcher = texts.options.polls and "@tj_share(" in text and is_quick(text) and " = phi " not in text
    (texts.launchers if is_launcher else texts.functions).append(text)
