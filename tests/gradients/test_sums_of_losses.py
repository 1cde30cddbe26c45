"""`backward()` of losses from lists and earlier trips, in loops that only add up what it gives: one derivative behind
the loop, at the cost of the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import config, script
from tracejit.ir import interpreter
from tracejit.ir.core import Graph
from tracejit.ir.parser import parse


def of_each(w, u, x):
    losses = []
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum())
    for loss in losses:
        loss.backward()


def taken_off(w, u, x):
    losses = []
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum())
    while losses:
        losses.pop().backward()


def of_every_second_with_weights(w, u, x):
    losses = []
    for i in range(len(x)):
        losses.append(tj.sin(w * x[i]).sum())
    for i in range(len(losses)):
        if i % 2 == 0:
            (losses[i] * x[i, 0]).backward()


def given_gradients(w, u, x):
    rows, c = [], tj.tensor([0.5, -2.0, 1.0], dtype=tj.float64)
    for i in range(len(x)):
        rows.append(tj.tanh(w * x[i] + u))
    for i, row in enumerate(rows):
        row.backward(c * i)


def until_one_is_small(w, u, x):
    losses, k = [], 0
    while k < len(x):
        losses.append((w * x[k]).prod() * u[0])
        k += 1
    for loss in losses:
        loss.backward()
        if loss.item() < 0.1:
            break


def in_two_loops(w, u, x):
    losses = []
    for i in range(len(x)):
        losses.append(tj.sin(w * x[i]).sum() * u[1])
    for i in range(len(losses)):
        for j in range(2):
            if i != j:
                (losses[i] * (j + 0.5)).backward(retain_graph=True)


def steps_behind_an_inner_loop(w, u, x):
    total = 0.0
    for _ in range(3):
        losses = []
        for i in range(len(x)):
            losses.append((tj.tanh(w * x[i]) * u).sum())
        for loss in losses:
            loss.backward()
            total += loss.item()
        with tj.no_grad():
            if w.grad is not None and u.grad is not None:
                w -= 0.1 * w.grad
                u -= 0.1 * u.grad
        w.grad = None
        u.grad = None
    return total


def epochs_that_add_up(w, u, x):
    for _ in range(2):
        losses = []
        for i in range(len(x)):
            losses.append((tj.tanh(w * x[i]) * u).sum())
        while len(losses) > 1:
            (losses.pop() * 0.5).backward()


def of_two_lists(w, u, x):
    a, b = [], []
    for i in range(len(x)):
        a.append(tj.exp(w * x[i]).sum())
        b.append((u * x[i]).prod())
    for i in range(len(x)):
        a[i].backward()
        if x[i, 0] > 0:
            b[i].backward()


def in_a_dict(w, u, x):
    losses = {}
    for i in range(len(x)):
        losses[i * 3] = (tj.sin(w * x[i]) * u).sum()
    for key in losses:
        losses[key].backward()


def of_a_state(w, u, x):
    h = w * 1.0
    for i in range(len(x)):
        h = tj.tanh(h * w + x[i])
        (h * u).sum().backward(retain_graph=True)


def of_a_state_in_branches(w, u, x):
    h = w * 1.0
    for i in range(len(x)):
        h = tj.tanh(h * w + x[i])
        if h[0] > 0.1:
            h.sum().backward(retain_graph=True)
        elif i > 1:
            (h * u).prod().backward(retain_graph=True)


def behind_another(w, u, x):
    (w * u).sum().backward()
    losses = [tj.sin(w * x[i]).sum() for i in range(len(x))]
    for loss in losses:
        loss.backward()
    (w * w * u).sum().backward()


def beside_an_ordinary_one(w, u, x):
    losses = [(tj.sin(w * x[i]) * u).sum() for i in range(len(x))]
    for i in range(len(losses)):
        losses[i].backward()
        (w * x[i] * u).sum().backward()


def of_rows_of_a_state(w, u, x):
    rows, h = [], w * 0.5
    for i in range(len(x)):
        h = h.detach() * w + x[i]
        rows.append(h)
    for row in rows:
        (tj.sin(row) * u).sum().backward()


def emptied_before_a_step(w, u, x):
    losses = []
    for _ in range(3):
        for i in range(len(x)):
            losses.append((tj.tanh(w * x[i]) * u).sum())
        while losses:
            losses.pop().backward()
        if w.grad is not None:
            with tj.no_grad():
                w -= 0.1 * w.grad
            w.grad = None


def a_few_at_a_time_before_a_step(w, u, x):
    losses = []
    for i in range(len(x)):
        losses.append((tj.tanh(w * x[i]) * u).sum())
        if len(losses) == 4:
            for loss in losses:
                loss.backward()
            losses = []
            with tj.no_grad():
                w -= 0.1 * w.grad
            w.grad = None


def a_few_taken_off_before_a_step(w, u, x):
    losses, total = [], 0.0
    for i in range(len(x)):
        losses.append((tj.tanh(w * x[i]) * u).sum())
        if i % 3 == 2:
            while losses:
                loss = losses.pop()
                loss.backward()
                total += loss.item()
            with tj.no_grad():
                w -= 0.1 * w.grad
            w.grad = None
    return total


def by_hand(w, u, x):
    losses = [(tj.sin(w * x[i]) * u).sum() for i in range(len(x))]
    total = tj.zeros(3, dtype=tj.float64)
    for loss in losses:
        total = total + tj.autograd.grad(loss, w)[0]
    return total.sum()


PROGRAMS = [v for v in tuple(globals().values()) if callable(v) and getattr(v, "__module__", "") == __name__]


def leaves() -> list[Any]:
    values = ([0.3, 0.5, -0.4], [1.5, -0.5, 0.25])
    return [tj.tensor(v, dtype=tj.float64, requires_grad=True) for v in values]


def rows(trips: int) -> Any:
    return tj.asarray(np.random.default_rng(trips).normal(size=(trips, 3)))


def left(fn: Callable[..., Any], x: Any) -> list[Any]:
    """What a call returns and leaves in leaves and their `.grad`."""
    w, u = leaves()
    result = fn(w, u, x)
    numbers = [w.detach().numpy(), u.detach().numpy(), *(None if v.grad is None else v.grad.numpy() for v in (w, u))]
    return [*numbers, None if result is None else float(result)]


def check(found: list[Any], expected: list[Any]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if other is not None:
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("fn", PROGRAMS)
def test_gradients_are_those_of_eager_code(fn: Callable[..., Any]) -> None:
    with config.override(verify=True):
        compiled = script(fn)
        for trips in (0, 1, 2, 5):
            x = rows(trips)
            check(left(compiled, x), left(fn, x))


def ops_run(graph: Graph, x: Any) -> int:
    """How many ops a call interprets."""
    count, plain = 0, interpreter.evaluate

    def counting(*given: Any) -> Any:
        nonlocal count
        count += 1
        return plain(*given)

    w, u = leaves()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interpreter, "evaluate", counting)
        interpreter.run(graph, [w.detach().numpy(), u.detach().numpy(), x.numpy()][: len(graph.params)])
    return count


@pytest.mark.compiled
@pytest.mark.parametrize("fn", PROGRAMS)
def test_twice_the_trips_cost_twice_as_much(fn: Callable[..., Any]) -> None:
    compiled = script(fn)
    compiled(*leaves(), rows(3))
    graph = parse(str(compiled.graph))
    few, more, most = (ops_run(graph, rows(trips)) for trips in (16, 32, 64))
    assert 1.5 * (more - few) < most - more < 2.5 * (more - few)


def with_too_few_weights(w, u, x):
    losses = []
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum())
    for i in range(len(losses)):
        (losses[i] * u.detach()[i]).backward()


def more_than_there_are(w, u, x):
    losses = []
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum())
    for _ in range(len(x) + 1):
        losses.pop().backward()


def some_twice(w, u, x):
    losses = []
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum())
    for i in range(len(x)):
        losses[i % 3].backward()


def refused_before(w, u, x):
    losses = []
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum() + i)
    for loss in losses:
        if loss.item() > 2.5:
            raise ValueError("large")
        loss.backward()


def refused_behind(w, u, x):
    losses = []
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum() + i)
    while losses:
        loss = losses.pop()
        (loss * w).sum().backward(retain_graph=True)
        assert loss.item() > 2.5


def between_two(w, u, x):
    h = w * 1.0
    for i in range(len(x)):
        h = tj.tanh(h * w + x[i])
        h.sum().backward(retain_graph=True)
        (h * u * u.detach()[i]).sum().backward(retain_graph=True)


def in_an_inner_loop(w, u, x):
    h = w * 1.0
    for i in range(len(x)):
        h = tj.tanh(h * w + x[i])
        for j in range(i + 1):
            (h * u * u.detach()[j]).sum().backward(retain_graph=True)


def in_a_branch(w, u, x):
    losses, c = [], u.detach()
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum())
    for i in range(len(losses)):
        if i % 2:
            losses[i].backward()
            c = c * c[i]


def by_weights_that_grow(w, u, x):
    losses, weights = [], [1.0]
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum() * weights[i])
        weights.append(x[i, 0].item())
    weights.pop()
    for i in range(len(x)):
        c = weights.pop()
        (losses.pop() * c).backward()
        assert i < 3


@pytest.mark.parametrize(
    "fn",
    [
        by_weights_that_grow,
        with_too_few_weights,
        more_than_there_are,
        some_twice,
        refused_before,
        refused_behind,
        between_two,
        in_an_inner_loop,
        in_a_branch,
    ],
)
def test_what_was_added_before_an_error_is_there(fn: Callable[..., Any]) -> None:
    found = []
    for called in (fn, script(fn)):
        w, u = leaves()
        errors = (IndexError, ValueError, RuntimeError, AssertionError)
        with config.override(verify=True), pytest.raises(errors) as raised:
            called(w, u, rows(5))
        found.append([w.grad.numpy(), u.grad.numpy(), type(raised.value)])
    (*grads, kind), (*others, other) = found
    np.testing.assert_allclose(others, grads, rtol=1e-12)
    assert other is kind
