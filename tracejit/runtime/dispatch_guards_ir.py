"""The native call path, first half: finding the values of a call, guarding them, unboxing them.

Functions of the module that `dispatch_ir.py` assembles. A guard that misses returns false and leaves no error set.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure

from tracejit.runtime.dispatch_tables import (
    ARRAY_DATA,
    ARRAY_DIMS,
    ARRAY_DTYPE,
    ARRAY_FLAGS,
    ARRAY_RANK,
    ARRAY_STRIDES,
    KINDS,
    PY_EQ,
    SIZE_OFFSET,
    STEPS,
    TYPE_OFFSET,
    VALUE_OFFSET,
    AxisTable,
    Extent,
    FrameHead,
    NativeTensor,
    RuntimeTable,
    SpecTable,
    StepTable,
    ValueTable,
    offset_of,
    size_of,
)
from tracejit.runtime.emitter import Emitter


def emit_guards(e: Emitter) -> None:
    """The functions that find, guard and unbox values, and those that keep references until the call ends."""
    parts = (
        _hold,
        _release,
        _follow,
        _array,
        _integer,
        _boolean,
        _tensor,
        _keys,
        _number,
        _numbers,
        _guard,
        _extent,
        _disjoint,
    )
    for emit in parts:
        emit(e)


def runtime(e: Emitter, field: str) -> str:
    """An address of the `RuntimeTable`."""
    return e.get(RuntimeTable, field, "@tj_runtime")


def in_frame(e: Emitter, structure: type[Structure], field: str, base: str) -> str:
    """The frame address that a `frame offset` field of a table names."""
    return e.at("%frame", e.get(structure, field, base))


def false_unless(e: Emitter, condition: str) -> None:
    """Return false where the condition does not hold."""
    with e.unless(condition):
        e.leave("i1 false")


def increment(e: Emitter, thing: str) -> None:
    """Take a reference."""
    e.call("void", "Py_IncRef", f"ptr {thing}")


def decrement(e: Emitter, thing: str) -> None:
    """Drop a reference."""
    e.call("void", "Py_DecRef", f"ptr {thing}")


# -- references held during the call --------------------------------------------------------------------------


def _hold(e: Emitter) -> None:
    """tj_hold: remember a new reference, dropped when the call ends."""
    with e.function("internal void @tj_hold(ptr %spec, ptr %frame, ptr %object)"):
        count = e.get(FrameHead, "held_count", "%frame")
        e.store("ptr", "%object", e.element(in_frame(e, SpecTable, "held", "%spec"), count, 8))
        e.put(FrameHead, "held_count", "%frame", e.add(count, 1))
        e.leave("void")


def _release(e: Emitter) -> None:
    """tj_release: drop what the call holds."""
    with e.function("internal void @tj_release(ptr %spec, ptr %frame)"):
        held = in_frame(e, SpecTable, "held", "%spec")
        with e.count(e.get(FrameHead, "held_count", "%frame")) as i:
            decrement(e, e.load("ptr", e.element(held, i, 8)))
        e.leave("void")


# -- finding and guarding values ------------------------------------------------------------------------------


def _follow(e: Emitter) -> None:
    """tj_follow: the object a value's path leads to, or null (with no error set) where the path breaks."""
    with e.function("internal ptr @tj_follow(ptr %spec, ptr %value, ptr %args, ptr %frame)"):
        current = e.variable("ptr", e.get(ValueTable, "constant", "%value"))
        root = e.get(ValueTable, "root", "%value")
        with e.when(e.compare("sge", "i64", root, 0)):
            e.store("ptr", e.load("ptr", e.element("%args", root, 8)), current)
        steps = e.get(ValueTable, "steps", "%value")
        with e.count(e.get(ValueTable, "step_count", "%value")) as i:
            step = e.element(steps, i, size_of(StepTable))
            following = _step(e, step, e.load("ptr", current))
            with e.when(e.compare("eq", "ptr", following, "null")):
                e.call("void", "PyErr_Clear")
                e.leave("ptr null")
            e.call("void", "tj_hold", "ptr %spec", "ptr %frame", f"ptr {following}", declare=False)
            e.store("ptr", following, current)
        e.leave(f"ptr {e.load('ptr', current)}")


