"""The cases in Numba: loops as their authors would write them, and array expressions where those are the program."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np

from benchmarks import inputs, names
from benchmarks.index_programs import PROGRAMS
from benchmarks.loop_programs import LOOPS

Found = Iterator[tuple[str, str, Callable[[], Callable[[], Any]]]]


@numba.njit
def chain(x: Any, w: Any, b: Any) -> Any:
    return np.tanh(x * w + b) * (1 / (1 + np.exp(-x))) + np.exp(-x * x)


@numba.njit(fastmath=True)
def gelu(x: Any) -> Any:
    out = np.empty_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[i, j] = 0.5 * x[i, j] * (1 + math.erf(x[i, j] * np.float32(0.70710678)))
    return out


@numba.njit(fastmath=True)
def softmax(x: Any) -> Any:
    out = np.empty_like(x)
    for i in range(x.shape[0]):
        top = x[i].max()
        total = np.float32(0)
        for j in range(x.shape[1]):
            out[i, j] = np.exp(x[i, j] - top)
            total += out[i, j]
        for j in range(x.shape[1]):
            out[i, j] /= total
    return out


@numba.njit(fastmath=True)
def layer_norm(x: Any) -> Any:
    out = np.empty_like(x)
    n = np.float32(x.shape[1])
    for i in range(x.shape[0]):
        mean = np.float32(0)
        for j in range(x.shape[1]):
            mean += x[i, j]
        mean /= n
        variance = np.float32(0)
        for j in range(x.shape[1]):
            variance += (x[i, j] - mean) ** 2
        scale = 1 / np.sqrt(variance / n + np.float32(1e-5))
        for j in range(x.shape[1]):
            out[i, j] = (x[i, j] - mean) * scale
    return out


def cases(threads: int) -> Found:
    """(variant, case, maker) of everything that Numba measures."""
    for size in inputs.POINTWISE:

        def pointwise(size: int = size) -> Callable[[], Any]:
            args = inputs.pointwise(size)
            return lambda: chain(*args)

        yield "numba", names.chain(size), pointwise
    for name, fn in (("gelu", gelu), ("softmax", softmax), ("layer norm", layer_norm)):

        def rowwise(fn: Callable[..., Any] = fn) -> Callable[[], Any]:
            x = inputs.normal(inputs.ROWS, inputs.ROWS)
            return lambda: fn(x)

        yield "numba", names.rowwise(name, inputs.ROWS), rowwise
    for name, (fn, data) in (LOOPS | PROGRAMS).items():

        def loop(fn: Callable[..., Any] = fn, data: Callable[[], tuple[Any, ...]] = data) -> Callable[[], Any]:
            compiled, args = numba.njit(boundscheck=False)(fn), data()
            return lambda: compiled(*args)

        yield "numba", name, loop

    def call() -> Callable[[], Any]:
        x = np.arange(16, dtype=np.float32)
        fn = numba.njit(lambda x: x * np.float32(2) + np.float32(1))
        return lambda: fn(x)

    yield "numba", f"{names.CALL}, ndarray", call
