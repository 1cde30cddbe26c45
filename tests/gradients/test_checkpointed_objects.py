"""`tj.checkpoint` and `custom_vjp` of what is called like a function: modules, methods, objects, partial calls."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn


class Block(nn.Module):
    """A layer whose attributes have the names of a checkpointed function's."""

    def __init__(self, fn: Any) -> None:
        super().__init__()
        self.fn = fn
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        return self.fn(self.layer(x))


class Stack(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(tj.tanh), Block(tj.sin)])

    def forward(self, x: Any) -> Any:
        for block in self.blocks:
            x = tj.checkpoint(block)(x) + x
        return (x**2).sum()


class Squares:
    def __call__(self, x: Any) -> Any:
        return x * x


def _slopes(fn: Any, module: nn.Module, x: Any) -> Any:
    module.zero_grad()
    x = x.detach().requires_grad_()
    fn(x).backward()
    return np.concatenate([np.asarray(t.grad).ravel() for t in (x, *module.parameters())])


@pytest.mark.parametrize("way", [lambda fn: fn, tj.script])
def test_modules(way: Any) -> None:
    tj.manual_seed(0)
    stack, x = Stack(), tj.randn(3, 4)
    outside = tj.checkpoint(stack.blocks[0])

    def plain(x: Any) -> Any:
        for block in stack.blocks:
            x = block(x) + x
        return (x**2).sum()

    expected = _slopes(plain, stack, x)
    np.testing.assert_allclose(_slopes(way(lambda x: stack(x)), stack, x), expected, 1e-5)  # noqa: PLW0108
    for body in (outside, tj.checkpoint(stack.blocks[0].forward)):
        found = _slopes(way(lambda x, body=body: (body(x) ** 2).sum()), stack.blocks[0], x)
        np.testing.assert_allclose(found, _slopes(lambda x: (stack.blocks[0](x) ** 2).sum(), stack.blocks[0], x), 1e-5)


@pytest.mark.parametrize("fn", [Squares(), functools.partial(lambda x, k: x * x * k, k=1.0)])
def test_objects_and_partial_calls(fn: Any) -> None:
    x = np.array([0.5, 1.5])
    np.testing.assert_array_equal(tj.grad(lambda x: tj.checkpoint(fn)(x).sum())(x), 2 * x)
    own = tj.custom_vjp(fn)
    own.defvjp(lambda x: (x * x, x), lambda x, g: (g * x * 7,))
    np.testing.assert_array_equal(tj.grad(lambda x: own(x).sum())(x), 7 * x)
    assert own.__name__ == type(fn).__name__
