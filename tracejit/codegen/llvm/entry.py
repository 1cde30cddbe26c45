"""The entry of a program: `i32 NAME(ptr inputs, ptr outputs, ptr context)`.

Inputs and outputs are arrays of `{ ptr data, i64 ndim, ptr shape, ptr strides, i32 dtype }`; strides count elements,
a null pointer means C order. The context starts with `[MAX_PAYLOAD x i64]` for the payload of an error. The result is
0, `error + 1`, NO_MEMORY, INTERRUPTED or (of baseline code only) TOO_LONG.

A program that may leave early while it owns memory keeps a list of it (`@tj_adopt`, `@tj_disown`: the newest entry is
looked at first, which is nearly always the one), and releases all of it on the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from tracejit.codegen.kernel_walk import is_heavy, walk
from tracejit.codegen.llvm import callee as llvm_callee
from tracejit.codegen.llvm.calls import payload_bits
from tracejit.codegen.llvm.dwindling import checked_after, dwindles
from tracejit.codegen.llvm.function import FunctionPrinter, Texts
from tracejit.codegen.llvm.memory import to_memory
from tracejit.codegen.llvm.polls import BUDGET, SEARCH, UNKNOWN, bounded, cost, is_short, polls
from tracejit.codegen.llvm.recurrences import waited_for
from tracejit.codegen.llvm.values import ONE, Value, memory_type_text, type_text
from tracejit.codegen.loop_ir import Expr, For, Function, Input, Invoke, Output, Pointer, Program, Way
from tracejit.codegen.support.names import MAX_PAYLOAD
from tracejit.ir.types import BOOL, DTYPES, I64, DType, TensorType

#: Bytes of one `tj_tensor`.
TENSOR_BYTES = 40
#: Status of a call that ran out of memory.
NO_MEMORY = -1
#: Status of a call that the context's poll hook ended.
INTERRUPTED = -2
#: Status of a call of baseline code that has spent its budget, or would need more of the stack than better code.
TOO_LONG = -3
#: Byte offset of the context's poll hook: `i32 hook(ptr context)`, not 0 to end the call.
POLL_HOOK = 8 * MAX_PAYLOAD + 8
#: Byte offset of what baseline code has left to spend.
_LEFT = POLL_HOOK + 16
#: What a call owns: `{ length, capacity, entries, first entries }`.
OWNED = "{ i64, i64, ptr, [16 x i64] }"
#: 2 to this power bytes cost baseline code as much as a trip of a loop.
_MOVED = 7
#: The code a `tj_tensor` names a dtype by.
DTYPE_CODES: dict[DType, int] = {dtype: code + 1 for code, dtype in enumerate(DTYPES)}


class EntryPrinter(FunctionPrinter):
    """Prints the entry function, or another function of the program."""

    attributes = "#1"

    def __init__(self, texts: Texts, program: Program, function: Function | None = None) -> None:
        super().__init__(texts)
        self.options = texts.scalar
        self.program = program
        self.function = function
        self.functions = {f.name: f for f in program.functions}
        self.owned = Value("%owned", Pointer(I64))
        body = program.entry.body
        self.owns = llvm_callee.leaves_owning(body) if function is None else llvm_callee.owns_memory(function)
        self._budget: Value | None = None
        self._loops = 0  #: around what is printed
        #: whether the innermost of them, or the function, launches kernels or multiplies matrices
        self._hands_over = any(map(is_heavy, walk(body if function is None else function.body)))
        self._limit: Value | None = None
        self._place: Value | None = None
        self._status: Value | None = None
        self.ways: dict[int, str] = {}  #: labels, by number
        if self.owns:
            self.allocas.append(f"  %owned = alloca {OWNED}, align 8")
            self.scopes[0].lines.append("  call void @tj_owned_start(ptr %owned)")
            self.declare("declare void @tj_owned_start(ptr)")

    # -- what the caller passed -------------------------------------------------------------------------------

    def input(self, e: Input) -> Value:
        """A field of an input, read once at the start."""
        match e.kind:
            case "data":
                return Value(self._field(e.index, 0, "ptr", e.type).text, e.type)
            case "scalar":
                assert isinstance(e.type, DType)
                data = self._field(e.index, 0, "ptr", Pointer(e.type))
                loaded = self.prologue(f"load {memory_type_text(e.type)}, ptr {data.text}", e.type)
                return self._bool(loaded, e.type)
            case "dim":
                return self._dim(e.index, e.axis)
            case "stride":
                return self._stride(e.index, e.axis)

    def _bool(self, loaded: Value, dtype: DType) -> Value:
        if memory_type_text(dtype) == type_text(dtype):
            return loaded
        return self.prologue(f"icmp ne i8 {loaded.text}, 0", dtype)

    def _field(self, index: int, offset: int, type: str, dtype: DType | Pointer) -> Value:
        place = self.prologue(f"getelementptr i8, ptr %inputs, i64 {TENSOR_BYTES * index + offset}", Pointer(I64))
        return self.prologue(f"load {type}, ptr {place.text}", dtype)

    def _dim(self, index: int, axis: int) -> Value:
        shape = self._field(index, 16, "ptr", Pointer(I64))
        place = self.prologue(f"getelementptr i64, ptr {shape.text}, i64 {axis}", Pointer(I64))
        return self.prologue(f"load i64, ptr {place.text}, !range !2", I64)

    def _stride(self, index: int, axis: int) -> Value:
        """The given stride, or the C-order one; a null pointer is never read: the shape stands in for it."""
        strides = self._field(index, 24, "ptr", Pointer(I64))
        absent = self.prologue(f"icmp eq ptr {strides.text}, null", BOOL)
        shape = self._field(index, 16, "ptr", Pointer(I64))
        readable = self.prologue(f"select i1 {absent.text}, ptr {shape.text}, ptr {strides.text}", Pointer(I64))
        place = self.prologue(f"getelementptr i64, ptr {readable.text}, i64 {axis}", Pointer(I64))
        given = self.prologue(f"load i64, ptr {place.text}", I64)
        dense = ONE
        for later in range(axis + 1, self.program.inputs[index].type.rank):
            dense = self.prologue(f"mul i64 {dense.text}, {self._dim(index, later).text}", I64)
        return self.prologue(f"select i1 {absent.text}, i64 {dense.text}, i64 {given.text}", I64)

    def context(self) -> Value:
        """The call's context."""
        return Value("%context", Pointer(I64))

    # -- memory -------------------------------------------------------------------------------------------------

    def allocate(self, size: Value) -> Value:
        """Memory of `size` bytes that this call owns; without it the call ends."""
        pointer = super().allocate(size)
        self.leave_if_null(pointer)
        self.adopt(pointer, False)
        return pointer

    @property
    def call_site(self) -> str:
        """A small function is expanded where the time to call it is felt: not in what runs once (a list of a thousand
        numbers would be a thousand expansions), nor beside kernels and products."""
        return "" if (self._loops or self.function is not None) and not self._hands_over else " noinline"

    def leave_unless(self, there: Value) -> None:
        """End the call for want of memory unless the condition holds."""
        leave, stay = self.new_label("nomemory"), self.new_label("memory")
        self.line(f"br i1 {there.text}, label %{stay}, label %{leave}, !prof !1")
        self.begin(leave)
        self.leave(str(NO_MEMORY))
        self.begin(stay)

    def free(self, pointer: Value) -> None:
        """Give memory back."""
        self.disown(pointer, False)
        super().free(pointer)

    def adopt(self, pointer: Value, is_list: bool) -> None:
        """This call now owns the memory; a list is marked by the lowest bit of its entry."""
        self._ownership("tj_adopt", pointer, is_list)

    def disown(self, pointer: Value, is_list: bool) -> None:
        """This call no longer owns the memory."""
        self._ownership("tj_disown", pointer, is_list)

    def _ownership(self, function: str, pointer: Value, is_list: bool) -> None:
        assert self.owns or self.function is None
        if not self.owns:
            return
        entry = self.define(f"ptrtoint ptr {pointer.text} to i64", I64)
        if is_list:
            entry = self.define(f"or i64 {entry.text}, 1", I64)
        self.declare(f"declare void @{function}(ptr, i64)")
        site = " noinline" if self._hands_over else ""
        self.line(f"call void @{function}(ptr {self.owned.text}, i64 {entry.text}){site}")

    # -- ends ---------------------------------------------------------------------------------------------------

    def way(self, way: Way) -> None:
        """A way out: a block beside the path, which leaves with the status that was noted for it."""

        def emit() -> list[Value]:
            self.body(way.body)
            if way.then is None:
                self.leave(self.define(f"load i32, ptr {self.status.text}", I64).text)
            else:
                self.line(f"br label %{self.ways[way.then]}")
            return []

        label, passed = self.new_label("way"), self.new_label("passed")
        scope, _, _ = self._arm(label, emit)
        self.line(f"br label %{passed}")
        self.scope.lines += [f"{label}:", *scope.lines]
        self.begin(passed)
        self.ways[way.number] = label

    @property
    def status(self) -> Value:
        """Where the status is noted that a way out leaves with."""
        if self._status is None:
            self._status = self.alloca("i32")
        return self._status

    def fail(self, error: int, payload: Sequence[Expr], way: int | None = None) -> None:
        """Leave with an error."""
        assert len(payload) <= MAX_PAYLOAD
        for i, value in enumerate([self.value(x) for x in payload]):
            cell = self.define(f"getelementptr i64, ptr %context, i64 {i}", Pointer(I64))
            self.line(f"store {payload_bits(self, value).typed()}, ptr {cell.text}")
        if way is None:
            self.leave(str(error + 1))
        else:
            self.line(f"store i32 {error + 1}, ptr {self.status.text}")
            self.line(f"br label %{self.ways[way]}")
        self.terminated = True

    def leave(self, status: str) -> None:
        """Return with a status other than 0."""
        if self.owns:
            self.declare("declare void @tj_release(ptr)")
            self.line(f"call void @tj_release(ptr {self.owned.text})")
        if self.function is None:
            self.line(f"ret i32 {status}")
            return
        type = llvm_callee.result_text(self.function)
        made = self.name("failed")
        self.line(f"{made} = insertvalue {type} poison, i32 {status}, 0")
        self.line(f"ret {type} {made}")

    # -- interrupts ---------------------------------------------------------------------------------------------

    def serial_loop(self, loop: For) -> None:
        """A loop in index order; inside another one, it is paid for when it has ended unless its trips are."""
        outer, around = self.waited_for, self._hands_over
        if self.options.has_library:
            self.waited_for |= waited_for(loop)
        loop, checks = checked_after(loop) if dwindles(loop) else (loop, ())
        self._loops += 1
        self._hands_over = any(map(is_heavy, walk(loop.body)))
        super().serial_loop(loop)
        self._loops -= 1
        self._hands_over = around
        self.body(checks)
        self.waited_for = outer
        if self._loops and self._may_poll() and not (polls(loop, self._bounded) or is_short(loop) or self.terminated):
            self._poll(self._price(loop))

    def _price(self, loop: For) -> Value:
        """What a loop that does not ask is paid for with: its trips, or a guess where it may end before (counting those
        it made would cost more than they do)."""
        if loop.go is None:
            return self.uniform(loop.extent)
        if loop.extent not in self._bounded:
            return Value(str(UNKNOWN), I64)
        return self.intrinsic("llvm.smin", I64, self.uniform(loop.extent), Value(str(SEARCH), I64))

    def start_of_trip(self, loop: For) -> None:
        """Ask now and then whether to go on: a loop may run for hours, or for ever."""
        if self.options.budget:
            self._spend(ONE)
        elif self._may_poll() and polls(loop, self._bounded):
            self._poll(Value(str(cost(loop)), I64))

    @cached_property
    def _bounded(self) -> set[Expr]:
        return bounded(self.program.entry.body)

    def _poll(self, amount: Value) -> None:
        """Pay; ask the context's hook when all is spent."""
        if self._budget is None:
            self._budget = self.alloca("i64")
            self.scopes[0].lines.append(f"  store i64 {BUDGET}, ptr {self._budget.text}")
        had = self.define(f"load i64, ptr {self._budget.text}", I64)
        left, spent = self._paid(had, amount)
        self.line(f"store i64 {left.text}, ptr {self._budget.text}")
        ask, going, leave = (self.new_label(name) for name in ("ask", "going", "interrupted"))
        self.line(f"br i1 {spent.text}, label %{ask}, label %{going}, !prof !0")
        self.begin(ask)
        self.line(f"store i64 {BUDGET}, ptr {self._budget.text}")
        place = self.define(f"getelementptr i8, ptr %context, i64 {POLL_HOOK}", Pointer(I64))
        hook = self.define(f"load ptr, ptr {place.text}", Pointer(I64))
        # what the hook runs is no part of the program: loops need not read their arrays again
        answer = self.define(f"call i32 {hook.text}(ptr %context) nounwind memory(argmem: readwrite)", I64)
        ended = self.define(f"icmp ne i32 {answer.text}, 0", BOOL)
        self.line(f"br i1 {ended.text}, label %{leave}, label %{going}, !prof !0")
        self.begin(leave)
        self.leave(str(INTERRUPTED))
        self.begin(going)

    def move(self, size: Value) -> None:
        """Pay for so many bytes that are taken, copied or filled."""
        if self.options.budget:
            amount = str(int(size.text) >> _MOVED) if size.is_literal else ""
            if amount != "0":
                self._spend(Value(amount, I64) if amount else self.define(f"lshr i64 {size.text}, {_MOVED}", I64))

    def _spend(self, amount: Value) -> None:
        """Pay; leave baseline code when all is spent."""
        place = self.define(f"getelementptr i8, ptr %context, i64 {_LEFT}", Pointer(I64))
        left = self.binary("sub", self.define(f"load i64, ptr {place.text}", I64), amount)
        self.line(f"store i64 {left.text}, ptr {place.text}")
        spent = self.define(f"icmp slt i64 {left.text}, 0", BOOL)
        leave, going = self.new_label("long"), self.new_label("going")
        self.line(f"br i1 {spent.text}, label %{leave}, label %{going}, !prof !0")
        self.begin(leave)
        self.leave(str(TOO_LONG))
        self.begin(going)

    def leave_too_long(self) -> None:
        """Give the call of baseline code up."""
        self.leave(str(TOO_LONG))
        self.terminated = True

    def _paid(self, had: Value, amount: Value) -> tuple[Value, Value]:
        """What is left, and whether that is nothing."""
        if not amount.is_literal:  # the extent of a loop without trips may be negative
            left = self.define(f"sub i64 {had.text}, {amount.text}", I64)
            return left, self.define(f"icmp slt i64 {left.text}, 0", BOOL)
        self.declare("declare { i64, i1 } @llvm.usub.with.overflow.i64(i64, i64)")
        # one instruction, with the jump on its carry
        pair = f"call {{ i64, i1 }} @llvm.usub.with.overflow.i64(i64 {had.text}, i64 {amount.text})"
        made = self.define(pair, I64)
        left = self.define(f"extractvalue {{ i64, i1 }} {made.text}, 0", I64)
        return left, self.define(f"extractvalue {{ i64, i1 }} {made.text}, 1", BOOL)

    def _may_poll(self) -> bool:
        return self.options.polls and self.function is None and self.record is None and self.vector is None

    # -- other functions ----------------------------------------------------------------------------------------

    def limit(self) -> Value:
        """The address below which the stack is not to grow."""
        if self.function is not None:
            return Value("%limit", I64)
        if self._limit is None:
            self.declare("declare i64 @tj_stack_limit()")
            self._limit = self.prologue("call i64 @tj_stack_limit()", I64)
        return self._limit

    def place_on_stack(self) -> Value:
        """An address in this function's part of the stack."""
        if self._place is None:
            self._place = self.prologue(f"ptrtoint ptr {self.alloca('i64').text} to i64", I64)
        return self._place

    def invoke(self, stmt: Invoke) -> None:
        """Run another function of the program."""
        llvm_callee.invoke(self, stmt)

    def output(self, stmt: Output) -> None:
        """Hand a result to the caller."""
        spec = self.program.outputs[stmt.index]
        value = self.value(stmt.value)
        record = self.prologue(f"getelementptr i8, ptr %outputs, i64 {TENSOR_BYTES * stmt.index}", Pointer(I64))
        if isinstance(value.dtype, DType):
            data = self.define(f"load ptr, ptr {record.text}", Pointer(I64))
            stored = to_memory(self, value, value.dtype)
            self.line(f"store {stored.typed()}, ptr {data.text}, align {value.dtype.itemsize}")
            return
        dims = self._dims(stmt.dims)
        if not stmt.owned and isinstance(spec.type, TensorType):
            value = self._own_copy(record, value, stmt.dims, spec.type.dtype)
        self.declare("declare void @tj_output(ptr, ptr, i64, ptr, i64, i32)")
        given = f"ptr {record.text}, ptr {value.text}, i64 {spec.type.rank}, ptr {dims.text}"
        self.line(f"call void @tj_output({given}, i64 {spec.type.dtype.itemsize}, i32 {DTYPE_CODES[spec.type.dtype]})")
        if stmt.owned:
            kept = self.define(f"load ptr, ptr {record.text}", Pointer(I64))
            copied = self.define(f"icmp ne ptr {kept.text}, {value.text}", BOOL)
            self.branch(copied, lambda: self._nothing(lambda: self.free(value)), list)

    def _nothing(self, emit: Callable[[], None]) -> list[Value]:
        emit()
        return []

    def _own_copy(self, record: Value, value: Value, dims: Sequence[Expr], dtype: DType) -> Value:
        """A copy of borrowed memory for a caller who wants to be given some; else the memory itself."""
        size = Value(str(dtype.itemsize), I64)
        for dim in dims:
            size = self.binary("mul", size, self.uniform(dim))

        def copy() -> list[Value]:
            made = self.allocate(size)
            self.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
            self.line(f"call void @llvm.memcpy.p0.p0.i64(ptr {made.text}, ptr {value.text}, i64 {size.text}, i1 false)")
            return [made]

        given = self.define(f"load ptr, ptr {record.text}", Pointer(I64))
        wanted = self.define(f"icmp eq ptr {given.text}, null", BOOL)
        return self.branch(wanted, copy, lambda: [value])[0]

    def _dims(self, dims: Sequence[Expr]) -> Value:
        record = self.alloca(f"[{max(len(dims), 1)} x i64]")
        for i, value in enumerate([self.uniform(d) for d in dims]):
            cell = self.define(f"getelementptr i64, ptr {record.text}, i64 {i}", Pointer(I64))
            self.line(f"store i64 {value.text}, ptr {cell.text}")
        return record

    def print_entry(self) -> str:
        """The whole entry function."""
        self.body(self.program.entry.body)
        header = f"define i32 @{self.options.entry_name}(ptr %inputs, ptr %outputs, ptr %context) #1"
        if not self.owns:
            return self.finish(header, "  ret i32 0")
        self.declare("declare void @tj_owned_end(ptr)")
        return self.finish(header, "  call void @tj_owned_end(ptr %owned)\n  ret i32 0")

    def print_function(self) -> str:
        """The whole of another function."""
        function = self.function
        assert function is not None
        params = ["ptr %context", "i64 %limit"]
        for i, param in enumerate(function.params):
            self.env[param] = Value(f"%p{i}", param.type)
            params.append(f"{type_text(param.type)} %p{i}")
        for param in function.moved:
            self.adopt(self.value(param), True)
        if self.options.budget:
            self._spend(ONE)
        self.body(function.body)
        type = llvm_callee.result_text(function)
        if not self.terminated:
            self._return(function, type)
        header = (
            f"define internal fastcc {type} {llvm_callee.symbol(self.texts.prefix, function)}({', '.join(params)}) #1"
        )
        self.terminated = True
        return self.finish(header, "")

    def _return(self, function: Function, type: str) -> None:
        values = [self.value(e) for e in function.results]
        for value in values:
            if isinstance(value.dtype, Pointer):
                self.disown(value, value.dtype.is_list)
        if self.owns:
            self.declare("declare void @tj_owned_end(ptr)")
            self.line("call void @tj_owned_end(ptr %owned)")
        made = f"{type} zeroinitializer"
        for i, value in enumerate(values):
            name = self.name("r")
            self.line(f"{name} = insertvalue {made}, {value.typed()}, {i + 1}")
            made = f"{type} {name}"
        self.line(f"ret {made}")
