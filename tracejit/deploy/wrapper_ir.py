"""The exported functions around a compiled entry, as LLVM IR: checks, the call, outputs, messages.

The entry sees complete inputs (the caller's and the embedded constants) and is always asked to allocate its
results; here they are copied to where the caller wants them, after their shapes were checked, or handed over.
"""

from __future__ import annotations

from typing import Any

from tracejit.codegen.loop_ir import ReportSite
from tracejit.deploy.abi import BAD_ARGUMENT, DTYPE_CODES, MOST_THREADS, NO_MEMORY, Interface, Slot
from tracejit.deploy.dense_ir import emit_dense, give_back, make_dense
from tracejit.deploy.format_ir import Writer, emit_template, emit_writers
from tracejit.deploy.memory_ir import HEADER, MAX_RANK, close_arena, emit_memory, open_arena
from tracejit.errors import ExportError
from tracejit.messages import escape
from tracejit.runtime.dispatch_tables import NativeContext, NativeTensor, size_of
from tracejit.runtime.emitter import Emitter

MESSAGE_BYTES = 1024
_PRINT_BYTES = 4096
_TENSOR_BYTES = size_of(NativeTensor)


def wrapper_text(interface: Interface, entry: str, memory: str | None = None, host_reals: bool = False) -> str:
    """The module of `interface`; `entry` is the compiled entry's symbol, `memory` that of the entry which computes
    the bytes it allocates, if there is one; `host_reals`: a host writes floats (there is no C library)."""
    for slot in (*interface.inputs, *interface.outputs):
        if slot.rank > MAX_RANK:
            raise ExportError(f"{slot.name} has {slot.rank} axes; an exported library handles up to {MAX_RANK}")
    e = Emitter()
    name = interface.name
    e.define("tj_message", f"internal thread_local global [{MESSAGE_BYTES} x i8] zeroinitializer, align 8")
    e.define("tj_threads", "global i32 0")
    emit_memory(e)
    emit_writers(e, host_reals)
    emit_dense(e)
    _complain(e)
    _check(e)
    _same_size(e)
    _deliver(e)
    _report(e, interface)
    _print_hook(e, interface)
    _gather(e, interface)
    _working_memory(e, memory)
    _main(e, interface, entry)
    with e.function(f"ptr @{name}_message()"):
        e.leave("ptr @tj_message")
    with e.function(f"void @{name}_free(ptr %data)"):
        e.call("void", "tj_free", "ptr %data", declare=False)
        e.leave("void")
    with e.function(f"i64 @{name}_arena_size(ptr %inputs)"):
        _arena_size(e, interface)
    if interface.threads:
        with e.function(f"void @{name}_set_threads(i32 %count)"):
            e.declare("llvm.smin.i32", "declare i32 @llvm.smin.i32(i32, i32)")
            count = e.op(f"call i32 @llvm.smin.i32(i32 %count, i32 {MOST_THREADS})")
            e.do(f"store atomic i32 {count}, ptr @tj_threads monotonic, align 4")
            e.leave("void")
    return e.module()


def _writer(e: Emitter, buffer: str, capacity: int) -> str:
    """A new writer on the stack."""
    writer = e.variable("{ ptr, i64, i64 }", "zeroinitializer")
    e.put(Writer, "buffer", writer, buffer)
    e.put(Writer, "capacity", writer, str(capacity))
    return writer


def _message_writer(e: Emitter) -> str:
    return _writer(e, "@tj_message", MESSAGE_BYTES)


# -- arguments --------------------------------------------------------------------------------------------------


def _complain(e: Emitter) -> None:
    """tj_complain: a message about one argument."""
    with e.function("internal void @tj_complain(ptr %name, ptr %template, i64 %a, i64 %b)"):
        e.declare("snprintf", "declare i32 @snprintf(ptr, i64, ptr, ...)")
        e.op(
            f"call i32 (ptr, i64, ptr, ...) @snprintf(ptr @tj_message, i64 {MESSAGE_BYTES}, ptr %template, "
            "ptr %name, i64 %a, i64 %b)"
        )
        e.leave("void")


def _refuse(e: Emitter, template: str, a: str, b: str, name: str = "%name") -> None:
    """Leave with a message; `template` is a printf format of the argument's name and two integers."""
    e.call("void", "tj_complain", f"ptr {name}", f"ptr {e.text(template)}", f"i64 {a}", f"i64 {b}", declare=False)
    e.leave("i1 false")


