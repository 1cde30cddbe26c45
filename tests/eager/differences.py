"""Finite differences, to compare gradients with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tracejit as tj


def numeric(fn: Callable[..., Any], arrays: Sequence[np.ndarray], index: int, step: float = 1e-6) -> np.ndarray:
    """The gradient of the scalar `fn(*tensors)` by argument `index`, by central differences."""
    grad = np.zeros_like(arrays[index])
    for place in np.ndindex(grad.shape):
        values = []
        for sign in (1, -1):
            moved = [a.copy() for a in arrays]
            moved[index][place] += sign * step
            with tj.no_grad():
                values.append(float(fn(*map(tj.tensor, moved))))
        grad[place] = (values[0] - values[1]) / (2 * step)
    return grad


def weights_like(out: Any, seed: int = 7) -> Any:
    return tj.tensor(np.random.default_rng(seed).uniform(0.5, 1.5, out.shape))


def check_gradients(fn: Callable[..., Any], *arrays: np.ndarray, order: int = 2, tolerance: float = 1e-5) -> None:
    """First (and second) derivatives of a weighted sum of `fn` equal finite differences."""

    def scalar(*xs: Any) -> Any:
        out = fn(*xs)
        return (out * weights_like(out)).sum()

    def gradient_sum(*xs: Any) -> Any:
        with tj.enable_grad():
            variables = [x if x.requires_grad else x.detach().requires_grad_() for x in xs]
            grads = tj.autograd.grad(scalar(*variables), variables, create_graph=True, allow_unused=True)
            return sum((g * weights_like(g, 3)).sum() for g in grads if g is not None)

    for function in (scalar, gradient_sum)[:order]:
        variables = [tj.tensor(a, requires_grad=True) for a in arrays]
        out = function(*variables)
        if not isinstance(out, tj.Tensor) or not out.requires_grad:
            continue
        grads = tj.autograd.grad(out, variables, allow_unused=True)
        for index, grad in enumerate(grads):
            expected = numeric(function, arrays, index)
            got = np.zeros_like(arrays[index]) if grad is None else grad.numpy()
            assert got.dtype == arrays[index].dtype
            np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
