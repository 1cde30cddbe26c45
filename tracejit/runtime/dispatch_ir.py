"""The native call path as LLVM IR: guards, unboxing, the call, boxing. Reads the tables of `dispatch_tables.py`.

    tj_call(self, args, nargsf, kwnames)     vectorcall of every scripted function: tries its specialisations in order,
                                             else calls `self.slow_call(*args, **kwargs)`
    tj_owner_free(capsule)                   returns a large result's memory

A guard that misses leaves no trace: references are dropped, no error is set, the next specialisation is
tried. Arguments are borrowed from the caller for the whole call; whatever is reached through them (a
Tensor's array, an attribute) is held until the end. Reference counts go through the interpreter's own
functions, so immortal objects of newer Pythons are handled.
"""

from __future__ import annotations

from ctypes import Structure

from tracejit.runtime.callable_type import CHAIN_OFFSET, HEADER
from tracejit.runtime.dispatch_tables import (
    KINDS,
    LEAVES,
    SHAPES,
    STEPS,
    AxisTable,
    FrameHead,
    LeafTable,
    NativeContext,
    NativeTensor,
    OutputTable,
    RuntimeTable,
    SlotTable,
    SpecTable,
    StepTable,
    ValueTable,
    offset_of,
    size_of,
)
from tracejit.runtime.emitter import Emitter

TYPE_OFFSET = HEADER - 8
SIZE_OFFSET = HEADER  # of tuples and lists
VALUE_OFFSET = HEADER  # of float, complex and NumPy scalars
ARRAY_DATA, ARRAY_RANK, ARRAY_DIMS, ARRAY_STRIDES, ARRAY_DTYPE, ARRAY_FLAGS = (
    HEADER + n for n in (0, 8, 16, 24, 40, 48)
)

C_CONTIGUOUS, OWNDATA, ALIGNED, WRITEABLE = 0x1, 0x4, 0x100, 0x400
MISS = "inttoptr (i64 1 to ptr)"
_OFFSET_FLAG_MASK = 0x7FFFFFFFFFFFFFFF


def module_text() -> str:
    """The whole module."""
    e = Emitter()
    e.external("tj_runtime", "i8")
    for emit in (_hold, _release, _follow, _array, _integer, _boolean, _tensor, _guard, _extent, _disjoint, _wrap,
                 _leaf, _results, _fail, _attempt, _keywords, _call, _owner_free):  # fmt: skip
        emit(e)
    return e.text()


def _runtime(e: Emitter, field: str) -> str:
    return e.get(RuntimeTable, field, "@tj_runtime")


def _in_frame(e: Emitter, structure: type[Structure], field: str, base: str) -> str:
    """The frame address that a `frame offset` field of a table names."""
    return e.at("%frame", e.get(structure, field, base))


def _false_unless(e: Emitter, condition: str) -> None:
    with e.unless(condition):
        e.leave("i1 false")


def _increment(e: Emitter, thing: str) -> None:
    e.call("void", "Py_IncRef", f"ptr {thing}")


def _decrement(e: Emitter, thing: str) -> None:
    e.call("void", "Py_DecRef", f"ptr {thing}")


# -- references held during the call --------------------------------------------------------------------------


def _hold(e: Emitter) -> None:
    """tj_hold: remember a new reference, dropped when the call ends."""
    with e.function("internal void @tj_hold(ptr %spec, ptr %frame, ptr %object)"):
        count = e.get(FrameHead, "held_count", "%frame")
        e.store("ptr", "%object", e.element(_in_frame(e, SpecTable, "held", "%spec"), count, 8))
        e.put(FrameHead, "held_count", "%frame", e.add(count, 1))
        e.leave("void")


def _release(e: Emitter) -> None:
    """tj_release: drop what the call holds."""
    with e.function("internal void @tj_release(ptr %spec, ptr %frame)"):
        held = _in_frame(e, SpecTable, "held", "%spec")
        with e.count(e.get(FrameHead, "held_count", "%frame")) as i:
            _decrement(e, e.load("ptr", e.element(held, i, 8)))
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
    return e.load("ptr", found)


