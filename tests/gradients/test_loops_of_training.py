"""Loops that train, written out in scripts: results, leaves and gradients are those of eager code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tracejit as tj
from tests.gradients.random_training import compare
from tracejit import ScriptError


def adversaries_step_in_turn(w, u, x, n):
    score = 0.0
    for i in range(n):
        fake = tj.tanh(w * x + i)
        told = tj.sigmoid((u * x).sum()).log() + (1 - tj.sigmoid((u * fake.detach()).sum())).log()
        u.grad = None
        (-told).backward()
        with tj.no_grad():
            u -= 0.1 * u.grad
        fooled = -tj.sigmoid((u * fake).sum()).log()
        w.grad = None
        fooled.backward()
        with tj.no_grad():
            w -= 0.1 * w.grad
        score += told.item() - fooled.item()
    return score, w * 1.0


def one_is_moved_before_the_loss(w, u, x, n):
    for _ in range(n):
        y = w * x
        with tj.no_grad():
            u -= 0.1
        ((u * y).sum() ** 2).backward()
        with tj.no_grad():
            w -= 0.1 * w.grad
        w.grad = None
    return w.sum().item(), u * 1.0


def one_is_moved_before_each_loss_of_an_inner_loop(w, u, x, n):
    for i in range(n):
        y = w * x
        for _ in range(2):
            with tj.no_grad():
                u *= 0.9
            ((u * y).sum() ** 2 * u.sum()).backward(retain_graph=True)
        if i % 2 == 0:
            with tj.no_grad():
                w -= 0.1 * w.grad
    return w.sum().item(), u * 1.0


def rebound(w, u, x, n):
    first = w
    for _ in range(n):
        ((w * u - x) ** 2).sum().backward()
        w = w.detach() - 0.1 * w.grad
        w.requires_grad_()
    return first.sum().item(), w.detach() * 1.0


def rebound_and_used_behind(w, u, x, n):
    for _ in range(n):
        ((w * u - x) ** 2).sum().backward()
        w = (w - 0.1 * w.grad).detach().requires_grad_()
    (w * w * x).sum().backward()
    return w.grad.sum().item(), w.detach() * 1.0


def with_a_gradient_when_the_trip_ends(w, u, x, n):
    for i in range(n):
        ((w * u - x) ** 2).sum().backward()
        w = w.detach() - 0.1 * w.grad
        w.requires_grad_()
        (w * x * i).sum().backward()
    return 0.0 if w.grad is None else w.grad.sum().item(), w.detach() * 1.0


def in_an_inner_loop(w, u, x, n):
    i = 0
    while i < n:
        for _ in range(2):
            ((w * u - x) ** 2).sum().backward()
            w = (w - 0.1 * w.grad).detach().requires_grad_()
        i += 1
    return 0.0, w.detach() * 1.0


def a_list_of_them(w, u, x, n):
    ps = [w, u]
    for _ in range(n):
        ((ps[0] * ps[1] - x) ** 2).sum().backward()
        ps = [(p - 0.1 * p.grad).detach().requires_grad_() for p in ps]
    return 0.0, ps[0].detach() * 1.0, ps[1].detach() * 1.0


def a_dict_of_them(w, u, x, n):
    ps = {"w": w, "u": u}
    for _ in range(n):
        ((ps["w"] * ps["u"] - x) ** 2).sum().backward()
        for name, p in list(ps.items()):
            ps[name] = (p - 0.1 * p.grad).detach().requires_grad_()
    return 0.0, ps["w"].detach() * 1.0, ps["u"].detach() * 1.0


class Model:
    def __init__(self, w: Any) -> None:
        self.w = w


def in_an_attribute(w, u, x, n):
    m = Model(w)
    for _ in range(n):
        ((m.w * u - x) ** 2).sum().backward()
        m.w = (m.w - 0.1 * m.w.grad).detach().requires_grad_()
    return 0.0, m.w.detach() * 1.0


def changed_in_place_too(w, u, x, n):
    shown = w.detach()
    for _ in range(n):
        ((w * u - x) ** 2).sum().backward()
        with tj.no_grad():
            w -= 0.1 * w.grad
        w.grad.zero_()
        ((w * u - x) ** 2).sum().backward()
        w = w.detach() - 0.1 * w.grad
        w.requires_grad_()
    return 0.0, w.detach() * 1.0, shown * 1.0


def one_that_the_script_made(w, u, x, n):
    p = w.detach().clone().requires_grad_()
    first = p
    for i in range(n):
        ((p * u - x) ** 2).sum().backward()
        for _ in range(2):
            with tj.no_grad():
                p -= 0.1 * p.grad
            p.grad.zero_()
            ((p * u * p - x) ** 2).sum().backward()
            p = p.detach() - 0.1 * p.grad
            p.requires_grad_()
            ((p * u * p - x) ** 2).sum().backward()
        if i == 1:
            first.grad = None
    return 0.0 if first.grad is None else first.grad.sum().item(), p.detach() * 1.0, first.detach() * 1.0


def the_one_before_is_kept(w, u, x, n):
    before = w
    for _ in range(n):
        ((w * u - x) ** 2).sum().backward()
        before = w
        w = w.detach() - 0.1 * w.grad
        w.requires_grad_()
    return 0.0 if before.grad is None else before.grad.sum().item(), w.detach() * 1.0, before.detach() * 1.0


def of_second_order(w, u, x, n):
    for _ in range(n):
        ((w * u - x) ** 2).sum().backward(create_graph=True)
        g = w.grad
        w.grad = None
        u.grad = None
        (g * g).sum().backward()
        w = w.detach() - 0.1 * w.grad
        w.requires_grad_()
    return 0.0, w.detach() * 1.0


def with_momentum(w, u, x, n):
    v, rate, least = tj.zeros(3, dtype=tj.float64), 0.5, 1e9
    for _ in range(n):
        loss = ((w * u - x) ** 2).sum()
        loss.backward()
        v = 0.9 * v + w.grad
        w = (w.detach() - rate * v).clone().requires_grad_()
        u.grad.zero_()
        if loss.item() > least:
            rate *= 0.5
        least = min(least, loss.item())
    return least, w.detach() * 1.0, v * 1.0


def two_that_change_places(w, u, x, n):
    a, b = w, u
    for _ in range(n):
        ((a * a * x).sum() + b.sum()).backward()
        a, b = b, a
    for _ in range(n):
        ((a * b - x) ** 2).sum().backward()
        a, b = (b - 0.1 * b.grad).detach().requires_grad_(), (a - 0.2 * a.grad).detach().requires_grad_()
    return 0.0, a.detach() * 1.0, b.detach() * 1.0


def one_memory_but_another_leaf(w, u, x, n):
    for _ in range(n):
        ((w * u - x) ** 2).sum().backward()
        with tj.no_grad():
            w -= 0.1 * w.grad
        w = w.detach().requires_grad_()
    return 0.0 if w.grad is None else w.grad.sum().item(), w.detach() * 1.0


def three_that_change_places(w, u, x, n):
    a, b, c = w, u, (w * u).detach().requires_grad_()
    for i in range(n):
        (a * x * a).sum().backward()
        for _ in range(2):
            (a * b * x).sum().backward()
            a, b = b, a
        a, b, c = b, c, a
        if i == 2:
            a.grad = None
    ((a * b * c - x) ** 2).sum().backward()
    return sum([0.0 if p.grad is None else p.grad.sum().item() for p in (a, b, c)]), a.detach() * 1.0, c.detach() * 1.0


def stepped_in_some_trips(w, u, x, n):
    i, loss = 0, 0.0
    while True:
        y = ((w * u - x) ** 2).sum()
        loss = y.item()
        if loss < 0.5 or i >= n:
            break
        y.backward()
        i += 1
        if i == 2:
            continue
        w = tj.tensor(w.detach() - 0.1 * w.grad, requires_grad=True)
    return loss, w.detach() * 1.0


def made_on_one_path(w, u, x, n):
    p = w
    if n > 1:
        p = (w - 0.1).detach().requires_grad_()
        (p * x * u).sum().backward()
    (p * p).sum().backward()
    p.grad.mul_(2)
    g = p.grad
    (p * x * p).sum().backward()
    return g.sum().item(), p.detach() * 1.0


def one_of_two_is_stepped(w, u, x, n):
    for i in range(n):
        p = w if i % 2 == 0 else u
        (p * x * p).sum().backward()
        with tj.no_grad():
            p -= 0.1 * p.grad
        p.grad.zero_()
    q = [w, u][n % 2]
    (q * q * x).sum().backward()
    q.grad = q.grad * 3.0
    return 0.0, w.detach() * 1.0


def two_names_of_two(w, u, x, n):
    p, q = (w, u) if n > 1 else (u, w)
    (p * x * q + q).sum().backward()
    p.grad = None
    (p * q * q).sum().backward()
    return p.grad.sum().item() - 2.0 * q.grad.sum().item(), w.detach() * 1.0


def the_best_is_kept(w, u, x, n):
    best, least = w, 1e9
    for _ in range(n):
        loss = ((w * u - x) ** 2).sum()
        loss.backward()
        if loss.item() < least:
            best, least = w, loss.item()
        w = (w - 0.1 * w.grad).detach().requires_grad_()
    return least if best.grad is None else best.grad.sum().item(), best.detach() * 1.0


def one_is_frozen_in_turn(w, u, x, n):
    active, frozen = w, u
    for k in range(n):
        ((active * frozen.detach() - x) ** 2).sum().backward()
        with tj.no_grad():
            active -= 0.1 * active.grad
        active.grad.zero_()
        if k % 2 == 1:
            active, frozen = frozen, active
    return 0.0, active.detach() * 1.0, frozen.detach() * 1.0


def a_row_that_was_just_added(w, u, x, n):
    a = tj.outer(w, x) * 0.5
    g = w + x
    rows = [g]
    for _ in range(n):
        rows.append(a[1])
        g = rows[-1]
    (w * rows[-1] + g * u).sum().backward()
    return 0.0, g.detach() * 1.0


def a_gradient_that_the_script_sets(w, u, x, n):
    w.grad = tj.ones(3, dtype=tj.float64)
    g = w.grad
    for _ in range(n):
        ((w * u - x) ** 2).sum().backward()
        w.grad = w.grad * 1.0
        w = w.detach() - 0.1 * w.grad
        w.requires_grad_()
    return g.sum().item(), w.detach() * 1.0


def another_name_of_a_gradient(w, u, x, n):
    w.grad = tj.ones(3, dtype=tj.float64)
    g = w.grad
    for i in range(n):
        ((w * u - x) ** 2).sum().backward()
        if i == 1:
            w.grad = None
    return g.sum().item(), g * 1.0


def another_name_of_a_gradient_of_each_trip(w, u, x, n):
    last, kept = None, {"g": None}
    for i in range(n):
        ((w * u - x) ** 2).sum().backward()
        last = w.grad
        if i == 0:
            kept["g"] = u.grad
        ((w * u + x) ** 2).sum().backward()
        if i % 2 == 1:
            w.grad = None
    first = kept["g"]
    return 0.0 if last is None or first is None else last.sum().item() - first.sum().item(), w * 1.0


def another_name_of_a_gradient_on_some_paths(w, u, x, n):
    if n > 1:
        w.grad = tj.ones(3, dtype=tj.float64)
    g = w.grad
    ((w * u - x) ** 2).sum().backward()
    return 0.0 if g is None else g.sum().item(), w * 1.0


PROGRAMS = [
    adversaries_step_in_turn,
    one_is_moved_before_the_loss,
    one_is_moved_before_each_loss_of_an_inner_loop,
    rebound,
    rebound_and_used_behind,
    with_a_gradient_when_the_trip_ends,
    in_an_inner_loop,
    a_list_of_them,
    a_dict_of_them,
    in_an_attribute,
    changed_in_place_too,
    one_that_the_script_made,
    the_one_before_is_kept,
    of_second_order,
    with_momentum,
    two_that_change_places,
    one_memory_but_another_leaf,
    three_that_change_places,
    stepped_in_some_trips,
    made_on_one_path,
    one_of_two_is_stepped,
    two_names_of_two,
    the_best_is_kept,
    one_is_frozen_in_turn,
    a_row_that_was_just_added,
    a_gradient_that_the_script_sets,
    another_name_of_a_gradient,
    another_name_of_a_gradient_of_each_trip,
    another_name_of_a_gradient_on_some_paths,
]


@pytest.mark.parametrize("fn", PROGRAMS)
def test_a_script_trains_as_eager_code(fn: Callable[..., Any]) -> None:
    compare(fn)


def gradients_in_a_list(w, u, x, n):
    kept = []
    for _ in range(n):
        ((w * u - x) ** 2).sum().backward()
        kept.append(w.grad)
    return kept


def two_names_that_may_be_one(w, u, x, n):
    first = w
    for _ in range(n):
        ((w * u - first) ** 2).sum().backward()
        w = w.detach() - 0.1 * w.grad
        w.requires_grad_()
    return w.detach()


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("fn", "reason"),
    [(gradients_in_a_list, "whose arrays change in place"), (two_names_that_may_be_one, "one tensor on some paths")],
)
def test_what_is_refused(fn: Callable[..., Any], reason: str) -> None:
    w, u = (tj.tensor([0.3, 0.5], requires_grad=True) for _ in range(2))
    with pytest.raises(ScriptError, match=reason):
        tj.script(fn)(w, u, tj.tensor([0.2, -0.7]), 3)


@pytest.mark.compiled
def test_what_asks_for_gradients_already_is_an_error() -> None:
    @tj.script
    def f(w, n):
        h = w.detach()
        for _ in range(n):
            h.requires_grad_()
            h = h * w
        return h.detach()

    w = tj.tensor([0.3, 0.5], requires_grad=True)
    with pytest.raises((RuntimeError, ScriptError)):
        f(w, 3)
