"""Programs whose derivatives are tested: plain Python over NumPy, each with arguments. All give one float."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

X = np.array([0.3, -0.5, 0.8, 1.1])
Y = np.array([0.9, 0.4, -0.7, 0.2])
A = np.array([[0.5, -0.2, 0.1, 0.4], [0.3, 0.8, -0.6, 0.2], [-0.1, 0.7, 0.9, -0.3]])


class Registry:
    """Programs with arguments; several `example`s on a function are several tests."""

    def __init__(self) -> None:
        self.programs: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def example(self, *arguments: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Enter a program with arguments."""

        def register(fn: Callable[..., Any]) -> Callable[..., Any]:
            self.programs.append((fn, arguments))
            return fn

        return register


REGISTRY = Registry()
PROGRAMS = REGISTRY.programs
example = REGISTRY.example


@example(X, Y)
def elementwise(x, y):
    return np.sum(np.tanh(x * y) + np.exp(-x) / (1.0 + y * y) - np.sin(y) ** 2)


@example(A, X, np.array([0.1, 0.2, 0.3]))
def layer(w, x, b):
    h = np.tanh(w @ x + b)
    return (h * h).mean() + h.max()


@example(A, A * 0.5 + 0.1)
def matrices(a, b):
    c = a @ b.T
    d = c.sum(axis=1) * np.array([1.0, 2.0, 3.0])
    return d.prod() + c[1:, :2].sum()


@example(X)
def statistics(x):
    z = (x - x.mean()) / x.std()
    return np.sum(z**3) + np.var(x) + np.max(x) * np.min(x)


@example(X)
def softmax(x):
    e = np.exp(x - x.max())
    p = e / e.sum()
    return -np.log(p[2])


@example(0.7, 1.3)
@example(1.9, 0.2)
def scalars(a, b):
    if a * b > 0.5:
        c = math.sin(a) * b
    elif a > 1.0:
        c = a / b
    else:
        c = a - b
    return c * a + math.sqrt(b)


@example(1.1, 50.0)
@example(60.0, 50.0)
def until(x, limit):
    n = 0
    while x < limit:
        x = x * x + 0.5 * n
        n += 1
    return x / (n + 1)


@example(X, 1.2)
def recurrence(x, w):
    p = np.zeros(6)
    p[0] = x[0]
    for i in range(5):
        p[i + 1] = np.tanh(p[i] * w) + x[i % 4]
    return p.sum()


@example(X)
def argument_changed(x):
    for i in range(1, x.shape[0]):
        x[i] = x[i] * x[i - 1] + 0.5
    return x[1] * x[3]


@example(A)
def triangle(a):
    s = 0.0
    for i in range(a.shape[0]):
        for j in range(i + 1):
            if a[i, j] > 0.0:
                s += a[i, j] * s + a[j, i]
            else:
                s -= math.exp(a[i, j])
    return s


@example(X, 3)
def broken_off(x, most):
    s = 1.0
    for i in range(100):
        if i >= most or s > 1000.0:
            break
        if i == 1:
            continue
        s = s * (1.0 + x[i]) + x[i] * x[i]
    return s


@example(X)
@example(-X)
def early_return(x):
    total = 0.0
    for v in x:
        if total > 0.5:
            return total * v
        total = total + v * v
    return total


@example(X, Y)
def list_of_values(x, y):
    seen = []
    h = 0.5
    for i in range(x.shape[0]):
        h = math.tanh(h * x[i] + y[i])
        seen.append(h)
    total = 0.0
    for i in range(len(seen)):
        total += seen[i] * seen[len(seen) - 1 - i]
    return total


@example(A)
def rows(a):
    b = a.copy()
    for i in range(1, b.shape[0]):
        b[i] = np.sin(b[i - 1] * b[i])
        b[i, 1:] += b[i, :-1] * 0.5
    return b.sum()


@example(np.array([0.1, 0.9, 0.4, 0.3, 0.7]))
def stencil(u):
    for _ in range(3):
        v = u.copy()
        v[1:-1] = u[1:-1] + 0.1 * (u[2:] - 2.0 * u[1:-1] + u[:-2]) * u[1:-1]
        u = v
    return np.sum(u * u)


@example(X, Y)
def where(x, y):
    return np.sum(np.where(x > 0.0, np.log(np.abs(x)) * y, np.sqrt(y * y + 1.0)))


@example(X)
def guarded(x):
    total = 0.0
    for i in range(x.shape[0]):
        if x[i] > 0.0:
            total += math.log(x[i]) * math.sqrt(x[i])
    return total


@example(X, Y)
def mask(x, y):
    z = y * 2.0
    z[x > 0.0] = x[x > 0.0] ** 2
    return np.sum(z * y)


@example(A)
def gathered(a):
    order = np.array([2, 0, 1, 2])
    return np.sum(a[order] * np.arange(16.0).reshape(4, 4))


@example(A)
def factorised(a):
    m = a @ a.T + np.eye(3)
    n = m.shape[0]
    for k in range(n):
        for i in range(k + 1, n):
            m[i, k] = m[i, k] / m[k, k]
            for j in range(k + 1, n):
                m[i, j] = m[i, j] - m[i, k] * m[k, j]
    return m[0, 0] * m[1, 1] * m[2, 2]


@example(0.4, 1.1)
def newton(a, guess):
    x = guess
    while abs(x * x - a) > 1e-10:
        x = 0.5 * (x + a / x)
    return x


@example({"w": X, "b": 0.3}, (Y, 0.5))
def containers(p, q):
    h = p["w"] * q[0] + p["b"]
    return np.sum(np.tanh(h)) * q[1]


@example(X, Y)
def helpers(x, y):
    def scaled(v, k=2.0):
        return v * k

    square = lambda v: v * v  # noqa: E731
    return np.sum(square(scaled(x)) + scaled(y, k=0.5))


@example(np.linspace(0.2, 1.4, 8))
def reshaped(x):
    m = x.reshape(2, 4)
    n = np.concatenate((m, m[::-1] * 2.0), axis=0)
    t = np.stack((n[0], n[3]))
    return np.sum(t.T * np.cumsum(t.T, axis=0)) + n.transpose()[1].prod()


@example(X, Y)
def swapped(x, y):
    for _ in range(3):
        x, y = y * 0.5, x + np.sin(y)
    return np.sum(x * y)


@example(X)
def clipped(x):
    return np.sum(np.clip(x, -0.2, 0.9) * x) + np.abs(x).sum() + np.maximum(x, 0.1).sum()


@example(X)
def left_by_return_alone(x):
    v, k = x * 1.0, 0
    while True:
        v = np.sin(v) * x + v * 0.5
        k += 1
        for i in range(4):
            if v[i] * k > 2.0:
                return v[i] * v.sum()
        if k > 5:
            return (v * v).sum()
