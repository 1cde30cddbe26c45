"""Runs the host part of a CUDA program: its printed entry (`codegen/cuda/host.py`), with the memory, kernels and
library calls of a device.

The device is a small interface (`Device`), so that the same code drives a GPU and its stand-in in the tests. A read of
an element waits for the device. Everything a call has allocated is freed when it fails; its in-place changes stay.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tracejit.codegen.cuda.host import HostText, print_host
from tracejit.codegen.cuda.schedule import CudaProgram
from tracejit.codegen.loop_ir import Call, Kernel, Pointer, PrintSite, Program
from tracejit.codegen.numeric import numpy_dtype
from tracejit.codegen.support import ordering
from tracejit.codegen.support.lapack import CALLS
from tracejit.ir.types import DType, ScalarType
from tracejit.messages import filled
from tracejit.ops.effects import REPORTED
from tracejit.records import record
from tracejit.runtime.failure import payload_number


class Memory(Protocol):
    """Memory of a device; a sum with a number of bytes is what begins there."""

    @property
    def ptr(self) -> int:
        """The address."""
        ...

    def __add__(self, offset: int) -> Memory: ...


class Device(Protocol):
    """What a device does for one call of a program. Sizes are bytes."""

    def allocate(self, size: int) -> Memory:
        """Memory that is not initialised."""
        ...

    def free(self, memory: Memory) -> None:
        """Give memory back."""
        ...

    def read(self, memory: Memory, index: int, element: DType) -> Any:
        """An element, as a Python number."""
        ...

    def copy(self, target: Memory, source: Memory, size: int) -> None:
        """Copy memory that does not overlap."""
        ...

    def zero(self, memory: Memory, size: int) -> None:
        """Set memory to 0."""
        ...

    def gemm(self, element: DType, sizes: tuple[int, int, int], a: Matrix, b: Matrix, c: Matrix) -> None:
        """C = A @ B for (m, n, k) = `sizes`; C is in C order."""
        ...

    def data(self, array: Any) -> Memory:
        """The memory of an array of the caller."""
        ...

    def array(self, memory: Memory, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """An array that owns memory, in C order."""
        ...


#: Runs a kernel: the device of the call, blocks, threads and rows of a block, then addresses and numbers.
Launcher = Callable[..., None]


@record
class Matrix:
    """A matrix operand: its first element, and strides in elements."""

    memory: Memory
    row: int
    column: int


@dataclass(eq=False, slots=True)
class GrowingList:
    """A list handle; items are numbers, memory or further lists."""

    items: list[Any] = field(default_factory=list[Any])


class Run:
    """One call of a program: what its text asks for."""

    __slots__ = ("alive", "data", "device", "program", "read")

    def __init__(self, program: Program, device: Device) -> None:
        self.program = program
        self.device = device
        self.read = device.read
        self.data = device.data
        self.alive: dict[int, Memory] = {}

    def allocate(self, size: int) -> Memory:
        """Memory that the call frees where it fails."""
        made = self.device.allocate(size)
        self.alive[made.ptr] = made
        return made

    def free(self, memory: Memory | None) -> None:
        if memory is not None:
            del self.alive[memory.ptr]
            self.device.free(memory)

    def array(self, memory: Memory, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        """A result, which owns its memory."""
        del self.alive[memory.ptr]
        return self.device.array(memory, shape, dtype)

    def copied(self, memory: Memory, shape: tuple[int, ...], dtype: DType) -> Any:
        """An array with what memory holds now."""
        size = math.prod(shape) * dtype.itemsize
        made = self.device.allocate(size)
        self.device.copy(made, memory, size)
        return self.device.array(made, shape, numpy_dtype(dtype))

    def complex(self, memory: Memory, element: DType) -> complex:
        """A complex host scalar from its two parts in memory."""
        return complex(self.read(memory, 0, element), self.read(memory, 1, element))

    def release(self, item: Any) -> None:
        """Free what a list slot owns."""
        if isinstance(item, GrowingList):
            for inner in item.items:
                self.release(inner)
        elif hasattr(item, "ptr"):
            self.device.free(item)

    def disown(self, item: Any) -> Any:
        """Memory goes into a list, which now frees it."""
        if hasattr(item, "ptr"):
            del self.alive[item.ptr]
        return item

    def own(self, item: Any) -> Any:
        """Memory comes out of a list."""
        if hasattr(item, "ptr"):
            self.alive[item.ptr] = item
        return item


class HostFunction:
    """The entry of a program as compiled Python, for any device."""

    def __init__(self, scheduled: CudaProgram) -> None:
        self.program = scheduled.program
        self.text: HostText = print_host(scheduled)
        self._code = compile(self.text.source, f"<host part of {self.program.name}>", "exec")

    def on(self, launcher: Callable[[Kernel], Launcher]) -> Callable[[Device, Sequence[Any]], list[Any]]:
        """The function `(device, inputs) -> outputs`, with kernels of a device. It raises `ProgramFailure`."""
        launchers = {f"launch_{i}": launcher(kernel) for i, kernel in enumerate(self.text.kernels)}
        calls = {f"call_{name}": _CALLS[name] for name in self.text.calls}
        names: dict[str, Any] = {**self.text.constants, **launchers, **calls}
        exec(self._code, names)
        entry, program = names["entry"], self.program

        def function(device: Device, inputs: Sequence[Any]) -> list[Any]:
            run = Run(program, device)
            try:
                return entry(run, inputs)
            except BaseException:
                for memory in run.alive.values():
                    device.free(memory)
                raise

        return function


# -- support functions ----------------------------------------------------------------------------------------------

_Support = Callable[..., Any]  #: of the run, the statement, and its arguments


def _bytes(site: Call, count: int) -> int:
    """The size of so many elements of the first argument."""
    assert isinstance(site.args[0].type, Pointer)
    return count * site.args[0].type.element.itemsize


def _list_push(run: Run, site: Call, handle: GrowingList, item: Any) -> None:
    handle.items.append(run.disown(item))


def _list_push_null(run: Run, site: Call, handle: GrowingList) -> None:
    handle.items.append(None)


def _list_pop(run: Run, site: Call, handle: GrowingList) -> Any:
    return run.own(handle.items.pop())


def _list_pop0(run: Run, site: Call, handle: GrowingList) -> Any:
    """The last item, or what an empty list gives: 0, or no memory."""
    if handle.items:
        return _list_pop(run, site, handle)
    dtype = site.results[0].type
    return None if isinstance(dtype, Pointer) else {"b": False, "f": 0.0}.get(dtype.kind, 0)


def _list_set(run: Run, site: Call, handle: GrowingList, index: int, item: Any) -> None:
    run.release(handle.items[index])
    handle.items[index] = run.disown(item)


def _list_clear(run: Run, site: Call, handle: GrowingList, index: int) -> None:
    run.release(handle.items[index])
    handle.items[index] = None


def _list_free(run: Run, site: Call, handle: GrowingList) -> None:
    run.release(handle)


def _same_pointer(run: Run, site: Call, first: Memory | None, second: Memory | None) -> bool:
    a, b = (None if m is None else m.ptr for m in (first, second))
    return a == b


def _copy(run: Run, site: Call, target: Memory, source: Memory, count: int) -> None:
    run.device.copy(target, source, _bytes(site, count))


def _zero(run: Run, site: Call, memory: Memory, count: int) -> None:
    run.device.zero(memory, _bytes(site, count))


def _print(run: Run, site: Call, number: int, *values: Any) -> None:
    shown = run.program.prints[number]
    if isinstance(shown, PrintSite):
        numbers = [payload_number(v, dtype) for v, dtype in zip(values, shown.payload, strict=True)]
        sys.stdout.write(filled(shown.template, numbers))
        return
    words, arrays = list(values), list[Any]()
    for type in shown.types:
        if isinstance(type, ScalarType):
            arrays.append(numpy_dtype(type.dtype).type(words.pop(0)))
            continue
        memory, *dims = words[: 1 + type.rank]
        words = words[1 + type.rank :]
        arrays.append(run.copied(memory, tuple(dims), type.dtype))
    REPORTED.note(shown.plan, arrays, more=shown.more)


def _gemm(run: Run, site: Call, m: int, n: int, k: int, *operands: Any) -> None:
    a, a_row, a_column, b, b_row, b_column, c, c_row = operands
    left, right, product = Matrix(a, a_row, a_column), Matrix(b, b_row, b_column), Matrix(c, c_row, 1)
    pointer = site.args[3].type
    assert isinstance(pointer, Pointer)
    run.device.gemm(pointer.element, (m, n, k), left, right, product)


_CALLS: Mapping[str, _Support] = {
    "same_pointer": _same_pointer,
    "is_null": lambda run, site, memory: memory is None,
    "copy": _copy,
    "zero": _zero,
    "zero_shared": _zero,
    "print": _print,
    "gemm_f32": _gemm,
    "gemm_f64": _gemm,
    **dict.fromkeys(CALLS, lambda run, site, *args: -1),
    **dict.fromkeys(ordering.NAMES, lambda run, site, *args: 0),
    "list_new": lambda run, site, *args: GrowingList(),
    "list_push": _list_push,
    "list_push_null": _list_push_null,
    "list_pop": _list_pop,
    "list_pop0": _list_pop0,
    "list_len": lambda run, site, handle: len(handle.items),
    "list_get": lambda run, site, handle, index: handle.items[index],
    "list_set": _list_set,
    "list_clear": _list_clear,
    "list_copy": lambda run, site, handle, *args: GrowingList(list(handle.items)),
    "list_free": _list_free,
}