def _check(e: Emitter) -> None:
    """tj_check: whether a tensor has this rank, dtype and sizes; `dims` are exact sizes, or -1."""
    with e.function("internal i1 @tj_check(ptr %tensor, ptr %name, i64 %rank, i32 %code, ptr %dims)"):
        rank = e.get(NativeTensor, "ndim", "%tensor")
        with e.unless(e.compare("eq", "i64", rank, "%rank")):
            _refuse(e, "%s has %lld axes, expected %lld", rank, "%rank")
        code = e.get(NativeTensor, "dtype", "%tensor")
        is_right = e.op(f"or i1 {e.compare('eq', 'i32', code, 0)}, {e.compare('eq', 'i32', code, '%code')}")
        with e.unless(is_right):
            given, wanted = (e.op(f"sext i32 {c} to i64") for c in (code, "%code"))
            _refuse(e, "%s has dtype code %lld, expected %lld", given, wanted)
        shape = e.get(NativeTensor, "shape", "%tensor")
        is_array = e.compare("sgt", "i64", "%rank", 0)
        with e.when(e.op(f"and i1 {is_array}, {e.compare('eq', 'ptr', shape, 'null')}")):
            _refuse(e, "%s has no shape", "0", "0")
        elements = e.variable("i64", "1")
        with e.count("%rank") as i:
            axis = e.op(f"sub i64 {e.op('sub i64 %rank, 1')}, {i}")
            size, wanted = e.load("i64", e.element(shape, axis, 8)), e.load("i64", e.element("%dims", axis, 8))
            with e.when(e.compare("slt", "i64", size, 0)):
                _refuse(e, "%s has an axis of size %lld", size, size)
            is_free = e.compare("slt", "i64", wanted, 0)
            with e.unless(e.op(f"or i1 {is_free}, {e.compare('eq', 'i64', size, wanted)}")):
                _refuse(e, "%s has an axis of size %lld, expected %lld", size, wanted)
            e.store("i64", e.op(f"mul i64 {e.load('i64', elements)}, {size}"), elements)
        is_some = e.compare("ne", "i64", e.load("i64", elements), 0)
        data = e.get(NativeTensor, "data", "%tensor")
        with e.when(e.op(f"and i1 {is_some}, {e.compare('eq', 'ptr', data, 'null')}")):
            _refuse(e, "%s has no data", "0", "0")
        e.leave("i1 true")


def _same_size(e: Emitter) -> None:
    """tj_same_size: whether an axis has the size that another one of the same name has."""
    with e.function("internal i1 @tj_same_size(ptr %tensor, ptr %name, i64 %axis, ptr %other, i64 %other_axis)"):
        sizes = [
            e.load("i64", e.element(e.get(NativeTensor, "shape", tensor), axis, 8))
            for tensor, axis in (("%tensor", "%axis"), ("%other", "%other_axis"))
        ]
        with e.unless(e.compare("eq", "i64", *sizes)):
            _refuse(e, "%s has an axis of size %lld, but an axis of the same name has size %lld", *sizes)
        e.leave("i1 true")


def _gather(e: Emitter, interface: Interface) -> None:
    """tj_gather: check the caller's inputs and complete them by the embedded constants."""
    with e.function("internal i1 @tj_gather(ptr %inputs, ptr %complete)"):
        if interface.inputs:
            _require_some(e, "inputs", "i1 false")
        for i, (slot, position) in enumerate(zip(interface.inputs, interface.positions, strict=True)):
            source = e.at("%inputs", _TENSOR_BYTES * i)
            target = e.at("%complete", _TENSOR_BYTES * position)
            name = e.text(slot.name)
            dims = e.words([d if isinstance(d, int) else -1 for d in slot.dims])
            code = f"i32 {DTYPE_CODES[slot.dtype]}"
            fits = e.call(
                "i1",
                "tj_check",
                f"ptr {source}",
                f"ptr {name}",
                f"i64 {slot.rank}",
                code,
                f"ptr {dims}",
                declare=False,
            )
            with e.unless(fits):
                e.leave("i1 false")
            e.do(f"call void @llvm.memcpy.p0.p0.i64(ptr {target}, ptr {source}, i64 {_TENSOR_BYTES}, i1 false)")
        _compare_names(e, interface.inputs)
        for position, array in interface.constants.items():
            _constant_tensor(e, position, array)
        e.leave("i1 true")


def _require_some(e: Emitter, records: str, failed: str) -> None:
    """Leave with a message where the caller passes NULL for its inputs or outputs."""
    with e.when(e.compare("eq", "ptr", f"%{records}", "null")):
        operands = f"ptr {e.text(records)}", f"ptr {e.text('%s is NULL')}", "i64 0", "i64 0"
        e.call("void", "tj_complain", *operands, declare=False)
        e.leave(failed)


