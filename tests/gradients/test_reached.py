"""After `backward()` in a script, `.grad` of what the path taken did not use is what it was, as in eager code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

import tracejit as tj
from tracejit.scripted import script


def leaf(*values: float) -> tj.Tensor:
    return tj.tensor(list(values), requires_grad=True)


def one_of_two(a, b, n):
    y = a * 2 if n > 0 else b * 3
    loss = y.sum()
    loss.backward()
    return loss


def never_used(a, b, n):
    loss = (a * n).sum()
    loss.backward()
    return loss


def some_trips(a, b, n):
    y = a * 2
    for _ in range(n):
        y = y + b
    y.sum().backward()
    return a.grad


def a_loop_that_tests(a, b, n):
    y, k = a * 2, 0
    while k < n:
        y, k = y * b, k + 1
    y.sum().backward()
    return a.grad, b.grad


def a_loop_that_breaks(a, b, n):
    y = a * 2
    for i in range(5):
        if i >= n:
            break
        y = y * b
    y.sum().backward()


def the_first_trip_only(a, b, n):
    y = a * 0
    for i in range(n + 1):
        y = a + i if i > 0 else b * y
    y.sum().backward()


def branches_in_branches(a, b, n):
    y = a + 1
    if n > 0:
        z = b * 2
        if n > 1:
            y = z * y
        else:
            y = z.sum() * a if n > 5 else y * 2
    (y + 1).sum().backward()


def one_loss_of_two(a, b, n):
    if n > 0:
        loss = (a * a).sum()
    else:
        loss = (b * b).sum()
    loss.backward()
    (a * 3).sum().backward()


def backward_in_the_branch(a, b, n):
    y = a * 2 if n > 1 else a * b
    if n > 0:
        y.sum().backward()


def backward_in_trips(a, b, n):
    for i in range(n):
        y = a * i if i != 1 else b * i
        y.sum().backward()


def a_leaf_chosen_before(a, b, n):
    w = a if n > 0 else b
    for i in range(n + 1):
        (w * w * i).sum().backward()


def slope_zero(a, b, n):
    y = tj.floor(a) + (b if n > 0 else b.detach())
    y.sum().backward()


def written_over(a, b, n):
    y = a * b
    if n > 0:
        y[:] = 0.0
    else:
        y = a * 1
    y.sum().backward()


def by_hand(a, b, n):
    y = a * 2 if n > 0 else b * 3
    y.sum().backward()
    with tj.no_grad():
        for p in (a, b):
            if p.grad is not None:
                p -= 0.1 * p.grad
                p.grad = None
    return 1 if b.grad is None else 2


def a_step_that_needs_both(a, b, n):
    y = a * 2 if n > 0 else a * b
    y.sum().backward()
    with tj.no_grad():
        b -= 0.1 * b.grad
    return a.grad


def none_is_reached(a, b, n):
    y = a * 2 if n > 0 else a.detach() * 2
    y.sum().backward()


def a_state_cut_in_each_trip(a, b, n):
    h = a.detach()
    for _ in range(n):
        h = h * a
        h.sum().backward()
        h = h.detach()
    return h


def used_by_earlier_trips_only(a, b, n):
    h, k = a.detach(), 0
    while k < n:
        if k == 1:
            h = h * b
        h = h * a
        h.sum().backward(retain_graph=True)
        k += 1
    return h, h.detach() + k


def not_the_state_of_every_trip(a, b, n):
    h, seen = a.detach() * 1.0, []
    for i in range(n):
        h = h * b if i % 2 else h * 2.0
        seen.append(h.requires_grad)
        if h.requires_grad:
            h.sum().backward()
            h = h.detach()
        elif i == 2:
            break
    return h, (h * a if n > 2 else h), sum(seen)


def an_item_of_a_list(a, b, n):
    losses = [a.sum() * 2.0]
    for i in range(n):
        losses.append((a * b if i % 2 else b).sum())
    losses[n // 2].backward()


def an_item_of_a_list_that_a_branch_fills(a, b, n):
    losses = []
    while len(losses) < 4:
        if len(losses) % 2 == n % 2:
            losses.append((a * 2.0).sum())
        else:
            losses.append((b * b).sum())
    losses[2].backward()


def an_item_that_replaced_another(a, b, n):
    losses = []
    for _ in range(4):
        losses.append(a.sum())
    losses[n % 4] = (b * n).sum()
    losses[2].backward()


def the_last_item(a, b, n):
    seen, y = [], a * 0.0
    for i in range(4):
        seen.append(a * i if i % 2 else b)
        if len(seen) > n:
            y = seen.pop()
    y.sum().backward()


def a_list_that_a_branch_made(a, b, n):
    parts = [a.sum()] if n > 1 else [b.sum(), a.sum() * 2.0]
    for i in range(n):
        parts.append((b * 3.0).sum() if n > 2 else parts[0] * 2.0)
    parts[n].backward()


def a_list_without_leading_items(a, b, n):
    losses = []
    for _ in range(n):
        losses.append(a.detach().sum())
    losses.append(b.sum())
    asks = losses[0].requires_grad
    if n < 1:
        losses[0].backward()
    return asks


def a_sum_over_a_list(a, b, n):
    losses = []
    for i in range(n):
        losses.append((a if i > 1 else b).sum())
    sum(losses, (a * 0.5).sum() if n > 2 else (b * 0.5).sum()).backward()


PROGRAMS = [
    an_item_of_a_list,
    an_item_of_a_list_that_a_branch_fills,
    an_item_that_replaced_another,
    the_last_item,
    a_list_that_a_branch_made,
    a_list_without_leading_items,
    a_sum_over_a_list,
    a_state_cut_in_each_trip,
    used_by_earlier_trips_only,
    not_the_state_of_every_trip,
    one_of_two,
    never_used,
    some_trips,
    a_loop_that_tests,
    a_loop_that_breaks,
    the_first_trip_only,
    branches_in_branches,
    one_loss_of_two,
    backward_in_the_branch,
    backward_in_trips,
    a_leaf_chosen_before,
    slope_zero,
    written_over,
    by_hand,
    a_step_that_needs_both,
    none_is_reached,
]


def outcome(fn: Any, n: int) -> Any:
    """What a program leaves: gradients, leaves, result, and the kind of its error."""
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    try:
        result = fn(a, b, n)
    except (RuntimeError, TypeError) as error:
        result = type(error)
    shown = [x.tolist() if isinstance(x, tj.Tensor) else x for x in (a.grad, b.grad, a, b)]
    results = result if isinstance(result, tuple) else (result,)
    return shown, [(x.tolist(), x.requires_grad) if isinstance(x, tj.Tensor) else x for x in results]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_gradients_of_what_was_used_only(program: Any) -> None:
    scripted = script(program)
    for n in (0, 1, 2, 3):
        assert outcome(scripted, n) == outcome(program, n)
    assert scripted.compiles <= 2


class Gated(tj.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = tj.nn.Linear(3, 3), tj.nn.Linear(3, 3)

    def forward(self, x):
        return self.small(x) if x.sum() < 0 else self.large(x)


@pytest.mark.parametrize("kind", ["Adam", "SGD", "RMSprop"])
def test_an_optimiser_moves_no_parameter_of_the_other_branch(kind: str) -> None:
    def trained(compiled: bool) -> list[Any]:
        tj.manual_seed(0)
        model = Gated()
        optimiser = getattr(tj.optim, kind)(model.parameters(), lr=0.1, weight_decay=0.5)

        def step(x):
            optimiser.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimiser.step()
            return loss

        run = script(step) if compiled else step
        x = tj.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
        losses = [run(x * sign).item() for sign in (1.0, 1.0, -1.0, 1.0)]
        return [losses, *(p.tolist() for p in model.parameters())]

    for found, expected in zip(trained(True), trained(False), strict=True):
        assert tj.tensor(found).numpy() == pytest.approx(tj.tensor(expected).numpy(), rel=1e-5)


def test_a_returned_loss_has_been_differentiated() -> None:
    def step(w, x):
        loss = (w * x).sum()
        loss.backward()
        return loss, w.grad, x * 2

    a, b = leaf(1.0, 2.0), tj.tensor([3.0, 4.0])
    compiled = script(step)
    for _ in range(3):  # by Python, then natively
        loss, gradient, other = compiled(a, b)
        assert loss.requires_grad and loss.grad_fn is not None
        assert not gradient.requires_grad and not other.requires_grad
        with pytest.raises(RuntimeError, match="second time"):
            loss.backward()
    with tj.no_grad():
        assert not script(lambda w: (w * 2).sum())(a).requires_grad


@pytest.mark.parametrize("name", ["floor", "ceil", "round", "trunc"])
def test_what_has_slope_zero_asks_for_gradients_outside_a_script_too(name: str) -> None:
    def fn(x: Any, n: int) -> Any:
        y = x
        for _ in range(n):
            y = getattr(tj, name)(y) + 0.25
        return y.sum(), x.detach().sum(), x.int().float().sum()

    x = tj.tensor([1.5, -2.0], requires_grad=True)
    results = tj.script(fn)(x, 2)
    assert [y.requires_grad for y in results] == [y.requires_grad for y in fn(x, 2)] == [True, False, False]
    results[0].backward()
    assert x.grad.tolist() == [0, 0]


def detached(a, b):
    return (a.detach() * b).sum(), a.floor().sum()


def one_each(a, b):
    y, z = a, b
    for _ in range(3):
        y, z = y * a, z * b
    return y.sum(), z.sum()


def written(a, b):
    y = a * 1.0
    y[0] = b[0]
    return y.sum(), (y * a.detach()).sum()


def left_outside(fn: Any, arguments: Sequence[int], chosen: int | None, create_graph: bool) -> Any:
    """What a `backward()` outside the program leaves of one of its two results, or their product."""
    a, b = leaf(1.0, 2.5), leaf(3.0, 4.0)
    results = fn(a, b, *arguments)
    loss = results[0] * results[1] if chosen is None else results[chosen]
    asks = [y.requires_grad for y in results]
    if loss.requires_grad:
        loss.backward(create_graph=create_graph)
    return asks, [None if x.grad is None else x.grad.tolist() for x in (a, b)]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("chosen", [0, 1, None])
@pytest.mark.parametrize("program", [detached, one_each, written])
def test_outside_a_script_what_a_result_does_not_use_gets_no_gradient(
    program: Any, chosen: int | None, create_graph: bool
) -> None:
    found = left_outside(script(program), (), chosen, create_graph)
    assert found == left_outside(program, (), chosen, create_graph)


def a_branch(a, b, n):
    y = a * 2 if n > 0 else b * 3
    return y.sum(), (a * 2 if n > 1 else a.detach()).sum()


def trips(a, b, n):
    y, z = a * 2, b
    for i in range(n):
        y, z = y + b if i > 0 else y * 2, z * a
    return y.sum(), z.sum()


def a_while(a, b, n):
    y, k = b.detach(), 0
    while k < n:
        y, k = y * a, k + 1
    return y.sum(), (y * b if k > 1 else y).sum()


def a_write(a, b, n):
    y = a * 1
    if n > 0:
        y[0] = b[0]
    return y.sum(), y[0]


def a_list(a, b, n):
    ys = [a.sum()]
    for i in range(n):
        ys.append((b * 2.0).sum() if i else (a * b).sum())
    return ys[n // 2], ys[-1] * 2.0


@pytest.mark.parametrize("program", [a_branch, trips, a_while, a_write, a_list])
def test_outside_a_script_what_the_path_did_not_use_gets_no_gradient(program: Any) -> None:
    scripted = script(program)
    for n in (0, 1, 2, 0):
        for chosen, create_graph in ((0, False), (1, True), (None, False)):
            found = left_outside(scripted, (n,), chosen, create_graph)
            assert found == left_outside(program, (n,), chosen, create_graph), (n, chosen)


def test_a_derivative_of_zero_goes_on_to_what_the_result_depends_on_only() -> None:
    compiled = script(a_branch)
    for n in (0, 1, 2):
        found = []
        for fn in (a_branch, compiled):
            a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
            y, z = fn(a, b, n)
            (y.floor() + (z.floor() if n > 1 else 0)).backward()
            found.append([None if x.grad is None else x.grad.tolist() for x in (a, b)])
        assert found[0] == found[1]
        assert (found[1][0] is None) == (n == 0) and (found[1][1] is None) == (n > 0)


def test_leaves_that_the_same_trips_lead_to_share_what_tells_of_it() -> None:
    def loss(w: Any, b: Any, x: Any, n: Any) -> Any:
        h = x
        for _ in range(n):
            if h.sum() > 0:
                h = tj.tanh(h * w + b)
        h.sum().backward()
        return h

    made = script(loss)
    for start, n in ((1.0, 3), (1.0, 0), (-1.0, 2)):
        w, b, x = leaf(0.5, 2.0), leaf(0.1, 0.2), leaf(start, start)
        made(w, b, x, n)
        assert [p.grad is None for p in (w, b, x)] == [n == 0 or start < 0] * 2 + [False]
    assert made.ir("frontend").count("%reached") <= 12
