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

from tracejit.codegen.support.allocation import LARGE_ALIGNMENT, large_start
from tracejit.runtime.callable_type import CHAIN_OFFSET
from tracejit.runtime.dispatch_guards_ir import decrement, emit_guards, false_unless, in_frame, increment, runtime
from tracejit.runtime.dispatch_tables import (
    ALIGNED,
    ARRAY_DATA,
    ARRAY_FLAGS,
    C_CONTIGUOUS,
    KINDS,
    LEAVES,
    OFTEN,
    OWNDATA,
    SHAPES,
    SIZE_OFFSET,
    TYPE_OFFSET,
    WRITEABLE,
    FrameHead,
    LeafTable,
    NativeContext,
    NativeTensor,
    OutputTable,
    SlotTable,
    SpecTable,
    ValueTable,
    offset_of,
    size_of,
)
from tracejit.runtime.emitter import Emitter

MISS = "inttoptr (i64 1 to ptr)"
_OFFSET_FLAG_MASK = 0x7FFFFFFFFFFFFFFF


def module_text() -> str:
    """The whole module."""
    e = Emitter()
    e.external("tj_runtime", "i8")
    emit_guards(e)
    for emit in (_wrap, _leaf, _results, _fail, _often, _attempt, _keywords, _call, _owner_free):
        emit(e)
    return e.module()


# -- results --------------------------------------------------------------------------------------------------------


