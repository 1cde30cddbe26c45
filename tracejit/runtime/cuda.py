"""Programs on an NVIDIA GPU by CuPy: kernels through NVRTC, memory from CuPy's pool, products by its libraries.

Work is queued on CuPy's current stream; only reads of elements wait for it. A call runs on the GPU that its arrays are
on. Memory that a call has freed serves its next allocations of that size, since all its work is on one stream.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from ctypes import Array, addressof, c_char, create_string_buffer
from operator import attrgetter
from typing import Any

import numpy as np

from tracejit import config
from tracejit.codegen.cuda.printer import OPTIONS, identifier, print_kernels
from tracejit.codegen.cuda.schedule import CudaProgram, schedule
from tracejit.codegen.loop_ir import InputSpec, Kernel, Pointer, Program
from tracejit.codegen.numeric import numpy_dtype
from tracejit.codegen.walk import ProgramFailure
from tracejit.devices import cupy
from tracejit.ir.types import BF16, DType, ScalarType
from tracejit.locks import Lock, cached_property
from tracejit.runtime.cpu import NativeFailure
from tracejit.runtime.executor import HostFunction, Launcher, Matrix, Run
from tracejit.runtime.failure import payload_number

#: Freed blocks that a call keeps for its own use at most; allocations are multiples of the granule, as in CuPy's pool.
KEPT, GRANULE = 16, 512
#: `cuLaunchKernel`'s names of what it is given: the arguments, their size, the end. The words before the arguments
#: are these three, the two addresses, and the size.
_BUFFER, _SIZE, _END, _HEAD = 1, 2, 0, 48
_FORMATS = {"bool": "?", "f16": "e", "bf16": "H", "f32": "f", "f64": "d"} | {
    f"{sign}{bits}": letter.upper() if sign == "u" else letter
    for sign in "iu"
    for bits, letter in ((8, "b"), (16, "h"), (32, "i"), (64, "q"))
}


class CudaFunction:
    """A program for a GPU; it is compiled by its first call on each."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.scheduled: CudaProgram = schedule(program)
        self.gpus: dict[int, Gpu] = {}
        self._making = Lock()
        places = list(enumerate(program.inputs))
        self.scalars = [i for i, spec in places if isinstance(spec.type, ScalarType)]
        self.arrays = [
            (i, numpy_dtype(spec.type.dtype), spec.type.rank, spec.contiguous)
            for i, spec in places
            if not isinstance(spec.type, ScalarType)
        ]

    @cached_property
    def source(self) -> str:
        """The kernels as CUDA C."""
        return print_kernels(self.scheduled.program)

    @cached_property
    def host(self) -> HostFunction:
        """The host part."""
        made = HostFunction(self.scheduled)
        config.log("cuda", f"@{self.program.name}, its host part", lambda: made.text.source)
        return made

    def call(self, inputs: Sequence[Any]) -> list[Any]:
        """Run on cupy arrays and numbers; gives cupy arrays, and NumPy scalars for host scalars.

        Raises `NativeFailure` where the program does, `ValueError` for arrays on several GPUs.
        """
        gpu = self.gpu(inputs)
        given = self.prepared(gpu, inputs)
        with gpu.current():
            frame = gpu.begin()
            try:
                return gpu.run(frame, inputs if given is None else given)
            except ProgramFailure as failure:
                site = self.program.errors[failure.error]
                payload = [payload_number(v, dtype) for v, dtype in zip(failure.payload, site.payload, strict=False)]
            finally:
                gpu.end(frame)
                if given is not None:
                    self.write_back(inputs, given)
        raise NativeFailure(site, payload)

    def gpu(self, inputs: Sequence[Any]) -> Gpu:
        """The GPU of the arrays; the current one where there are none."""
        number = -1
        for i, *_ in self.arrays:
            data = getattr(inputs[i], "data", None)
            found = getattr(data, "device_id", -1)
            if found != number:
                if number >= 0 <= found:
                    raise ValueError(f"arrays on several GPUs: cuda:{number} and cuda:{found}")
                number = max(number, found)
        if number < 0:
            number = cupy().cuda.runtime.getDevice()
        made = self.gpus.get(number)
        if made is None:
            with self._making:
                made = self.gpus.get(number)
                if made is None:
                    made = self.gpus[number] = Gpu(self, number)
        return made

    def prepared(self, gpu: Gpu, inputs: Sequence[Any]) -> list[Any] | None:
        """The inputs as the program expects them; None where they are so already."""
        changed: dict[int, Any] = {}
        kind = gpu.array_type
        for i, dtype, rank, contiguous in self.arrays:
            x = inputs[i]
            if type(x) is kind and x.dtype == dtype and x.ndim == rank and (not contiguous or gpu.is_dense(x)):
                continue
            changed[i] = gpu.prepared(x, self.program.inputs[i])
        for i in self.scalars:
            if type(inputs[i]) is kind:
                changed[i] = inputs[i].get()[()]
        return [changed.get(i, x) for i, x in enumerate(inputs)] if changed else None

    def write_back(self, inputs: Sequence[Any], given: Sequence[Any]) -> None:
        """Write what the program wrote into copies."""
        for x, prepared, spec in zip(inputs, given, self.program.inputs, strict=True):
            if spec.inout and prepared is not x:
                x[...] = prepared


