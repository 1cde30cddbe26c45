"""The support functions of `codegen/support/names.py` as LLVM calls.

A list is the record `{ ptr slots, i64 length, i64 capacity, i64 kind, i64 slot bytes }`; reading and popping are a
few instructions in place, growing is a call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tracejit.codegen.llvm.casts import bitcast
from tracejit.codegen.llvm.memory import from_memory, to_memory
from tracejit.codegen.llvm.values import Value, memory_type_text, type_text
from tracejit.codegen.loop_ir import Expr, Pointer, Var
from tracejit.codegen.support import ordering
from tracejit.codegen.support.lapack import CALLS
from tracejit.ir.types import BOOL, F64, I64, DType

if TYPE_CHECKING:
    from tracejit.codegen.llvm.function import FunctionPrinter

Row = Callable[["FunctionPrinter", Sequence[Value], Sequence[Var]], None]


def call(p: FunctionPrinter, name: str, args: Sequence[Expr], results: Sequence[Var]) -> None:
    """Print a `Call`."""
    if name not in _CALLS:
        raise KeyError(f"no support function {name!r}")
    _CALLS[name](p, [p.value(a) for a in args], results)
    p.epoch += 1


# -- lists ------------------------------------------------------------------------------------------------------


def _field(p: FunctionPrinter, handle: Value, at: int) -> Value:
    return p.define(f"getelementptr i64, ptr {handle.text}, i64 {at}", Pointer(I64))


def _slot_size(dtype: DType | Pointer) -> int:
    return 8 if isinstance(dtype, Pointer) else dtype.itemsize


def _slot_type(dtype: DType | Pointer) -> str:
    """What has the size of a slot: a pointer has 8 bytes also where addresses have fewer."""
    return "i64" if isinstance(dtype, Pointer) else memory_type_text(dtype)


def _new(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    p.declare("declare noalias ptr @tj_list_new(i64)")
    kind = args[0] if args else Value("0", I64)
    handle = p.define(f"call ptr @tj_list_new({kind.typed()})", results[0].type)
    p.leave_if_null(handle)
    p.adopt(handle, True)
    p.env[results[0]] = handle


def _next_slot(p: FunctionPrinter, handle: Value, size: int) -> Value:
    """The place for one more element; without memory for it the call ends."""
    p.declare("declare i1 @tj_list_room(ptr, i64)")
    p.leave_unless(p.define(f"call i1 @tj_list_room(ptr {handle.text}, i64 {size}){p.call_site}", BOOL))
    p.declare("declare ptr @tj_list_push(ptr, i64)")
    return p.define(f"call ptr @tj_list_push(ptr {handle.text}, i64 {size}){p.call_site}", Pointer(I64))


def _push(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    handle, value = args
    dtype = value.dtype
    slot = _next_slot(p, handle, _slot_size(dtype))
    if isinstance(dtype, Pointer):
        p.disown(value, dtype.is_list)
    stored = to_memory(p, value, dtype) if isinstance(dtype, DType) else value
    p.line(f"store {memory_type_text(dtype)} {stored.text}, ptr {slot.text}, align {_slot_size(dtype)}")


def _push_null(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    slot = _next_slot(p, args[0], 8)
    p.line(f"store ptr null, ptr {slot.text}, align 8")


def _length(p: FunctionPrinter, handle: Value) -> Value:
    return p.define(f"load i64, ptr {_field(p, handle, 1).text}", I64)


def _read(p: FunctionPrinter, handle: Value, index: Value, dtype: DType | Pointer) -> Value:
    slots = p.define(f"load ptr, ptr {handle.text}", Pointer(I64))
    type = memory_type_text(dtype)
    address = p.define(f"getelementptr {_slot_type(dtype)}, ptr {slots.text}, i64 {index.text}", Pointer(I64))
    loaded = p.define(f"load {type}, ptr {address.text}, align {_slot_size(dtype)}", dtype)
    return from_memory(p, loaded, dtype) if isinstance(dtype, DType) else loaded


def _take_last(p: FunctionPrinter, handle: Value, result: Var) -> Value:
    last = p.define(f"sub i64 {_length(p, handle).text}, 1", I64)
    p.line(f"store i64 {last.text}, ptr {_field(p, handle, 1).text}")
    taken = _read(p, handle, last, result.type)
    if isinstance(result.type, Pointer):
        p.adopt(taken, result.type.is_list)
    return taken


def _pop(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    p.env[results[0]] = _take_last(p, args[0], results[0])


def _pop0(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    dtype = results[0].type
    filled = p.define(f"icmp ne i64 {_length(p, args[0]).text}, 0", BOOL)
    zero = Value("null", dtype) if isinstance(dtype, Pointer) else p.constant(0.0 if dtype.is_float else 0, dtype)
    p.bind(results, p.branch(filled, lambda: [_take_last(p, args[0], results[0])], lambda: [zero]))


def _len(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    p.env[results[0]] = _length(p, args[0])


def _get(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    p.env[results[0]] = _read(p, args[0], args[1], results[0].type)


def _set(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    handle, index, value = args
    dtype = value.dtype
    if isinstance(dtype, Pointer):
        old = _read(p, handle, index, dtype)
        release = "tj_list_free" if dtype.is_list else "tj_free"
        p.declare(f"declare void @{release}(ptr)")
        p.line(f"call void @{release}(ptr {old.text})")
        p.disown(value, dtype.is_list)
    slots = p.define(f"load ptr, ptr {handle.text}", Pointer(I64))
    type = memory_type_text(dtype)
    address = p.define(f"getelementptr {_slot_type(dtype)}, ptr {slots.text}, i64 {index.text}", Pointer(I64))
    stored = to_memory(p, value, dtype) if isinstance(dtype, DType) else value
    p.line(f"store {type} {stored.text}, ptr {address.text}, align {_slot_size(dtype)}")


def _copy_part(p: FunctionPrinter, args: Sequence[Value], *, write: bool) -> None:
    handle, start, count, buffer = args
    assert isinstance(buffer.dtype, Pointer)
    slots = p.define(f"load ptr, ptr {handle.text}", Pointer(I64))
    type = memory_type_text(buffer.dtype.element)
    first = p.define(f"getelementptr {type}, ptr {slots.text}, i64 {start.text}", buffer.dtype)
    _copy(p, (first, buffer, count) if write else (buffer, first, count), ())


def _list_read(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    _copy_part(p, args, write=False)


def _list_write(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    _copy_part(p, args, write=True)


def _clear(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    handle, index = args
    old = _read(p, handle, index, Pointer(I64))
    p.declare("declare void @tj_free(ptr)")
    p.line(f"call void @tj_free(ptr {old.text})")
    slots = p.define(f"load ptr, ptr {handle.text}", Pointer(I64))
    address = p.define(f"getelementptr i64, ptr {slots.text}, i64 {index.text}", Pointer(I64))
    p.line(f"store ptr null, ptr {address.text}, align 8")


def _list_copy(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    if p.options.budget:
        p.move(p.binary("mul", _length(p, args[0]), Value("8", I64)))
    p.declare("declare noalias ptr @tj_list_copy(ptr)")
    handle = p.define(f"call ptr @tj_list_copy(ptr {args[0].text})", results[0].type)
    p.leave_if_null(handle)
    p.adopt(handle, True)
    p.env[results[0]] = handle


def _list_free(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    p.disown(args[0], True)
    p.declare("declare void @tj_list_free(ptr)")
    p.line(f"call void @tj_list_free(ptr {args[0].text})")


# -- memory -----------------------------------------------------------------------------------------------------


def _is_null(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    p.env[results[0]] = p.define(f"icmp eq ptr {args[0].text}, null", BOOL)


def _same_pointer(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    p.env[results[0]] = p.define(f"icmp eq ptr {args[0].text}, {args[1].text}", BOOL)


def _bytes(p: FunctionPrinter, buffer: Value, count: Value) -> Value:
    assert isinstance(buffer.dtype, Pointer)
    return p.binary("mul", count, Value(str(buffer.dtype.element.itemsize), I64))


def _copy(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    to, source, count = args
    p.declare("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
    size = _bytes(p, to, count)
    p.move(size)
    p.line(f"call void @llvm.memcpy.p0.p0.i64(ptr {to.text}, ptr {source.text}, i64 {size.text}, i1 false)")


def _zero(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    p.declare("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    size = _bytes(p, args[0], args[1])
    p.move(size)
    p.line(f"call void @llvm.memset.p0.i64(ptr {args[0].text}, i8 0, i64 {size.text}, i1 false)")


def _zero_shared(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    if args[1].is_literal:
        return _zero(p, args, results)
    size = _bytes(p, args[0], args[1])
    p.move(size)
    p.declare("declare void @tj_zero(ptr, i64)")
    p.line(f"call void @tj_zero(ptr {args[0].text}, i64 {size.text})")


# -- library and host ---------------------------------------------------------------------------------------------


def _gemm(suffix: str, inner: str = "") -> Row:
    """A product, or what belongs to it; `inner` ends its name where threads share what is around it."""

    def emit(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
        name = f"tj_gemm_{suffix}" + (inner if p.record is not None else "")
        p.declare(f"declare void @{name}({', '.join(type_text(a.dtype) for a in args)}) noduplicate")
        p.line(f"call void @{name}({', '.join(a.typed() for a in args)})")

    return emit


def _answered(name: str) -> Row:
    """A function that gives an integer."""

    def emit(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
        p.declare(f"declare i64 @tj_{name}({', '.join(type_text(a.dtype) for a in args)})")
        typed = ", ".join(a.typed() for a in args)
        p.env[results[0]] = p.define(f"call i64 @tj_{name}({typed})", I64)

    return emit


def payload_bits(p: FunctionPrinter, value: Value) -> Value:
    """A payload value as the 64 bits the host reads: f64 for floats, i64 for all else."""
    if isinstance(value.dtype, Pointer):
        return p.define(f"ptrtoint {value.typed()} to i64", I64)
    wide = p.cast(value, F64 if value.dtype.is_float else I64)
    return bitcast(p, wide, I64)


#: Bytes that could be moved while something is printed.
_PRINTED = 1 << 15


def _print(p: FunctionPrinter, args: Sequence[Value], results: Sequence[Var]) -> None:
    p.move(Value(str(_PRINTED), I64))
    record = p.alloca(f"[{max(len(args) - 1, 1)} x i64]")
    for i, value in enumerate(args[1:]):
        cell = p.define(f"getelementptr i64, ptr {record.text}, i64 {i}", Pointer(I64))
        p.line(f"store {payload_bits(p, value).typed()}, ptr {cell.text}")
    p.declare("declare void @tj_print(ptr, i64, ptr)")
    p.line(f"call void @tj_print(ptr {p.context().text}, {args[0].typed()}, ptr {record.text})")


_CALLS: dict[str, Row] = {
    "list_new": _new,
    "list_push": _push,
    "list_push_null": _push_null,
    "list_pop": _pop,
    "list_pop0": _pop0,
    "list_len": _len,
    "list_get": _get,
    "list_set": _set,
    "list_read": _list_read,
    "list_write": _list_write,
    "list_clear": _clear,
    "list_copy": _list_copy,
    "list_free": _list_free,
    "is_null": _is_null,
    "same_pointer": _same_pointer,
    "copy": _copy,
    "zero": _zero,
    "zero_shared": _zero_shared,
    "print": _print,
    "gemm_f32": _gemm("f32", "_inner"),
    "gemm_f64": _gemm("f64", "_inner"),
    **{f"gemm_{name}_{of}": _gemm(f"{name}_{of}") for name in ("f32", "f64") for of in ("lay", "laid")},
    **{f"gemm_{name}_room": _answered(f"gemm_{name}_room") for name in ("f32", "f64")},
}
_CALLS.update({call: _answered(call) for call in (*CALLS, *ordering.NAMES)})
SUPPORTED = frozenset(_CALLS)
#: Those that take time with the size of what they copy or fill.
MOVES = frozenset(("copy", "zero", "zero_shared", "list_copy", "list_read", "list_write"))
