"""An LSTM cell in a Python `for` over time, forward and gradient: the loop as a user writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks import inputs, names
from benchmarks.measure import Case, local_case
from benchmarks.pointwise import double, flat


def lstm(x: Any, h: Any, c: Any, wi: Any, wh: Any, b: Any) -> Any:
    """Sum of squares of the last state of a sequence (T, B, H); gates in the order i, f, g, o."""
    n = h.shape[1]
    for t in range(x.shape[0]):
        gates = x[t] @ wi + h @ wh + b
        i = tj.sigmoid(gates[:, :n])
        f = tj.sigmoid(gates[:, n : 2 * n])
        g = np.tanh(gates[:, 2 * n : 3 * n])
        o = tj.sigmoid(gates[:, 3 * n :])
        c = f * c + i * g
        h = o * np.tanh(c)
    return (h * h).sum()


def exact_gradient(args: Any) -> tuple[Any, ...]:
    """Value and weight gradients in float64 on the eager tape."""
    x, h, c, *weights = map(tj.tensor, double(args))
    leaves = [w.requires_grad_() for w in weights]
    value = lstm(x, h, c, *leaves)
    return value, *tj.autograd.grad(value, leaves)


def cases() -> Iterator[Case]:
    forward, gradient = tj.script(lstm), tj.value_and_grad(lstm, argnums=(3, 4, 5))
    for steps, batch, hidden in inputs.RECURRENT:
        args = inputs.recurrent(steps, batch, hidden)
        products = 2 * steps * batch * 2 * hidden * 4 * hidden
        name = names.recurrent(steps, batch, hidden)
        yield local_case(
            "recurrent",
            name,
            {"compiled": lambda: forward(*args)},  # noqa: B023
            work=products,
            reference=lambda: lstm(*double(args)),  # noqa: B023
        )
        yield local_case(
            "recurrent",
            names.gradient(name),
            {"compiled": lambda: flat(gradient(*args))},  # noqa: B023
            work=3 * products,
            reference=lambda: exact_gradient(args),  # noqa: B023
        )