def compile_program(program: Program) -> CudaFunction:
    """A program lowered for `"cuda"` as a function of the GPU."""
    made = CudaFunction(program)
    config.log("cuda", f"@{program.name} as CUDA C", lambda: made.source)
    return made


class Gpu:
    """A program on one GPU: its kernels, and the frames of its calls."""

    def __init__(self, function: CudaFunction, number: int) -> None:
        self.cupy = cupy()
        self.number = number
        self.array_type: type = self.cupy.ndarray
        self.is_dense: Callable[[Any], bool] = attrgetter("_c_contiguous")  # `flags` makes an object each time
        self.driver, self.runtime = self.cupy.cuda.driver, self.cupy.cuda.runtime
        self.frames: list[Frame] = []
        self.kernels: list[Any] = []  #: keeps the module loaded
        self.room = _HEAD
        with self.cupy.cuda.Device(number):
            self.module = self.cupy.RawModule(code=function.source, options=OPTIONS, backend="nvrtc")
            self.run = function.host.on(self.launcher)

    def current(self) -> Any:
        """Makes this the current GPU of the thread, for a while, where it is not."""
        return _nothing if self.runtime.getDevice() == self.number else self.cupy.cuda.Device(self.number)

    def prepared(self, x: Any, spec: InputSpec) -> Any:
        """An input as the program expects it: on the GPU, of its dtype, dense where it must be."""
        array = self.cupy.asarray(x)
        if array.dtype != numpy_dtype(spec.type.dtype) or array.ndim != spec.type.rank:
            raise TypeError(f"{spec.name}: expected {spec.type}, got an array of {array.dtype} with {array.ndim} axes")
        return self.cupy.ascontiguousarray(array) if spec.contiguous else array

    def begin(self) -> Frame:
        """A frame for a call on the current stream."""
        try:
            frame = self.frames.pop()
        except IndexError:
            frame = Frame(self)
        frame.stream = self.cupy.cuda.get_current_stream().ptr
        if self.number not in _context.ready:  # kernels are launched by the driver, which makes no context
            self.cupy.cuda.Device(self.number).synchronize()
            _context.ready.add(self.number)
        return frame

    def end(self, frame: Frame) -> None:
        """The call is over: what it has freed goes back to CuPy's pool."""
        frame.drop()
        self.frames.append(frame)

    def launcher(self, kernel: Kernel) -> Launcher:
        """What launches a kernel: the arguments are packed as the kernel's parameters lie in memory."""
        function = self.module.get_function(identifier(kernel.name)).kernel
        self.kernels.append(function)
        types = [p.type for p in kernel.params]
        letters = "".join("Q" if isinstance(t, Pointer) else _FORMATS[t.name] for t in types)
        layout = struct.Struct(f"@Q{letters}")
        self.room = max(self.room, _HEAD - 8 + layout.size)
        handle, pack, size, launch_kernel = function.ptr, layout.pack_into, layout.size - 8, self.driver.launchKernel

        def launch(run: Run, blocks: int, threads: int, rows: int, *arguments: Any) -> None:
            frame: Any = run.device
            pack(frame.words, _HEAD - 8, size, *arguments)
            launch_kernel(handle, blocks, 1, 1, threads, rows, 1, 0, frame.stream, 0, frame.extra)

        halves = [i for i, t in enumerate(types) if t == BF16]
        return _with_bits(launch, halves) if halves else launch


class _Context(threading.local):
    """The GPUs that a thread has used."""

    def __init__(self) -> None:
        self.ready: set[int] = set()


_context = _Context()
_nothing = nullcontext()


def _with_bits(launch: Launcher, places: Sequence[int]) -> Launcher:
    """A launcher that gets bfloat16 numbers and passes their bits."""

    def launch_bits(run: Run, blocks: int, threads: int, rows: int, *arguments: Any) -> None:
        passed = list(arguments)
        for i in places:
            passed[i] = int(np.asarray(passed[i], numpy_dtype(BF16)).view(np.uint16))
        launch(run, blocks, threads, rows, *passed)

    return launch_bits


