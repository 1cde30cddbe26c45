"""A stand-in for CuPy on the CPU: arrays that are no ndarrays, their memory, kernels compiled by `shim_device.py`.

What `runtime/cuda.py` uses of CuPy is written out; every other function is NumPy's on the same elements. Scripts on
`"cuda"` can be called with it as users call them, down to the packed arguments of a launch, where there is no GPU.
"""

from __future__ import annotations

import ctypes
import re
import struct
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tests.cuda_shim.shim_device import POISON, ShimModule
from tracejit.codegen.loop_ir import Kernel

_SIZES = {"bool": 1, "float": 4, "double": 8} | {f"{s}{n}": n // 8 for s in "iu" for n in (8, 16, 32, 64)}
_OPERATORS = """add sub mul truediv floordiv mod pow matmul and or xor lshift rshift radd rsub rmul rtruediv rfloordiv
    rmod rpow rmatmul rand ror rxor lt le gt ge eq ne neg pos abs invert iadd isub imul itruediv""".split()


class Memory:
    """Memory of the pool."""

    def __init__(self, size: int) -> None:
        self.elements = np.full(size + 512, POISON, np.uint8)
        self.size = size
        self.device_id = 0
        self.ptr = -(-self.elements.ctypes.data // 512) * 512

    def free(self) -> None:
        assert self.ptr, "memory is freed twice"
        self.ptr = 0
        self.elements[:] = POISON


class UnownedMemory:
    def __init__(self, ptr: int, size: int, owner: Any, device_id: int = 0) -> None:
        self.ptr, self.size, self.owner, self.device_id = ptr, size, owner, device_id


class MemoryPointer:
    def __init__(self, mem: Any, offset: int) -> None:
        assert mem.ptr or not offset  # as CuPy
        self.mem = mem
        self.ptr = mem.ptr + offset
        self.device_id = mem.device_id

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.mem, self.ptr - self.mem.ptr + offset)


def unwrapped(x: Any) -> Any:
    if isinstance(x, tuple | list):
        return type(x)(map(unwrapped, x))
    return x.elements if isinstance(x, ndarray) else x


def wrapped(x: Any) -> Any:
    if isinstance(x, tuple | list) and type(x) in (tuple, list):
        return type(x)(map(wrapped, x))
    return ndarray.of(np.asarray(x)) if isinstance(x, np.ndarray | np.generic) else x


class ndarray:  # noqa: N801
    """An array "on the GPU"."""

    __array_priority__ = 100
    elements: np.ndarray[Any, Any]

    def __init__(self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None) -> None:
        if memptr is None:
            memptr = alloc(max(int(np.prod(shape)) * np.dtype(dtype).itemsize, 1))
        self.memory = memptr
        room = memptr.mem.size - (memptr.ptr - memptr.mem.ptr)
        raw = (ctypes.c_char * room).from_address(memptr.ptr)
        self.elements = np.ndarray(shape, dtype, raw, strides=strides)

    @classmethod
    def of(cls, elements: np.ndarray[Any, Any]) -> ndarray:
        made = cls.__new__(cls)
        made.elements = elements
        made.memory = None
        return made

    @property
    def data(self) -> MemoryPointer:
        address = self.elements.ctypes.data if self.elements.size else 0
        return MemoryPointer(UnownedMemory(address, self.elements.nbytes, self), 0)

    @property
    def device(self) -> Device:
        return Device(0)

    @property
    def _c_contiguous(self) -> bool:
        return self.elements.flags.c_contiguous

    @property
    def flags(self) -> Any:
        flags = self.elements.flags
        return types.SimpleNamespace(c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        found = dict(self.elements.__array_interface__)
        return {**found, "version": 3}

    def get(self) -> Any:
        return self.elements.copy()

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        given = {k: unwrapped(v) for k, v in kwargs.items()}
        result = getattr(ufunc, method)(*map(unwrapped, inputs), **given)
        return kwargs["out"][0] if kwargs.get("out") else wrapped(result)

    def __array_function__(self, function: Any, kinds: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(function(*map(unwrapped, args), **{k: unwrapped(v) for k, v in kwargs.items()}))

    def __getitem__(self, key: Any) -> Any:
        return wrapped(np.asarray(self.elements[unwrapped(key)]) if not isinstance(key, str) else NotImplemented)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.elements[unwrapped(key)] = unwrapped(value)

    def __len__(self) -> int:
        return len(self.elements)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.elements)

    def __float__(self) -> float:
        return float(self.elements)

    def __int__(self) -> int:
        return int(self.elements)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self.elements, name)
        if name in ("item", "tolist"):
            return found
        return _delegated(found) if callable(found) else wrapped(found) if isinstance(found, np.ndarray) else found

    def __repr__(self) -> str:
        return f"on the GPU: {self.elements!r}"

    __hash__ = None  # type: ignore[assignment]


def _delegated(function: Any) -> Any:
    return lambda *args, **kwargs: wrapped(
        function(*map(unwrapped, args), **{k: unwrapped(v) for k, v in kwargs.items()})
    )


def _operator(name: str) -> Any:
    def method(self: ndarray, *others: Any) -> Any:
        result = getattr(self.elements, name)(*map(unwrapped, others))
        return self if name.startswith("__i") and name != "__invert__" else wrapped(result)

    return method


for _name in _OPERATORS:
    setattr(ndarray, f"__{_name}__", _operator(f"__{_name}__"))


class Device:
    def __init__(self, number: int = 0) -> None:
        self.id = number

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: Any) -> None: ...

    def synchronize(self) -> None: ...


