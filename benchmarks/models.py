"""A transformer block and a small convolutional network, forward and gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks import inputs, names
from benchmarks.measure import Case, local_case
from benchmarks.pointwise import flat
from tracejit.nn import functional as F


def block(x: Any, wq: Any, wk: Any, wv: Any, wo: Any, w1: Any, b1: Any, w2: Any, b2: Any, *norms: Any) -> Any:
    """Mean square of a pre-norm transformer block over (batch, positions, channels)."""
    batch, length, c = x.shape
    heads = 4
    g1, c1, g2, c2 = norms
    h = F.layer_norm(x, (c,), g1, c1)
    q = (h @ wq).reshape(batch, length, heads, c // heads).transpose(1, 2)
    k = (h @ wk).reshape(batch, length, heads, c // heads).transpose(1, 2)
    v = (h @ wv).reshape(batch, length, heads, c // heads).transpose(1, 2)
    p = tj.softmax(q @ k.transpose(2, 3) * (c // heads) ** -0.5, -1)
    x = x + (p @ v).transpose(1, 2).reshape(batch, length, c) @ wo
    h = F.layer_norm(x, (c,), g2, c2)
    return ((x + F.gelu(h @ w1 + b1) @ w2 + b2) ** 2).mean()


def convolutions(x: Any, classes: Any, k1: Any, b1: Any, k2: Any, b2: Any, w: Any, b: Any) -> Any:
    """Loss of two stages of 3 x 3 convolution, ReLU and 2 x 2 max pool, and a linear layer."""
    h = F.max_pool2d(F.relu(F.conv2d(x, k1, b1, padding=1)), 2)
    h = F.max_pool2d(F.relu(F.conv2d(h, k2, b2, padding=1)), 2)
    return F.cross_entropy(h.reshape(h.shape[0], -1) @ w + b, classes)


def _double(args: tuple[Any, ...], leaves: range) -> list[Any]:
    """Float64 tensors (integers stay as they are); leaves with gradients at the places given."""
    made = [tj.tensor(a.astype(np.float64) if a.dtype.kind == "f" else a) for a in args]
    for k in leaves:
        made[k].requires_grad_()
    return made


def _cases(name: str, fn: Callable[..., Any], args: tuple[Any, ...], wrt: range) -> Iterator[Case]:
    """Forward over Tensors, and value and gradient with respect to the arguments at the places of `wrt`."""
    tensors = [tj.tensor(a) for a in args]
    forward, gradient = tj.script(fn), tj.value_and_grad(fn, argnums=tuple(wrt))

    def exact() -> Any:
        doubles = _double(args, wrt)
        value = fn(*doubles)
        return value, *tj.autograd.grad(value, [doubles[k] for k in wrt])

    yield local_case(
        "models",
        name,
        {"eager": lambda: fn(*tensors), "compiled": lambda: forward(*tensors)},
        reference=lambda: fn(*_double(args, range(0))),
    )
    yield local_case(
        "models", names.gradient(name), {"compiled": lambda: flat(gradient(*tensors))}, reference=exact, tolerance=3e-3
    )


def cases() -> Iterator[Case]:
    yield from _cases(names.BLOCK, block, inputs.block(), range(13))
    yield from _cases(names.CONVOLUTIONS, convolutions, inputs.images(), range(2, 8))
