"""Numerical programs whose time is in their loops, with data for each: the ones that are also differentiated.

Plain Python over NumPy: what compiles them (tracejit, Numba) is somebody else's business, so this module imports NumPy
only and can be loaded in any environment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import inputs, names


def recurrence(a: Any, b: Any) -> Any:
    """A linear recurrence."""
    h = np.zeros_like(a)
    h[0] = b[0]
    for i in range(1, len(a)):
        h[i] = a[i] * h[i - 1] + b[i]
    return h


def jacobi(u: Any, sweeps: int) -> Any:
    """Heat flow on a grid whose edge is kept."""
    for _ in range(sweeps):
        v = u.copy()
        v[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        u = v
    return u


def gauss_seidel(u: Any, sweeps: int) -> Any:
    """A stencil each of whose places needs the new values of its neighbours."""
    u = u.copy()
    n, m = u.shape
    for _ in range(sweeps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
    return u


def mandelbrot(width: int, height: int, limit: int) -> Any:
    """Iterations until each point of the plane has left the circle of radius 2."""
    out = np.zeros((height, width), np.int64)
    for j in range(height):
        for i in range(width):
            cr = -2.0 + 3.0 * i / width
            ci = -1.5 + 3.0 * j / height
            zr = 0.0
            zi = 0.0
            k = 0
            while k < limit and zr * zr + zi * zi < 4.0:
                zr, zi = zr * zr - zi * zi + cr, 2 * zr * zi + ci
                k += 1
            out[j, i] = k
    return out


def newton(x: float) -> float:
    """The square root of a number."""
    y = x
    while abs(y * y - x) > 1e-12 * x:
        y = 0.5 * (y + x / y)
    return y


def power(a: Any, x: Any, tolerance: float) -> Any:
    """The greatest eigenvalue of a symmetric matrix."""
    size = np.sqrt((x * x).sum())
    change = size
    while change > tolerance:
        y = a @ x
        size = np.sqrt((y * y).sum())
        y = y / size
        change = np.abs(y - x).max()
        x = y
    return size


#: Name of the case -> function and what makes its arguments.
LOOPS: dict[str, tuple[Callable[..., Any], Callable[[], tuple[Any, ...]]]] = {
    names.RECURRENCE: (recurrence, inputs.recurrence),
    names.JACOBI: (jacobi, lambda: (inputs.grid(), 100)),
    names.GAUSS_SEIDEL: (gauss_seidel, lambda: (inputs.grid().astype(np.float64), 20)),
    names.MANDELBROT: (mandelbrot, lambda: (512, 512, 200)),
    names.NEWTON: (newton, lambda: (2.0,)),
    names.POWER: (power, inputs.power),
}