def _step(e: Emitter, step: str, source: str) -> str:
    """A new reference to the part of `source` that the step names, or null."""
    operation, key = e.get(StepTable, "op", step), e.get(StepTable, "key", step)
    found = e.variable("ptr", "null")
    index = e.op(f"ptrtoint ptr {key} to i64")
    new = {"attribute": ("PyObject_GetAttr", f"ptr {key}"), "cell": ("PyCell_Get",)}
    borrowed = {
        "item": ("PyDict_GetItemWithError", f"ptr {key}"),
        "tuple": ("PyTuple_GetItem", f"i64 {index}"),
        "list": ("PyList_GetItem", f"i64 {index}"),
    }
    for name, (function, *operands) in {**new, **borrowed}.items():
        with e.when(e.compare("eq", "i64", operation, STEPS[name])):
            result = e.call("ptr", function, f"ptr {source}", *operands)
            if name in borrowed:
                e.call("void", "Py_IncRef", f"ptr {result}")  # ignores null
            e.store("ptr", result, found)
    with e.when(e.compare("eq", "i64", operation, STEPS["has"])):
        has = e.compare("ne", "i32", e.call("i32", "PyObject_HasAttr", f"ptr {source}", f"ptr {key}"), 0)
        e.store("ptr", e.op(f"select i1 {has}, ptr {runtime(e, 'true')}, ptr {runtime(e, 'false')}"), found)
        increment(e, e.load("ptr", found))
    return e.load("ptr", found)


def _array(e: Emitter) -> None:
    """tj_array: guard an ndarray and describe it in the value's tj_tensor."""
    with e.function("internal i1 @tj_array(ptr %value, ptr %array, ptr %frame)"):
        false_unless(e, e.compare("eq", "ptr", e.load("ptr", "%array", TYPE_OFFSET), runtime(e, "ndarray_type")))
        dtype = e.get(ValueTable, "dtype", "%value")
        false_unless(e, e.compare("eq", "ptr", e.load("ptr", "%array", ARRAY_DTYPE), dtype))
        rank = e.get(ValueTable, "rank", "%value")
        own_rank = e.op(f"zext i32 {e.load('i32', '%array', ARRAY_RANK)} to i64")
        false_unless(e, e.compare("eq", "i64", own_rank, rank))
        wanted, asked = e.get(ValueTable, "flags", "%value"), e.get(ValueTable, "asked_flags", "%value")
        flags = e.op(f"zext i32 {e.load('i32', '%array', ARRAY_FLAGS)} to i64")
        false_unless(e, e.compare("eq", "i64", e.op(f"and i64 {flags}, {asked}"), wanted))
        dims = e.load("ptr", "%array", ARRAY_DIMS)
        elements = _axes(e, dims, rank)
        e.put(FrameHead, "elements", "%frame", e.add(e.get(FrameHead, "elements", "%frame"), elements))
        tensor = in_frame(e, ValueTable, "tensor", "%value")
        e.put(NativeTensor, "data", tensor, e.load("ptr", "%array", ARRAY_DATA))
        e.put(NativeTensor, "ndim", tensor, rank)
        e.put(NativeTensor, "shape", tensor, dims)
        e.put(NativeTensor, "strides", tensor, "null")
        e.put(NativeTensor, "dtype", tensor, "0")
        with e.when(e.compare("ne", "i64", e.get(ValueTable, "strided", "%value"), 0)):
            _strides(e, tensor, rank)
        e.leave("i1 true")


