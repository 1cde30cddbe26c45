"""A stand-in for a GPU: kernels compiled as C++ with `cuda_shim.h`, memory on the host, products by NumPy.

Fresh memory is poisoned and has guard zones, which are checked when it is freed; every allocation must be freed.
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracejit.codegen.cuda import identifier, print_kernels
from tracejit.codegen.loop_ir import Function, Kernel, Program
from tracejit.codegen.numeric import numpy_dtype
from tracejit.ir.types import DType
from tracejit.runtime.executor import Buffer, Matrix

HEADER = Path(__file__).with_name("cuda_shim.h")
GUARD, POISON = 64, 0xA5
FLAGS = ("-std=c++17", "-O1", "-fwrapv", "-ffp-contract=off", "-shared", "-fPIC", "-w")

#: Why the shim cannot be used here; "" where it can.
MISSING = "" if shutil.which("g++") and platform.machine() == "x86_64" else "the CUDA shim needs g++ on x86-64"


class Divergence(Exception):
    """Threads of a block disagreed about a barrier."""


class ShimModule:
    """Kernels of a program as functions on the CPU."""

    def __init__(self, source: str, kernels: Sequence[Kernel], folder: Path) -> None:
        self.kernels = {kernel.name: number for number, kernel in enumerate(kernels)}
        cases = "\n".join(
            f"        case {number}: return shim::launch({identifier(name)}, blocks, x, y, order, arguments);"
            for name, number in self.kernels.items()
        )
        launcher = (
            'extern "C" int tj_shim_launch(int kernel, unsigned blocks, int x, int y, int order, void** arguments) {\n'
            f"    switch (kernel) {{\n{cases}\n    }}\n    return -1;\n}}\n"
        )
        self.library = compile_cpp(f'#include "{HEADER}"\n{source}\n{launcher}', folder)

    def launch(self, kernel: str, blocks: int, threads: tuple[int, int], order: int, arguments: Sequence[Any]) -> None:
        """Run a kernel; the arguments are NumPy scalars or 0-d arrays."""
        cells = [np.ascontiguousarray(a).reshape(1) for a in arguments]
        pointers = (ctypes.c_void_p * len(cells))(*(c.ctypes.data for c in cells))
        status = self.library.tj_shim_launch(self.kernels[kernel], blocks, *threads, order, pointers)
        if status:
            raise Divergence(f"kernel {kernel}: threads wait at different barriers")


def compile_cpp(source: str, folder: Path) -> ctypes.CDLL:
    """A shared library of a C++ text, in `folder`."""
    name = hashlib.sha256(source.encode()).hexdigest()[:16]
    path, library = folder / f"{name}.cpp", folder / f"{name}.so"
    path.write_text(source)
    done = subprocess.run(["g++", *FLAGS, str(path), "-o", str(library)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"g++ refuses the kernels:\n{done.stderr[:4000]}")
    return ctypes.CDLL(str(library))


def module_of(programs: Sequence[Program], folder: Path) -> ShimModule:
    """One module for the kernels of several programs, whose names differ."""
    kernels = tuple(kernel for program in programs for kernel in program.kernels)
    merged = Program("all", Function("all", ()), kernels, (), ())
    return ShimModule(print_kernels(merged), kernels, folder)


@dataclass
class ShimDevice:
    """Implements `runtime.executor.Device`; `order` is the order in which threads run."""

    module: ShimModule
    order: int = 0
    blocks: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    launches: list[str] = field(default_factory=list)
    reads: int = 0

    def allocate(self, element: DType, count: int) -> Buffer:
        size = count * element.itemsize
        memory = np.full(size + 2 * GUARD + 64, POISON, np.uint8)
        start = -(memory.ctypes.data + GUARD) % 64
        memory = memory[start : start + size + 2 * GUARD]
        address = memory.ctypes.data + GUARD
        self.blocks[address] = memory
        return Buffer(address, element, memory)

    def free(self, buffer: Buffer) -> None:
        memory = self.blocks.pop(buffer.address)
        guards = np.concatenate([memory[:GUARD], memory[-GUARD:]])
        assert np.all(guards == POISON), "a kernel wrote outside its buffer"

    def launch(self, kernel: str, blocks: int, threads: tuple[int, int], arguments: Sequence[Any]) -> None:
        self.launches.append(kernel)
        values = [np.uint64(a.address) if isinstance(a, Buffer) else a for a in arguments]
        self.module.launch(kernel, blocks, threads, self.order, values)

    def read(self, buffer: Buffer, index: int) -> Any:
        self.reads += 1
        return self._view(buffer, index + 1)[index]

    def copy(self, target: Buffer, source: Buffer, count: int) -> None:
        ctypes.memmove(target.address, source.address, count * target.element.itemsize)

    def zero(self, buffer: Buffer, count: int) -> None:
        ctypes.memset(buffer.address, 0, count * buffer.element.itemsize)

    def gemm(self, sizes: tuple[int, int, int], a: Matrix, b: Matrix, c: Matrix) -> None:
        m, n, k = sizes
        result = self._matrix(c, m, n)
        result[...] = self._matrix(a, m, k) @ self._matrix(b, k, n)

    def data(self, array: Any, element: DType) -> Buffer:
        return Buffer(array.ctypes.data, element, array)

    def array(self, buffer: Buffer, shape: tuple[int, ...], dtype: DType) -> Any:
        count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize // buffer.element.itemsize
        found = self._view(buffer, count).view(numpy_dtype(dtype)).reshape(shape).copy()
        if buffer.address in self.blocks:
            self.free(buffer)
        return found

    def _view(self, buffer: Buffer, count: int) -> NDArray[Any]:
        dtype = numpy_dtype(buffer.element)
        raw = (ctypes.c_char * (count * dtype.itemsize)).from_address(buffer.address)
        return np.frombuffer(raw, dtype, count)

    def _matrix(self, matrix: Matrix, rows: int, columns: int) -> NDArray[Any]:
        dtype = numpy_dtype(matrix.buffer.element)
        steps = (matrix.row * dtype.itemsize, matrix.column * dtype.itemsize)
        origin = self._view(matrix.buffer, 1) if rows * columns else np.empty(1, dtype)
        return np.lib.stride_tricks.as_strided(origin, (rows, columns), steps)