def _array(e: Emitter) -> None:
    """tj_array: guard an ndarray and describe it in the value's tj_tensor."""
    with e.function("internal i1 @tj_array(ptr %value, ptr %array, ptr %frame)"):
        _false_unless(e, e.compare("eq", "ptr", e.load("ptr", "%array", TYPE_OFFSET), _runtime(e, "ndarray_type")))
        dtype = e.get(ValueTable, "dtype", "%value")
        _false_unless(e, e.compare("eq", "ptr", e.load("ptr", "%array", ARRAY_DTYPE), dtype))
        rank = e.get(ValueTable, "rank", "%value")
        own_rank = e.op(f"zext i32 {e.load('i32', '%array', ARRAY_RANK)} to i64")
        _false_unless(e, e.compare("eq", "i64", own_rank, rank))
        wanted = e.get(ValueTable, "flags", "%value")
        flags = e.op(f"zext i32 {e.load('i32', '%array', ARRAY_FLAGS)} to i64")
        _false_unless(e, e.compare("eq", "i64", e.op(f"and i64 {flags}, {wanted}"), wanted))
        dims = e.load("ptr", "%array", ARRAY_DIMS)
        elements = _axes(e, dims, rank)
        e.put(FrameHead, "elements", "%frame", e.add(e.get(FrameHead, "elements", "%frame"), elements))
        tensor = _in_frame(e, ValueTable, "tensor", "%value")
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
        _false_unless(
            e,
            e.op(f"select i1 {exact}, i1 {e.compare('eq', 'i64', size, want)}, i1 {_class_holds(e, size, want)}"),
        )
        with e.when(e.compare("sge", "i64", slot, 0)):
            place = e.at("%frame", slot)
            with e.when(e.compare("ne", "i64", e.get(AxisTable, "first", axis), 0)):
                e.store("i64", size, place)
            _false_unless(e, e.compare("eq", "i64", e.load("i64", place), size))
        e.store("i64", e.op(f"mul i64 {e.load('i64', total)}, {size}"), total)
    return e.load("i64", total)


def _class_holds(e: Emitter, size: str, want: str) -> str:
    """`want` is a class: -1 any size, -2 at least 2, that is `size >= -2 * want - 2`."""
    least = e.op(f"sub i64 {e.op(f'mul i64 {want}, -2')}, 2")
    return e.compare("sge", "i64", size, least)


def _strides(e: Emitter, tensor: str, rank: str) -> None:
    """Strides in elements; a stride that is no multiple of the element size misses."""
    strides = e.load("ptr", "%array", ARRAY_STRIDES)
    storage = _in_frame(e, ValueTable, "storage", "%value")
    shift = e.get(ValueTable, "shift", "%value")
    with e.count(rank) as i:
        stride = e.load("i64", e.element(strides, i, 8))
        whole = e.op(f"ashr i64 {stride}, {shift}")
        _false_unless(e, e.compare("eq", "i64", e.op(f"shl i64 {whole}, {shift}"), stride))
        e.store("i64", whole, e.element(storage, i, 8))
    e.put(NativeTensor, "strides", tensor, storage)


def _integer(e: Emitter) -> None:
    """tj_integer: guard a Python int that fits 64 bits."""
    with e.function("internal i1 @tj_integer(ptr %value, ptr %object, ptr %frame)"):
        _false_unless(e, e.compare("eq", "ptr", e.load("ptr", "%object", TYPE_OFFSET), _runtime(e, "int_type")))
        overflow = e.variable("i32", "0")
        number = e.call("i64", "PyLong_AsLongLongAndOverflow", "ptr %object", f"ptr {overflow}")
        _false_unless(e, e.compare("eq", "i32", e.load("i32", overflow), 0))
        storage = _in_frame(e, ValueTable, "storage", "%value")
        e.store("i64", number, storage)
        _scalar_input(e, storage)
        e.leave("i1 true")