def _axes(e: Emitter, dims: str, rank: str) -> str:
    """Guard every size; gives the number of elements."""
    total = e.variable("i64", "1")
    axes = e.get(ValueTable, "axes", "%value")
    with e.count(rank) as i:
        size = e.load("i64", e.element(dims, i, 8))
        axis = e.element(axes, i, size_of(AxisTable))
        want, slot = e.get(AxisTable, "want", axis), e.get(AxisTable, "slot", axis)
        exact = e.compare("sge", "i64", want, 0)
        false_unless(
            e,
            e.op(f"select i1 {exact}, i1 {e.compare('eq', 'i64', size, want)}, i1 {_class_holds(e, size, want)}"),
        )
        with e.when(e.compare("sge", "i64", slot, 0)):
            place = e.at("%frame", slot)
            with e.when(e.compare("ne", "i64", e.get(AxisTable, "first", axis), 0)):
                e.store("i64", size, place)
            false_unless(e, e.compare("eq", "i64", e.load("i64", place), size))
        e.store("i64", e.op(f"mul i64 {e.load('i64', total)}, {size}"), total)
    return e.load("i64", total)


def _class_holds(e: Emitter, size: str, want: str) -> str:
    """`want` is a class: -1 any size, -2 at least 2, that is `size >= -2 * want - 2`."""
    least = e.op(f"sub i64 {e.op(f'mul i64 {want}, -2')}, 2")
    return e.compare("sge", "i64", size, least)


def _strides(e: Emitter, tensor: str, rank: str) -> None:
    """Strides in elements; a stride that is no multiple of the element size misses."""
    strides = e.load("ptr", "%array", ARRAY_STRIDES)
    storage = in_frame(e, ValueTable, "storage", "%value")
    shift = e.get(ValueTable, "shift", "%value")
    with e.count(rank) as i:
        stride = e.load("i64", e.element(strides, i, 8))
        whole = e.op(f"ashr i64 {stride}, {shift}")
        false_unless(e, e.compare("eq", "i64", e.op(f"shl i64 {whole}, {shift}"), stride))
        e.store("i64", whole, e.element(storage, i, 8))
    e.put(NativeTensor, "strides", tensor, storage)


def _integer(e: Emitter) -> None:
    """tj_integer: guard a Python int that fits 64 bits and is not below the least."""
    with e.function("internal i1 @tj_integer(ptr %value, ptr %object, ptr %frame)"):
        false_unless(e, e.compare("eq", "ptr", e.load("ptr", "%object", TYPE_OFFSET), runtime(e, "int_type")))
        overflow = e.variable("i32", "0")
        number = e.call("i64", "PyLong_AsLongLongAndOverflow", "ptr %object", f"ptr {overflow}")
        false_unless(e, e.compare("eq", "i32", e.load("i32", overflow), 0))
        false_unless(e, e.compare("sge", "i64", number, e.get(ValueTable, "length", "%value")))
        storage = in_frame(e, ValueTable, "storage", "%value")
        e.store("i64", number, storage)
        _scalar_input(e, storage)
        e.leave("i1 true")


def _boolean(e: Emitter) -> None:
    """tj_boolean: guard True or False."""
    with e.function("internal i1 @tj_boolean(ptr %value, ptr %object, ptr %frame)"):
        is_true = e.compare("eq", "ptr", "%object", runtime(e, "true"))
        is_false = e.compare("eq", "ptr", "%object", runtime(e, "false"))
        false_unless(e, e.op(f"or i1 {is_true}, {is_false}"))
        storage = in_frame(e, ValueTable, "storage", "%value")
        e.store("i8", e.op(f"zext i1 {is_true} to i8"), storage)
        _scalar_input(e, storage)
        e.leave("i1 true")


def _scalar_input(e: Emitter, address: str) -> None:
    """Describe a host scalar at `address` in the value's tj_tensor."""
    tensor = in_frame(e, ValueTable, "tensor", "%value")
    e.put(NativeTensor, "data", tensor, address)
    e.put(NativeTensor, "ndim", tensor, "0")
    e.put(NativeTensor, "shape", tensor, "null")
    e.put(NativeTensor, "strides", tensor, "null")
    e.put(NativeTensor, "dtype", tensor, "0")