class Frame:
    """One call on a GPU; implements `executor.Device`."""

    __slots__ = ("alloc", "cupy", "extra", "found", "gpu", "held", "kept", "pinned", "runtime", "stream", "words")

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self.cupy = gpu.cupy
        self.runtime = gpu.runtime
        self.alloc: Callable[[int], Any] = gpu.cupy.cuda.alloc
        self.stream = 0
        self.held: dict[int, list[Any]] = {}
        self.kept = 0
        self.words: Array[c_char] = create_string_buffer(gpu.room + 8)
        self.extra = addressof(self.words)
        struct.pack_into("@5Q", self.words, 0, _BUFFER, self.extra + _HEAD, _SIZE, self.extra + _HEAD - 8, _END)
        self.pinned = gpu.cupy.cuda.alloc_pinned_memory(16)
        self.found: Array[c_char] = (c_char * 16).from_address(self.pinned.ptr)

    # -- memory -------------------------------------------------------------------------------------------------------

    def allocate(self, size: int) -> Any:
        size = (size + GRANULE - 1) // GRANULE * GRANULE or GRANULE
        held = self.held.get(size)
        if held:
            self.kept -= 1
            return held.pop()
        try:
            return self.alloc(size)
        except self.cupy.cuda.memory.OutOfMemoryError:
            self.drop()
            return self.alloc(size)

    def free(self, memory: Any) -> None:
        if self.kept < KEPT:
            self.kept += 1
            self.held.setdefault(memory.mem.size, []).append(memory)
        else:
            _give_back(memory)

    def drop(self) -> None:
        """Give back what was freed."""
        if self.kept:
            for blocks in self.held.values():
                for memory in blocks:
                    _give_back(memory)
            self.held.clear()
            self.kept = 0

    def read(self, memory: Any, index: int, element: DType) -> Any:
        size, runtime = element.itemsize, self.runtime
        runtime.memcpyAsync(self.pinned.ptr, memory.ptr + index * size, size, runtime.memcpyDeviceToHost, self.stream)
        runtime.streamSynchronize(self.stream)
        if element == BF16:
            return float(np.frombuffer(bytes(self.found), numpy_dtype(BF16))[0])
        return struct.unpack_from(_FORMATS[element.name], self.found)[0]

    def copy(self, target: Any, source: Any, size: int) -> None:
        if size:
            kind = self.runtime.memcpyDeviceToDevice
            self.runtime.memcpyAsync(target.ptr, source.ptr, size, kind, self.stream)

    def zero(self, memory: Any, size: int) -> None:
        if size:
            self.runtime.memsetAsync(memory.ptr, 0, size, self.stream)

    def data(self, array: Any) -> Any:
        return array.data

    def array(self, memory: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        return self.cupy.ndarray(shape, dtype, memory)

    # -- products -----------------------------------------------------------------------------------------------------

    def gemm(self, element: DType, sizes: tuple[int, int, int], a: Matrix, b: Matrix, c: Matrix) -> None:
        m, n, k = sizes
        if not (m and n):
            return
        if not k:
            self._matrix(c, m, n, element).fill(0)
            return
        left, right, product = _blas(a, m, k), _blas(b, k, n), _blas(c, m, n)
        if left is None or right is None or product is None or product[0]:
            self.cupy.matmul(
                self._matrix(a, m, k, element), self._matrix(b, k, n, element), out=self._matrix(c, m, n, element)
            )
            return
        function, one, zero = _products(element.name)
        # The library has columns where C order has rows: it is asked for the transposed product.
        function(
            *(self.cupy.cuda.device.get_cublas_handle(), right[0], left[0], n, m, k, one),
            *(b.memory.ptr, right[1], a.memory.ptr, left[1], zero, c.memory.ptr, product[1]),
        )

    def _matrix(self, matrix: Matrix, rows: int, columns: int, element: DType) -> Any:
        """A view of device memory as a CuPy matrix."""
        dtype, memory = numpy_dtype(element), matrix.memory
        last = max((rows - 1) * matrix.row, 0) + max((columns - 1) * matrix.column, 0)
        cuda = self.cupy.cuda
        owned = cuda.UnownedMemory(memory.ptr, (last + 1) * dtype.itemsize, memory, self.gpu.number)
        strides = (matrix.row * dtype.itemsize, matrix.column * dtype.itemsize)
        return self.cupy.ndarray((rows, columns), dtype, cuda.MemoryPointer(owned, 0), strides)


def _give_back(memory: Any) -> None:
    """Return memory to its pool at once; memory of another allocator goes with its last reference."""
    free = getattr(memory.mem, "free", None)
    if free is not None:
        free()


def _blas(matrix: Matrix, rows: int, columns: int) -> tuple[int, int] | None:
    """Whether a matrix in C order of steps is transposed for the library, and its leading dimension; None where the
    library cannot read it."""
    if columns == 1 or matrix.column == 1:
        lead = matrix.row if rows > 1 else columns
        return (0, lead) if lead >= columns else None
    if rows == 1 or matrix.row == 1:
        return (1, matrix.column) if matrix.column >= rows else None
    return None


def _products(name: str) -> tuple[Any, int, int]:
    """The library's function for a dtype, and the addresses of 1 and 0."""
    found = _functions.get(name)
    if found is None:
        from cupy_backends.cuda.libs import cublas  # pyright: ignore

        kind = np.float32 if name == "f32" else np.float64
        factors = np.array([1, 0], kind)
        _kept.append(factors)
        start = factors.ctypes.data
        function = cublas.sgemm if name == "f32" else cublas.dgemm
        found = _functions[name] = (function, start, start + factors.itemsize)
    return found


_functions: dict[str, tuple[Any, int, int]] = {}
_kept: list[Any] = []  #: factors that the library reads
