"""`x.detach()` and `x.data` share the memory of x, with a history of their own: both see what is written to either."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.gradients.test_training import data, network
from tracejit import ScriptError, script


def descent_by_data(w, x, n):
    losses = []
    for _ in range(n):
        loss = ((w * x) ** 2).sum()
        loss.backward()
        w.data -= 0.1 * w.grad.data
        w.grad.data.zero_()
        losses.append(loss.item())
    return losses


def descent_through_a_name(w, x, n):
    d = w.detach()
    for k in range(n):
        w.grad = None
        ((w * x) ** 2).sum().backward()
        if k % 2 == 0:
            d[0] -= 0.1 * w.grad[0]
        else:
            d.mul_(0.9).clamp_(-0.5, 0.5)
    return d * 1


def written_between(w, x, n):
    y = w * 2
    y.detach().mul_(n)
    (y * x).sum().backward()
    return y.detach() * 1


def written_parts(w, x, n):
    y = w * n
    d, rows = y[1:].detach(), y.detach().reshape(3, 1)
    d[0], rows[2, 0] = 7.0, 5.0
    (y * y).sum().backward()
    return d * 1, rows * 1


def written_with_a_history(w, x, n):
    y = x * n
    d = y.detach()
    d.mul_(w)
    (d * y).sum().backward()
    return y * 1, d.requires_grad, y.requires_grad, d.grad


def whole_writes_are_seen(w, x, n):
    y = w * 2
    d = y.detach()
    for k in range(n):
        y = y * 1.5
        y.add_(d)
        if k == 1:
            d = y.detach()
    (y * d).sum().backward()
    return d * 1


def on_one_path(w, x, n):
    d = x.detach() if n > 2 else w.detach() * 1
    d[0] = 5.0
    (w * x).sum().backward()
    return d * 1


def of_the_trip_before(w, x, n):
    d = x * 1
    for k in range(n):
        x[k] = 7.0 + k
        d = x.detach()
    x[0] = 5.0
    (w * d).sum().backward()
    return d * 1


def in_a_tuple(w, x, n):
    held = (x.detach(), n)
    x[0] = 3.0
    (w * held[0]).sum().backward()


def asked_for_gradients(w, x, n):
    y = x * 2
    p = y.detach().requires_grad_()
    ((p * w) ** n).sum().backward()
    with tj.no_grad():
        p -= 0.1 * p.grad
    return y * 1


def cut_and_written(w, x, n):
    h, total = x, 0.0
    for k in range(n):
        h[1] = 0.3
        loss = ((h * w + k) ** 2).sum()
        loss.backward()
        total += loss.item()
        h = tj.tanh(h * w + k).detach()
    return h * 1, total


def changed_in_place(w, x, n):
    ((w * x) ** 2).sum().backward()
    w.grad.detach_()
    w.grad.zero_()
    return w.grad * 1


def saved_and_written(w, x, n):
    y = w * 2
    loss = (y * y).sum()
    y.data.mul_(n)
    loss.backward()


def outcome(fn: Callable[..., Any]) -> Any:
    w, x = (tj.tensor(v, dtype=tj.float64) for v in ([0.5, -1.0, 2.0], [0.3, 1.2, -0.4]))
    w.requires_grad = True
    try:
        found = fn(w, x, 3)
    except RuntimeError as error:
        return "in place" in str(error)
    parts = found if isinstance(found, tuple | list) else [found]
    plain = [p.tolist() if isinstance(p, tj.Tensor) else p for p in parts]
    return plain, w.tolist(), x.tolist(), None if w.grad is None else w.grad.tolist()


@pytest.mark.parametrize(
    "fn",
    [f for name, f in list(globals().items()) if getattr(f, "__module__", "") == __name__ and name != "outcome"],
    ids=lambda f: f.__name__,
)
def test_a_script_does_what_eager_code_does(fn: Callable[..., Any]) -> None:
    expected, found = outcome(fn), outcome(script(fn))
    assert type(found) is type(expected)
    if not isinstance(expected, tuple):
        assert expected and found
        return
    for a, b in zip(found, expected, strict=True):
        assert (a is None) == (b is None)
        for p, q in zip(a or (), b or (), strict=True):
            assert p is None if q is None else np.allclose(p, q, rtol=1e-9)


def test_parameters_are_trained_and_averaged_by_their_data() -> None:
    x, y = data()
    weights = []
    for wrap in (lambda f: f, script):
        model, mean = network(), network()

        def train(x: Any, y: Any, model: Any = model, mean: Any = mean) -> None:
            for _ in range(3):
                model.zero_grad()
                ((model(x) - y) ** 2).mean().backward()
                for p, q in zip(model.parameters(), mean.parameters(), strict=True):
                    p.data.add_(p.grad.data, alpha=-0.1)
                    q.data.copy_(q.data * 0.9 + p.data * 0.1)
                    p.data.clamp_(-0.4, 0.4)

        wrap(train)(x, y)
        weights.append([p.detach().numpy() for m in (model, mean) for p in m.parameters()])
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-7)


def shared_on_one_path(w, x, n):
    y = w * 2
    d = y if n > 2 else y.detach()
    d.mul_(3)


def an_item_of_a_list(w, x, n):
    items = []
    for k in range(n):
        x[k] = 7.0
        items.append(x.detach())
    return tj.stack(items)


def other_memory(w, x, n):
    w.data = w.data * 2


@pytest.mark.parametrize(
    ("fn", "reason"),
    [
        (shared_on_one_path, "on some of the paths"),
        (an_item_of_a_list, "is shared with others"),
        (other_memory, "other memory"),
    ],
)
def test_what_is_refused(fn: Callable[..., Any], reason: str) -> None:
    with pytest.raises(ScriptError, match=reason):
        outcome(script(fn))


@pytest.mark.compiled
def test_a_write_that_reaches_what_a_derivative_needs_on_one_path_is_refused() -> None:
    def fn(w, x, n):
        h = x * 1.0
        loss = (h * w).sum()
        if n > 5:
            h = tj.tanh(h * w)
        h.data.mul_(0.5)
        loss.backward()

    w, x = (tj.tensor([0.5, 2.0], dtype=tj.float64, requires_grad=asks) for asks in (True, False))
    with pytest.raises(tj.NotDifferentiable, match="may be changed in place meanwhile"):
        script(fn)(w, x, 3)