def _boolean(e: Emitter) -> None:
    """tj_boolean: guard True or False."""
    with e.function("internal i1 @tj_boolean(ptr %value, ptr %object, ptr %frame)"):
        is_true = e.compare("eq", "ptr", "%object", _runtime(e, "true"))
        is_false = e.compare("eq", "ptr", "%object", _runtime(e, "false"))
        _false_unless(e, e.op(f"or i1 {is_true}, {is_false}"))
        storage = _in_frame(e, ValueTable, "storage", "%value")
        e.store("i8", e.op(f"zext i1 {is_true} to i8"), storage)
        _scalar_input(e, storage)
        e.leave("i1 true")


def _scalar_input(e: Emitter, address: str) -> None:
    """Describe a host scalar at `address` in the value's tj_tensor."""
    tensor = _in_frame(e, ValueTable, "tensor", "%value")
    e.put(NativeTensor, "data", tensor, address)
    e.put(NativeTensor, "ndim", tensor, "0")
    e.put(NativeTensor, "shape", tensor, "null")
    e.put(NativeTensor, "strides", tensor, "null")
    e.put(NativeTensor, "dtype", tensor, "0")


def _tensor(e: Emitter) -> None:
    """tj_tensor_guard: a Tensor of the exact class that asks for no gradient; its array is held."""
    with e.function("internal i1 @tj_tensor_guard(ptr %spec, ptr %value, ptr %object, ptr %frame)"):
        wanted = e.get(ValueTable, "type", "%value")
        _false_unless(e, e.compare("eq", "ptr", e.load("ptr", "%object", TYPE_OFFSET), wanted))
        grad_slot = e.get(ValueTable, "grad_slot", "%value")
        with e.when(e.compare("sge", "i64", grad_slot, 0)):
            _false_unless(e, e.compare("eq", "ptr", e.load("ptr", "%object", grad_slot), _runtime(e, "false")))
        array = e.load("ptr", "%object", e.get(ValueTable, "data_slot", "%value"))
        _false_unless(e, e.compare("ne", "ptr", array, "null"))
        _increment(e, array)
        e.call("void", "tj_hold", "ptr %spec", "ptr %frame", f"ptr {array}", declare=False)
        e.leave(f"i1 {e.call('i1', 'tj_array', 'ptr %value', f'ptr {array}', 'ptr %frame', declare=False)}")


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
        e.start("tensor_kind")
        operands = ("ptr %spec", "ptr %value", "ptr %object", "ptr %frame")
        e.leave(f"i1 {e.call('i1', 'tj_tensor_guard', *operands, declare=False)}")
        e.start("boxed_kind")
        _false_unless(e, e.compare("eq", "ptr", own_type, wanted))
        _scalar_input(e, e.at("%object", VALUE_OFFSET))
        e.leave("i1 true")
        e.start("is_kind")
        e.leave(f"i1 {e.compare('eq', 'ptr', '%object', wanted)}")
        e.start("type_kind")
        _false_unless(e, e.compare("eq", "ptr", own_type, wanted))
        length = e.get(ValueTable, "length", "%value")
        with e.when(e.compare("slt", "i64", length, 0)):
            e.leave("i1 true")
        e.leave(f"i1 {e.compare('eq', 'i64', e.load('i64', '%object', SIZE_OFFSET), length)}")


# -- memory that arguments share --------------------------------------------------------------------------------


