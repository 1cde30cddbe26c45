"""The two-layer network of the README: a training step, its forward alone, several batch sizes with one compile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import tracejit as tj
from benchmarks import inputs, names
from benchmarks.inputs import HIDDEN, INPUTS, OUTPUTS
from benchmarks.measure import Case, local_case
from tracejit.demo.programs import network, train_step


def numpy_step(x: Any, y: Any, w1: Any, w2: Any, rate: float) -> Callable[[], float]:
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
        np.subtract(w1, rate * d_w1, out=w1)
        np.subtract(w2, rate * d_w2, out=w2)
        return loss

    return step


def cases() -> Iterator[Case]:
    compiled = tj.script(train_step)
    for batch in (1024, 64, 16, 1):
        rate = inputs.rate(batch)
        eager_args, args = _tensors(batch, rate), _tensors(batch, rate)
        yield local_case(
            "network",
            names.training(batch),
            {
                "numpy": numpy_step(*inputs.network(batch), rate),
                "eager": lambda: train_step(*eager_args),  # noqa: B023
                "compiled": lambda: compiled(*args),  # noqa: B023
            },
            work=6 * batch * (INPUTS * HIDDEN + HIDDEN * OUTPUTS),
        )
    forward = tj.script(network)
    x, _, w1, w2 = inputs.network(64)
    yield local_case(
        "network",
        "forward, batch 64",
        {
            "numpy": lambda: np.maximum(x @ w1, 0) @ w2,
            "eager": lambda: network(tj.from_numpy(x), tj.from_numpy(w1), tj.from_numpy(w2)),
            "compiled": lambda: forward(x, w1, w2),
        },
        work=2 * 64 * (INPUTS * HIDDEN + HIDDEN * OUTPUTS),
        reference=lambda: np.maximum(x.astype(np.float64) @ w1, 0) @ w2,
    )


def _tensors(batch: int, rate: float) -> tuple[Any, ...]:
    x, y, w1, w2 = map(tj.tensor, inputs.network(batch))
    return x, y, w1.requires_grad_(), w2.requires_grad_(), rate