def _tensor(e: Emitter) -> None:
    """tj_tensor_guard: a Tensor (subclasses have the same slots) with the wanted requires_grad; its array is held."""
    with e.function("internal i1 @tj_tensor_guard(ptr %spec, ptr %value, ptr %object, ptr %frame)"):
        wanted = e.get(ValueTable, "type", "%value")
        own_type = e.load("ptr", "%object", TYPE_OFFSET)
        with e.unless(e.compare("eq", "ptr", own_type, wanted)):
            inherits = e.call("i32", "PyType_IsSubtype", f"ptr {own_type}", f"ptr {wanted}")
            false_unless(e, e.compare("ne", "i32", inherits, 0))
        grad = e.get(ValueTable, "grad", "%value")
        with e.when(e.compare("ne", "ptr", grad, "null")):
            own_grad = e.load("ptr", "%object", e.get(ValueTable, "grad_slot", "%value"))
            false_unless(e, e.compare("eq", "ptr", own_grad, grad))
        array = e.load("ptr", "%object", e.get(ValueTable, "data_slot", "%value"))
        false_unless(e, e.compare("ne", "ptr", array, "null"))
        increment(e, array)
        e.call("void", "tj_hold", "ptr %spec", "ptr %frame", f"ptr {array}", declare=False)
        e.leave(f"i1 {e.call('i1', 'tj_array', 'ptr %value', f'ptr {array}', 'ptr %frame', declare=False)}")


def _keys(e: Emitter) -> None:
    """tj_keys: guard the keys of a dict, whose type and length fit, in order."""
    with e.function("internal i1 @tj_keys(ptr %value, ptr %object)"):
        keys = e.get(ValueTable, "keys", "%value")
        at, key, item = e.variable("i64", "0"), e.variable("ptr", "null"), e.variable("ptr", "null")
        with e.count(e.get(ValueTable, "length", "%value")) as i:
            found = e.call("i32", "PyDict_Next", "ptr %object", f"ptr {at}", f"ptr {key}", f"ptr {item}")
            false_unless(e, e.compare("ne", "i32", found, 0))
            own, wanted = e.load("ptr", key), e.load("ptr", e.element(keys, i, 8))
            with e.unless(e.compare("eq", "ptr", own, wanted)):
                types = (e.load("ptr", thing, TYPE_OFFSET) for thing in (own, wanted))
                false_unless(e, e.compare("eq", "ptr", *types))  # 1, 1.0 and True are equal
                equal = e.call("i32", "PyObject_RichCompareBool", f"ptr {own}", f"ptr {wanted}", f"i32 {PY_EQ}")
                with e.when(e.compare("ne", "i32", equal, 1)):
                    e.call("void", "PyErr_Clear")
                    e.leave("i1 false")
        e.leave("i1 true")


def _number(e: Emitter) -> None:
    """tj_number: guard one item of a list of numbers; put its value to an address."""
    with e.function("internal i1 @tj_number(ptr %value, ptr %item, ptr %place)"):
        own_type = e.load("ptr", "%item", TYPE_OFFSET)
        false_unless(e, e.compare("eq", "ptr", own_type, e.get(ValueTable, "item", "%value")))
        with e.when(e.compare("eq", "ptr", own_type, runtime(e, "int_type"))):
            overflow = e.variable("i32", "0")
            e.store("i64", e.call("i64", "PyLong_AsLongLongAndOverflow", "ptr %item", f"ptr {overflow}"), "%place")
            e.leave(f"i1 {e.compare('eq', 'i32', e.load('i32', overflow), 0)}")
        shift = e.get(ValueTable, "shift", "%value")
        with e.when(e.compare("eq", "i64", shift, 0)):
            is_true = e.compare("eq", "ptr", "%item", runtime(e, "true"))
            e.store("i8", e.op(f"zext i1 {is_true} to i8"), "%place")
            e.leave("i1 true")
        e.store("i64", e.load("i64", "%item", VALUE_OFFSET), "%place")
        with e.when(e.compare("eq", "i64", shift, 4)):  # a complex
            e.store("i64", e.load("i64", "%item", VALUE_OFFSET + 8), e.at("%place", 8))
        e.leave("i1 true")