def _extent(e: Emitter) -> None:
    """tj_extent: the bytes [low, high) an array value occupies; false where it has no elements."""
    with e.function("internal i1 @tj_extent(ptr %value, ptr %frame, ptr %low, ptr %high)"):
        tensor = _in_frame(e, ValueTable, "tensor", "%value")
        low = e.variable("i64", e.op(f"ptrtoint ptr {e.get(NativeTensor, 'data', tensor)} to i64"))
        high = e.variable("i64", e.load("i64", low))
        shape, strides = e.get(NativeTensor, "shape", tensor), e.get(NativeTensor, "strides", tensor)
        shift = e.get(ValueTable, "shift", "%value")
        rank = e.get(ValueTable, "rank", "%value")
        unit = e.variable("i64", "1")
        with e.count(rank) as i:
            axis = e.op(f"sub i64 {e.op(f'sub i64 {rank}, 1')}, {i}")
            size = e.load("i64", e.element(shape, axis, 8))
            _false_unless(e, e.compare("ne", "i64", size, 0))
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
        low, high, other_low, other_high = (e.variable("i64", "0") for _ in range(4))
        with e.count(count) as i:
            value = e.element(values, i, size_of(ValueTable))
            with e.when(e.compare("ne", "i64", e.get(ValueTable, "inout", value), 0)):
                some = e.call(
                    "i1", "tj_extent", f"ptr {value}", "ptr %frame", f"ptr {low}", f"ptr {high}", declare=False
                )
                with e.when(some), e.count(count) as j:
                    other = e.element(values, j, size_of(ValueTable))
                    is_array = e.compare("sle", "i64", e.get(ValueTable, "kind", other), KINDS["tensor"])
                    with e.when(e.op(f"and i1 {is_array}, {e.compare('ne', 'i64', i, j)}")):
                        places = (f"ptr {other_low}", f"ptr {other_high}")
                        with e.when(e.call("i1", "tj_extent", f"ptr {other}", "ptr %frame", *places, declare=False)):
                            before = e.compare("sle", "i64", e.load("i64", high), e.load("i64", other_low))
                            behind = e.compare("sle", "i64", e.load("i64", other_high), e.load("i64", low))
                            _false_unless(e, e.op(f"or i1 {before}, {behind}"))
        e.leave("i1 true")


# -- results --------------------------------------------------------------------------------------------------------


def _wrap(e: Emitter) -> None:
    """tj_wrap: a new ndarray that owns `data` (null: NumPy allocates), inside a Tensor where the leaf asks for one."""
    with e.function("internal ptr @tj_wrap(ptr %leaf, ptr %shape, ptr %data, i64 %bytes)"):
        dtype = e.get(LeafTable, "dtype", "%leaf")
        _increment(e, dtype)
        rank = e.op(f"trunc i64 {e.get(LeafTable, 'rank', '%leaf')} to i32")
        flags = C_CONTIGUOUS | ALIGNED | WRITEABLE
        array = e.call("ptr", _runtime(e, "new_from_descr"), f"ptr {_runtime(e, 'ndarray_type')}", f"ptr {dtype}",
                       f"i32 {rank}", "ptr %shape", "ptr null", "ptr %data", f"i32 {flags}", "ptr null")  # fmt: skip
        with e.when(e.compare("eq", "ptr", array, "null")):
            e.leave("ptr null")
        with e.when(e.compare("ne", "ptr", "%data", "null")):
            _own(e, array)
        type_ = e.get(LeafTable, "type", "%leaf")
        with e.when(e.compare("eq", "ptr", type_, "null")):
            e.leave(f"ptr {array}")
        tensor = e.call("ptr", "PyType_GenericAlloc", f"ptr {type_}", "i64 0")
        with e.when(e.compare("eq", "ptr", tensor, "null")):
            _decrement(e, array)
            e.leave("ptr null")
        slots = e.get(LeafTable, "slots", "%leaf")
        with e.count(e.get(LeafTable, "slot_count", "%leaf")) as i:
            slot = e.element(slots, i, size_of(SlotTable))
            default = e.get(SlotTable, "object", slot)
            _increment(e, default)
            e.store("ptr", default, tensor, e.get(SlotTable, "offset", slot))
        e.store("ptr", array, tensor, e.get(LeafTable, "data_slot", "%leaf"))
        e.leave(f"ptr {tensor}")


def _own(e: Emitter, array: str) -> None:
    """Let the array own its memory: NumPy frees small blocks itself, large ones go back through a capsule."""
    large = e.compare("sge", "i64", "%bytes", _runtime(e, "large_bytes"))
    with e.unless(large):
        flags = e.load("i32", array, ARRAY_FLAGS)
        e.store("i32", e.op(f"or i32 {flags}, {OWNDATA}"), array, ARRAY_FLAGS)
    with e.when(large):
        name = _runtime(e, "capsule_name")
        capsule = e.call("ptr", "PyCapsule_New", "ptr %data", f"ptr {name}", "ptr @tj_owner_free")
        with e.when(e.compare("eq", "ptr", capsule, "null")):
            _decrement(e, array)
            e.leave("ptr null")
        status = e.call("i32", _runtime(e, "set_base"), f"ptr {array}", f"ptr {capsule}")
        with e.when(e.compare("ne", "i32", status, 0)):
            _decrement(e, array)
            e.leave("ptr null")


