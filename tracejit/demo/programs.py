"""The programs of the demonstration, written as a user writes them: nothing in them knows that it may be compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tracejit as tj

Array = NDArray[Any]

SAMPLES, INPUTS, HIDDEN, OUTPUTS = 64, 1000, 100, 10
RATE = 1e-6
STEPS = 500


def network_data(seed: int = 0) -> tuple[Array, Array, Array, Array]:
    """Samples, targets and the two weight matrices, float32."""
    rng = np.random.default_rng(seed)
    shapes = (SAMPLES, INPUTS), (SAMPLES, OUTPUTS), (INPUTS, HIDDEN), (HIDDEN, OUTPUTS)
    x, y, w1, w2 = (rng.standard_normal(shape, dtype=np.float32) for shape in shapes)
    return x, y, w1, w2


def train_numpy(steps: int) -> Iterator[float]:
    """The training loop with NumPy, its gradient worked out by hand. Yields the losses."""
    x, y, w1, w2 = network_data()
    for _ in range(steps):
        h = x @ w1
        a = np.maximum(h, 0)
        error = a @ w2 - y
        yield float(np.square(error).sum())
        d_pred = 2.0 * error
        d_w2 = a.T @ d_pred
        d_h = d_pred @ w2.T
        d_h[h < 0] = 0
        d_w1 = x.T @ d_h
        w1 -= RATE * d_w1
        w2 -= RATE * d_w2


def network(x: Any, w1: Any, w2: Any) -> Any:
    """Two layers with a ReLU between."""
    return x.mm(w1).clamp(min=0).mm(w2)


def train_step(x: Any, y: Any, w1: Any, w2: Any, rate: float) -> Any:
    """Forward, backward and update; as it stands it runs eagerly, scripted it is one native call."""
    loss = (network(x, w1, w2) - y).pow(2).sum()
    loss.backward()
    with tj.no_grad():
        w1 -= rate * w1.grad
        w2 -= rate * w2.grad
    w1.grad = None
    w2.grad = None
    return loss


def train_tensors(step: Callable[..., Any], steps: int) -> Iterator[float]:
    """The training loop over Tensors with `train_step` or its scripted form. Yields the losses."""
    x, y, w1, w2 = map(tj.tensor, network_data())
    w1.requires_grad_()
    w2.requires_grad_()
    for _ in range(steps):
        yield step(x, y, w1, w2, RATE).item()


def conditional(x: Any, y: Any, w1: Any, w2a: Any, w2b: Any, prev_loss: float) -> Any:
    """A network whose second layer depends on how well it did before."""
    w2 = w2a if prev_loss < 5.0 else w2b
    y_pred = x.mm(w1).clamp(min=0).mm(w2)
    return (y_pred - y).pow(2).sum()


def recurrent(xs: Any, w_in: Any, w_state: Any) -> Any:
    """A recurrent network over a sequence of any length."""
    state = xs[0] @ w_in
    for t in range(1, xs.shape[0]):
        state = tj.tanh(xs[t] @ w_in + state @ w_state)
    return (state * state).sum()


def fixed_point(w: Any, b: Any, tolerance: float) -> Any:
    """The solution of x = tanh(w x + b), iterated until it moves less than the tolerance; and the number of rounds."""
    x = tj.tanh(b)
    change = tolerance + 1.0
    rounds = 0
    while change > tolerance:
        following = tj.tanh(w @ x + b)
        change = (following - x).abs().max()
        x = following
        rounds += 1
    return (x * x).sum(), rounds


def chain(x: Any, w: Any, b: Any) -> Any:
    """Pointwise operations that become one kernel."""
    return tj.tanh(x * w + b) * tj.sigmoid(x) + tj.exp(-x * x)