def _wrap(e: Emitter) -> None:
    """tj_wrap: a new ndarray that owns `data` (null: NumPy allocates), inside a Tensor where the leaf asks for one."""
    with e.function("internal ptr @tj_wrap(ptr %leaf, ptr %shape, ptr %data)"):
        dtype = e.get(LeafTable, "dtype", "%leaf")
        increment(e, dtype)
        rank = e.op(f"trunc i64 {e.get(LeafTable, 'rank', '%leaf')} to i32")
        flags = C_CONTIGUOUS | ALIGNED | WRITEABLE
        array = e.call("ptr", runtime(e, "new_from_descr"), f"ptr {runtime(e, 'ndarray_type')}", f"ptr {dtype}",
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
            decrement(e, array)
            e.leave("ptr null")
        slots = e.get(LeafTable, "slots", "%leaf")
        with e.count(e.get(LeafTable, "slot_count", "%leaf")) as i:
            slot = e.element(slots, i, size_of(SlotTable))
            default = e.get(SlotTable, "object", slot)
            increment(e, default)
            e.store("ptr", default, tensor, e.get(SlotTable, "offset", slot))
        e.store("ptr", array, tensor, e.get(LeafTable, "data_slot", "%leaf"))
        e.leave(f"ptr {tensor}")


def _own(e: Emitter, array: str) -> None:
    """Let the array own its memory: NumPy frees small blocks itself, large ones go back through a capsule."""
    address = e.op("ptrtoint ptr %data to i64")
    low = e.op(f"and i64 {address}, {LARGE_ALIGNMENT - 1}")
    large = e.compare("eq", "i64", low, large_start(e.op, address))
    with e.unless(large):
        flags = e.load("i32", array, ARRAY_FLAGS)
        e.store("i32", e.op(f"or i32 {flags}, {OWNDATA}"), array, ARRAY_FLAGS)
    with e.when(large):
        name = runtime(e, "capsule_name")
        capsule = e.call("ptr", "PyCapsule_New", "ptr %data", f"ptr {name}", "ptr @tj_owner_free")
        with e.when(e.compare("eq", "ptr", capsule, "null")):
            decrement(e, array)
            e.leave("ptr null")
        status = e.call("i32", runtime(e, "set_base"), f"ptr {array}", f"ptr {capsule}")
        with e.when(e.compare("ne", "i32", status, 0)):
            decrement(e, array)
            e.leave("ptr null")


def _owner_free(e: Emitter) -> None:
    """tj_owner_free: destructor of a large result's capsule."""
    with e.function("void @tj_owner_free(ptr %capsule)"):
        data = e.call("ptr", "PyCapsule_GetPointer", "ptr %capsule", f"ptr {runtime(e, 'capsule_name')}")
        e.call("void", runtime(e, "free"), f"ptr {data}")
        e.leave("void")


def _leaf(e: Emitter) -> None:
    """tj_leaf: one Python object of the result, a new reference, or null with an error set."""
    kinds = " ".join(f"i64 {number}, label %{name}_leaf" for name, number in LEAVES.items())
    with e.function("internal ptr @tj_leaf(ptr %leaf, ptr %frame)"):
        tensor = in_frame(e, LeafTable, "tensor", "%leaf")
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
        e.leave(f"ptr {e.call('ptr', runtime(e, 'scalar'), f'ptr {data}', f'ptr {dtype}', 'ptr null')}")
        e.start("scalar_array_leaf")
        _scalar_array_leaf(e, data)
        e.start("frame_leaf")
        shared = e.load("ptr", in_frame(e, LeafTable, "index", "%leaf"))
        increment(e, shared)
        e.leave(f"ptr {shared}")
        e.start("constant_leaf")
        constant = e.get(LeafTable, "constant", "%leaf")
        increment(e, constant)
        e.leave(f"ptr {constant}")


def _array_leaf(e: Emitter, tensor: str, data: str) -> None:
    e.put(NativeTensor, "data", tensor, "null")  # from here on the array owns it
    shape = e.get(NativeTensor, "shape", tensor)
    wrapped = e.call("ptr", "tj_wrap", "ptr %leaf", f"ptr {shape}", f"ptr {data}", declare=False)
    e.leave(f"ptr {wrapped}")


def _scalar_array_leaf(e: Emitter, data: str) -> None:
    """A host scalar as a 0-d array. NumPy makes its memory: a block of the C library's might lie where large ones do,
    which `_own` gives back in another way."""
    wrapped = e.call("ptr", "tj_wrap", "ptr %leaf", "ptr null", "ptr null", declare=False)
    with e.when(e.compare("eq", "ptr", wrapped, "null")):
        e.leave("ptr null")
    array = e.variable("ptr", wrapped)
    with e.when(e.compare("ne", "ptr", e.get(LeafTable, "type", "%leaf"), "null")):
        e.store("ptr", e.load("ptr", wrapped, e.get(LeafTable, "data_slot", "%leaf")), array)
    place = e.load("ptr", e.load("ptr", array), ARRAY_DATA)
    itemsize = e.get(LeafTable, "itemsize", "%leaf")
    e.do(f"call void @llvm.memcpy.p0.p0.i64(ptr {place}, ptr {data}, i64 {itemsize}, i1 false)")
    e.leave(f"ptr {wrapped}")


def _results(e: Emitter) -> None:
    """tj_results: the result of a successful call."""
    with e.function("internal ptr @tj_results(ptr %spec, ptr %frame)"):
        leaves, count = e.get(SpecTable, "leaves", "%spec"), e.get(SpecTable, "leaf_count", "%spec")
        shape = e.get(SpecTable, "shape", "%spec")
        objects = in_frame(e, SpecTable, "leaf_objects", "%spec")
        with e.count(count) as i:
            leaf = e.element(leaves, i, size_of(LeafTable))
            thing = e.call("ptr", "tj_leaf", f"ptr {leaf}", "ptr %frame", declare=False)
            e.store("ptr", thing, e.element(objects, i, 8))
            with e.when(e.compare("eq", "ptr", thing, "null")):
                with e.count(i) as done:
                    decrement(e, e.load("ptr", e.element(objects, done, 8)))
                _free_outputs(e)
                e.leave("ptr null")
        with e.when(e.compare("eq", "i64", shape, SHAPES["single"])):
            e.leave(f"ptr {e.load('ptr', objects)}")
        result = e.variable("ptr", "null")
        with e.when(e.compare("eq", "i64", shape, SHAPES["finish"])):
            finish = e.get(SpecTable, "finish", "%spec")
            made = e.call("ptr", "PyObject_Vectorcall", f"ptr {finish}", f"ptr {objects}", f"i64 {count}", "ptr null")
            with e.count(count) as i:
                decrement(e, e.load("ptr", e.element(objects, i, 8)))
            e.leave(f"ptr {made}")
        e.store("ptr", e.call("ptr", "PyTuple_New", f"i64 {count}"), result)
        tuple_ = e.load("ptr", result)
        with e.count(count) as i:
            thing = e.load("ptr", e.element(objects, i, 8))
            with e.when(e.compare("eq", "ptr", tuple_, "null")):
                decrement(e, thing)
            with e.when(e.compare("ne", "ptr", tuple_, "null")):
                e.call("i32", "PyTuple_SetItem", f"ptr {tuple_}", f"i64 {i}", f"ptr {thing}")
        e.leave(f"ptr {tuple_}")


def _free_outputs(e: Emitter) -> None:
    """Free output memory that no Python object owns yet."""
    outputs = e.get(SpecTable, "outputs", "%spec")
    with e.count(e.get(SpecTable, "output_count", "%spec")) as i:
        output = e.element(outputs, i, size_of(OutputTable))
        data = e.get(NativeTensor, "data", in_frame(e, OutputTable, "tensor", output))
        is_tensor = e.compare("eq", "i64", e.get(OutputTable, "scalar", output), 0)
        with e.when(e.op(f"and i1 {is_tensor}, {e.compare('ne', 'ptr', data, 'null')}")):
            e.call("void", runtime(e, "free"), f"ptr {data}")


def _fail(e: Emitter) -> None:
    """tj_fail: raise the exception that `error_hook(status, address of the context)` gives."""
    with e.function("internal void @tj_fail(ptr %spec, ptr %frame, i32 %status)"):
        number = e.call("ptr", "PyLong_FromLongLong", f"i64 {e.op('sext i32 %status to i64')}")
        context = e.at("%frame", offset_of(FrameHead, "context"))
        address = e.call("ptr", "PyLong_FromVoidPtr", f"ptr {context}")
        args = e.variable("[2 x ptr]", "zeroinitializer")
        e.store("ptr", number, args)
        e.store("ptr", address, args, 8)
        hook = e.get(SpecTable, "error_hook", "%spec")
        error = e.call("ptr", "PyObject_Vectorcall", f"ptr {hook}", f"ptr {args}", "i64 2", "ptr null")
        decrement(e, number)
        decrement(e, address)
        with e.when(e.compare("ne", "ptr", error, "null")):
            e.call("void", "PyErr_SetObject", f"ptr {e.load('ptr', error, TYPE_OFFSET)}", f"ptr {error}")
            decrement(e, error)
        e.leave("void")


def _often(e: Emitter) -> None:
    """tj_often: tell that calls are many; nothing depends on what comes of it."""
    with e.function("internal void @tj_often() noinline cold"):
        made = e.call("ptr", "PyObject_Vectorcall", f"ptr {runtime(e, 'often')}", "ptr null", "i64 0", "ptr null")
        with e.when(e.compare("eq", "ptr", made, "null")):
            e.call("void", "PyErr_Clear")
            e.leave("void")
        decrement(e, made)
        e.leave("void")


# -- the call ---------------------------------------------------------------------------------------------------------


def _attempt(e: Emitter) -> None:
    """tj_attempt: run one specialisation; MISS where a guard does not hold."""
    with e.function("internal ptr @tj_attempt(ptr %spec, ptr %args)"):
        frame_bytes = e.get(SpecTable, "frame_bytes", "%spec")
        e.do(f"%frame = alloca i8, i64 {frame_bytes}, align 16")
        e.put(FrameHead, "held_count", "%frame", "0")
        e.put(FrameHead, "elements", "%frame", "0")
        values, objects = e.get(SpecTable, "values", "%spec"), in_frame(e, SpecTable, "objects", "%spec")
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
        with e.when(has_inout), e.unless(e.call("i1", "tj_disjoint", "ptr %spec", "ptr %frame", declare=False)):
            e.goto("miss")
        hits = e.add(e.get(SpecTable, "hits", "%spec"), 1)
        e.put(SpecTable, "hits", "%spec", hits)
        with e.when(e.compare("eq", "i64", hits, OFTEN)):
            e.call("void", "tj_often", declare=False)
        status = _enter(e)
        calls = e.compare("ne", "ptr", e.get(SpecTable, "entry", "%spec"), "null")
        with e.when(e.op(f"and i1 {has_inout}, {calls}")):
            _bump_versions(e, values, objects)
        result = e.variable("ptr", "null")
        failed = e.compare("ne", "i32", status, 0)
        with e.when(failed):
            e.call("void", "tj_fail", "ptr %spec", "ptr %frame", f"i32 {status}", declare=False)
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
        tensor, storage = (in_frame(e, OutputTable, field, output) for field in ("tensor", "storage"))
        scalar = e.compare("ne", "i64", e.get(OutputTable, "scalar", output), 0)
        e.put(NativeTensor, "data", tensor, e.op(f"select i1 {scalar}, ptr {storage}, ptr null"))
        e.put(NativeTensor, "ndim", tensor, e.get(OutputTable, "rank", output))
        e.put(NativeTensor, "shape", tensor, storage)
        e.put(NativeTensor, "strides", tensor, "null")
        e.put(NativeTensor, "dtype", tensor, "0")
    context = e.at("%frame", offset_of(FrameHead, "context"))
    e.do(f"call void @llvm.memset.p0.i64(ptr {context}, i8 0, i64 {size_of(NativeContext)}, i1 false)")
    e.put(NativeContext, "print_hook", context, e.get(SpecTable, "print_hook", "%spec"))
    e.put(NativeContext, "poll_hook", context, runtime(e, "poll_hook"))
    limit = e.get(SpecTable, "release_above", "%spec")
    enough = e.compare("sge", "i64", e.get(FrameHead, "elements", "%frame"), limit)
    release = e.op(f"and i1 {enough}, {e.compare('sge', 'i64', limit, 0)}")
    thread = e.variable("ptr", "null")
    with e.when(release):
        e.store("ptr", e.call("ptr", "PyEval_SaveThread"), thread)
    inputs, results = (in_frame(e, SpecTable, field, "%spec") for field in ("inputs", "results"))
    entry = e.get(SpecTable, "entry", "%spec")
    status = e.variable("i32", "0")
    with e.unless(e.compare("eq", "ptr", entry, "null")):
        e.store("i32", e.call("i32", entry, f"ptr {inputs}", f"ptr {results}", f"ptr {context}"), status)
    with e.when(release):
        e.call("void", "PyEval_RestoreThread", f"ptr {e.load('ptr', thread)}")
    return e.load("i32", status)


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
                f"and i1 {e.compare('ne', 'ptr', owner, 'null')}, {e.compare('ne', 'ptr', owner, runtime(e, 'none'))}"
            )
            with e.when(has_owner):
                e.store("ptr", owner, written_to)
            place = e.at(e.load("ptr", written_to), e.get(ValueTable, "version_slot", value))
            old = e.load("ptr", place)
            new = e.call("ptr", "PyNumber_Add", f"ptr {old}", f"ptr {runtime(e, 'one')}")
            with e.when(e.compare("ne", "ptr", new, "null")):
                e.store("ptr", new, place)
                decrement(e, old)