def _owner_free(e: Emitter) -> None:
    """tj_owner_free: destructor of a large result's capsule."""
    with e.function("void @tj_owner_free(ptr %capsule)"):
        data = e.call("ptr", "PyCapsule_GetPointer", "ptr %capsule", f"ptr {_runtime(e, 'capsule_name')}")
        e.call("void", _runtime(e, "free"), f"ptr {data}")
        e.leave("void")


def _leaf(e: Emitter) -> None:
    """tj_leaf: one Python object of the result, a new reference, or null with an error set."""
    kinds = " ".join(f"i64 {number}, label %{name}_leaf" for name, number in LEAVES.items())
    with e.function("internal ptr @tj_leaf(ptr %leaf, ptr %frame)"):
        tensor = _in_frame(e, LeafTable, "tensor", "%leaf")
        data = e.get(NativeTensor, "data", tensor)
        e.do(f"switch i64 {e.get(LeafTable, 'kind', '%leaf')}, label %constant_leaf [{kinds}]")
        e.start("array_leaf")
        _array_leaf(e, tensor, data)
        e.start("float_leaf")
        number = e.load("double", data)
        e.leave(f"ptr {e.call('ptr', 'PyFloat_FromDouble', f'double {number}')}")
        e.start("int_leaf")
        number = e.load("i64", data)
        e.leave(f"ptr {e.call('ptr', 'PyLong_FromLongLong', f'i64 {number}')}")
        e.start("bool_leaf")
        number = e.op(f"zext i8 {e.load('i8', data)} to i64")
        e.leave(f"ptr {e.call('ptr', 'PyBool_FromLong', f'i64 {number}')}")
        e.start("complex_leaf")
        parts = f"double {e.load('double', data)}", f"double {e.load('double', data, 8)}"
        e.leave(f"ptr {e.call('ptr', 'PyComplex_FromDoubles', *parts)}")
        e.start("numpy_leaf")
        dtype = e.get(LeafTable, "dtype", "%leaf")
        e.leave(f"ptr {e.call('ptr', _runtime(e, 'scalar'), f'ptr {data}', f'ptr {dtype}', 'ptr null')}")
        e.start("scalar_array_leaf")
        _scalar_array_leaf(e, data)
        e.start("frame_leaf")
        shared = e.load("ptr", _in_frame(e, LeafTable, "index", "%leaf"))
        _increment(e, shared)
        e.leave(f"ptr {shared}")
        e.start("constant_leaf")
        constant = e.get(LeafTable, "constant", "%leaf")
        _increment(e, constant)
        e.leave(f"ptr {constant}")


def _array_leaf(e: Emitter, tensor: str, data: str) -> None:
    bytes_ = e.variable("i64", e.get(LeafTable, "itemsize", "%leaf"))
    shape = e.get(NativeTensor, "shape", tensor)
    with e.count(e.get(LeafTable, "rank", "%leaf")) as i:
        size = e.load("i64", e.element(shape, i, 8))
        e.store("i64", e.op(f"mul i64 {e.load('i64', bytes_)}, {size}"), bytes_)
    e.put(NativeTensor, "data", tensor, "null")  # from here on the array owns it
    total = e.load("i64", bytes_)
    wrapped = e.call("ptr", "tj_wrap", "ptr %leaf", f"ptr {shape}", f"ptr {data}", f"i64 {total}", declare=False)
    e.leave(f"ptr {wrapped}")


def _scalar_array_leaf(e: Emitter, data: str) -> None:
    """A host scalar as a 0-d array."""
    itemsize = e.get(LeafTable, "itemsize", "%leaf")
    copy = e.call("ptr", "malloc", f"i64 {itemsize}")
    with e.when(e.compare("eq", "ptr", copy, "null")):
        e.leave(f"ptr {e.call('ptr', 'PyErr_NoMemory')}")
    e.do(f"call void @llvm.memcpy.p0.p0.i64(ptr {copy}, ptr {data}, i64 {itemsize}, i1 false)")
    wrapped = e.call("ptr", "tj_wrap", "ptr %leaf", "ptr null", f"ptr {copy}", f"i64 {itemsize}", declare=False)
    e.leave(f"ptr {wrapped}")


