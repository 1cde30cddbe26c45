"""The cases in JAX: jitted, loops over time as `lax.scan`, loops that end on data as `lax.while_loop`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks import inputs, names
from benchmarks.column_programs import PROGRAMS

Maker = Callable[[], Callable[[], Any]]
Found = Iterator[tuple[str, str, Maker]]


def ready(fn: Callable[..., Any], arrays: Any) -> Callable[[], Any]:
    """Calls of a jitted function that wait for its results."""
    args = [jnp.asarray(a) for a in arrays]
    compiled = jax.jit(fn)
    return lambda: jax.block_until_ready(compiled(*args))


def gradient(loss: Callable[..., Any], arrays: Any, wrt: Any) -> Callable[[], Any]:
    """Value and gradients, flat."""
    found = jax.value_and_grad(loss, argnums=tuple(wrt))

    def flat(*args: Any) -> Any:
        value, gradients = found(*args)
        return value, *gradients

    return ready(flat, arrays)


def chain(x: Any, w: Any, b: Any) -> Any:
    return jnp.tanh(x * w + b) * jax.nn.sigmoid(x) + jnp.exp(-x * x)


def layer_norm(x: Any, scale: Any = 1.0, shift: Any = 0.0) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5) * scale + shift


ROWWISE = {
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "softmax": lambda x: jax.nn.softmax(x, 1),
    "layer norm": layer_norm,
}


def training(batch: int) -> Callable[[], Any]:
    rate = inputs.rate(batch)

    def loss(weights: Any, x: Any, y: Any) -> Any:
        return ((jnp.maximum(x @ weights[0], 0) @ weights[1] - y) ** 2).sum()

    @jax.jit
    def train(weights: Any, x: Any, y: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, x, y)
        return value, tuple(w - rate * g for w, g in zip(weights, gradients, strict=True))

    x, y, w1, w2 = map(jnp.asarray, inputs.network(batch))
    state = [(w1, w2)]

    def step() -> Any:
        value, state[0] = train(state[0], x, y)
        return value.block_until_ready()

    return step


def lstm(x: Any, h: Any, c: Any, wi: Any, wh: Any, b: Any) -> Any:
    def cell(state: Any, row: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(row @ wi + h @ wh + b, 4, 1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    (h, _), _ = lax.scan(cell, (h, c), x)
    return (h * h).sum()


def block(x: Any, wq: Any, wk: Any, wv: Any, wo: Any, w1: Any, b1: Any, w2: Any, b2: Any, *norms: Any) -> Any:
    batch, length, c, heads = inputs.BLOCK
    g1, c1, g2, c2 = norms
    h = layer_norm(x, g1, c1)
    q, k, v = ((h @ w).reshape(batch, length, heads, c // heads).transpose(0, 2, 1, 3) for w in (wq, wk, wv))
    p = jax.nn.softmax(q @ k.transpose(0, 1, 3, 2) * (c // heads) ** -0.5, -1)
    x = x + (p @ v).transpose(0, 2, 1, 3).reshape(batch, length, c) @ wo
    h = layer_norm(x, g2, c2)
    return x + jax.nn.gelu(h @ w1 + b1, approximate=False) @ w2 + b2


def block_loss(*args: Any) -> Any:
    return (block(*args) ** 2).mean()


def convolutions(x: Any, classes: Any, k1: Any, b1: Any, k2: Any, b2: Any, w: Any, b: Any) -> Any:
    def stage(h: Any, k: Any, b: Any) -> Any:
        h = lax.conv_general_dilated(h, k, (1, 1), "SAME") + b[:, None, None]
        return lax.reduce_window(jnp.maximum(h, 0), -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    h = stage(stage(x, k1, b1), k2, b2)
    scores = jax.nn.log_softmax(h.reshape(h.shape[0], -1) @ w + b)
    return -jnp.take_along_axis(scores, classes[:, None], 1).mean()


def jacobi(u: Any) -> Any:
    def sweep(u: Any, _: Any) -> Any:
        new = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        return u.at[1:-1, 1:-1].set(new), None

    return lax.scan(sweep, u, None, length=100)[0]


def recurrence(a: Any, b: Any) -> Any:
    def step(h: Any, ab: Any) -> Any:
        h = ab[0] * h + ab[1]
        return h, h

    return lax.scan(step, b[0], (a[1:], b[1:]))[1]


def mandelbrot() -> Any:
    n = jnp.arange(512)
    cr, ci = jnp.broadcast_arrays(-2.0 + 3.0 * n / 512, (-1.5 + 3.0 * n / 512)[:, None])

    def pixel(cr: Any, ci: Any) -> Any:
        def going(s: Any) -> Any:
            return (s[2] < 200) & (s[0] * s[0] + s[1] * s[1] < 4.0)

        def step(s: Any) -> Any:
            return s[0] * s[0] - s[1] * s[1] + cr, 2 * s[0] * s[1] + ci, s[2] + 1

        return lax.while_loop(going, step, (0.0 * cr, 0.0 * ci, 0))[2]

    return jax.vmap(jax.vmap(pixel))(cr, ci)


def newton(x: Any) -> Any:
    return lax.while_loop(lambda y: jnp.abs(y * y - x) > 1e-6 * x, lambda y: 0.5 * (y + x / y), x)


def power(a: Any, x: Any, tolerance: Any) -> Any:
    def step(s: Any) -> Any:
        x, _, _ = s
        y = a @ x
        size = jnp.sqrt((y * y).sum())
        y = y / size
        return y, size, jnp.abs(y - x).max()

    return lax.while_loop(lambda s: s[2] > tolerance, step, (x, jnp.float32(0), jnp.float32(1)))[1]


def in_jax(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function over NumPy with JAX's functions in their place."""
    return FunctionType(fn.__code__, {"np": jnp})


