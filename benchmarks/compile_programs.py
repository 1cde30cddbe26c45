"""Programs whose time to the first result is measured: each entry prepares data and gives the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks.loop_programs import jacobi, power
from benchmarks.models import block
from benchmarks.pointwise import heavy, heavy_sum
from benchmarks.recurrent import lstm
from tracejit.demo.programs import train_step

Prepared = Callable[[], Any]
PROGRAMS: dict[str, Callable[[], Prepared]] = {}


def _program(make: Callable[[], Prepared]) -> Callable[[], Prepared]:
    PROGRAMS[make.__name__] = make
    return make


def _random(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def layer_norm(x: Any, w: Any, b: Any) -> Any:
    m = x.mean(axis=-1, keepdims=True)
    v = ((x - m) ** 2).mean(axis=-1, keepdims=True)
    return (x - m) / np.sqrt(v + 1e-5) * w + b


def five_loops(a: Any, b: Any, n: int) -> Any:
    out = np.zeros((n, n))
    count = 0
    for i in range(n):
        for j in range(n):
            total = 0.0
            low = a[i, j]
            high = b[j, i]
            for k in range(n):
                left = a[i, k]
                right = b[k, j]
                if left > right:
                    total += left * right
                elif left < -right:
                    total -= left
                else:
                    total += right
                for l in range(k, n):
                    weight = a[k, l]
                    if weight > 0.5:
                        continue
                    total += weight * low
                    for m in range(3):
                        step = b[l, m % n]
                        if step < 0.1:
                            break
                        total += step * high
                        count += 1
                if total > 1e6:
                    total = total / 2.0
            out[i, j] = total
            while total > 10.0:
                total *= 0.5
                count += 1
            if count > 1000:
                count -= 1000
            if i == j:
                out[i, j] += 1.0
            elif i > j:
                out[i, j] -= out[j, i]
            else:
                out[i, j] *= 2.0
    best = out[0, 0]
    where = 0
    for i in range(n):
        for j in range(n):
            if out[i, j] > best:
                best = out[i, j]
                where = i * n + j
    return out, best, where, count


def thousand_source() -> str:
    lines = ["def thousand(x, y):", "    a = x", "    b = y"]
    for i in range(166):
        lines.append(f"    a = np.sin(a * b + {i / 7}) - b")
        lines.append(f"    b = np.sqrt(a * a + {i + 1.5})")
    return "\n".join([*lines, "    return a + b", ""])


@_program
def pointwise_forward() -> Prepared:
    x = _random(1000)
    return lambda: tj.script(heavy)(x, x, x)


@_program
def pointwise_gradient() -> Prepared:
    x = _random(1000)
    return lambda: tj.value_and_grad(heavy_sum, argnums=(0, 1, 2))(x, x, x)


@_program
def network() -> Prepared:
    x, y = tj.tensor(_random(64, 1000)), tj.tensor(_random(64, 10))
    w1 = tj.tensor(_random(1000, 100), requires_grad=True)
    w2 = tj.tensor(_random(100, 10), requires_grad=True)
    return lambda: tj.script(train_step)(x, y, w1, w2, 1e-6)


def _lstm_data() -> list[Any]:
    T, B, H = 100, 1, 64
    return [
        _random(T, B, H),
        _random(B, H),
        _random(B, H),
        _random(H, 4 * H) * np.float32(0.05),
        _random(H, 4 * H) * np.float32(0.05),
        _random(4 * H),
    ]


@_program
def lstm_forward() -> Prepared:
    data = _lstm_data()
    return lambda: tj.script(lstm)(*data)


@_program
def lstm_gradient() -> Prepared:
    data = _lstm_data()
    return lambda: tj.value_and_grad(lstm, argnums=(3, 4, 5))(*data)


@_program
def softmax_gradient() -> Prepared:
    x = _random(64, 64)
    return lambda: tj.value_and_grad(lambda x, c: (tj.softmax(x, axis=-1) * c).sum())(x, x)


@_program
def layer_norm_gradient() -> Prepared:
    x, w = _random(64, 64), _random(64)
    fn = tj.value_and_grad(lambda x, w, b, c: (layer_norm(x, w, b) * c).sum(), argnums=(0, 1, 2))
    return lambda: fn(x, w, w, x)


@_program
def power_gradient() -> Prepared:
    A, x = np.eye(16, dtype=np.float32), np.ones(16, np.float32) / 4
    return lambda: tj.value_and_grad(power)(A, x, 1e-4)


@_program
def jacobi_gradient() -> Prepared:
    u = _random(64, 64)
    return lambda: tj.value_and_grad(lambda u, k: (jacobi(u, k) ** 2).sum())(u, 3)


def _block_data() -> list[Any]:
    C = 64
    shapes = [(2, 16, C), *[(C, C)] * 4, (C, 4 * C), (4 * C,), (4 * C, C), *[(C,)] * 5]
    return [tj.tensor(_random(*s) * np.float32(0.05)) for s in shapes]


@_program
def transformer_forward() -> Prepared:
    data = _block_data()
    return lambda: tj.script(block)(*data)


@_program
def transformer_gradient() -> Prepared:
    data = _block_data()
    return lambda: tj.value_and_grad(block, argnums=tuple(range(13)))(*data)


@_program
def five_nested_loops() -> Prepared:
    a = np.random.default_rng(0).standard_normal((4, 4))
    return lambda: tj.script(five_loops)(a, a, 4)


def _thousand() -> Any:
    import linecache

    text = thousand_source()
    linecache.cache["<thousand>"] = (len(text), None, text.splitlines(keepends=True), "<thousand>")
    names: dict[str, Any] = {"np": np}
    exec(compile(text, "<thousand>", "exec"), names)
    return names["thousand"]


@_program
def thousand_ops() -> Prepared:
    fn = _thousand()
    x = np.ones(16)
    return lambda: tj.script(fn)(x, x)


@_program
def thousand_ops_gradient() -> Prepared:
    fn = _thousand()
    x = np.ones(16)
    return lambda: tj.value_and_grad(lambda x, y: fn(x, y).sum(), argnums=(0, 1))(x, x)