# -- kernels and copies -----------------------------------------------------------------------------------------------


class RawModule:
    """The kernels of a source, compiled when one is asked for."""

    folder = Path()

    def __init__(self, *, code: str, options: Any, backend: str) -> None:
        found = re.findall(r"__global__ void __launch_bounds__\(256\) (\w+)\((.*?)\) \{", code)
        self.code = code
        self.parameters = {name: [_size(p) for p in text.split(", ") if p] for name, text in found}
        self.module: ShimModule | None = None

    def get_function(self, name: str) -> Any:
        if self.module is None:
            kernels = [Kernel(name, (), frozenset(), ()) for name in self.parameters]
            self.module = ShimModule(self.code, kernels, self.folder)
        launch = Launch(self.module, name, self.parameters[name])
        _launches[id(launch)] = launch
        return types.SimpleNamespace(kernel=types.SimpleNamespace(ptr=id(launch), keep=launch))


def _size(parameter: str) -> int:
    if "*" in parameter:
        return 8
    return next(_SIZES[word] for word in parameter.split() if word in _SIZES)


class Launch:
    def __init__(self, module: ShimModule, name: str, sizes: list[int]) -> None:
        self.module, self.name, self.sizes = module, name, sizes

    def __call__(self, blocks: int, threads: int, rows: int, extra: int) -> None:
        head = struct.unpack("@5Q", ctypes.string_at(extra, 40))
        assert head[::2] == (1, 2, 0)
        (size,) = struct.unpack("@Q", ctypes.string_at(head[3], 8))
        at, values = 0, []
        for width in self.sizes:
            at = -(-at // width) * width
            values.append(np.frombuffer(ctypes.string_at(head[1] + at, width), f"V{width}"))
            at += width
        assert size == at, f"{self.name}: {size} bytes of arguments instead of {at}"
        self.module.launch(self.name, blocks, (threads, rows), 0, values)


_launches: dict[int, Launch] = {}
_one_at_a_time = threading.Lock()  #: the shim's threads share what they run on


def launch_kernel(handle: int, *sizes_and_more: int) -> None:
    blocks, y, z, threads, rows, depth, shared, _stream, parameters, extra = sizes_and_more
    assert (y, z, depth, shared, parameters) == (1, 1, 1, 0, 0)
    with _one_at_a_time:
        _launches[handle](blocks, threads, rows, extra)


def alloc(size: int) -> MemoryPointer:
    return MemoryPointer(Memory(size), 0)


class Pinned:
    def __init__(self, size: int) -> None:
        self.room = ctypes.create_string_buffer(size)
        self.ptr = ctypes.addressof(self.room)


def _product(kind: Any) -> Any:
    def gemm(handle: int, ta: int, tb: int, m: int, n: int, k: int, *words: int) -> None:
        one, a, lda, b, ldb, zero, c, ldc = words
        assert (_view(kind, one, 1, 1, 1)[0, 0], _view(kind, zero, 1, 1, 1)[0, 0]) == (1, 0)
        left = _view(kind, a, k, m, lda).T if ta else _view(kind, a, m, k, lda)
        right = _view(kind, b, n, k, ldb).T if tb else _view(kind, b, k, n, ldb)
        _view(kind, c, m, n, ldc)[...] = left @ right

    return gemm


def _view(kind: Any, address: int, rows: int, columns: int, lead: int) -> Any:
    """A matrix with its columns one after the other."""
    assert lead >= rows
    size = np.dtype(kind).itemsize
    raw = (ctypes.c_char * (((columns - 1) * lead + rows) * size)).from_address(address)
    return np.ndarray((rows, columns), kind, raw, strides=(size, lead * size))


def make_module() -> types.ModuleType:
    """A module that stands for `cupy`."""
    made = types.ModuleType("cupy")
    nothing = lambda *_: None  # noqa: E731
    runtime = types.SimpleNamespace(
        getDevice=lambda: 0,
        memcpyAsync=lambda target, source, size, kind, stream: ctypes.memmove(target, source, size) and None,
        memsetAsync=lambda address, value, size, stream: ctypes.memset(address, value, size) and None,
        streamSynchronize=nothing,
        memcpyDeviceToHost=2,
        memcpyDeviceToDevice=3,
    )
    cuda = types.SimpleNamespace(
        runtime=runtime,
        driver=types.SimpleNamespace(launchKernel=launch_kernel),
        alloc=alloc,
        alloc_pinned_memory=Pinned,
        get_current_stream=lambda: types.SimpleNamespace(ptr=0),
        memory=types.SimpleNamespace(OutOfMemoryError=MemoryError),
        device=types.SimpleNamespace(get_cublas_handle=lambda: 0),
        Device=Device,
        UnownedMemory=UnownedMemory,
        MemoryPointer=MemoryPointer,
    )
    tricks = np.lib.stride_tricks
    made.__dict__["lib"] = types.SimpleNamespace(
        stride_tricks=types.SimpleNamespace(
            as_strided=_delegated(tricks.as_strided), sliding_window_view=_delegated(tricks.sliding_window_view)
        )
    )
    made.__dict__.update(ndarray=ndarray, RawModule=RawModule, cuda=cuda, is_available=lambda: True)
    made.__dict__["asarray"] = lambda x, *args, **kwargs: (
        x if isinstance(x, ndarray) and not args and not kwargs else wrapped(np.array(unwrapped(x), *args, **kwargs))
    )
    made.__dict__["__getattr__"] = lambda name: _of_numpy(name)
    return made


def _of_numpy(name: str) -> Any:
    found = getattr(np, name)
    if isinstance(found, type) or not callable(found):
        return found
    return _delegated(found)


@contextmanager
def stand_in(folder: Path) -> Iterator[types.ModuleType]:
    """While it lasts, `import cupy` gives the stand-in; kernels are compiled in `folder`."""
    cublas = types.SimpleNamespace(sgemm=_product(np.float32), dgemm=_product(np.float64))
    modules: dict[str, Any] = {
        "cupy": make_module(),
        "cupy_backends": types.ModuleType("cupy_backends"),
        "cupy_backends.cuda": types.ModuleType("cupy_backends.cuda"),
        "cupy_backends.cuda.libs": types.SimpleNamespace(cublas=cublas),
    }
    before = {name: sys.modules.get(name) for name in modules}
    RawModule.folder = folder
    sys.modules.update(modules)
    try:
        yield modules["cupy"]
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
