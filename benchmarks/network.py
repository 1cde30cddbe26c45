"""The two-layer network of the README: a training step, its forward alone, several batch sizes with one compile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks.measure import Case, local_case
from tracejit.demo.programs import HIDDEN, INPUTS, OUTPUTS, RATE, network, network_data, train_step


def numpy_step(x: Any, y: Any, w1: Any, w2: Any) -> Callable[[], float]:
    """A training step with the gradient by hand; the weights are updated in place."""

    def step() -> float:
        h = x @ w1
        a = np.maximum(h, 0)
        error = a @ w2 - y
        loss = np.square(error).sum()
        d_pred = 2.0 * error
        d_w2 = a.T @ d_pred
        d_h = d_pred @ w2.T
        d_h[h < 0] = 0
        d_w1 = x.T @ d_h
        np.subtract(w1, RATE * d_w1, out=w1)
        np.subtract(w2, RATE * d_w2, out=w2)
        return loss

    return step


def tensors(batch: int) -> tuple[Any, ...]:
    x, y, w1, w2 = (tj.tensor(a) for a in network_data())
    return x[:batch].clone(), y[:batch].clone(), w1.requires_grad_(), w2.requires_grad_(), RATE


def cases() -> Iterator[Case]:
    compiled = tj.script(train_step)
    for batch in (64, 16, 1):
        x, y, w1, w2 = network_data()
        eager_args, args = tensors(batch), tensors(batch)
        yield local_case(
            "network",
            f"training step, batch {batch}",
            {
                "numpy": numpy_step(x[:batch].copy(), y[:batch].copy(), w1, w2),
                "eager": lambda: train_step(*eager_args),  # noqa: B023
                "compiled": lambda: compiled(*args),  # noqa: B023
            },
            work=6 * batch * (INPUTS * HIDDEN + HIDDEN * OUTPUTS),
        )
    forward = tj.script(network)
    x, _, w1, w2 = network_data()
    yield local_case(
        "network",
        "forward, batch 64",
        {
            "numpy": lambda: np.maximum(x @ w1, 0) @ w2,
            "eager": lambda: network(tj.from_numpy(x), tj.from_numpy(w1), tj.from_numpy(w2)),
            "compiled": lambda: forward(x, w1, w2),
        },
        work=2 * 64 * (INPUTS * HIDDEN + HIDDEN * OUTPUTS),
    )
