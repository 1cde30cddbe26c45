"""`backward(retain_graph=True)` inside loops of scripts, through what came before: as in eager code, or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import NotDifferentiable, config, script


def every_trip(w, n):
    h = w
    total = 0.0
    for _ in range(n):
        h = tj.tanh(h * w)
        loss = h.sum()
        loss.backward(retain_graph=True)
        total = total + loss.detach()
    return total


def some_trips_of_a_while(w, n):
    h = w * 1.0
    k = 0
    while k < n:
        h = tj.tanh(h * w + k)
        k += 1
        if k == 2:
            continue
        h.sum().backward(retain_graph=True)
        (h * h).sum().backward(retain_graph=True)
        if k > 3:
            break
    return h.detach().sum()


def in_a_branch(w, n):
    h = w * 1.0
    s = w.sum()
    for i in range(n):
        h = tj.sin(h * w) * s
        if i % 2 == 1:
            loss = (h * s).sum()
            loss.backward(retain_graph=True)
        s = s + h.sum()
    return s.detach()


def through_numbers_of_a_loop_before(w, n):
    s = w.sum()
    for _ in range(n):
        s = tj.tanh(s * w[0]) + w[1]
    for i in range(3):
        loss = s * s * (i + 1.0)
        loss.backward(retain_graph=True)
    return s.detach()


def some_trips_at_a_time(w, n):
    h = w.detach() + 1.0
    for _ in range(n):
        h = h.detach()
        for _ in range(3):
            h = tj.tanh(h * w) + 0.1
        (h * h).sum().backward()
    return h.detach().sum()


def by_a_condition(w, n):
    h = w.detach() + 1.0
    for i in range(2 * n + 1):
        h = tj.tanh(h * w)
        if i % 2:
            h.sum().backward()
            h = h.detach()
    return h.detach().sum()


def and_behind_the_loop(w, n):
    h, loss, seen = w.detach() * 0, 0.0, []
    for i in range(3 * n + 1):
        h = tj.tanh(h * w + i)
        loss = loss + (h * h).sum()
        seen.append(i)
        if i % 3 == 2:
            loss.backward()
            h, loss = h.detach(), 0.0
            seen.append(-1)
    (loss + h.sum()).backward()
    return h.detach().sum() + len(seen)


def by_what_they_compute(w, n):
    c, h, k, runs = w.detach(), w.detach() + 0.5, 0, 0
    while k < 3 * n:
        c = tj.sin(c * w) + h
        h = tj.tanh(h + c * w)
        k += 1
        if h.sum() < 0.9 + k % 2:
            c = c + 1.0
        else:
            loss = (h * c).sum()
            loss.backward()
            h, c, runs = h.detach(), c.detach(), runs + 1
            if runs > 3:
                break
        c = c * 0.5
    return h.detach().sum() + runs


def steps_in_between(w, n):
    total = 0.0
    for epoch in range(2):
        h, loss = tj.zeros(3, dtype=tj.float64) + epoch, 0.0
        for i in range(n):
            h = tj.tanh(h * w + i)
            loss = loss + ((h - 0.3) ** 2).mean()
            if (i + 1) % 2 == 0 or i == n - 1:
                total = total + loss.item()
                loss.backward()
                with tj.no_grad():
                    w -= 0.1 * w.grad
                h, loss = h.detach(), 0.0
    return h.detach().sum() + total


def an_array_of_all_trips(w, n):
    h, hs = w.detach() + 0.1, tj.zeros(11, 3, dtype=tj.float64)
    for i in range(n):
        h = tj.tanh(h * w)
        hs[i] = h.detach()
        if i % 2:
            h.prod().backward()
            h = h.detach() + hs[i - 1]
    return hs.sum()


def through_trips_of_two_loops(w, n):
    h, s = w[0], w.sum()
    for i in range(n):
        h = tj.tanh(h * w[1] + i)
        s = s + h
        for j in range(2):
            h = tj.sin(h * w[0] * s)
            if j > 0:
                (h * w[2]).backward(retain_graph=True)
        s = s * h
    return h.detach()


def more_behind_the_condition(w, n):
    h, c = w.detach() + 1.0, w.detach()
    total, k = 0.0, 0
    while k < 3 * n:
        k += 1
        h = tj.tanh(h * w + c)
        if k % 3 == 2:
            loss = (h * c).sum()
            loss.backward()
            h, c = h.detach(), c.detach()
            total = total + loss.item()
        c = tj.sin(c * w) + h * k
        if k > 10:
            break
    loss = (h * c).sum()
    return h.detach().sum() + total + loss.detach()


def steps_and_more_behind(w, n):
    h = w.detach() + 1.0
    for i in range(3 * n):
        h = tj.tanh(h * w)
        if i % 3 == 2:
            h.sum().backward()
            h = h.detach()
            with tj.no_grad():
                w -= 0.1 * w.grad
        h = h * w
    (h * w).sum().backward()
    return h.detach().sum()


def a_condition_in_another(w, n):
    h = w.detach() + 1.0
    for i in range(3 * n):
        h = tj.tanh(h * w)
        if i > 1:
            c = h.detach().sum() + i
            if i % 2 and c > 0:
                h.sum().backward()
                h = h.detach()
            else:
                h = h * 0.9
    return h.detach().sum()


def several_conditions(w, n):
    h = w.detach() + 1.0
    for i in range(3 * n):
        h = tj.tanh(h * w)
        if i % 3 == 2:
            h.sum().backward()
            h = h.detach()
        elif i % 5 == 3:
            if h.sum() > 0.1:
                (h * w).sum().backward()
                h = h.detach()
        if i == 3 * n - 1:
            (h * w).sum().backward()
            h = h.detach()
        h = h * w
    return h.detach().sum()


def a_leaf_that_steps_in_late_trips(w, n):
    h = w.detach() * 1.0
    for i in range(n):
        h = tj.tanh(h + w)
        h.sum().backward(retain_graph=True)
        if i > 2:
            with tj.no_grad():
                w -= 0.1
    return h.detach().sum()


def in_each_trip_of_what_the_one_before_began(w, n):
    h = tj.tanh(w * w)
    loss = (h * w).sum()
    for i in range(n):
        if i == 2:
            (loss * h[0]).backward()
            h, loss = h.detach() * w, w.sum()
        loss = loss + h.sum()
        loss.backward()
        h = tj.tanh(h.detach() * w)
        loss = (h * h).sum() * 0.5
    return h.detach().sum() + loss.detach()


def in_a_try(w, n):
    loss, h, errors = (w * w).sum(), w.detach() * 1.0, 0.0
    for i in range(2 * n):
        h = tj.tanh(h * w)
        if i % 2:
            try:
                (loss + h.sum()).backward()
            except RuntimeError:
                errors = errors + 1.0
                h.sum().backward()
            h, loss = h.detach(), w.detach().sum()
    return h.detach().sum() + errors


def of_a_leaf_that_changed_on_a_path_before(w, n):
    h = w.detach() * 1.0
    if n == 1:
        with tj.no_grad():
            w -= 0.1
    for _ in range(2):
        (h * w).sum().backward()
    for _ in range(n):
        for _ in range(2):
            (h * w).prod().backward()
        with tj.no_grad():
            w -= 0.1
    return h.sum()


def through_arrays_of_a_loop_before(w, n):
    h = w * 1.0
    if n != 2:
        for _ in range(n):
            h = tj.tanh(h * w)
    for i in range(3):
        ((h * h).sum() * (i + 1.0)).backward(retain_graph=True)
        if i == 1:
            (h * w).sum().backward(retain_graph=True)
    return h.detach().sum()


def through_arrays_of_three_loops(w, n):
    h = w * 1.0
    for i in range(n):
        h = tj.tanh(h * w)
        for _ in range(2):
            h = g = h * w + i
            for _ in range(2):
                g = tj.sin(g * w)
                (g * g).sum().backward(retain_graph=True)
    return h.detach().sum()


def through_a_recursion_and_items_that_were_taken(w, n):
    def walk(h, depth):
        return h if depth == 0 else walk(tj.tanh(h * w), depth - 1)

    items = [walk(w * 1.0, n)]
    for _ in range(n):
        items.append(tj.sin(items[-1] * w))
    total = w * 0.0
    while items:
        total = total * w + items.pop()
    for i in range(2):
        (total * total * i).sum().backward(retain_graph=True)
    return total.detach().sum()


def conjugate_gradients(w, n):
    h = w * 1.0
    for _ in range(n):
        h = tj.sin(h * w)
    (slope,) = tj.autograd.grad((h * h).sum() + (w * w).sum(), [w], create_graph=True)
    x, rest = tj.zeros_like(slope).detach(), slope.detach().clone()
    along, k = rest.clone(), 0
    while (rest * rest).sum() > 1e-20 and k < 10:
        (turned,) = tj.autograd.grad((slope * along).sum(), [w], retain_graph=True)
        step = (rest * rest).sum() / (along * turned).sum()
        x, left = x + step * along, rest - step * turned
        along = left + (left * left).sum() / (rest * rest).sum() * along
        rest, k = left, k + 1
    return x.sum()


def what_an_inner_loop_replaced(w, n):
    h = w.detach()
    for i in range(n):
        h = tj.tanh(h * w)
        for k in range(i + 1):
            h = w.detach() * (k + 0.3)
    (h * w).sum().backward()
    loss = (w * w).sum() + h.sum()
    loss.backward()
    return loss.detach()


def a_stack_of_losses(w, n):
    stack = []
    for i in range(n):
        stack.append(tj.tanh(w * (i + 1.0)).prod())
    while stack:
        stack.pop().backward()
    return len(stack) + w.detach().sum()


def a_stack_that_fills_and_empties(w, n):
    stack, total = [], 0.0
    for i in range(n):
        stack.append((tj.sin(w) * i).sum())
        stack.append((w * w).prod() * i)
        loss = stack.pop()
        loss.backward()
        total = total + loss.item()
    while len(stack) > 1:
        stack.pop().backward()
    return total + len(stack)


def a_few_losses_at_a_time(w, n):
    losses, total = [], 0.0
    for i in range(3 * n):
        losses.append((tj.tanh(w * i) * w).sum())
        if len(losses) == 2:
            loss = losses[0] + 0.5 * losses[1]
            loss.backward()
            total = total + loss.item()
            losses.clear()
    return total + len(losses)


def a_few_losses_and_a_step(w, n):
    losses, total = [], 0.0
    for i in range(3 * n + 1):
        losses.append((tj.tanh(w * i) * w).sum())
        if len(losses) == 3:
            loss = sum(losses) / len(losses)
            loss.backward()
            with tj.no_grad():
                w -= 0.1 * w.grad
            w.grad = None
            total = total + loss.item()
            losses = []
    if losses:
        (losses[0] * len(losses)).backward()
    return total


def what_is_left_of_a_list(w, n):
    h, hs = w.detach() + 0.2, [w.detach() * 0.3]
    for i in range(2 * n):
        h = tj.tanh(h * w + i)
        hs.append(h)
        if i % 3 == 2 or h.sum() < 0.0:
            loss = (tj.stack(hs) ** 2).mean()
            loss.backward()
            with tj.no_grad():
                w -= 0.2 * w.grad
            hs.clear()
            h = h.detach()
            if i > 6:
                break
    loss = h.sum()
    for k, a in enumerate(hs):
        loss = loss + (a * k).sum()
    if n > 0 and len(hs) > 0:
        loss.backward()
    return loss.detach()


def of_a_list_that_was_asked_for_its_length_before(w, n):
    h, total, ys = w * 0.5, 0.0, []
    for i in range(n):
        h = tj.tanh(h * w + 0.1)
        if len(ys) > 0:
            total += 1.0
    for i in range(n):
        ys.append((h * w).sum() * i)
    for y in ys:
        y.backward(retain_graph=True)
        total = total + w.grad.sum().item()
    return total


def of_what_derivatives_changed(w, n):
    h = w * 1.0
    for _ in range(n):
        h = h * w
        h.sum().backward(retain_graph=True)
        h = h + w.grad
    return h.detach().sum()


def steps_that_later_derivatives_go_through(w, n):
    h = w.detach() * 0.5
    for i in range(n):
        h = tj.tanh(h + w)
        if i != 1:
            h.sum().backward(retain_graph=True)
            with tj.no_grad():
                w -= 0.1 * w.grad
            w.grad = None
    return h.detach().sum()


PROGRAMS = [
    of_what_derivatives_changed,
    steps_that_later_derivatives_go_through,
    of_a_list_that_was_asked_for_its_length_before,
    a_few_losses_and_a_step,
    what_is_left_of_a_list,
    a_stack_of_losses,
    a_stack_that_fills_and_empties,
    a_few_losses_at_a_time,
    what_an_inner_loop_replaced,
    through_arrays_of_a_loop_before,
    through_arrays_of_three_loops,
    through_a_recursion_and_items_that_were_taken,
    conjugate_gradients,
    of_a_leaf_that_changed_on_a_path_before,
    in_a_try,
    in_each_trip_of_what_the_one_before_began,
    a_leaf_that_steps_in_late_trips,
    more_behind_the_condition,
    steps_and_more_behind,
    a_condition_in_another,
    several_conditions,
    through_trips_of_two_loops,
    by_a_condition,
    and_behind_the_loop,
    by_what_they_compute,
    steps_in_between,
    an_array_of_all_trips,
    every_trip,
    some_trips_of_a_while,
    in_a_branch,
    through_numbers_of_a_loop_before,
    some_trips_at_a_time,
]


@pytest.mark.parametrize("trips", [0, 1, 2, 5])
@pytest.mark.parametrize("fn", PROGRAMS)
def test_gradients_are_those_of_eager_code(fn: Callable[..., Any], trips: int) -> None:
    eager, compiled = (tj.tensor([0.3, 0.5, -0.4], dtype=tj.float64, requires_grad=True) for _ in range(2))
    with config.override(verify=True):
        found = script(fn)(compiled, trips)
    assert float(found) == pytest.approx(float(fn(eager, trips)), rel=1e-12)
    if eager.grad is None:
        assert compiled.grad is None
    else:
        np.testing.assert_allclose(compiled.grad.numpy(), eager.grad.numpy(), rtol=1e-12)


def once_more_without_retain_graph(w, n):
    h = w
    for _ in range(n):
        h = h * w
        h.sum().backward()


def of_slopes_of_earlier_trips(w, n):
    h = w * 1.0
    for i in range(n):
        (slope,) = tj.autograd.grad((h * h).sum(), [h], create_graph=True)
        h = h - w * slope
        h.sum().backward(retain_graph=i < n - 1)


def of_a_leaf_that_each_trip_steps(w, n):
    h = w.detach()
    for _ in range(n):
        h = tj.tanh(h * w)
        h.sum().backward(retain_graph=True)
        with tj.no_grad():
            w -= 0.1


def without_detach(w, n):
    h = w.detach() + 1.0
    for i in range(2 * n):
        h = tj.tanh(h * w)
        if i % 2:
            h.sum().backward()


def with_one_of_two_detached(w, n):
    h, c = w.detach() + 1.0, w.detach()
    for i in range(2 * n):
        h, c = tj.tanh(h * w + c), c * w
        if i % 2:
            h.sum().backward()
            h = h.detach()


def once_more_after_one_that_retains(w, n):
    h = w * 1.0
    for _ in range(n):
        h = h * w
        h.sum().backward(retain_graph=True)
        (h * w).sum().backward()


def through_an_outer_loop(w, n):
    loss = (w * w).sum()
    for _ in range(n):
        for _ in range(2):
            loss.backward()
            loss = loss.detach()


def on_the_other_side_too(w, n):
    h = w.detach() + 1.0
    for i in range(n):
        h = h * w
        if i % 2:
            h.sum().backward()
            h = h.detach()
        else:
            (h * h).sum().backward()


@pytest.mark.parametrize(
    "fn",
    [
        once_more_after_one_that_retains,
        through_an_outer_loop,
        on_the_other_side_too,
        without_detach,
        with_one_of_two_detached,
        once_more_without_retain_graph,
    ],
)
def test_a_second_backward_through_earlier_trips_is_an_error(fn: Callable[..., Any]) -> None:
    """It is raised in the trip where eager code raises it, behind what was added to `.grad` before."""
    left = []
    for called in (fn, script(fn)):
        w = tj.tensor([0.3, 0.5], dtype=tj.float64, requires_grad=True)
        with pytest.raises(RuntimeError, match="second time|no grad_fn"):
            called(w, 4)
        left.append(w.grad.numpy())
    np.testing.assert_allclose(*left, rtol=1e-12)


def of_items_in_loops_in_a_loop(w, n):
    losses = []
    for i in range(2):
        for _ in range(n):
            losses.append((w * w).sum() * i)
        for loss in losses:
            for k in range(2):
                (loss * k).backward(retain_graph=True)
                with tj.no_grad():
                    w -= 0.1 * w.grad
    return w.sum().item()


@pytest.mark.parametrize(
    ("fn", "reason"),
    [
        (of_slopes_of_earlier_trips, "derivatives taken in earlier trips"),
        (of_a_leaf_that_each_trip_steps, "may be changed in place meanwhile"),
        (of_items_in_loops_in_a_loop, "(may be changed in place meanwhile|not made before it)"),
    ],
)
def test_what_is_refused(fn: Callable[..., Any], reason: str) -> None:
    w = tj.tensor([0.3, 0.5], dtype=tj.float64, requires_grad=True)
    with pytest.raises(NotDifferentiable, match=reason):
        script(fn)(w, 3)