def _in_tuple(e: Emitter, item: str) -> str:
    """The part of a tuple that the value's column names; any other object misses."""
    false_unless(e, e.compare("eq", "ptr", e.load("ptr", item, TYPE_OFFSET), runtime(e, "tuple_type")))
    width = e.get(ValueTable, "width", "%value")
    false_unless(e, e.compare("eq", "i64", e.load("i64", item, SIZE_OFFSET), width))
    return e.call("ptr", "PyTuple_GetItem", f"ptr {item}", f"i64 {e.get(ValueTable, 'column', '%value')}")


def _numbers(e: Emitter) -> None:
    """tj_numbers: guard a list of numbers; its tj_tensor describes a copy of them, which is held."""
    with e.function("internal i1 @tj_numbers(ptr %spec, ptr %value, ptr %object, ptr %frame)"):
        wanted = e.get(ValueTable, "type", "%value")
        false_unless(e, e.compare("eq", "ptr", e.load("ptr", "%object", TYPE_OFFSET), wanted))
        count = e.load("i64", "%object", SIZE_OFFSET)
        false_unless(e, e.compare("sge", "i64", count, e.get(ValueTable, "length", "%value")))
        shift = e.get(ValueTable, "shift", "%value")
        copy = e.call("ptr", "PyBytes_FromStringAndSize", "ptr null", f"i64 {e.op(f'shl i64 {count}, {shift}')}")
        with e.when(e.compare("eq", "ptr", copy, "null")):
            e.call("void", "PyErr_Clear")
            e.leave("i1 false")
        e.call("void", "tj_hold", "ptr %spec", "ptr %frame", f"ptr {copy}", declare=False)
        data = e.call("ptr", "PyBytes_AsString", f"ptr {copy}")
        with e.count(count) as i:
            item = e.variable("ptr", e.call("ptr", "PyList_GetItem", "ptr %object", f"i64 {i}"))
            with e.when(e.compare("sge", "i64", e.get(ValueTable, "column", "%value"), 0)):
                e.store("ptr", _in_tuple(e, e.load("ptr", item)), item)
            place = e.at(data, e.op(f"shl i64 {i}, {shift}"))
            operands = "ptr %value", f"ptr {e.load('ptr', item)}", f"ptr {place}"
            false_unless(e, e.call("i1", "tj_number", *operands, declare=False))
        e.put(FrameHead, "elements", "%frame", e.add(e.get(FrameHead, "elements", "%frame"), count))
        storage = in_frame(e, ValueTable, "storage", "%value")
        e.store("i64", count, storage)
        tensor = in_frame(e, ValueTable, "tensor", "%value")
        e.put(NativeTensor, "data", tensor, data)
        e.put(NativeTensor, "ndim", tensor, "1")
        e.put(NativeTensor, "shape", tensor, storage)
        e.put(NativeTensor, "strides", tensor, "null")
        e.put(NativeTensor, "dtype", tensor, "0")
        e.leave("i1 true")