def _results(e: Emitter) -> None:
    """tj_results: the result of a successful call."""
    with e.function("internal ptr @tj_results(ptr %spec, ptr %frame)"):
        leaves, count = e.get(SpecTable, "leaves", "%spec"), e.get(SpecTable, "leaf_count", "%spec")
        shape = e.get(SpecTable, "shape", "%spec")
        objects = _in_frame(e, SpecTable, "leaf_objects", "%spec")
        with e.count(count) as i:
            leaf = e.element(leaves, i, size_of(LeafTable))
            thing = e.call("ptr", "tj_leaf", f"ptr {leaf}", "ptr %frame", declare=False)
            e.store("ptr", thing, e.element(objects, i, 8))
            with e.when(e.compare("eq", "ptr", thing, "null")):
                with e.count(i) as done:
                    _decrement(e, e.load("ptr", e.element(objects, done, 8)))
                _free_outputs(e)
                e.leave("ptr null")
        with e.when(e.compare("eq", "i64", shape, SHAPES["single"])):
            e.leave(f"ptr {e.load('ptr', objects)}")
        result = e.variable("ptr", "null")
        with e.when(e.compare("eq", "i64", shape, SHAPES["finish"])):
            finish = e.get(SpecTable, "finish", "%spec")
            made = e.call("ptr", "PyObject_Vectorcall", f"ptr {finish}", f"ptr {objects}", f"i64 {count}", "ptr null")
            with e.count(count) as i:
                _decrement(e, e.load("ptr", e.element(objects, i, 8)))
            e.leave(f"ptr {made}")
        e.store("ptr", e.call("ptr", "PyTuple_New", f"i64 {count}"), result)
        tuple_ = e.load("ptr", result)
        with e.count(count) as i:
            thing = e.load("ptr", e.element(objects, i, 8))
            with e.when(e.compare("eq", "ptr", tuple_, "null")):
                _decrement(e, thing)
            with e.when(e.compare("ne", "ptr", tuple_, "null")):
                e.call("i32", "PyTuple_SetItem", f"ptr {tuple_}", f"i64 {i}", f"ptr {thing}")
        e.leave(f"ptr {tuple_}")


def _free_outputs(e: Emitter) -> None:
    """Free output memory that no Python object owns yet."""
    outputs = e.get(SpecTable, "outputs", "%spec")
    with e.count(e.get(SpecTable, "output_count", "%spec")) as i:
        output = e.element(outputs, i, size_of(OutputTable))
        data = e.get(NativeTensor, "data", _in_frame(e, OutputTable, "tensor", output))
        is_tensor = e.compare("eq", "i64", e.get(OutputTable, "scalar", output), 0)
        with e.when(e.op(f"and i1 {is_tensor}, {e.compare('ne', 'ptr', data, 'null')}")):
            e.call("void", _runtime(e, "free"), f"ptr {data}")


def _fail(e: Emitter) -> None:
    """tj_fail: `error_hook(status, address of the context)`, which raises."""
    with e.function("internal ptr @tj_fail(ptr %spec, ptr %frame, i32 %status)"):
        number = e.call("ptr", "PyLong_FromLongLong", f"i64 {e.op('zext i32 %status to i64')}")
        context = e.at("%frame", offset_of(FrameHead, "context"))
        address = e.call("ptr", "PyLong_FromVoidPtr", f"ptr {context}")
        args = e.variable("[2 x ptr]", "zeroinitializer")
        e.store("ptr", number, args)
        e.store("ptr", address, args, 8)
        hook = e.get(SpecTable, "error_hook", "%spec")
        result = e.call("ptr", "PyObject_Vectorcall", f"ptr {hook}", f"ptr {args}", "i64 2", "ptr null")
        _decrement(e, number)
        _decrement(e, address)
        e.leave(f"ptr {result}")


# -- the call ---------------------------------------------------------------------------------------------------------