def _compare_names(e: Emitter, slots: tuple[Slot, ...]) -> None:
    first: dict[str, tuple[int, int]] = {}
    for i, slot in enumerate(slots):
        for axis, dim in enumerate(slot.dims):
            if not isinstance(dim, str):
                continue
            j, other_axis = first.setdefault(dim, (i, axis))
            if (j, other_axis) == (i, axis):
                continue
            here, there = e.at("%inputs", _TENSOR_BYTES * i), e.at("%inputs", _TENSOR_BYTES * j)
            operands = f"ptr {here}", f"ptr {e.text(slot.name)}", f"i64 {axis}", f"ptr {there}", f"i64 {other_axis}"
            with e.unless(e.call("i1", "tj_same_size", *operands, declare=False)):
                e.leave("i1 false")


def _constant_tensor(e: Emitter, position: int, array: Any) -> None:
    """An embedded array (C order) as an input of the entry."""
    record = e.at("%complete", _TENSOR_BYTES * position)
    e.put(NativeTensor, "data", record, e.constant(array.tobytes()))
    e.put(NativeTensor, "ndim", record, str(array.ndim))
    e.put(NativeTensor, "shape", record, e.words(array.shape))
    e.put(NativeTensor, "strides", record, "null")
    e.put(NativeTensor, "dtype", record, "0")


# -- the call -----------------------------------------------------------------------------------------------------


def _working_memory(e: Emitter, memory: str | None) -> None:
    """tj_working_memory: the bytes the entry allocates for complete inputs, as far as they are known."""
    with e.function("internal i64 @tj_working_memory(ptr %inputs)"):
        if memory is None:
            e.leave("i64 0")
            return
        record = e.variable(f"[{_TENSOR_BYTES} x i8]", "zeroinitializer")
        bytes_ = e.variable("i64", "0")
        context = e.variable(f"[{size_of(NativeContext)} x i8]", "zeroinitializer")
        e.put(NativeTensor, "data", record, bytes_)
        e.call("i32", memory, "ptr %inputs", f"ptr {record}", f"ptr {context}")
        e.leave(f"i64 {e.load('i64', bytes_)}")


def _main(e: Emitter, interface: Interface, entry: str) -> None:
    """The exported function."""
    count = max(len(interface.positions) + len(interface.constants), 1)
    with e.function(f"i32 @{interface.name}(ptr %inputs, ptr %outputs, ptr %arena)"):
        e.store("i8", "0", "@tj_message")
        if interface.outputs:
            _require_some(e, "outputs", f"i32 {BAD_ARGUMENT}")
        complete = e.variable(f"[{count * _TENSOR_BYTES} x i8]", "zeroinitializer")
        with e.unless(e.call("i1", "tj_gather", "ptr %inputs", f"ptr {complete}", declare=False)):
            e.leave(f"i32 {BAD_ARGUMENT}")
        results = e.variable(f"[{max(len(interface.outputs), 1) * _TENSOR_BYTES} x i8]", "zeroinitializer")
        for i, slot in enumerate(interface.outputs):
            _prepare_output(e, e.at(results, _TENSOR_BYTES * i), slot)
        context = e.variable(f"[{size_of(NativeContext)} x i8]", "zeroinitializer")
        if interface.prints:
            e.put(NativeContext, "print_hook", context, "@tj_print_hook")
        with e.when(e.compare("ne", "ptr", "%arena", "null")):
            open_arena(e, "%arena", e.call("i64", "tj_working_memory", f"ptr {complete}", declare=False))
        copies = make_dense(e, interface.inputs, interface.positions, complete, "no_memory")
        status = e.call("i32", entry, f"ptr {complete}", f"ptr {results}", f"ptr {context}")
        close_arena(e)
        give_back(e, interface.inputs, copies)
        with e.when(e.compare("ne", "i32", status, 0)):
            e.call("void", "tj_report", f"i32 {status}", f"ptr {context}", declare=False)
            e.leave(f"i32 {status}")
        _deliver_all(e, interface, results)
        e.leave("i32 0")
        e.start("no_memory")
        close_arena(e)
        for copy in copies:
            e.call("void", "tj_free", f"ptr {e.load('ptr', copy)}", declare=False)
        e.call("void", "tj_report", f"i32 {NO_MEMORY}", "ptr null", declare=False)
        e.leave(f"i32 {NO_MEMORY}")