def _guard(e: Emitter) -> None:
    """tj_guard: whether `object` is what the value asks for; fills its tj_tensor where it has one."""
    kinds = " ".join(f"i64 {number}, label %{name}_kind" for name, number in KINDS.items())
    with e.function("internal i1 @tj_guard(ptr %spec, ptr %value, ptr %object, ptr %frame)"):
        wanted = e.get(ValueTable, "type", "%value")
        own_type = e.load("ptr", "%object", TYPE_OFFSET)
        e.do(f"switch i64 {e.get(ValueTable, 'kind', '%value')}, label %type_kind [{kinds}]")
        for name, function in (("array", "tj_array"), ("int", "tj_integer"), ("bool", "tj_boolean")):
            e.start(f"{name}_kind")
            e.leave(f"i1 {e.call('i1', function, 'ptr %value', 'ptr %object', 'ptr %frame', declare=False)}")
        operands = ("ptr %spec", "ptr %value", "ptr %object", "ptr %frame")
        for name, function in (("tensor", "tj_tensor_guard"), ("numbers", "tj_numbers")):
            e.start(f"{name}_kind")
            e.leave(f"i1 {e.call('i1', function, *operands, declare=False)}")
        e.start("boxed_kind")
        false_unless(e, e.compare("eq", "ptr", own_type, wanted))
        _scalar_input(e, e.at("%object", VALUE_OFFSET))
        e.leave("i1 true")
        e.start("is_kind")
        e.leave(f"i1 {e.compare('eq', 'ptr', '%object', wanted)}")
        e.start("keys_kind")
        false_unless(e, e.compare("eq", "ptr", own_type, wanted))
        length = e.get(ValueTable, "length", "%value")
        false_unless(e, e.compare("eq", "i64", e.load("i64", "%object", SIZE_OFFSET), length))
        e.leave(f"i1 {e.call('i1', 'tj_keys', 'ptr %value', 'ptr %object', declare=False)}")
        e.start("type_kind")
        false_unless(e, e.compare("eq", "ptr", own_type, wanted))
        length = e.get(ValueTable, "length", "%value")
        with e.when(e.compare("slt", "i64", length, 0)):
            e.leave("i1 true")
        e.leave(f"i1 {e.compare('eq', 'i64', e.load('i64', '%object', SIZE_OFFSET), length)}")


# -- memory that arguments share --------------------------------------------------------------------------------


def _extent(e: Emitter) -> None:
    """tj_extent: the bytes [low, high) an array value occupies; false where it has no elements."""
    with e.function("internal i1 @tj_extent(ptr %value, ptr %frame, ptr %low, ptr %high)"):
        tensor = in_frame(e, ValueTable, "tensor", "%value")
        low = e.variable("i64", e.op(f"ptrtoint ptr {e.get(NativeTensor, 'data', tensor)} to i64"))
        high = e.variable("i64", e.load("i64", low))
        shape, strides = e.get(NativeTensor, "shape", tensor), e.get(NativeTensor, "strides", tensor)
        shift = e.get(ValueTable, "shift", "%value")
        rank = e.get(ValueTable, "rank", "%value")
        unit = e.variable("i64", "1")
        with e.count(rank) as i:
            axis = e.op(f"sub i64 {e.op(f'sub i64 {rank}, 1')}, {i}")
            size = e.load("i64", e.element(shape, axis, 8))
            false_unless(e, e.compare("ne", "i64", size, 0))
            stride = e.variable("i64", e.load("i64", unit))
            with e.when(e.compare("ne", "ptr", strides, "null")):
                e.store("i64", e.load("i64", e.element(strides, axis, 8)), stride)
            e.store("i64", e.op(f"mul i64 {e.load('i64', unit)}, {size}"), unit)
            reach = e.op(f"mul i64 {e.load('i64', stride)}, {e.op(f'sub i64 {size}, 1')}")
            bytes_ = e.op(f"shl i64 {reach}, {shift}")
            down = e.op(f"call i64 @llvm.smin.i64(i64 {bytes_}, i64 0)")
            up = e.op(f"call i64 @llvm.smax.i64(i64 {bytes_}, i64 0)")
            e.store("i64", e.add(e.load("i64", low), down), low)
            e.store("i64", e.add(e.load("i64", high), up), high)
        e.store("i64", e.load("i64", low), "%low")
        e.store("i64", e.add(e.load("i64", high), e.op(f"shl i64 1, {shift}")), "%high")
        e.leave("i1 true")


