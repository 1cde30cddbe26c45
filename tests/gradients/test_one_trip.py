"""Training in loops of which the number of trips is known when compiling, one among others, against eager code: behind
one trip, the versions of a parameter that a derivative is taken by may be one value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj


def steps(w: Any, x: Any) -> float:
    total = 0.0
    for i in range(x.shape[0]):
        loss = (w * x[i]).sum() ** 2
        loss.backward()
        with tj.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
        total += loss.item()
    return total


def momentum(w: Any, x: Any) -> float:
    velocity = tj.zeros_like(w)
    for i in range(x.shape[0]):
        loss = tj.tanh(w * x[i]).sum()
        loss.backward()
        with tj.no_grad():
            velocity = 0.9 * velocity + w.grad
            w -= 0.1 * velocity
        w.grad = None
    return loss.item()


def new_leaves(w: Any, x: Any) -> float:
    v = w
    for i in range(x.shape[0]):
        (g,) = tj.autograd.grad((v * v * x[i]).sum(), [v])
        v = (v - 0.1 * g).detach().requires_grad_()
    return v.sum().item()


@pytest.mark.parametrize("fn", [steps, momentum, new_leaves])
@pytest.mark.parametrize("trips", [1, 2, 3])
def test_parameters_are_those_of_eager_code(fn: Callable[..., float], trips: int) -> None:
    found = []
    for called in (fn, tj.script(fn)):
        w = tj.tensor(np.array([0.1, 0.2, 0.3]), requires_grad=True)
        loss = called(w, tj.tensor(np.linspace(0.5, 1.0, 3 * trips).reshape(trips, 3)))
        found.append([loss, *w.detach().numpy()])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12)