def _prepare_output(e: Emitter, record: str, slot: Slot) -> None:
    """Ask the entry to allocate an array; give it room for a scalar."""
    e.put(NativeTensor, "ndim", record, str(slot.rank))
    if slot.is_scalar:
        e.put(NativeTensor, "data", record, e.variable("[2 x i64]", "zeroinitializer"))
    e.put(NativeTensor, "shape", record, e.variable(f"[{max(slot.rank, 1)} x i64]", "zeroinitializer"))


def _deliver_all(e: Emitter, interface: Interface, results: str) -> None:
    """Hand every result over; a failure takes back what was handed over before."""
    for i, slot in enumerate(interface.outputs):
        name = e.text(slot.name)
        result, output = e.at(results, _TENSOR_BYTES * i), e.at("%outputs", _TENSOR_BYTES * i)
        owned = "false" if slot.is_scalar else "true"
        operands = (
            f"ptr {output}",
            f"ptr {result}",
            f"ptr {name}",
            f"i64 {slot.dtype.itemsize}",
            f"i32 {DTYPE_CODES[slot.dtype]}",
        )
        status = e.call("i32", "tj_deliver", *operands, f"i1 {owned}", declare=False)
        with e.when(e.compare("ne", "i32", status, 0)):
            for j, other in enumerate(interface.outputs):
                if j < i:
                    e.call("void", "tj_take_back", f"ptr {e.at('%outputs', _TENSOR_BYTES * j)}", declare=False)
                elif j > i and not other.is_scalar:
                    e.call(
                        "void",
                        "tj_free",
                        f"ptr {e.get(NativeTensor, 'data', e.at(results, _TENSOR_BYTES * j))}",
                        declare=False,
                    )
            e.leave(f"i32 {status}")


def _deliver(e: Emitter) -> None:
    """tj_deliver: one result to its output record. `owned`: the data is a block; else it is a scalar on the stack.

    tj_take_back: undo that for a block that was handed over (it is known by its shape, which lies in its header).
    """
    with e.function("internal i32 @tj_deliver(ptr %output, ptr %result, ptr %name, i64 %size, i32 %code, i1 %owned)"):
        rank, shape = e.get(NativeTensor, "ndim", "%result"), e.get(NativeTensor, "shape", "%result")
        data, given = e.get(NativeTensor, "data", "%result"), e.get(NativeTensor, "data", "%output")
        with e.when(e.compare("eq", "ptr", given, "null")):
            _hand_over(e, data, rank, shape)
        _check_output(e, data, rank, shape)
        target = e.variable(f"[{_TENSOR_BYTES} x i8]", "zeroinitializer")
        e.put(NativeTensor, "data", target, given)
        e.put(NativeTensor, "strides", target, e.get(NativeTensor, "strides", "%output"))
        operands = f"ptr {target}", f"ptr {data}", f"i64 {rank}", f"ptr {shape}", "i64 %size", "i32 %code"
        e.call("void", "tj_output", *operands)
        with e.when("%owned"):
            e.call("void", "tj_free", f"ptr {data}", declare=False)
        e.put(NativeTensor, "ndim", "%output", rank)
        e.put(NativeTensor, "dtype", "%output", "%code")
        e.leave("i32 0")
    with e.function("internal void @tj_take_back(ptr %output)"):
        data = e.get(NativeTensor, "data", "%output")
        with e.when(e.compare("eq", "ptr", e.get(NativeTensor, "shape", "%output"), e.at(data, -HEADER))):
            e.call("void", "tj_free", f"ptr {data}", declare=False)
            e.put(NativeTensor, "data", "%output", "null")
        e.leave("void")


def _hand_over(e: Emitter, data: str, rank: str, shape: str) -> None:
    """The result becomes a block of the caller's: a scalar, or a block inside the arena, is copied into a new one."""
    bytes_ = e.variable("i64", "%size")
    with e.count(rank) as i:
        e.store("i64", e.op(f"mul i64 {e.load('i64', bytes_)}, {e.load('i64', e.element(shape, i, 8))}"), bytes_)
    block = e.variable("ptr", data)
    with e.when("%owned"):
        is_heap = e.compare("ne", "ptr", e.load("ptr", data, -8), "null")
        with e.when(is_heap):
            e.goto("hand")
    made = e.call("ptr", "tj_alloc", f"i64 {e.load('i64', bytes_)}", declare=False)
    with e.when(e.compare("eq", "ptr", made, "null")):
        e.call("void", "tj_report", f"i32 {NO_MEMORY}", "ptr null", declare=False)
        e.leave(f"i32 {NO_MEMORY}")
    e.do(f"call void @llvm.memcpy.p0.p0.i64(ptr {made}, ptr {data}, i64 {e.load('i64', bytes_)}, i1 false)")
    e.store("ptr", made, block)
    e.label("hand")
    handed = e.load("ptr", block)
    kept = e.at(handed, -HEADER)
    with e.count(rank) as i:
        e.store("i64", e.load("i64", e.element(shape, i, 8)), e.element(kept, i, 8))
    e.put(NativeTensor, "data", "%output", handed)
    e.put(NativeTensor, "ndim", "%output", rank)
    e.put(NativeTensor, "shape", "%output", kept)
    e.put(NativeTensor, "strides", "%output", "null")
    e.put(NativeTensor, "dtype", "%output", "%code")
    e.leave("i32 0")