def _disjoint(e: Emitter) -> None:
    """tj_disjoint: whether no array the function writes shares bytes with another array argument."""
    with e.function("internal i1 @tj_disjoint(ptr %spec, ptr %frame)"):
        values, count = e.get(SpecTable, "values", "%spec"), e.get(SpecTable, "value_count", "%spec")
        e.do(f"%extents = alloca i8, i64 {e.op(f'mul i64 {count}, {size_of(Extent)}')}, align 8")
        arrays = e.variable("i64", "0")
        with e.count(count) as i:
            value = e.element(values, i, size_of(ValueTable))
            with e.when(e.compare("sle", "i64", e.get(ValueTable, "kind", value), KINDS["tensor"])):
                extent = _extent_at(e, e.load("i64", arrays))
                places = (f"ptr {e.at(extent, offset_of(Extent, field))}" for field in ("low", "high"))
                with e.when(e.call("i1", "tj_extent", f"ptr {value}", "ptr %frame", *places, declare=False)):
                    e.put(Extent, "inout", extent, e.get(ValueTable, "inout", value))
                    e.store("i64", e.add(e.load("i64", arrays), 1), arrays)
        _sort_extents(e, e.load("i64", arrays))
        end, end_of_written = e.variable("i64", "0"), e.variable("i64", "0")
        with e.count(e.load("i64", arrays)) as i:
            low, high, inout = (e.get(Extent, field, _extent_at(e, i)) for field in ("low", "high", "inout"))
            is_written = e.compare("ne", "i64", inout, 0)
            free = e.op(f"select i1 {is_written}, i64 {e.load('i64', end)}, i64 {e.load('i64', end_of_written)}")
            false_unless(e, e.compare("sge", "i64", low, free))
            _raise_to(e, end, high)
            with e.when(is_written):
                _raise_to(e, end_of_written, high)
        e.leave("i1 true")


def _extent_at(e: Emitter, index: str) -> str:
    return e.element("%extents", index, size_of(Extent))


def _raise_to(e: Emitter, variable: str, least: str) -> None:
    e.store("i64", e.op(f"call i64 @llvm.smax.i64(i64 {e.load('i64', variable)}, i64 {least})"), variable)


def _sort_extents(e: Emitter, count: str) -> None:
    """Sort by address: Shell's method, with gaps in the ratio of Gonnet and Baeza-Yates (Handbook of Algorithms and
    Data Structures, 1991). A function that trains has an array for each parameter and moment: to compare all pairs of
    them would take longer than its products."""
    gap = e.variable("i64", count)
    with e.loop() as is_sorted:
        with e.unless(e.compare("sgt", "i64", e.load("i64", gap), 1)):
            e.goto(is_sorted)
        times_five = e.op(f"mul i64 {e.load('i64', gap)}, 5")
        less = e.op(f"sdiv i64 {times_five}, 11")
        step = e.op(f"call i64 @llvm.smax.i64(i64 {less}, i64 1)")
        e.store("i64", step, gap)
        with e.count(e.op(f"sub i64 {count}, {step}")) as i:
            fields = ("low", "high", "inout")
            moved = [e.get(Extent, field, _extent_at(e, e.add(i, step))) for field in fields]
            before = e.variable("i64", i)
            with e.loop() as is_placed:
                at = e.load("i64", before)
                with e.when(e.compare("slt", "i64", at, 0)):
                    e.goto(is_placed)
                other = [e.get(Extent, field, _extent_at(e, at)) for field in fields]
                with e.unless(e.compare("sgt", "i64", other[0], moved[0])):
                    e.goto(is_placed)
                _put_extent(e, e.add(at, step), other)
                e.store("i64", e.op(f"sub i64 {at}, {step}"), before)
            _put_extent(e, e.add(e.load("i64", before), step), moved)


def _put_extent(e: Emitter, index: str, fields: Sequence[str]) -> None:
    extent = _extent_at(e, index)
    for name, value in zip(("low", "high", "inout"), fields, strict=True):
        e.put(Extent, name, extent, value)