def _attempt(e: Emitter) -> None:
    """tj_attempt: run one specialisation; MISS where a guard does not hold."""
    with e.function("internal ptr @tj_attempt(ptr %spec, ptr %args)"):
        frame_bytes = e.get(SpecTable, "frame_bytes", "%spec")
        e.do(f"%frame = alloca i8, i64 {frame_bytes}, align 16")
        e.put(FrameHead, "held_count", "%frame", "0")
        e.put(FrameHead, "elements", "%frame", "0")
        values, objects = e.get(SpecTable, "values", "%spec"), _in_frame(e, SpecTable, "objects", "%spec")
        with e.count(e.get(SpecTable, "value_count", "%spec")) as i:
            value = e.element(values, i, size_of(ValueTable))
            thing = e.call("ptr", "tj_follow", "ptr %spec", f"ptr {value}", "ptr %args", "ptr %frame", declare=False)
            with e.when(e.compare("eq", "ptr", thing, "null")):
                e.goto("miss")
            e.store("ptr", thing, e.element(objects, i, 8))
            operands = "ptr %spec", f"ptr {value}", f"ptr {thing}", "ptr %frame"
            with e.unless(e.call("i1", "tj_guard", *operands, declare=False)):
                e.goto("miss")
        has_inout = e.compare("ne", "i64", e.get(SpecTable, "has_inout", "%spec"), 0)
        with e.when(has_inout):
            with e.unless(e.call("i1", "tj_disjoint", "ptr %spec", "ptr %frame", declare=False)):
                e.goto("miss")
        e.put(SpecTable, "hits", "%spec", e.add(e.get(SpecTable, "hits", "%spec"), 1))
        status = _enter(e)
        with e.when(has_inout):
            _bump_versions(e, values, objects)
        result = e.variable("ptr", "null")
        failed = e.compare("ne", "i32", status, 0)
        with e.when(failed):
            e.store("ptr", e.call("ptr", "tj_fail", "ptr %spec", "ptr %frame", f"i32 {status}", declare=False), result)
        with e.unless(failed):
            e.store("ptr", e.call("ptr", "tj_results", "ptr %spec", "ptr %frame", declare=False), result)
        e.call("void", "tj_release", "ptr %spec", "ptr %frame", declare=False)
        e.leave(f"ptr {e.load('ptr', result)}")
        e.start("miss")
        e.call("void", "tj_release", "ptr %spec", "ptr %frame", declare=False)
        e.leave(f"ptr {MISS}")


def _enter(e: Emitter) -> str:
    """Describe the outputs and call the native entry, without the interpreter lock for long work."""
    outputs = e.get(SpecTable, "outputs", "%spec")
    with e.count(e.get(SpecTable, "output_count", "%spec")) as i:
        output = e.element(outputs, i, size_of(OutputTable))
        tensor, storage = (_in_frame(e, OutputTable, field, output) for field in ("tensor", "storage"))
        scalar = e.compare("ne", "i64", e.get(OutputTable, "scalar", output), 0)
        e.put(NativeTensor, "data", tensor, e.op(f"select i1 {scalar}, ptr {storage}, ptr null"))
        e.put(NativeTensor, "ndim", tensor, e.get(OutputTable, "rank", output))
        e.put(NativeTensor, "shape", tensor, storage)
        e.put(NativeTensor, "strides", tensor, "null")
        e.put(NativeTensor, "dtype", tensor, "0")
    context = e.at("%frame", offset_of(FrameHead, "context"))
    e.do(f"call void @llvm.memset.p0.i64(ptr {context}, i8 0, i64 {size_of(NativeContext)}, i1 false)")
    e.put(NativeContext, "print_hook", context, e.get(SpecTable, "print_hook", "%spec"))
    limit = e.get(SpecTable, "release_above", "%spec")
    enough = e.compare("sge", "i64", e.get(FrameHead, "elements", "%frame"), limit)
    release = e.op(f"and i1 {enough}, {e.compare('sge', 'i64', limit, 0)}")
    thread = e.variable("ptr", "null")
    with e.when(release):
        e.store("ptr", e.call("ptr", "PyEval_SaveThread"), thread)
    inputs, results = (_in_frame(e, SpecTable, field, "%spec") for field in ("inputs", "results"))
    entry = e.get(SpecTable, "entry", "%spec")
    status = e.call("i32", entry, f"ptr {inputs}", f"ptr {results}", f"ptr {context}")
    with e.when(release):
        e.call("void", "PyEval_RestoreThread", f"ptr {e.load('ptr', thread)}")
    return status


