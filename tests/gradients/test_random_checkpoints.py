"""Checkpointed functions that draw random numbers: the repetition draws the same ones, on the tape and in scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit.errors import ScriptError

X = np.random.default_rng(0).standard_normal(6)


def noisy(h: Any, w: Any) -> Any:
    kept = tj.rand(h.shape, dtype=tj.float64) > 0.3
    return tj.tanh(h * w) * kept + tj.randn(h.shape, dtype=tj.float64) * h


def layers(x: Any, w: Any, layer: Any) -> Any:
    h = x
    for i in range(3):
        h = layer(h, w)
        if i == 1:
            h = h + tj.rand(h.shape, dtype=tj.float64)
    return (h * h).sum()


def plain(x: Any, w: Any) -> Any:
    return layers(x, w, noisy)


def checkpointed(x: Any, w: Any) -> Any:
    return layers(x, w, tj.checkpoint(noisy))


def in_branches(x: Any, w: Any) -> Any:
    h = x
    for i in range(4):
        h = tj.checkpoint(noisy)(h, w) if i % 2 == 0 else noisy(h, w)
    return (h * h).sum()


def in_branches_plain(x: Any, w: Any) -> Any:
    h = x
    for _ in range(4):
        h = noisy(h, w)
    return (h * h).sum()


def trained(fn: Callable[..., Any]) -> list[Any]:
    """Values and accumulated gradients of two calls, and what is drawn after them."""
    tj.manual_seed(0)
    x, w = (tj.tensor(a, requires_grad=True) for a in (X, np.ones(6)))
    values: list[Any] = []
    for _ in range(2):
        loss = fn(x, w)
        loss.backward()
        assert x.grad is not None and w.grad is not None
        values += [loss.item(), x.grad.tolist(), w.grad.tolist()]
    return [*values, tj.rand(2).tolist()]


@pytest.mark.parametrize(("fn", "like"), [(checkpointed, plain), (in_branches, in_branches_plain)])
def test_the_same_numbers_on_the_tape_and_in_scripts(fn: Callable[..., Any], like: Callable[..., Any]) -> None:
    expected = trained(like)
    for way in (fn, tj.script(fn)):
        for a, b in zip(trained(way), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10)


def test_transformed() -> None:
    found: list[list[Any]] = []
    for fn in (plain, checkpointed):
        tj.manual_seed(3)
        first = tj.grad(fn, (0, 1))(X, np.ones(6))
        along = tj.jvp(fn, (X, np.ones(6)), (X, X))[1]
        second = tj.hvp(fn, (X, np.ones(6)), (X, X))
        found.append([*first, along, *second])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9)


COUNTS = np.zeros(1)


def counting(h: Any) -> Any:
    COUNTS[0] = COUNTS[0] + 1.0
    return h * h


def test_other_arrays_may_not_be_changed() -> None:
    @tj.script
    def fn(x: Any) -> Any:
        return tj.checkpoint(counting)(x).sum()

    with pytest.raises(ScriptError, match="changes an array from outside"):
        fn(X)
