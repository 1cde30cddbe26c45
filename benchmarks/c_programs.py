"""`c_programs.c` as functions of arrays, where there is a C compiler."""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import inputs, names

FLAGS = ("-O3", "-march=native", "-ffast-math", "-fopenmp", "-fPIC")


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled file, or None without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source = Path(__file__).with_name("c_programs.c")
    with tempfile.TemporaryDirectory(prefix="tracejit-bench-") as folder:
        code, target = Path(folder, "programs.o"), Path(folder, "programs.so")
        subprocess.run([compiler, *FLAGS, "-c", "-o", str(code), str(source)], check=True)
        # linked without -ffast-math, which would make the whole process flush subnormal numbers to zero
        subprocess.run([compiler, "-shared", "-fopenmp", "-o", str(target), str(code), "-lm"], check=True)
        return ctypes.CDLL(str(target))  # what is loaded stays when its file goes


def _bind(name: str, *args: Any, returns: Any = None) -> Callable[[], Any]:
    """A call of a function with integers and arrays, its arguments converted once."""
    made = library()
    assert made is not None
    fn = made[name]
    fn.restype = returns
    converted = [a.ctypes.data_as(ctypes.c_void_p) if isinstance(a, np.ndarray) else ctypes.c_int64(a) for a in args]
    return lambda: fn(*converted)


def _chain(size: int) -> Callable[[], Any]:
    args = inputs.pointwise(size)

    def run() -> Any:
        out = np.empty_like(args[0])
        bound(out)
        return out

    call = library()["chain"]  # pyright: ignore[reportOptionalSubscript]
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in args]

    def bound(out: Any) -> None:
        call(ctypes.c_int64(size), *pointers, out.ctypes.data_as(ctypes.c_void_p))

    return run


def _chain_gradient(size: int) -> Callable[[], Any]:
    args = inputs.pointwise(size)
    outs = [np.empty_like(args[0]) for _ in range(3)]
    fn = _bind("chain_gradient", size, *args, *outs, returns=ctypes.c_double)
    return lambda: (fn(), *outs)


def _recurrence() -> Callable[[], Any]:
    a, b = inputs.recurrence()
    h = np.empty_like(a)
    fn = _bind("recurrence", len(a), a, b, h)
    return lambda: (fn(), h)[1]


def _recurrence_gradient() -> Callable[[], Any]:
    a, b = inputs.recurrence()
    outs = [np.empty_like(a) for _ in range(3)]
    fn = _bind("recurrence_gradient", len(a), a, b, *outs, returns=ctypes.c_double)
    return lambda: (fn(), *outs[1:])


def _grid(name: str, start: Any, sweeps: int, buffers: int, gradient: bool) -> Callable[[], Any]:
    """Sweeps over a grid that the function changes: it starts from a copy each time."""
    u, *others = (np.empty_like(start) for _ in range(1 + buffers))
    fn = _bind(name, len(start), sweeps, u, *others, returns=ctypes.c_double if gradient else None)

    def run() -> Any:
        u[...] = start
        value = fn()
        return (value, u) if gradient else u

    return run


def _mandelbrot() -> Callable[[], Any]:
    out = np.empty((512, 512), np.int64)
    fn = _bind("mandelbrot", 512, 512, 200, out)
    return lambda: (fn(), out)[1]


def variant(name: str) -> dict[str, Callable[[], Any]]:
    """The C variant of a case, where there is one and a compiler."""
    gradient = names.gradient
    makers: dict[str, Callable[[], Callable[[], Any]]] = {
        names.RECURRENCE: _recurrence,
        gradient(names.RECURRENCE): _recurrence_gradient,
        names.JACOBI: lambda: _grid("jacobi", inputs.grid(), 100, 1, False),
        gradient(names.JACOBI): lambda: _grid("jacobi_gradient", inputs.grid(), 100, 1, True),
        names.GAUSS_SEIDEL: lambda: _grid("gauss_seidel", inputs.grid().astype(np.float64), 20, 0, False),
        gradient(names.GAUSS_SEIDEL): lambda: _grid(
            "gauss_seidel_gradient", inputs.grid().astype(np.float64), 20, 0, True
        ),
        names.MANDELBROT: _mandelbrot,
    }
    for size in inputs.POINTWISE:
        makers[names.chain(size)] = lambda size=size: _chain(size)
        makers[gradient(names.chain(size))] = lambda size=size: _chain_gradient(size)
    if name not in makers or library() is None:
        return {}
    return {"C": makers[name]()}
