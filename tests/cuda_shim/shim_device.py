"""A stand-in for a GPU: kernels compiled as C++ with `cuda_shim.h`, memory on the host, products by NumPy.

Fresh memory is poisoned and has guard zones, which are checked when it is freed; every allocation must be freed.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracejit.codegen.cuda.printer import identifier, print_kernels
from tracejit.codegen.cuda.schedule import CudaProgram
from tracejit.codegen.loop_ir import Function, Kernel, Pointer, Program
from tracejit.codegen.numeric import numpy_dtype
from tracejit.ir.types import DType
from tracejit.runtime.executor import HostFunction, Launcher, Matrix

HEADER = Path(__file__).with_name("cuda_shim.h")
GUARD, POISON = 64, 0xA5
FLAGS = ("-std=c++17", "-O0", "-fwrapv", "-ffp-contract=off", "-shared", "-fPIC", "-w")

#: Why the shim cannot be used here; "" where it can.
MISSING = "" if shutil.which("g++") and platform.machine() == "x86_64" else "the CUDA shim needs g++ on x86-64"


_texts = itertools.count()


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
    name += f"_{next(_texts)}"  # threads may compile one text at a time
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


@dataclass(frozen=True)
class ShimMemory:
    """Memory on the host; `owner` keeps it alive."""

    ptr: int
    owner: Any = None

    def __add__(self, offset: int) -> ShimMemory:
        assert self.ptr or not offset  # as CuPy
        return ShimMemory(self.ptr + offset, self.owner)


@dataclass
class ShimDevice:
    """Implements `runtime.executor.Device`; `order` is the order in which threads run."""

    module: ShimModule
    order: int = 0
    blocks: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    launches: list[str] = field(default_factory=list)
    reads: int = 0

    def launcher(self, kernel: Kernel) -> Launcher:
        """Runs a kernel."""
        kinds = [np.dtype(np.uint64) if isinstance(p.type, Pointer) else numpy_dtype(p.type) for p in kernel.params]

        def launch(run: Any, blocks: int, threads: int, rows: int, *arguments: Any) -> None:
            self.launches.append(kernel.name)
            values = [np.array(a, kind) for a, kind in zip(arguments, kinds, strict=True)]
            self.module.launch(kernel.name, blocks, (threads, rows), self.order, values)

        return launch

    def allocate(self, size: int) -> ShimMemory:
        memory = np.full(size + 2 * GUARD + 64, POISON, np.uint8)
        start = -(memory.ctypes.data + GUARD) % 64
        memory = memory[start : start + size + 2 * GUARD]
        address = memory.ctypes.data + GUARD
        self.blocks[address] = memory
        return ShimMemory(address, memory)

    def free(self, memory: ShimMemory) -> None:
        block = self.blocks.pop(memory.ptr)
        guards = np.concatenate([block[:GUARD], block[-GUARD:]])
        assert np.all(guards == POISON), "a kernel wrote outside its buffer"

    def read(self, memory: ShimMemory, index: int, element: DType) -> Any:
        self.reads += 1
        found = self._view(memory, index + 1, numpy_dtype(element))[index].item()
        return found if isinstance(found, bool | int | float) else float(found)

    def copy(self, target: ShimMemory, source: ShimMemory, size: int) -> None:
        ctypes.memmove(target.ptr, source.ptr, size)

    def zero(self, memory: ShimMemory, size: int) -> None:
        ctypes.memset(memory.ptr, 0, size)

    def gemm(self, element: DType, sizes: tuple[int, int, int], a: Matrix, b: Matrix, c: Matrix) -> None:
        m, n, k = sizes
        result = self._matrix(c, m, n, element)
        result[...] = self._matrix(a, m, k, element) @ self._matrix(b, k, n, element)

    def data(self, array: Any) -> ShimMemory:
        return ShimMemory(array.ctypes.data if array.size else 0, array)

    def array(self, memory: ShimMemory, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        count = int(np.prod(shape, dtype=np.int64))
        found = self._view(memory, count, dtype).reshape(shape).copy()
        if memory.ptr in self.blocks:
            self.free(memory)
        return found

    def _view(self, memory: ShimMemory, count: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        raw = (ctypes.c_char * (count * dtype.itemsize)).from_address(memory.ptr)
        return np.frombuffer(raw, dtype, count)

    def _matrix(self, matrix: Matrix, rows: int, columns: int, element: DType) -> NDArray[Any]:
        dtype = numpy_dtype(element)
        steps = (matrix.row * dtype.itemsize, matrix.column * dtype.itemsize)
        origin = self._view(matrix.memory, 1, dtype) if rows * columns else np.empty(1, dtype)
        return np.lib.stride_tricks.as_strided(origin, (rows, columns), steps)


def execute(scheduled: CudaProgram, device: ShimDevice, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of a program on the shim. Raises `ProgramFailure`."""
    return HostFunction(scheduled).on(device.launcher)(device, inputs)
