"""Programs whose time to the first result is measured: each entry prepares data and gives the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tracejit as tj

Prepared = Callable[[], Any]
PROGRAMS: dict[str, Callable[[], Prepared]] = {}


def _program(make: Callable[[], Prepared]) -> Callable[[], Prepared]:
    PROGRAMS[make.__name__] = make
    return make


def _random(*shape: int) -> Any:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def pointwise(x: Any, w: Any, b: Any) -> Any:
    return np.tanh(x * w + b) * tj.sigmoid(x) + np.exp(-x * x)


def layer_norm(x: Any, w: Any, b: Any) -> Any:
    m = x.mean(axis=-1, keepdims=True)
    v = ((x - m) ** 2).mean(axis=-1, keepdims=True)
    return (x - m) / np.sqrt(v + 1e-5) * w + b


def network_step(x: Any, y: Any, w1: Any, w2: Any, lr: float) -> Any:
    loss = (x.mm(w1).relu().mm(w2) - y).pow(2).sum()
    loss.backward()
    with tj.no_grad():
        w1 -= lr * w1.grad
        w2 -= lr * w2.grad
    w1.grad = None
    w2.grad = None
    return loss


def lstm(x: Any, h: Any, c: Any, wi: Any, wh: Any, b: Any) -> Any:
    H = h.shape[1]
    for t in range(x.shape[0]):
        g = x[t] @ wi + h @ wh + b
        i = tj.sigmoid(g[:, :H])
        f = tj.sigmoid(g[:, H : 2 * H])
        o = tj.sigmoid(g[:, 2 * H : 3 * H])
        u = np.tanh(g[:, 3 * H :])
        c = f * c + i * u
        h = o * np.tanh(c)
    return (h * h).sum()


def power(A: Any, x: Any, tol: float) -> Any:
    l = 0.0
    d = 1.0
    while d > tol:
        y = A @ x
        n = np.sqrt((y * y).sum())
        y = y / n
        d = np.abs(y - x).max()
        x = y
        l = n
    return l


def jacobi(u: Any, steps: int) -> Any:
    for _ in range(steps):
        v = u.copy()
        v[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        u = v
    return u


def transformer(*parameters: Any) -> Any:
    x, wq, wk, wv, wo, w1, b1, w2, b2, g1, c1, g2, c2 = parameters
    B, T, C = x.shape
    Hn = 4
    D = C // Hn
    h = layer_norm(x, g1, c1)
    q = (h @ wq).reshape(B, T, Hn, D).transpose(0, 2, 1, 3)
    k = (h @ wk).reshape(B, T, Hn, D).transpose(0, 2, 1, 3)
    v = (h @ wv).reshape(B, T, Hn, D).transpose(0, 2, 1, 3)
    p = tj.softmax((q @ k.transpose(0, 1, 3, 2)) * 0.125, axis=-1)
    o = (p @ v).transpose(0, 2, 1, 3).reshape(B, T, C)
    x = x + o @ wo
    h = layer_norm(x, g2, c2)
    return x + tj.gelu(h @ w1 + b1) @ w2 + b2


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
    return lambda: tj.script(pointwise)(x, x, x)


@_program
def pointwise_gradient() -> Prepared:
    x = _random(1000)
    return lambda: tj.value_and_grad(lambda x, w, b: pointwise(x, w, b).sum(), argnums=(0, 1, 2))(x, x, x)


@_program
def network() -> Prepared:
    x, y = tj.tensor(_random(64, 1000)), tj.tensor(_random(64, 10))
    w1 = tj.tensor(_random(1000, 100), requires_grad=True)
    w2 = tj.tensor(_random(100, 10), requires_grad=True)
    return lambda: tj.script(network_step)(x, y, w1, w2, 1e-6)


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


def _transformer_data() -> list[Any]:
    C = 64
    shapes = [(2, 16, C), *[(C, C)] * 4, (C, 4 * C), (4 * C,), (4 * C, C), *[(C,)] * 5]
    return [_random(*s) * np.float32(0.05) for s in shapes]


@_program
def transformer_forward() -> Prepared:
    data = _transformer_data()
    return lambda: tj.script(transformer)(*data)


@_program
def transformer_gradient() -> Prepared:
    data = _transformer_data()
    return lambda: tj.value_and_grad(lambda *p: (transformer(*p) ** 2).sum(), argnums=tuple(range(13)))(*data)


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
