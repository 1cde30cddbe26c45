"""Strided inputs of an exported library: copied to C order before the call, copied back where they were changed."""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.deploy.abi import DTYPE_CODES, Slot
from tracejit.runtime.dispatch_tables import NativeTensor, size_of
from tracejit.runtime.emitter import Emitter

_TENSOR_BYTES = size_of(NativeTensor)


def emit_dense(e: Emitter) -> None:
    """The functions that test and copy."""
    _is_dense(e)
    _dense(e)


def _is_dense(e: Emitter) -> None:
    """tj_is_dense: whether a tensor of known rank lies in C order."""
    with e.function("internal i1 @tj_is_dense(ptr %tensor, i64 %rank)"):
        shape, strides = e.get(NativeTensor, "shape", "%tensor"), e.get(NativeTensor, "strides", "%tensor")
        with e.when(e.compare("eq", "ptr", strides, "null")):
            e.leave("i1 true")
        unit = e.variable("i64", "1")
        with e.count("%rank") as i:
            axis = e.op(f"sub i64 {e.op('sub i64 %rank, 1')}, {i}")
            size, stride = (e.load("i64", e.element(words, axis, 8)) for words in (shape, strides))
            is_single = e.compare("sle", "i64", size, 1)
            fits = e.compare("eq", "i64", stride, e.load("i64", unit))
            with e.unless(e.op(f"or i1 {is_single}, {fits}")):
                e.leave("i1 false")
            e.store("i64", e.op(f"mul i64 {e.load('i64', unit)}, {size}"), unit)
        e.leave("i1 true")


def _dense(e: Emitter) -> None:
    """tj_dense: a C-order copy of a strided tensor (null without memory)."""
    with e.function("internal ptr @tj_dense(ptr %tensor, i64 %rank, i64 %size)"):
        shape, strides = e.get(NativeTensor, "shape", "%tensor"), e.get(NativeTensor, "strides", "%tensor")
        data = e.get(NativeTensor, "data", "%tensor")
        total = e.variable("i64", "1")
        with e.count("%rank") as i:
            e.store("i64", e.op(f"mul i64 {e.load('i64', total)}, {e.load('i64', e.element(shape, i, 8))}"), total)
        count = e.load("i64", total)
        copy = e.call("ptr", "tj_alloc", f"i64 {e.op(f'mul i64 {count}, %size')}", declare=False)
        with e.when(e.compare("eq", "ptr", copy, "null")):
            e.leave("ptr null")
        rest, offset = e.variable("i64", "0"), e.variable("i64", "0")
        with e.count(count) as i:
            e.store("i64", i, rest)
            e.store("i64", "0", offset)
            with e.count("%rank") as k:
                axis = e.op(f"sub i64 {e.op('sub i64 %rank, 1')}, {k}")
                size, stride = (e.load("i64", e.element(words, axis, 8)) for words in (shape, strides))
                left = e.load("i64", rest)
                jump = e.op(f"mul i64 {e.op(f'srem i64 {left}, {size}')}, {stride}")
                e.store("i64", e.add(e.load("i64", offset), jump), offset)
                e.store("i64", e.op(f"sdiv i64 {left}, {size}"), rest)
            source = e.at(data, e.op(f"mul i64 {e.load('i64', offset)}, %size"))
            target = e.at(copy, e.op(f"mul i64 {i}, %size"))
            e.do(f"call void @llvm.memcpy.p0.p0.i64(ptr {target}, ptr {source}, i64 %size, i1 false)")
        e.leave(f"ptr {copy}")


def make_dense(e: Emitter, slots: Sequence[Slot], positions: Sequence[int], complete: str, no_memory: str) -> list[str]:
    """Replace strided inputs in the records at `complete`; gives variables that hold the copies (or null).

    Jumps to the label `no_memory` where a copy cannot be made.
    """
    copies: list[str] = []
    for slot, position in zip(slots, positions, strict=True):
        copy = e.variable("ptr", "null")
        copies.append(copy)
        if slot.rank == 0 or not slot.contiguous:
            continue
        record = e.at(complete, _TENSOR_BYTES * position)
        with e.unless(e.call("i1", "tj_is_dense", f"ptr {record}", f"i64 {slot.rank}", declare=False)):
            operands = f"ptr {record}", f"i64 {slot.rank}", f"i64 {slot.dtype.itemsize}"
            made = e.call("ptr", "tj_dense", *operands, declare=False)
            with e.when(e.compare("eq", "ptr", made, "null")):
                e.goto(no_memory)
            e.store("ptr", made, copy)
            e.put(NativeTensor, "data", record, made)
            e.put(NativeTensor, "strides", record, "null")
    return copies


def give_back(e: Emitter, slots: Sequence[Slot], copies: Sequence[str]) -> None:
    """Write changed copies back to the caller's arrays (`%inputs`) and free all copies."""
    for i, (slot, variable) in enumerate(zip(slots, copies, strict=True)):
        if slot.rank == 0 or not slot.contiguous:
            continue
        copy = e.load("ptr", variable)
        if slot.inout:
            with e.when(e.compare("ne", "ptr", copy, "null")):
                _copy_back(e, slot, i, copy)
        e.call("void", "tj_free", f"ptr {copy}", declare=False)


def _copy_back(e: Emitter, slot: Slot, index: int, copy: str) -> None:
    source = e.at("%inputs", _TENSOR_BYTES * index)
    target = e.variable(f"[{_TENSOR_BYTES} x i8]", "zeroinitializer")
    e.put(NativeTensor, "data", target, e.get(NativeTensor, "data", source))
    e.put(NativeTensor, "strides", target, e.get(NativeTensor, "strides", source))
    shape = e.get(NativeTensor, "shape", source)
    code = f"i32 {DTYPE_CODES[slot.dtype]}"
    operands = f"ptr {target}", f"ptr {copy}", f"i64 {slot.rank}", f"ptr {shape}", f"i64 {slot.dtype.itemsize}", code
    e.call("void", "tj_output", *operands)
