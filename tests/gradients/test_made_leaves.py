"""Tensors that a script makes and asks gradients for, as in eager code: `x.requires_grad_()`, `requires_grad=True`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.gradients.test_training import data, network
from tracejit import ScriptError, nn, optim, script

X = [0.3, 0.5, -0.4]


def descent_with_momentum(x, n):
    p, v = tj.zeros(3, dtype=tj.float64, requires_grad=True), tj.zeros(3, dtype=tj.float64)
    loss, k = 1.0, 0
    while loss > 1e-3 and k < n:
        p.grad = None
        distance = ((p - x) ** 2).sum()
        distance.backward()
        with tj.no_grad():
            v.mul_(0.8).add_(p.grad)
            p.sub_(v, alpha=0.05)
        loss, k = distance.item(), k + 1
    return p.detach(), k


def an_attack(x, n):
    y = x.clone()
    for _ in range(n):
        y = y.detach().requires_grad_(True)
        loss = ((y * x) ** 2).sum() + y.sin().sum()
        (g,) = tj.autograd.grad(loss, y)
        y = tj.clamp(y + 0.1 * g.sign(), x - 0.25, x + 0.25)
    return y.detach()


def a_change_that_is_learned(x, n):
    d = tj.zeros_like(x)
    d.requires_grad = True
    for _ in range(n):
        ((x + d) ** 3).sum().backward()
        with tj.no_grad():
            d -= 0.1 * d.grad
        d.grad.zero_()
    return d.detach(), d.requires_grad, x.requires_grad


def weights_of_each_task(x, n):
    total = 0.0
    for t in range(n):
        w = x.detach().clone().requires_grad_()
        for _ in range(2):
            (g,) = tj.autograd.grad(((w * x - t) ** 2).sum(), [w])
            w = (w - 0.1 * g).detach().requires_grad_()
        (g,) = tj.autograd.grad(((w * x - t) ** 2).sum(), [w])
        total = total + g.sum()
    return total


def in_lists_and_dicts(x, n):
    ps = [(x * i).requires_grad_() for i in range(2)]
    named = {"a": tj.ones(3, dtype=tj.float64, requires_grad=True)}
    for k in range(n):
        (named["a"] * ps[0] + ps[1] ** (k + 2)).sum().backward()
    return [p.grad for p in ps], named["a"].grad


def as_parameters(x, n):
    base = x * 2
    w, b = nn.Parameter(base), nn.Parameter(tj.tensor(0.5, dtype=tj.float64))
    c = nn.Parameter(tj.zeros(3, dtype=tj.float64), requires_grad=False)
    optimizer = optim.SGD([w, b], lr=0.1)
    for _ in range(n):
        optimizer.zero_grad()
        (((w - x) * b + c) ** 2).sum().backward()
        optimizer.step()
    return base * 1, b.item(), c.requires_grad


def in_a_branch(x, n):
    if n > 1:
        p = tj.full((3,), 2.0, dtype=tj.float64, requires_grad=True)
        (p * p * x).sum().backward()
        return p.grad * 1.0
    return x * 2.0


def of_second_order(x, n):
    p = (x * 1.0).requires_grad_()
    (g,) = tj.autograd.grad((p**4).sum(), [p], create_graph=True)
    (g * g).sum().backward()
    return p.grad


def of_rank_0(x, n):
    a = tj.tensor(0.5, dtype=tj.float64, requires_grad=True)
    for _ in range(n):
        a.grad = None
        ((a * x - 1) ** 2).sum().backward()
        with tj.no_grad():
            a -= 0.1 * a.grad
    return a.item()


def in_two_names(x, n):
    p = q = x * 1.0
    p.requires_grad_()
    (q * q).sum().backward()
    return q.grad, (p * x).requires_grad


def one_that_asks_already(x, n):
    p = tj.ones(3, dtype=tj.float64, requires_grad=True)
    y = (p * x).requires_grad_()
    y.sum().backward()
    return p.grad, y.requires_grad, y.detach().requires_grad_(False)


def written_where_it_may_not(x, n):
    p = x.clone().requires_grad_()
    try:
        p += 1
    except RuntimeError:
        return p.detach() * 2
    return x


def given_back(x, n):
    p = x.clone().requires_grad_()
    loss = (p * x).sum()
    loss.backward()
    return loss, p.grad


PROGRAMS = [
    descent_with_momentum,
    an_attack,
    a_change_that_is_learned,
    weights_of_each_task,
    in_lists_and_dicts,
    as_parameters,
    in_a_branch,
    of_second_order,
    of_rank_0,
    in_two_names,
    one_that_asks_already,
    written_where_it_may_not,
    given_back,
]


def compare(found: Any, expected: Any) -> None:
    if isinstance(expected, tj.Tensor):
        assert found.requires_grad == expected.requires_grad
        np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    elif isinstance(expected, list | tuple):
        for one, other in zip(found, expected, strict=True):
            compare(one, other)
    else:
        assert found == (pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("fn", PROGRAMS)
def test_programs_do_what_eager_code_does(fn: Callable[..., Any]) -> None:
    x, scripted = tj.tensor(X, dtype=tj.float64), script(fn)
    for n in (3, 1, 3):
        compare(scripted(x, n), fn(x, n))


def test_a_gradient_penalty_trains() -> None:
    """The gradient by points between two batches, as part of a loss."""
    losses = []
    for wrap in (lambda f: f, script):
        net, (x, _), (fake, _) = network(), data(), data(16)
        optimizer = optim.Adam(net.parameters(), 0.01)

        def step(x: Any, fake: Any, part: Any, net: nn.Module = net, optimizer: Any = optimizer) -> Any:
            for _ in range(2):
                between = (part * x + (1 - part) * fake).requires_grad_(True)
                (g,) = tj.autograd.grad(net(between).sum(), [between], create_graph=True)
                loss = net(fake).mean() - net(x).mean() + 10 * ((g.norm(dim=1) - 1) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            return loss

        run = wrap(step)
        part = tj.tensor(np.linspace(0, 1, 16, dtype="float32")[:, None])
        losses.append([float(run(x, fake * 0.5, part)) for _ in range(2)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


def test_penalties_of_several_trips_are_summed() -> None:
    """A backward behind the loop whose trips made tensors that ask for gradients, by what is outside."""
    found = []
    for wrap in (lambda f: f, script):
        w = tj.tensor(X, dtype=tj.float64, requires_grad=True)

        def train(x: Any, n: int, w: Any = w) -> Any:
            total = w.sum() * 0
            for t in range(n):
                z = (x * (t + 1)).requires_grad_()
                (g,) = tj.autograd.grad(((z * w) ** 3).sum(), [z], create_graph=True)
                total = total + (g * g).sum()
            total.backward()
            return total

        total = wrap(train)(tj.tensor(X, dtype=tj.float64), 3)
        found.append((total.item(), w.grad.numpy()))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-12)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-12)


def returned(x, n):
    return x.clone().requires_grad_()


def of_an_argument(x, n):
    x.requires_grad_()


def with_a_part_that_is_named(x, n):
    y = x * 2
    z = y[1:]
    y.requires_grad_()
    return z


def made_before_the_branch(x, n):
    y = x * 2
    if n > 1:
        y.requires_grad_()
    return y.sum().item()


def asked_behind_the_loop(x, n):
    y = x * 2
    for _ in range(n):
        y = (x * 3).requires_grad_()
        (y * y).sum().backward()
    return y.grad


def spent_behind_the_loop(x, n):
    loss = x.sum()
    for _ in range(n):
        loss = ((x * 3).requires_grad_() ** 2).sum()
    loss.backward()


def asked_of_the_trip_before(x, n):
    y, total = x * 2, x * 0
    for _ in range(n):
        if y.grad is not None:
            total = total + y.grad
        y = (x * 3).requires_grad_()
        (y * y).sum().backward()
    return total


def left_in_an_argument(x, n):
    p = tj.ones(3, dtype=tj.float64, requires_grad=True)
    x[0] = (p * n).sum()


def in_a_recursion(x, n):
    def walk(h, depth):
        if depth == 0:
            return h
        q = h.detach().requires_grad_()
        (g,) = tj.autograd.grad((q**3).sum(), [q])
        return walk(g * 0.1, depth - 1)

    return walk(x, n)


@pytest.mark.parametrize(
    ("fn", "reason"),
    [
        (returned, "cannot be returned"),
        (of_an_argument, "set outside of a script"),
        (with_a_part_that_is_named, "part of another"),
        (made_before_the_branch, "before the branch"),
        (asked_behind_the_loop, "a trip of a loop before"),
        (spent_behind_the_loop, "a trip of a loop before"),
        (asked_of_the_trip_before, "a trip of a loop before"),
        (left_in_an_argument, "argument is given"),
        (in_a_recursion, "calls itself"),
    ],
)
def test_what_is_refused(fn: Callable[..., Any], reason: str) -> None:
    with pytest.raises(ScriptError, match=reason):
        script(fn)(tj.tensor(X, dtype=tj.float64), 3)


def of_integers(x):
    return tj.arange(3, requires_grad=True)


def cleared_behind_an_operation(x):
    return (x.clone().requires_grad_() * 2).requires_grad_(False)


@pytest.mark.parametrize(("fn", "text"), [(of_integers, "floating-point"), (cleared_behind_an_operation, "leaf")])
def test_errors_are_those_of_eager_code(fn: Callable[..., Any], text: str) -> None:
    for run in (fn, script(fn)):
        with pytest.raises(RuntimeError, match=text):
            run(tj.tensor(X))


def one_of_two(a, b, n):
    y = a if n > 0 else b
    (y * y).sum().backward()
    return y.grad


def one_by_its_place(a, b, n):
    y = [a, b][n]
    (y * y).sum().backward()
    y.grad *= 2.0
    return y.grad


def the_last_one(a, b, n):
    y = a
    for _ in range(n):
        y = b
    (y * a.detach()).sum().backward()
    return y.grad


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("fn", [one_of_two, one_by_its_place, the_last_one])
def test_the_gradient_of_one_of_several(fn: Callable[..., Any], n: int) -> None:
    found: list[list[Any]] = []
    for run in (fn, script(fn)):
        a, b = tj.tensor(X, requires_grad=True), tj.tensor(X[::-1], requires_grad=True)
        found.append([run(a, b, n), a.grad, b.grad])
    for eager, compiled in zip(*found, strict=True):
        assert (eager is None) == (compiled is None)
        if eager is not None:
            np.testing.assert_allclose(compiled.numpy(), eager.numpy(), rtol=1e-6)


def one_of_a_list(a, b, n):
    ys = []
    for i in range(n):
        ys.append(a if i % 2 == 0 else b)
    return ys[0].grad


@pytest.mark.compiled
def test_the_gradient_of_one_of_a_list_is_refused() -> None:
    a, b = (tj.tensor(X, requires_grad=True) for _ in range(2))
    with pytest.raises(ScriptError, match="which tensor this is"):
        script(one_of_a_list)(a, b, 1)
