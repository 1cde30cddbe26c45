"""Runs the entry of a program on the host, with kernels, memory and library calls of a device.

The device is a small interface (`Device`), so that the same walk drives a GPU and its stand-in in the tests. Host
scalars are NumPy scalars; a `Load` in the entry waits for the device. Everything a call has allocated is freed when
it fails; its in-place changes stay.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tracejit.codegen.lapack import CALLS
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
    Launch,
    Let,
    Offset,
    Output,
    Pointer,
    PrintSite,
    Stmt,
    Store,
    Var,
)
from tracejit.codegen.numeric import Evaluation, numpy_dtype
from tracejit.codegen.schedule_cuda import CudaProgram, Geometry
from tracejit.codegen.walk import ProgramFailure, Walk
from tracejit.ir.types import DType, ScalarType
from tracejit.messages import filled
from tracejit.records import record


@record
class Buffer:
    """Device memory at an address; `storage` keeps it alive."""

    address: int
    element: DType
    storage: Any = field(repr=False, compare=False)

    def __getitem__(self, index: int) -> Buffer:
        """The buffer that starts at an element."""
        return Buffer(self.address + index * self.element.itemsize, self.element, self.storage)


class Device(Protocol):
    """What a device does for the executor."""

    def allocate(self, element: DType, count: int) -> Buffer:
        """Memory for `count` elements, not initialised."""
        ...

    def free(self, buffer: Buffer) -> None:
        """Give memory back."""
        ...

    def launch(self, kernel: str, blocks: int, threads: tuple[int, int], arguments: Sequence[Any]) -> None:
        """Run a kernel by its name in the program; arguments are buffers and NumPy scalars."""
        ...

    def read(self, buffer: Buffer, index: int) -> Any:
        """An element, as a NumPy scalar."""
        ...

    def copy(self, target: Buffer, source: Buffer, count: int) -> None:
        """Copy elements between buffers that do not overlap."""
        ...

    def zero(self, buffer: Buffer, count: int) -> None:
        """Set elements to 0."""
        ...

    def gemm(self, sizes: tuple[int, int, int], a: Matrix, b: Matrix, c: Matrix) -> None:
        """C = A @ B for (m, n, k) = `sizes`."""
        ...

    def data(self, array: Any, element: DType) -> Buffer:
        """The memory of an array of the caller."""
        ...

    def array(self, buffer: Buffer, shape: tuple[int, ...], dtype: DType) -> Any:
        """An array that owns a buffer, in C order."""
        ...


@record
class Matrix:
    """A matrix operand: its first element, and strides in elements."""

    buffer: Buffer
    row: int
    column: int


@dataclass(eq=False, slots=True)
class GrowingList:
    """A list handle; items are numbers, buffers or further lists."""

    items: list[Any] = field(default_factory=list[Any])


class Execution(Walk):
    """One call of a program."""

    def __init__(
        self,
        scheduled: CudaProgram,
        device: Device,
        inputs: Sequence[Any],
        write: Callable[[str], Any] = sys.stdout.write,
    ) -> None:
        super().__init__()
        self.program = scheduled.program
        self.geometries = scheduled.geometries
        self.device = device
        self.inputs = inputs
        self.alive: dict[int, Buffer] = {}
        self.outputs: list[Any] = [None] * len(self.program.outputs)
        self.evaluate = Evaluation(self.values, self._load, self._input)

    def run(self) -> list[Any]:
        """Run the entry; gives the outputs. Raises `ProgramFailure`."""
        try:
            self.body(self.program.entry.body)
        except BaseException:
            for buffer in self.alive.values():
                self.device.free(buffer)
            raise
        return self.outputs

    # -- expressions ------------------------------------------------------------------------------------------------

    def expr(self, e: Expr) -> Any:
        """A NumPy scalar, a buffer or a list."""
        if isinstance(e, Var):
            return self.values[e]
        if isinstance(e, Offset):
            return self.values[e.buffer][int(self.expr(e.index))]
        value = self.evaluate(e)
        return value[()] if isinstance(value, np.ndarray) else value

    def _load(self, buffer: Var, index: Any) -> Any:
        memory = self.values[buffer]
        if isinstance(memory, np.ndarray):
            return memory[int(index)]
        return self.device.read(memory, int(index))

    def _input(self, e: Input) -> Any:
        given = self.inputs[e.index]
        match e.kind:
            case "data":
                assert isinstance(e.type, Pointer)
                if isinstance(self.program.inputs[e.index].type, ScalarType):
                    return np.array([given]).view(numpy_dtype(e.type.element))
                return self.device.data(given, e.type.element)
            case "dim":
                return np.int64(given.shape[e.axis])
            case "stride":
                return np.int64(given.strides[e.axis] // given.itemsize)
            case "scalar":
                assert isinstance(e.type, DType)
                return numpy_dtype(e.type).type(given)

    # -- statements -------------------------------------------------------------------------------------------------

    def stmt(self, stmt: Stmt) -> None:
        """Run one statement."""
        match stmt:
            case Let(var, expr):
                self.values[var] = self.expr(expr)
            case Launch(kernel, args):
                self._launch(kernel, [self.expr(a) for a in args])
            case For():
                self.loop(stmt)
            case If():
                self.branch(stmt)
            case Alloc(var, count):
                assert isinstance(var.type, Pointer)
                self.values[var] = made = self.device.allocate(var.type.element, int(self.expr(count)))
                self.alive[made.address] = made
            case Free(var):
                self._free(self.values[var])
            case Call(name, args, results):
                self.bind(results, _CALLS[name](self, [self.expr(a) for a in args], results))
            case Fail(error, payload):
                raise ProgramFailure(error, tuple(self.expr(p) for p in payload))
            case Output():
                self._output(stmt)
            case Store() | Invoke():
                raise AssertionError("the schedule leaves no stores and no functions to the host")

    def _free(self, buffer: Buffer | None) -> None:
        if buffer is not None:
            del self.alive[buffer.address]
            self.device.free(buffer)

    def _launch(self, name: str, arguments: list[Any]) -> None:
        self.device.launch(name, *launch_size(self.geometries[name], arguments), arguments)

    def _output(self, stmt: Output) -> None:
        dtype = self.program.outputs[stmt.index].type.dtype
        value = self.expr(stmt.value)
        if not isinstance(value, Buffer):
            self.outputs[stmt.index] = value
            return
        if isinstance(self.program.outputs[stmt.index].type, ScalarType):
            self.outputs[stmt.index] = self._complex(value, dtype)
            self._free(value)
            return
        assert stmt.owned, "results of a GPU program own their memory"
        del self.alive[value.address]
        self.outputs[stmt.index] = self.device.array(value, tuple(int(self.expr(d)) for d in stmt.dims), dtype)

    def _complex(self, pair: Buffer, dtype: DType) -> Any:
        """A complex host scalar from its two parts in memory."""
        parts = [self.device.read(pair, i) for i in range(2)]
        return numpy_dtype(dtype).type(complex(*parts))

    def release(self, item: Any) -> None:
        """Free what a list slot owns."""
        if isinstance(item, Buffer):
            self.device.free(item)
        elif isinstance(item, GrowingList):
            for inner in item.items:
                self.release(inner)

    def disown(self, item: Any) -> Any:
        """A buffer goes into a list, which now frees it."""
        if isinstance(item, Buffer):
            del self.alive[item.address]
        return item

    def own(self, item: Any) -> Any:
        """A buffer comes out of a list."""
        if isinstance(item, Buffer):
            self.alive[item.address] = item
        return item


def launch_size(geometry: Geometry, arguments: Sequence[Any]) -> tuple[int, tuple[int, int]]:
    """Blocks of a launch, and the threads of a block along x and y; at least one of each."""
    bound = dict(zip(geometry.params, arguments, strict=True))
    evaluate = Evaluation(bound)
    for let in geometry.lets:
        bound[let.var] = evaluate(let.expr)
    blocks, threads, rows = (max(1, int(evaluate(e))) for e in (geometry.blocks, geometry.threads, geometry.rows))
    return blocks, (threads, rows)


# -- support functions ----------------------------------------------------------------------------------------------

_Call = Callable[[Execution, list[Any], Sequence[Var]], Sequence[Any]]


def _empty_slot(var: Var) -> Any:
    """What an empty list gives: 0, or no buffer."""
    return None if isinstance(var.type, Pointer) else numpy_dtype(var.type).type(0)


def _list_push(run: Execution, args: list[Any], results: Sequence[Var]) -> Sequence[Any]:
    args[0].items.append(run.disown(args[1]))
    return ()


def _list_push_null(run: Execution, args: list[Any], results: Sequence[Var]) -> Sequence[Any]:
    args[0].items.append(None)
    return ()


def _list_pop(run: Execution, args: list[Any], results: Sequence[Var]) -> Sequence[Any]:
    return (run.own(args[0].items.pop()),)


def _list_pop0(run: Execution, args: list[Any], results: Sequence[Var]) -> Sequence[Any]:
    return _list_pop(run, args, results) if args[0].items else (_empty_slot(results[0]),)


def _list_set(run: Execution, args: list[Any], results: Sequence[Var]) -> Sequence[Any]:
    items, at = args[0].items, int(args[1])
    run.release(items[at])
    items[at] = run.disown(args[2])
    return ()


def _list_clear(run: Execution, args: list[Any], results: Sequence[Var]) -> Sequence[Any]:
    items, at = args[0].items, int(args[1])
    run.release(items[at])
    items[at] = None
    return ()


def _list_free(run: Execution, args: list[Any], results: Sequence[Var]) -> Sequence[Any]:
    run.release(args[0])
    return ()


def _same_pointer(run: Execution, args: list[Any], results: Sequence[Var]) -> Sequence[Any]:
    first, second = (None if a is None else a.address for a in args)
    return (np.bool_(first == second),)


def _copy(run: Execution, args: list[Any], results: Sequence[Var]) -> Sequence[Any]:
    run.device.copy(args[0], args[1], int(args[2]))
    return ()


def _zero(run: Execution, args: list[Any], results: Sequence[Var]) -> Sequence[Any]:
    run.device.zero(args[0], int(args[1]))
    return ()


def _print(run: Execution, args: list[Any], results: Sequence[Var]) -> Sequence[Any]:
    site = run.program.prints[int(args[0])]
    assert isinstance(site, PrintSite), "reports are for the CPU"
    sys.stdout.write(filled(site.template, [a.item() for a in args[1:]]))
    return ()


def _gemm(run: Execution, args: list[Any], results: Sequence[Var]) -> Sequence[Any]:
    m, n, k = (int(x) for x in args[:3])
    a, a_row, a_column, b, b_row, b_column, c, c_row = args[3:]
    left, right = Matrix(a, int(a_row), int(a_column)), Matrix(b, int(b_row), int(b_column))
    run.device.gemm((m, n, k), left, right, Matrix(c, int(c_row), 1))
    return ()


_CALLS: Mapping[str, _Call] = {
    "same_pointer": _same_pointer,
    "is_null": lambda run, args, results: (np.bool_(args[0] is None),),
    "copy": _copy,
    "zero": _zero,
    "print": _print,
    "gemm_f32": _gemm,
    "gemm_f64": _gemm,
    **dict.fromkeys(CALLS, lambda run, args, results: (np.int64(-1),)),
    "list_new": lambda run, args, results: (GrowingList(),),
    "list_push": _list_push,
    "list_push_null": _list_push_null,
    "list_pop": _list_pop,
    "list_pop0": _list_pop0,
    "list_len": lambda run, args, results: (np.int64(len(args[0].items)),),
    "list_get": lambda run, args, results: (args[0].items[int(args[1])],),
    "list_set": _list_set,
    "list_clear": _list_clear,
    "list_copy": lambda run, args, results: (GrowingList(list(args[0].items)),),
    "list_free": _list_free,
}
