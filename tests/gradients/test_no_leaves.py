"""Arguments that are no leaves where a script goes backward: gradients go on to what they were made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn, optim, script


def both(a: Any, b: Any, w: Any) -> None:
    ((a * b) * w).sum().backward()


def on_one_path(a: Any, b: Any, w: Any) -> None:
    loss = (w * w).sum()
    if w[0] > 0:
        loss = loss + (b * b).sum()
    loss.backward()


def written_before(a: Any, b: Any, w: Any) -> None:
    a.mul_(2)
    (a * a + b).sum().backward()


@pytest.mark.parametrize("fn", [both, on_one_path, written_before])
def test_gradients_go_on(fn: Any) -> None:
    compiled = script(fn)
    for sign in (1.0, -1.0):
        found = []
        for run in (fn, compiled):
            v, w = (tj.tensor([sign, 2.0, 3.0], dtype=tj.float64, requires_grad=True) for _ in range(2))
            a = v * 2
            b = a.exp() * 0.1
            b.retain_grad()
            run(a, b, w)
            found.append([None if x.grad is None else x.grad.tolist() for x in (v, w, a, b)])
            if v.grad is not None:
                with pytest.raises(RuntimeError, match="second time"):
                    a.sum().backward()
        for p, q in zip(*found, strict=True):
            assert (p is None) == (q is None)
            np.testing.assert_allclose(np.array(p, float), np.array(q, float), rtol=1e-12)


def test_what_made_them_is_trained() -> None:
    def step(h: Any, y: Any, head: Any, optimizer: Any) -> None:
        optimizer.zero_grad()
        ((head(h) - y) ** 2).mean().backward()
        optimizer.step()

    weights = []
    for run in (step, script(step)):
        tj.manual_seed(0)
        body, head, x, y = nn.Linear(3, 4), nn.Linear(4, 2), tj.randn(5, 3), tj.randn(5, 2)
        below, above = (optim.SGD(m.parameters(), lr=0.1) for m in (body, head))
        for _ in range(3):
            below.zero_grad()
            run(tj.tanh(body(x)), y, head, above)
            below.step()
        weights.append([p.detach().numpy() for m in (body, head) for p in m.parameters()])
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.compiled
def test_what_a_script_would_see_of_them_too_late_is_refused() -> None:
    w = tj.ones(3, requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    def read(a: Any) -> Any:
        (a * a).sum().backward()
        return a.grad

    def stepped(a: Any) -> None:
        (a * a).sum().backward()
        optimizer.step()

    for fn in (read, stepped):
        with pytest.raises(RuntimeError, match="no leaf"):
            script(fn)(w * 2)
