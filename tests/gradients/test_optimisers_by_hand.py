"""Optimisers written out in scripts, with parameters and buffers in lists: as in eager code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import config, script


def loss_of(a: Any, b: Any, x: Any) -> Any:
    return (((x * a) @ b).sum() - 1.0) ** 2


def momentum_in_buffers_that_begin_as_none(a: Any, b: Any, x: Any) -> Any:
    params = [a, b]
    bufs: list[Any] = [None] * len(params)
    for i in range(4):
        loss = loss_of(a, b, x[i])
        loss.backward()
        for k in range(len(params)):
            g = params[k].grad
            if bufs[k] is None:
                bufs[k] = g.clone()
            else:
                bufs[k].mul_(0.9).add_(g)
            with tj.no_grad():
                params[k].add_(bufs[k] * -0.1)
            params[k].grad = None
    return loss_of(a, b, x[0]).detach()


def adam(a: Any, b: Any, x: Any) -> Any:
    params = [a, b]
    means, squares = [tj.zeros_like(p) for p in params], [tj.zeros_like(p) for p in params]
    for i in range(x.shape[0]):
        for p in params:
            p.grad = None
        loss = loss_of(a, b, x[i])
        loss.backward()
        for p, m, v in zip(params, means, squares):  # noqa: B905
            with tj.no_grad():
                m.mul_(0.9).add_(0.1 * p.grad)
                v.mul_(0.99).add_(0.01 * p.grad * p.grad)
                p.sub_(0.05 * (m / (1 - 0.9 ** (i + 1))) / ((v / (1 - 0.99 ** (i + 1))).sqrt() + 1e-8))
    return loss_of(a, b, x[0]).detach()


class Momentum:
    def __init__(self, params: Any, rate: float) -> None:
        self.params, self.rate = params, rate
        self.buffers: list[Any] = [None] * len(params)
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        for k, p in enumerate(self.params):
            if p.grad is None:
                continue
            self.buffers[k] = p.grad.clone() if self.buffers[k] is None else 0.9 * self.buffers[k] + p.grad
            with tj.no_grad():
                p -= self.rate * self.buffers[k]
            p.grad = None


def a_class_of_ones_own(a: Any, b: Any, x: Any) -> Any:
    optimizer = Momentum([a, b], 0.1)
    for i in range(4):
        loss_of(a, b, x[i]).backward()
        optimizer.step()
    return optimizer.buffers[0].sum() + optimizer.steps


def clipped_and_averaged(a: Any, b: Any, x: Any) -> Any:
    params = [a, b]
    averages = [p.detach().clone() for p in params]
    for i in range(x.shape[0]):
        loss_of(a, b, x[i]).backward()
        total = tj.zeros((), dtype=tj.float64)
        for k in range(2):
            total = total + (params[k].grad ** 2).sum()
        for k in range(2):
            if total > 0.25:
                params[k].grad.mul_(0.5 / total.sqrt())
            with tj.no_grad():
                params[k] -= 0.1 * params[k].grad
                averages[k].mul_(0.9).add_(params[k] * 0.1)
            params[k].grad = None
    return averages[0].sum() * averages[1].sum()


@pytest.mark.parametrize(
    "fn", [momentum_in_buffers_that_begin_as_none, adam, a_class_of_ones_own, clipped_and_averaged]
)
def test_parameters_are_those_of_eager_code(fn: Callable[..., Any]) -> None:
    rng = np.random.default_rng(2)
    values, x = (rng.normal(size=3) * 0.5, rng.normal(size=(3, 3)) * 0.5), tj.tensor(rng.normal(size=(4, 3)))
    left: list[list[Any]] = []
    for called in (fn, script(fn)):
        params = [tj.tensor(v.copy(), requires_grad=True) for v in values]
        with config.override(verify=True):
            result = called(*params, x)
        left.append([result.detach().numpy(), *(p.detach().numpy() for p in params)])
        assert all(not np.array_equal(p.detach().numpy(), v) for p, v in zip(params, values, strict=True))
    for eager, compiled in zip(*left, strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-10)