def cases(threads: int) -> Found:
    """(variant, case, maker) of everything that JAX measures."""
    for name, (fn, data) in PROGRAMS.items():
        yield "jax", name, lambda fn=fn, data=data: ready(in_jax(fn), data())
    for size in inputs.POINTWISE:
        yield "jax", names.chain(size), lambda size=size: ready(chain, inputs.pointwise(size))
        yield (
            "jax",
            names.gradient(names.chain(size)),
            lambda size=size: gradient(lambda *a: chain(*a).sum(), inputs.pointwise(size), range(3)),
        )
    square = inputs.ROWS, inputs.ROWS
    for name, fn in ROWWISE.items():
        rows = names.rowwise(name, inputs.ROWS)
        yield "jax", rows, lambda fn=fn: ready(fn, [inputs.normal(*square)])
        yield (
            "jax",
            names.gradient(rows),
            lambda fn=fn: gradient(
                lambda x, c: (fn(x) * c).sum(), [inputs.normal(*square, seed=s) for s in range(2)], (0,)
            ),
        )
    for batch in (1024, 64, 16, 1):
        yield "jax", names.training(batch), lambda batch=batch: training(batch)
    for sizes in inputs.RECURRENT:
        name = names.recurrent(*sizes)
        yield "jax", name, lambda sizes=sizes: ready(lstm, inputs.recurrent(*sizes))
        yield "jax", names.gradient(name), lambda sizes=sizes: gradient(lstm, inputs.recurrent(*sizes), (3, 4, 5))
    yield "jax", names.BLOCK, lambda: ready(block_loss, inputs.block())
    yield "jax", names.gradient(names.BLOCK), lambda: gradient(block_loss, inputs.block(), range(13))
    yield "jax", names.CONVOLUTIONS, lambda: ready(convolutions, inputs.images())
    yield "jax", names.gradient(names.CONVOLUTIONS), lambda: gradient(convolutions, inputs.images(), range(2, 8))
    yield "jax", names.JACOBI, lambda: ready(jacobi, [inputs.grid()])
    yield "jax", names.gradient(names.JACOBI), lambda: gradient(lambda u: (jacobi(u) ** 2).sum(), [inputs.grid()], (0,))
    yield "jax", names.RECURRENCE, lambda: ready(lambda a, b: jnp.append(b[:1], recurrence(a, b)), inputs.recurrence())
    yield (
        "jax",
        names.gradient(names.RECURRENCE),
        lambda: gradient(lambda a, b: (recurrence(a, b) ** 2).sum() + b[0] ** 2, inputs.recurrence(), (0, 1)),
    )
    yield "jax", names.MANDELBROT, lambda: ready(mandelbrot, [])
    yield "jax", names.NEWTON, lambda: ready(newton, [2.0])
    yield "jax", names.POWER, lambda: ready(power, inputs.power())

    def call() -> Callable[[], Any]:
        return ready(lambda x: x * 2 + 1, [jnp.arange(16, dtype=jnp.float32)])

    yield "jax", f"{names.CALL}, Tensor", call
