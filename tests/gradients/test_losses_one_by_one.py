"""`backward()` of losses from a list, in loops that read each gradient before the next is taken: through the trip that
made the loss, at the cost of that trip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tracejit as tj
from tests.gradients.test_sums_of_losses import check, leaves, left, ops_run, rows
from tracejit import config, script
from tracejit.ir.parser import parse


def clipped(w, u, x):
    losses, total = [], tj.zeros(3, dtype=tj.float64)
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum())
    for loss in losses:
        loss.backward()
        total = total + w.grad / (1.0 + w.grad.norm())
        w.grad = None
    return total.sum()


def kept_in_a_list(w, u, x):
    losses, slopes = [(tj.sin(w * x[i]) * u).sum() for i in range(len(x))], []
    for loss in losses:
        loss.backward(retain_graph=True)
        slopes.append(w.grad.clone())
        w.grad = None
    return tj.stack(slopes).norm() if slopes else None


def added_up_and_read(w, u, x):
    losses, total = [(tj.sin(w * x[i]) * u).sum() for i in range(len(x))], 0.0
    for i in range(len(losses)):
        losses[i].backward()
        total += w.grad.sum().item() * i
    return total


def taken_off(w, u, x):
    losses, total = [], 0.0
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum())
    while losses:
        losses.pop().backward()
        total = total * 0.5 + w.grad.norm().item()
    return total


def steps_in_between(w, u, x):
    losses = []
    for i in range(len(x)):
        losses.append(tj.sin(w * x[i]).sum())
    for loss in losses:
        loss.backward()
        with tj.no_grad():
            w -= 0.1 * w.grad
        w.grad = None


def in_epochs(w, u, x):
    for _ in range(2):
        losses, total = [], tj.zeros(3, dtype=tj.float64)
        for i in range(len(x)):
            losses.append((tj.sin(w * x[i]) * u).sum())
        for loss in losses:
            (g,) = tj.autograd.grad(loss, [w])
            total = total + g / (1.0 + g.norm())
        with tj.no_grad():
            w -= 0.1 * total


def made_of_what_all_have(w, u, x):
    z, total = tj.tanh(w * u), 0.0
    losses = [(z * x[i]).sum() for i in range(len(x))]
    for loss in losses:
        loss.backward(retain_graph=True)
        total += w.grad.norm().item()
        w.grad = None
    return total


def of_a_detached_state(w, u, x):
    losses, h, scale, total = [], w.detach(), 1.0, 0.0
    for i in range(len(x)):
        h, scale = tj.tanh(h.detach() * w + x[i]), scale * 0.9
        losses.append((h * u).sum() * scale)
    for loss in losses:
        loss.backward()
        total += w.grad.norm().item()
        w.grad = None
    return total


def by_one_of_two_leaves(w, u, x):
    losses, h, total = [], u * 1.0, 0.0
    for i in range(len(x)):
        h = tj.tanh(h * u + x[i])
        losses.append((h * w).sum())
    for loss in losses:
        (g,) = tj.autograd.grad(loss, [w], retain_graph=True)
        total += g.norm().item()
    return total


def of_inner_loops(w, u, x):
    losses, total = [], 0.0
    for i in range(len(x)):
        h = w * 1.0
        for _ in range(3):
            h = tj.sin(h * u + x[i])
            losses.append((h * w).sum())
    for loss in losses:
        loss.backward(retain_graph=True)
        total += w.grad.norm().item()
        w.grad = None
    return total


def some_or_none_in_a_trip(w, u, x):
    losses, total = [], 0.0
    for i in range(len(x)):
        if i % 4 != 1:
            losses.append((tj.sin(w * x[i] * len(losses)) * u).sum())
        for j in range(i % 3):
            losses.append((tj.cos(w * x[i] * len(losses)) * u).sum() * j)
    for loss in losses:
        loss.backward()
        total += w.grad.norm().item()
        w.grad = None
    return total


def of_a_list_made_of_a_list(w, u, x):
    rows = [tj.sin(w * x[i]) * u for i in range(len(x))]
    losses, total = [(row * row).sum() for row in rows], 0.0
    for loss in losses:
        loss.backward()
        total += w.grad.norm().item()
        w.grad = None
    return total


def of_arrays_of_several_sizes(w, u, x):
    parts, total = [], 0.0
    for i in range(len(x)):
        parts.append(tj.sin(w * x[i])[: i % 3 + 1])
    for part in parts:
        (part * part).sum().backward()
        total += w.grad.norm().item()
        w.grad = None
    return total


def of_two_at_a_time(w, u, x):
    rows, total = [tj.sin(w * x[i]) * u for i in range(len(x))], 0.0
    for i in range(1, len(rows)):
        (rows[i] * rows[i - 1]).sum().backward(retain_graph=True)
        total += w.grad.norm().item()
        w.grad = None
    return total


def in_the_order_of_their_size(w, u, x):
    losses, total = [(tj.sin(w * x[i]) * u).sum() for i in range(len(x))], 0.0
    for i in sorted(range(len(losses)), key=lambda i: losses[i].item()):
        losses[i].backward()
        total = total * 0.9 + w.grad.norm().item()
        w.grad = None
    return total


def a_few_at_a_time_and_a_step(w, u, x):
    losses, total = [], 0.0
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum())
        if len(losses) == 4:
            for loss in losses:
                loss.backward()
                total += w.grad.norm().item()
            with tj.no_grad():
                w -= 0.1 * w.grad
            w.grad = None
            losses.clear()
    return total


def with_more_behind_the_loop(w, u, x):
    rows, total = [], 0.0
    for i in range(len(x)):
        rows.append(tj.sin(w * x[i]) * u)
    rows.append(w * u)
    rows.append(w * w)
    rows.pop()
    rows.append(w * u * u)
    for row in rows:
        (row * row).sum().backward()
        total += w.grad.norm().item()
        w.grad = None
    return total


def slopes_of_slopes(w, u, x):
    losses, total = [(tj.sin(w * x[i]) * u).sum() for i in range(len(x))], 0.0
    for loss in losses:
        (g,) = tj.autograd.grad(loss, [w], create_graph=True)
        (g * g).sum().backward()
        total += u.grad.norm().item()
        u.grad = None
    return total


PROGRAMS = [v for v in tuple(globals().values()) if getattr(v, "__module__", "") == __name__]


@pytest.mark.parametrize("fn", PROGRAMS)
def test_gradients_are_those_of_eager_code(fn: Callable[..., Any]) -> None:
    with config.override(verify=True):
        compiled = script(fn)
        for trips in (0, 1, 2, 5):
            x = rows(trips)
            check(left(compiled, x), left(fn, x))


def cost(fn: Callable[..., Any]) -> float:
    """How much more the last 32 of 64 trips cost than the last 16 of 32."""
    compiled = script(fn)
    compiled(*leaves(), rows(3))
    graph = parse(str(compiled.graph))
    few, more, most = (ops_run(graph, rows(trips)) for trips in (16, 32, 64))
    return (most - more) / (more - few)


@pytest.mark.compiled
@pytest.mark.parametrize("fn", PROGRAMS)
def test_twice_the_trips_cost_twice_as_much(fn: Callable[..., Any]) -> None:
    assert 1.5 < cost(fn) < 2.5


def of_a_state(w, u, x):
    losses, h, total = [], w * 1.0, 0.0
    for i in range(len(x)):
        h = tj.tanh(h * w + x[i])
        losses.append((h * u).sum())
    for loss in losses:
        loss.backward(retain_graph=True)
        total += w.grad.norm().item()
        w.grad = None
    return total


def by_each_of_two_leaves(w, u, x):
    losses, h, total = [], u * 1.0, 0.0
    for i in range(len(x)):
        h = tj.tanh(h * u + x[i])
        losses.append((h * w).sum())
    for loss in losses:
        (g,) = tj.autograd.grad(loss, [w], retain_graph=True)
        (h,) = tj.autograd.grad(loss, [u], retain_graph=True)
        total += g.norm().item() + 2.0 * h.norm().item()
    return total


def of_items_made_of_items(w, u, x):
    losses, total = [w.sum()], 0.0
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum() * losses[-1])
    for loss in losses:
        loss.backward(retain_graph=True)
        total += w.grad.norm().item()
        w.grad = None
    return total


def of_replaced_items(w, u, x):
    losses, total = [], 0.0
    for i in range(len(x)):
        losses.append((tj.sin(w * x[i]) * u).sum())
        losses[i // 2] = (tj.cos(w * x[i]) * u).sum()
    for loss in losses:
        loss.backward(retain_graph=True)
        total += w.grad.norm().item()
        w.grad = None
    return total


def of_a_buffer_that_is_written(w, u, x):
    losses, seen, total = [], tj.zeros(len(x), dtype=tj.float64), 0.0
    for i in range(len(x)):
        seen[i] = x[i, 0]
        losses.append(tj.sin(w * seen[i // 2]).sum())
    for loss in losses:
        loss.backward()
        total += w.grad.norm().item()
        w.grad = None
    return total


@pytest.mark.parametrize(
    "fn",
    [of_a_state, by_each_of_two_leaves, of_items_made_of_items, of_replaced_items, of_a_buffer_that_is_written],
)
def test_what_leads_to_earlier_trips_goes_through_these(fn: Callable[..., Any]) -> None:
    with config.override(verify=True):
        compiled = script(fn)
        for trips in (0, 1, 2, 5):
            x = rows(trips)
            check(left(compiled, x), left(fn, x))
