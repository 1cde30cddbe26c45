"""Programs on an NVIDIA GPU by CuPy: kernels through NVRTC, memory from CuPy's pool, products by its libraries.

Work is queued on CuPy's current stream; only reads of elements wait for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from tracejit import config
from tracejit.codegen.cuda import OPTIONS, identifier, print_kernels
from tracejit.codegen.loop_ir import InputSpec, Program
from tracejit.codegen.numeric import numpy_dtype
from tracejit.codegen.schedule_cuda import CudaProgram, schedule
from tracejit.codegen.walk import ProgramFailure
from tracejit.device import cupy
from tracejit.ir.types import BF16, DType, ScalarType
from tracejit.runtime.cpu import NativeFailure
from tracejit.runtime.executor import Buffer, Execution, Matrix


class CudaFunction:
    """A program for a GPU; it is compiled by its first call."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.scheduled: CudaProgram = schedule(program)

    @cached_property
    def source(self) -> str:
        """The kernels as CUDA C."""
        return print_kernels(self.scheduled.program)

    @cached_property
    def device(self) -> CupyDevice:
        """The compiled kernels on the current GPU."""
        return CupyDevice(self.source)

    def call(self, inputs: Sequence[Any]) -> list[Any]:
        """Run on cupy arrays and numbers; gives cupy arrays, and NumPy scalars for host scalars.

        Raises `NativeFailure` where the program does.
        """
        specs = self.program.inputs
        given = [self.device.prepared(x, spec) for x, spec in zip(inputs, specs, strict=True)]
        try:
            return Execution(self.scheduled, self.device, given).run()
        except ProgramFailure as failure:
            site = self.program.errors[failure.error]
            raise NativeFailure(site, [p.item() for p in failure.payload]) from None
        finally:
            for x, prepared, spec in zip(inputs, given, specs, strict=True):
                if spec.inout and prepared is not x:
                    x[...] = prepared


def compile_program(program: Program) -> CudaFunction:
    """A program lowered for `"cuda"` as a function of the GPU."""
    made = CudaFunction(program)
    config.log("cuda", f"@{program.name} as CUDA C", lambda: made.source)
    return made


class CupyDevice:
    """Implements `executor.Device`."""

    def __init__(self, source: str) -> None:
        self.cupy = cupy()
        self.module = self.cupy.RawModule(code=source, options=OPTIONS, backend="nvrtc")
        self.functions: dict[str, Any] = {}

    def prepared(self, x: Any, spec: InputSpec) -> Any:
        """An input as the program expects it: on the GPU, of its dtype, dense where it must be."""
        if isinstance(spec.type, ScalarType):
            return x.get()[()] if isinstance(x, self.cupy.ndarray) else x
        array = self.cupy.asarray(x)
        if array.dtype != numpy_dtype(spec.type.dtype) or array.ndim != spec.type.rank:
            raise TypeError(f"{spec.name}: expected {spec.type}, got an array of {array.dtype} with {array.ndim} axes")
        return self.cupy.ascontiguousarray(array) if spec.contiguous else array

    def allocate(self, element: DType, count: int) -> Buffer:
        memory = self.cupy.cuda.alloc(max(count * element.itemsize, 1))
        return Buffer(memory.ptr, element, memory)

    def free(self, buffer: Buffer) -> None:
        buffer.storage.mem.free()

    def launch(self, kernel: str, blocks: int, threads: tuple[int, int], arguments: Sequence[Any]) -> None:
        function = self.functions.get(kernel)
        if function is None:
            function = self.functions[kernel] = self.module.get_function(identifier(kernel))
        function((blocks,), threads, tuple(_argument(a) for a in arguments))

    def read(self, buffer: Buffer, index: int) -> Any:
        found = np.empty(1, numpy_dtype(buffer.element))
        stream, runtime = self._stream(), self.cupy.cuda.runtime
        place = buffer.address + index * found.itemsize
        runtime.memcpyAsync(found.ctypes.data, place, found.itemsize, runtime.memcpyDeviceToHost, stream.ptr)
        stream.synchronize()
        return found[0]

    def copy(self, target: Buffer, source: Buffer, count: int) -> None:
        if count:
            runtime, size = self.cupy.cuda.runtime, count * target.element.itemsize
            kind = runtime.memcpyDeviceToDevice
            runtime.memcpyAsync(target.address, source.address, size, kind, self._stream().ptr)

    def zero(self, buffer: Buffer, count: int) -> None:
        if count:
            size = count * buffer.element.itemsize
            self.cupy.cuda.runtime.memsetAsync(buffer.address, 0, size, self._stream().ptr)

    def gemm(self, sizes: tuple[int, int, int], a: Matrix, b: Matrix, c: Matrix) -> None:
        m, n, k = sizes
        if m and n and k:
            self.cupy.matmul(self._matrix(a, m, k), self._matrix(b, k, n), out=self._matrix(c, m, n))
        elif m and n:
            self._matrix(c, m, n).fill(0)

    def data(self, array: Any, element: DType) -> Buffer:
        return Buffer(array.data.ptr, element, array)

    def array(self, buffer: Buffer, shape: tuple[int, ...], dtype: DType) -> Any:
        return self.cupy.ndarray(shape, numpy_dtype(dtype), memptr=buffer.storage)

    def _stream(self) -> Any:
        return self.cupy.cuda.get_current_stream()

    def _matrix(self, matrix: Matrix, rows: int, columns: int) -> Any:
        """A view of device memory as a CuPy matrix."""
        dtype, buffer = numpy_dtype(matrix.buffer.element), matrix.buffer
        last = (rows - 1) * matrix.row + (columns - 1) * matrix.column
        memory = self.cupy.cuda.UnownedMemory(buffer.address, (last + 1) * dtype.itemsize, buffer.storage)
        strides = (matrix.row * dtype.itemsize, matrix.column * dtype.itemsize)
        return self.cupy.ndarray((rows, columns), dtype, self.cupy.cuda.MemoryPointer(memory, 0), strides)


def _argument(value: Any) -> Any:
    """A kernel argument as CuPy passes it: addresses as integers, bfloat16 as its bits."""
    if isinstance(value, Buffer):
        return np.uint64(value.address)
    if value.dtype == numpy_dtype(BF16):
        return np.asarray(value).view(np.uint16)[()]
    return value
