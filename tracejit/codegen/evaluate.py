"""Reference evaluator of loop IR: what a `Program` means, in plain Python, one element at a time.

It is the oracle for printers and schedules, so it is simple rather than fast: loops run serially in index
order, every buffer access is checked against the buffer's bounds, and memory is accounted for: reading freed
memory, freeing twice and leaking are errors. Scalar operations get their meaning from `numeric.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracejit.codegen.loop_ir import (
    Alloc,
    Call,
    Expr,
    Fail,
    For,
    Free,
    Function,
    If,
    Input,
    Invoke,
    Kernel,
    Launch,
    Let,
    Offset,
    Output,
    Pointer,
    Program,
    ReportSite,
    Stmt,
    Store,
    Var,
    Way,
)
from tracejit.codegen.numeric import Evaluation, numpy_dtype
from tracejit.codegen.support import ordering
from tracejit.codegen.support.lapack import CALLS
from tracejit.codegen.walk import ProgramFailure, Walk
from tracejit.ir.types import DType, ScalarType, TensorType, real_dtype
from tracejit.messages import filled

Array = NDArray[Any]


@dataclass(eq=False)
class Memory:
    """A buffer: `cells[origin + index]`. `owned` memory came from `Alloc` and must be freed or handed out."""

    cells: Array
    origin: int = 0
    owned: bool = True
    live: bool = True

    def at(self, index: int, name: str) -> int:
        """The cell of an index; complains about freed memory and bounds."""
        if not self.live:
            raise AssertionError(f"{name} is used after it was freed")
        place = self.origin + index
        if not 0 <= place < len(self.cells):
            raise AssertionError(f"{name}[{index}] is outside its {len(self.cells)} elements")
        return place


@dataclass(eq=False)
class GrowingList:
    """A list handle; `items` are numbers, `Memory` or further lists."""

    items: list[Any] = field(default_factory=list[Any])
    live: bool = True


@dataclass
class Statistics:
    """What a run did: the number of allocations, and of kernel launches by kernel name."""

    allocations: int = 0
    launches: dict[str, int] = field(default_factory=dict[str, int])
    printed: list[str] = field(default_factory=list[str])


class Evaluator(Walk):
    """Runs one program."""

    def __init__(self, program: Program, inputs: Sequence[Any]) -> None:
        super().__init__()
        self.program = program
        self.inputs = [_as_input(x, spec.type) for x, spec in zip(inputs, program.inputs, strict=True)]
        self.pointers: dict[tuple[int, Any], Memory] = {}
        self.outputs: list[Any] = [None] * len(program.outputs)
        self.kernels: dict[str, Kernel] = {kernel.name: kernel for kernel in program.kernels}
        self.functions: dict[str, Function] = {function.name: function for function in program.functions}
        self.alive: set[Memory] = set()
        self.lists: set[GrowingList] = set()
        self.statistics = Statistics()
        self.ways: dict[int, Way] = {}
        self.evaluation = Evaluation(self.values, self._load, self._input)

    # -- expressions ------------------------------------------------------------------------------------------

    def expr(self, e: Expr) -> Any:
        """The value of an expression: a NumPy scalar, a `Memory` or a `GrowingList`."""
        if isinstance(e, Var):
            return self.values[e]
        if isinstance(e, Offset):
            base = self.values[e.buffer]
            return Memory(base.cells, base.origin + int(self.expr(e.index)), owned=False)
        value = self.evaluation.value(e)
        return value[()] if isinstance(value, np.ndarray) else value

    def _load(self, buffer: Var, index: Any) -> Any:
        memory = self.values[buffer]
        return memory.cells[memory.at(int(index), buffer.name)]

    def _input(self, e: Input) -> Any:
        array = self.inputs[e.index]
        match e.kind:
            case "data":
                return self._data_pointer(e)
            case "dim":
                return np.int64(array.shape[e.axis])
            case "stride":
                return np.int64(array.strides[e.axis] // array.itemsize)
            case "scalar":
                return array[()]

    def _data_pointer(self, e: Input) -> Memory:
        assert isinstance(e.type, Pointer)
        key = (e.index, e.type.element)
        if key not in self.pointers:
            self.pointers[key] = _memory_of(self.inputs[e.index], e.type.element)
        return self.pointers[key]

    # -- statements -------------------------------------------------------------------------------------------

    def stmt(self, stmt: Stmt) -> None:
        """Run one statement."""
        match stmt:
            case Let(var, expr):
                value = self.expr(expr)
                if isinstance(var.type, DType) and value.dtype != numpy_dtype(var.type):
                    raise AssertionError(f"{var.name}: {var.type} is bound to a {value.dtype}")
                self.values[var] = value
            case Store(buffer, index, value):
                self._store(buffer, int(self.expr(index)), self.expr(value))
            case For():
                self.loop(stmt)
            case If():
                self.branch(stmt)
            case Alloc(var, count):
                self._alloc(var, int(self.expr(count)), stmt.stack)
            case Free(var):
                self._release(self.values[var], var.name)
            case Launch(kernel, args):
                self._launch(self.kernels[kernel], [self.expr(a) for a in args])
            case Call(name, args, results):
                values = _CALLS[name](self, [self.expr(a) for a in args])
                self.bind(results, [_zero_of(r) if v is None else v for r, v in zip(results, values, strict=True)])
            case Invoke(function, args, results):
                self._invoke(self.functions[function], [self.expr(a) for a in args], results, stmt)
            case Way(number):
                self.ways[number] = stmt
            case Fail(error, payload, way):
                while way is not None:
                    self.body(self.ways[way].body)
                    way = self.ways[way].then
                raise ProgramFailure(error, tuple(self.expr(p) for p in payload))
            case Output():
                self._output(stmt)

    def _store(self, buffer: Var, index: int, value: Any) -> None:
        memory = self.values[buffer]
        if value.dtype != memory.cells.dtype:
            raise AssertionError(f"a {value.dtype} is stored to {buffer.name}: {buffer.type}")
        memory.cells[memory.at(index, buffer.name)] = value

    def _alloc(self, var: Var, count: int, stack: bool) -> None:
        assert isinstance(var.type, Pointer) and count >= 0
        cells = np.empty(count, numpy_dtype(var.type.element))
        cells.view(np.uint8)[:] = 0xA5  # what is read before it is written shows
        self.values[var] = memory = Memory(cells)
        if not stack:
            self.alive.add(memory)
            self.statistics.allocations += 1

    def _release(self, memory: Memory, name: str) -> None:
        if not memory.owned:
            raise AssertionError(f"{name} is freed but belongs to the caller")
        if memory not in self.alive:
            raise AssertionError(f"{name} is freed twice")
        memory.live = False
        self.alive.remove(memory)

    def _launch(self, kernel: Kernel, args: Sequence[Any]) -> None:
        launches = self.statistics.launches
        launches[kernel.name] = launches.get(kernel.name, 0) + 1
        outside = dict(self.values)  # the entry may know parameters of a shared kernel by the same names
        self.bind(kernel.params, args)
        self.body(kernel.body)
        self.values.update(outside)

    def _invoke(self, function: Function, args: Sequence[Any], results: Sequence[Var], stmt: Invoke) -> None:
        try:
            found = self.invoke(function, args)
        except ProgramFailure:
            self.body(stmt.failed)
            raise
        except RecursionError:
            self.body(stmt.failed)
            raise ProgramFailure(stmt.too_deep, ()) from None
        self.bind(results, found)

    def _output(self, stmt: Output) -> None:
        spec = self.program.outputs[stmt.index]
        value = self.expr(stmt.value)
        if not isinstance(value, Memory):
            self.outputs[stmt.index] = value
            return
        if stmt.owned:
            self.alive.remove(value)
        shape = tuple(int(self.expr(d)) for d in stmt.dims)
        cells = value.cells[value.origin :].view(numpy_dtype(spec.type.dtype))
        array = cells[: int(np.prod(shape, dtype=np.int64))].reshape(shape).copy()
        self.outputs[stmt.index] = array[()] if isinstance(spec.type, ScalarType) else array

    def run(self) -> list[Any]:
        """Run the entry; complains about anything left allocated."""
        with np.errstate(all="ignore"):
            self.body(self.program.entry.body)
        if self.alive or self.lists:
            names = sorted(v.name for v, m in self.values.items() if m in self.alive or m in self.lists)
            raise AssertionError(f"{names} are never freed")
        return self.outputs


def _zero_of(var: Var) -> Any:
    """What an empty list gives: 0, or a null pointer (None)."""
    return None if isinstance(var.type, Pointer) else numpy_dtype(var.type).type(0)


def _as_input(x: Any, type: ScalarType | TensorType) -> Array:
    array = x if isinstance(x, np.ndarray) else np.asarray(x, numpy_dtype(type.dtype))
    if array.dtype != numpy_dtype(type.dtype):
        raise TypeError(f"the input is {array.dtype}, the program takes {type}")
    return array


def _memory_of(array: Array, element: DType) -> Memory:
    """The caller's memory as flat cells; complex numbers are addressed as pairs of reals."""
    steps = [s // array.itemsize for s in array.strides]
    low = sum(min(0, (d - 1) * s) for d, s in zip(array.shape, steps, strict=True)) if array.size else 0
    high = sum(max(0, (d - 1) * s) for d, s in zip(array.shape, steps, strict=True)) if array.size else -1
    if array.size == 0:
        return Memory(np.empty(0, numpy_dtype(element)), 0, owned=False)
    corner = array[tuple(slice(d - 1, d) if s < 0 else slice(0, 1) for d, s in zip(array.shape, steps, strict=True))]
    cells = np.lib.stride_tricks.as_strided(
        corner.reshape(-1)[:1] if array.ndim == 0 else corner, (high - low + 1,), (array.itemsize,)
    )
    width = 1 if cells.dtype == numpy_dtype(element) else 2
    flat = cells if width == 1 else cells.view(numpy_dtype(real_dtype(element)))
    return Memory(flat, -low * width, owned=False)


# -- support functions ----------------------------------------------------------------------------------------


def _list(handle: Any) -> GrowingList:
    if not handle.live:
        raise AssertionError("a list is used after it was freed")
    return handle


def _list_new(run: Evaluator, args: list[Any]) -> list[Any]:
    made = GrowingList()
    run.lists.add(made)
    return [made]


def _list_push(run: Evaluator, args: list[Any]) -> list[Any]:
    handle, item = args
    _list(handle).items.append(_handed_over(run, item))
    return []


def _list_push_null(run: Evaluator, args: list[Any]) -> list[Any]:
    _list(args[0]).items.append(None)
    return []


def _list_pop(run: Evaluator, args: list[Any]) -> list[Any]:
    item = _list(args[0]).items.pop()
    if isinstance(item, Memory):
        run.alive.add(item)
    if isinstance(item, GrowingList):
        run.lists.add(item)
    return [item]


def _list_get(run: Evaluator, args: list[Any]) -> list[Any]:
    return [_list(args[0]).items[int(args[1])]]


def _list_get0(run: Evaluator, args: list[Any]) -> list[Any]:
    items, place = _list(args[0]).items, int(args[1])
    return [items[place] if 0 <= place < len(items) else None]


def _list_set(run: Evaluator, args: list[Any]) -> list[Any]:
    handle, place, item = args
    items = _list(handle).items
    _end(run, items[int(place)])
    items[int(place)] = _handed_over(run, item)
    return []


def _list_clear(run: Evaluator, args: list[Any]) -> list[Any]:
    items, place = _list(args[0]).items, int(args[1])
    _end(run, items[place])
    items[place] = None
    return []


def _list_copy(run: Evaluator, args: list[Any]) -> list[Any]:
    made = GrowingList(list(_list(args[0]).items))
    run.lists.add(made)
    return [made]


def _handed_over(run: Evaluator, item: Any) -> Any:
    """What a list owns from now on."""
    if isinstance(item, Memory):
        run.alive.remove(item)
    if isinstance(item, GrowingList):
        run.lists.remove(item)
    return item


def _end(run: Evaluator, item: Any) -> None:
    """Free what a list owned."""
    if isinstance(item, Memory):
        item.live = False
    if isinstance(item, GrowingList):
        _list_free(run, [item])


def _list_len(run: Evaluator, args: list[Any]) -> list[Any]:
    return [np.int64(len(_list(args[0]).items))]


def _list_read(run: Evaluator, args: list[Any]) -> list[Any]:
    handle, start, count, buffer = args
    for i in range(int(count)):
        buffer.cells[buffer.at(i, "part of a list")] = _list(handle).items[int(start) + i]
    return []


def _list_write(run: Evaluator, args: list[Any]) -> list[Any]:
    handle, start, count, buffer = args
    for i in range(int(count)):
        _list(handle).items[int(start) + i] = buffer.cells[buffer.at(i, "part of a list")]
    return []


def _list_free(run: Evaluator, args: list[Any]) -> list[Any]:
    handle = _list(args[0])
    for item in handle.items:
        _end(run, item)
    handle.live = False
    run.lists.discard(handle)
    return []


def _gemm(run: Evaluator, args: list[Any]) -> list[Any]:
    m, n, inner = (int(x) for x in args[:3])
    a, a_row, a_col, b, b_row, b_col, c, c_row = args[3:]
    for i in range(m):
        for j in range(n):
            terms = (
                a.cells[a.at(int(i * a_row + p * a_col), "a")] * b.cells[b.at(int(p * b_row + j * b_col), "b")]
                for p in range(inner)
            )
            c.cells[c.at(int(i * c_row + j), "c")] = sum(terms, c.cells.dtype.type(0))
    return []


def _same_pointer(run: Evaluator, args: list[Any]) -> list[Any]:
    return [np.bool_(args[0] is args[1])]


def _print(run: Evaluator, args: list[Any]) -> list[Any]:
    site = run.program.prints[int(args[0])]
    if isinstance(site, ReportSite):
        return []
    run.statistics.printed.append(filled(site.template, [a.item() for a in args[1:]]))
    return []


def _list_pop0(run: Evaluator, args: list[Any]) -> list[Any]:
    return _list_pop(run, args) if _list(args[0]).items else [None]


def _is_null(run: Evaluator, args: list[Any]) -> list[Any]:
    return [np.bool_(args[0] is None)]


def _copy(run: Evaluator, args: list[Any]) -> list[Any]:
    target, source, count = args
    for i in range(int(count)):
        target.cells[target.at(i, "copy target")] = source.cells[source.at(i, "copy source")]
    return []


def _zero(run: Evaluator, args: list[Any]) -> list[Any]:
    for i in range(int(args[1])):
        args[0].cells[args[0].at(i, "zeroed buffer")] = 0
    return []


_CALLS = {
    "same_pointer": _same_pointer,
    "is_null": _is_null,
    "copy": _copy,
    "zero": _zero,
    "zero_shared": _zero,
    "gemm_f32": _gemm,
    "gemm_f64": _gemm,
    **{f"gemm_{name}_room": lambda run, args: [np.int64(0)] for name in ("f32", "f64")},
    **{f"gemm_{name}_lay": lambda run, args: [] for name in ("f32", "f64")},
    **{f"gemm_{name}_laid": lambda run, args: _gemm(run, args[:11]) for name in ("f32", "f64")},
    **dict.fromkeys(CALLS, lambda run, args: [np.int64(-1)]),
    **dict.fromkeys(ordering.NAMES, lambda run, args: [np.int64(0)]),
    "print": _print,
    "list_new": _list_new,
    "list_push": _list_push,
    "list_push_null": _list_push_null,
    "list_pop": _list_pop,
    "list_pop0": _list_pop0,
    "list_get": _list_get,
    "list_get0": _list_get0,
    "list_set": _list_set,
    "list_clear": _list_clear,
    "list_copy": _list_copy,
    "list_len": _list_len,
    "list_read": _list_read,
    "list_write": _list_write,
    "list_free": _list_free,
}


def evaluate(program: Program, inputs: Sequence[Any], statistics: list[Statistics] | None = None) -> list[Any]:
    """Run a program on arrays and numbers; gives its outputs. Inout arrays are changed in place.

    Raises `ProgramFailure` where the program fails; `statistics` receives what the run did.
    """
    run = Evaluator(program, inputs)
    if statistics is not None:
        statistics.append(run.statistics)
    return run.run()