def _keywords(e: Emitter) -> None:
    """tj_keywords: whether the call names exactly the specialisation's keywords, in its order."""
    with e.function("internal i1 @tj_keywords(ptr %spec, ptr %names)"):
        count = e.get(SpecTable, "keyword_count", "%spec")
        with e.when(e.compare("eq", "ptr", "%names", "null")):
            e.leave(f"i1 {e.compare('eq', 'i64', count, 0)}")
        false_unless(e, e.compare("eq", "i64", e.load("i64", "%names", SIZE_OFFSET), count))
        wanted = e.get(SpecTable, "keywords", "%spec")
        with e.count(count) as i:
            name = e.call("ptr", "PyTuple_GetItem", "ptr %names", f"i64 {i}")
            false_unless(e, e.compare("eq", "ptr", name, e.load("ptr", e.element(wanted, i, 8))))
        e.leave("i1 true")


def _call(e: Emitter) -> None:
    """tj_call: the vectorcall function."""
    with e.function("ptr @tj_call(ptr %self, ptr %args, i64 %nargsf, ptr %names)"):
        given = e.op(f"and i64 %nargsf, {_OFFSET_FLAG_MASK}")
        current = e.variable("ptr", e.load("ptr", "%self", CHAIN_OFFSET))
        with e.walk(current) as spec:
            with (
                e.when(e.compare("eq", "i64", e.get(SpecTable, "positional", spec), given)),
                e.when(e.call("i1", "tj_keywords", f"ptr {spec}", "ptr %names", declare=False)),
            ):
                result = e.call("ptr", "tj_attempt", f"ptr {spec}", "ptr %args", declare=False)
                with e.when(e.compare("ne", "ptr", result, MISS)):
                    e.leave(f"ptr {result}")
            e.store("ptr", e.get(SpecTable, "next", spec), current)
        slow = e.call("ptr", "PyObject_GetAttr", "ptr %self", f"ptr {runtime(e, 'slow_name')}")
        with e.when(e.compare("eq", "ptr", slow, "null")):
            e.leave("ptr null")
        result = e.call("ptr", "PyObject_Vectorcall", f"ptr {slow}", "ptr %args", "i64 %nargsf", "ptr %names")
        decrement(e, slow)
        e.leave(f"ptr {result}")