def _bump_versions(e: Emitter, values: str, objects: str) -> None:
    """Add one to the version of every Tensor the function may have written."""
    with e.count(e.get(SpecTable, "value_count", "%spec")) as i:
        value = e.element(values, i, size_of(ValueTable))
        is_tensor = e.compare("eq", "i64", e.get(ValueTable, "kind", value), KINDS["tensor"])
        written = e.compare("ne", "i64", e.get(ValueTable, "inout", value), 0)
        with e.when(e.op(f"and i1 {is_tensor}, {written}")):
            written_to = e.variable("ptr", e.load("ptr", e.element(objects, i, 8)))
            owner = e.load("ptr", e.load("ptr", written_to), e.get(ValueTable, "owner_slot", value))
            has_owner = e.op(
                f"and i1 {e.compare('ne', 'ptr', owner, 'null')}, {e.compare('ne', 'ptr', owner, _runtime(e, 'none'))}"
            )
            with e.when(has_owner):
                e.store("ptr", owner, written_to)
            place = e.at(e.load("ptr", written_to), e.get(ValueTable, "version_slot", value))
            old = e.load("ptr", place)
            new = e.call("ptr", "PyNumber_Add", f"ptr {old}", f"ptr {_runtime(e, 'one')}")
            with e.when(e.compare("ne", "ptr", new, "null")):
                e.store("ptr", new, place)
                _decrement(e, old)


def _keywords(e: Emitter) -> None:
    """tj_keywords: whether the call names exactly the specialisation's keywords, in its order."""
    with e.function("internal i1 @tj_keywords(ptr %spec, ptr %names)"):
        count = e.get(SpecTable, "keyword_count", "%spec")
        with e.when(e.compare("eq", "ptr", "%names", "null")):
            e.leave(f"i1 {e.compare('eq', 'i64', count, 0)}")
        _false_unless(e, e.compare("eq", "i64", e.load("i64", "%names", SIZE_OFFSET), count))
        wanted = e.get(SpecTable, "keywords", "%spec")
        with e.count(count) as i:
            name = e.call("ptr", "PyTuple_GetItem", "ptr %names", f"i64 {i}")
            _false_unless(e, e.compare("eq", "ptr", name, e.load("ptr", e.element(wanted, i, 8))))
        e.leave("i1 true")


def _call(e: Emitter) -> None:
    """tj_call: the vectorcall function."""
    with e.function("ptr @tj_call(ptr %self, ptr %args, i64 %nargsf, ptr %names)"):
        given = e.op(f"and i64 %nargsf, {_OFFSET_FLAG_MASK}")
        current = e.variable("ptr", e.load("ptr", "%self", CHAIN_OFFSET))
        with e.walk(current) as spec:
            with e.when(e.compare("eq", "i64", e.get(SpecTable, "positional", spec), given)):
                with e.when(e.call("i1", "tj_keywords", f"ptr {spec}", "ptr %names", declare=False)):
                    result = e.call("ptr", "tj_attempt", f"ptr {spec}", "ptr %args", declare=False)
                    with e.when(e.compare("ne", "ptr", result, MISS)):
                        e.leave(f"ptr {result}")
            e.store("ptr", e.get(SpecTable, "next", spec), current)
        slow = e.call("ptr", "PyObject_GetAttr", "ptr %self", f"ptr {_runtime(e, 'slow_name')}")
        with e.when(e.compare("eq", "ptr", slow, "null")):
            e.leave("ptr null")
        result = e.call("ptr", "PyObject_Vectorcall", f"ptr {slow}", "ptr %args", "i64 %nargsf", "ptr %names")
        _decrement(e, slow)
        e.leave(f"ptr {result}")
