"""Hooks on leaves (`w.register_hook`) where a script goes backward: they run, or are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import ScriptError, script

VALUES = [0.5, -1.0, 2.0]


def leaf() -> Any:
    return tj.tensor(VALUES, dtype=tj.float64, requires_grad=True)


def backward(w: Any, x: Any) -> None:
    ((w * x) ** 2).sum().backward()
    (w * x).sum().backward()


def by_call(w: Any, x: Any) -> None:
    (w.grad,) = tj.autograd.grad(((w * x) ** 2).sum(), [w])


@pytest.mark.parametrize("fn", [backward, by_call])
def test_they_run_as_in_eager_code(fn: Any) -> None:
    compiled = script(fn)
    w, x = leaf(), tj.tensor([1.0, 2.0, 3.0], dtype=tj.float64)

    def same() -> None:
        found = []
        for run in (compiled, fn):
            w.grad = None
            run(w, x)
            found.append(w.grad.numpy())
        np.testing.assert_allclose(*found, rtol=1e-12)

    same()
    seen: list[float] = []
    first = w.register_hook(lambda g: g.clamp(-5, 5))
    second = w.register_hook(lambda g: seen.append(g.norm().item()))
    same()
    assert seen and seen[: len(seen) // 2] == pytest.approx(seen[len(seen) // 2 :])
    first.remove()
    second.remove()
    same()


@pytest.mark.compiled
def test_where_a_leaf_may_get_no_gradient_they_are_refused() -> None:
    def fn(w: Any, v: Any, c: float) -> None:
        loss = (v * v).sum()
        if c > 0:
            loss = loss + (w * v).sum()
        loss.backward()

    w = leaf()
    w.register_hook(lambda g: g + 1)
    with pytest.raises(ScriptError, match="a hook is registered on this leaf"):
        script(fn)(w, leaf(), 1.0)