def _check_output(e: Emitter, data: str, rank: str, shape: str) -> None:
    """Where the caller gives data with a shape or a dtype, they must be the result's."""
    code, wanted = e.get(NativeTensor, "dtype", "%output"), e.get(NativeTensor, "shape", "%output")
    is_right = e.op(f"or i1 {e.compare('eq', 'i32', code, 0)}, {e.compare('eq', 'i32', code, '%code')}")
    with e.unless(is_right):
        given, due = (e.op(f"sext i32 {c} to i64") for c in (code, "%code"))
        _refuse_output(e, "output %s has dtype code %lld, but the result's is %lld", given, due, data)
    with e.when(e.compare("ne", "ptr", wanted, "null")):
        axes = e.get(NativeTensor, "ndim", "%output")
        with e.unless(e.compare("eq", "i64", axes, rank)):
            _refuse_output(e, "output %s has %lld axes, but the result has %lld", axes, rank, data)
        with e.count(rank) as i:
            size, due = (e.load("i64", e.element(s, i, 8)) for s in (wanted, shape))
            with e.unless(e.compare("eq", "i64", size, due)):
                _refuse_output(e, "output %s has an axis of size %lld, but the result's is %lld", size, due, data)


def _refuse_output(e: Emitter, template: str, given: str, due: str, data: str) -> None:
    """Leave with a message about an output; the result is given up."""
    e.call("void", "tj_complain", "ptr %name", f"ptr {e.text(template)}", f"i64 {given}", f"i64 {due}", declare=False)
    with e.when("%owned"):
        e.call("void", "tj_free", f"ptr {data}", declare=False)
    e.leave(f"i32 {BAD_ARGUMENT}")


def _arena_size(e: Emitter, interface: Interface) -> None:
    count = max(len(interface.positions) + len(interface.constants), 1)
    complete = e.variable(f"[{count * _TENSOR_BYTES} x i8]", "zeroinitializer")
    with e.unless(e.call("i1", "tj_gather", "ptr %inputs", f"ptr {complete}", declare=False)):
        e.leave("i64 0")
    e.leave(f"i64 {e.call('i64', 'tj_working_memory', f'ptr {complete}', declare=False)}")


# -- texts ----------------------------------------------------------------------------------------------------------


def _report(e: Emitter, interface: Interface) -> None:
    """tj_report: the message of a failure, as `Kind: text`, and the user's place."""
    with e.function("internal void @tj_report(i32 %status, ptr %context)"):
        writer = _message_writer(e)
        with e.when(e.compare("eq", "i32", "%status", NO_MEMORY)):
            emit_template(e, "out of memory", (), writer, "%context")
        for number, site in enumerate(interface.errors, 1):
            with e.when(e.compare("eq", "i32", "%status", number)):
                place = "" if site.span is None else f" (line {site.span.line}, in {site.span.function})"
                template = f"{escape(site.kind)}: {site.message}{escape(place)}"
                emit_template(e, template, site.payload, writer, "%context")
        e.leave("void")


def _print_hook(e: Emitter, interface: Interface) -> None:
    """tj_print_hook: what the program prints, to the C library's standard output."""
    if not interface.prints:
        return
    e.declare("printf", "declare i32 @printf(ptr, ...)")
    with e.function("internal void @tj_print_hook(ptr %context, i64 %site, ptr %words)"):
        buffer = e.variable(f"[{_PRINT_BYTES} x i8]", "undef")
        e.store("i8", "0", buffer)
        writer = _writer(e, buffer, _PRINT_BYTES)
        for number, site in enumerate(interface.prints):
            if isinstance(site, ReportSite):  # for the objects of a Python caller
                continue
            with e.when(e.compare("eq", "i64", "%site", number)):
                emit_template(e, site.template, site.payload, writer, "%words")
        e.op(f"call i32 (ptr, ...) @printf(ptr {e.text('%s')}, ptr {buffer})")
        e.leave("void")
