"""Inside a script as in eager code: a second `backward()`, writes to what a derivative needs, `create_graph`."""

from __future__ import annotations

import pytest

import tracejit as tj
from tracejit.scripted import script

FREED, CHANGED, NO_HISTORY = "second time", "changed in place", "no grad_fn"


def gradient(fn, *arguments):
    """What a function leaves in `.grad`, or the text of its RuntimeError."""
    x = tj.tensor([1.0, 2.0, 3.0], dtype=tj.float64, requires_grad=True)
    try:
        fn(x, *arguments)
    except RuntimeError as error:
        return next(text for text in (FREED, CHANGED, NO_HISTORY) if text in str(error))
    return None if x.grad is None else x.grad.tolist()


def twice(x):
    loss = (x * x).sum()
    loss.backward()
    loss.backward()


def twice_retained(x):
    loss = (x * x).sum()
    loss.backward(None, True)
    loss.backward(retain_graph=False)


def three_times_retained_once(x):
    loss = (x * x).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    loss.backward()


def shared(x):
    h = x * x
    a, b = h.sum(), (h * 2).sum()
    a.backward()
    b.backward()


def shared_retained(x):
    h = x * x
    a, b = h.sum(), (h * 2).sum()
    a.backward(retain_graph=True)
    b.backward()


def computed_again(x):
    (x * x).sum().backward()
    (x * x).sum().backward()


def on_one_path(x, c):
    loss = (x * x).sum()
    if c > 0:
        loss.backward()
    loss.backward()


def on_either_path(x, c):
    loss = (x * x).sum()
    if c > 0:
        loss.backward()
    else:
        (loss * 2).backward()


def in_a_loop(x, n):
    loss = (x * x).sum()
    for _ in range(n):
        loss.backward()


def one_for_each_trip(x, n):
    for _ in range(n):
        loss = (x * x).sum()
        loss.backward()


def inner_loop(x, n):
    for i in range(3):
        loss = (x * x).sum() * (i + 1)
        for _ in range(n):
            loss.backward()


def two_for_each_trip(x, n):
    for _ in range(n):
        h = x * x
        h.sum().backward(retain_graph=True)
        (h * 2).sum().backward()


def state_cut_in_each_trip(x, n):
    h = x.detach() * 1
    for _ in range(n):
        h = h.detach() * x
        h.sum().backward()


def changed(x):
    y = x * 2
    z = y * y
    y += 1
    z.sum().backward()


def result_changed(x):
    y = (x * 2).exp()
    z = y * 3
    y += 1
    z.sum().backward()


def element_changed(x):
    y = x * 2
    z = y * y
    y[0] = 1.0
    z.sum().backward()


def leaf_changed(x):
    z = (x * x).sum()
    with tj.no_grad():
        x -= 1
    z.backward()


def changed_but_not_needed(x):
    y = x * 2
    z = y * 3
    y += 1
    z.sum().backward()


def leaf_changed_but_not_needed(x):
    z = (x * 3).sum()
    with tj.no_grad():
        x -= 1
    z.backward()


def other_part_changed(x):
    y = x * 2
    z = y[1:] * y[1:]
    y[0] = 1.0
    z.sum().backward()


def in_place_with_its_own_value(x):
    y = x * 2
    y *= y
    y.sum().backward()


def bound_anew(x):
    y = x * 2
    z = y * y
    y = y + 1
    z.sum().backward()


def changed_behind(x):
    y = x * 2
    (y * y).sum().backward()
    y += 1


def elements_one_after_the_other(x, n):
    y = x * 1.0
    for i in range(n):
        y[i + 1] = y[i] * y[i]
    y.sum().backward()


def gradient_in_a_loss(x):
    (x**3).sum().backward()
    m = (x.grad * x).sum()
    x.grad = None
    m.backward()


def gradient_of_a_gradient(x):
    (x**3).sum().backward(create_graph=True)
    m = (x.grad * x).sum()
    x.grad = None
    m.backward()


def steps(x, n):
    for _ in range(n):
        (x * x).sum().backward()
        with tj.no_grad():
            x -= 0.1 * x.grad
        x.grad = None
    (x * x).sum().backward()


def behind_a_loop(x, n):
    y = x * 1.0
    for i in range(n):
        y = x * x * (i + 1.0)
        if i % 2:
            y.sum().backward()
    y.sum().backward()


def through_other_loops(x, n):
    h = x.detach() + 1
    for i in range(n):
        y = h.detach() * x
        y.sum().backward()
        h = tj.tanh(h + y)
        if i % 3 == 2:
            h.sum().backward()
            h = h.detach()


def one_of_what_was_made(x, n):
    y = x * x
    z = y * 2
    y.sum().backward()
    if n == 1:
        z = y.detach() * x
    elif n == 2:
        z = x * 3
    z.sum().backward()


def made_in_the_same_trips(x, n):
    c, loss = x.detach(), (x * x).sum()
    for _ in range(n):
        c = tj.sin(c * x)
        loss = loss + c.sum()
    c.sum().backward()
    loss.backward()


def made_beside_each_other_in_trips(x, n):
    h, c, loss = x * 1.0, x.detach(), (x * 2).sum()
    for _ in range(n):
        h = tj.tanh(h * x)
        loss = loss + c[0].detach() * x[1]
        c = tj.sin(c * x) + h * 0.1
    c.sum().backward()
    loss.backward()


def made_in_the_trip_before(x, n):
    y = x.detach()
    loss = (x * y).sum()
    for i in range(n + 1):
        loss.backward()
        loss = loss.detach() + y[i] * x[1]


def constant_on_one_path(x, n):
    y = x.detach() if n > 1 else x * 2
    z = (y * 3).sum()
    (z + x.sum()).backward()
    (z + (x * x).sum()).backward()


def by_what_is_between(x, n):
    y = x * x
    z = y * n
    tj.autograd.grad(z.sum(), y)
    y.sum().backward()
    if n == 1:
        z.sum().backward()


def items_of_a_list(x, n):
    ys = []
    for i in range(3):
        y = (x * x * i).sum()
        if n == 2:
            y.backward()
        ys.append(y)
    for y in ys:
        y.backward()


def losses(x, n):
    found = []
    for i in range(n):
        found.append((x * x * i).sum())
    return found


def an_item_again(x, n):
    ys = losses(x, n)
    ys[1].backward()
    ys[-1].backward()


def an_item_in_each_trip(x, n):
    ys = losses(x, 3)
    for i in range(n):
        ys[i % 2].backward()


def all_items_again(x, n):
    ys = losses(x, n)
    for y in ys:
        y.backward(retain_graph=n == 1)
    for y in ys:
        y.backward()


def items_and_neighbours(x, n):
    ys = losses(x, 4)
    for i in range(n):
        (ys[2 * i % 4] * ys[i + 1]).backward()


def an_item_on_one_path(x, n):
    ys = losses(x, 4)
    if n > 1:
        ys[n].backward()
    ys[2].backward()


def items_of_a_turned_list(x, n):
    ys = [y * 2 for y in losses(x, n)]
    ys.reverse()
    for i in range(n):
        if i % 2:
            ys[i].backward()
        else:
            (ys[i] * 3).backward()


def items_of_two_loops(x, n):
    ys, others = [], []
    for i in range(n):
        h = tj.tanh(x * i)
        ys.append(h.sum())
        for j in range(n):
            ys.append(tj.tanh(x * j).sum())
            others.append(h * j)
    for y in ys:
        y.backward()


def by_what_each_trip_begins_with(x, n):
    p = x * 1.0
    for _ in range(n):
        (g,) = tj.autograd.grad(((p - 1.0) ** 2).sum(), [p])
        p = p - 0.1 * g
    (p * p).sum().backward()


def arrays_of_a_list(x, n):
    items = []
    for i in range(n):
        items.append((x * i) ** 2)
    total = items[0].sum()
    for y in [y * y for y in items]:
        total = total + y.sum()
    total.backward(retain_graph=True)
    items[1].sum().backward()


def items_of_straight_code(x, n):
    ys = [(x * x).sum()]
    if n > 0:
        ys.append((x * x * x).sum())
    ys.append((x * n).sum())
    for y in ys:
        y.backward()


def items_that_all_share(x, n):
    h = x * x
    ys = [(h * x).sum()]
    if n > 0:
        ys.append((h * h).sum())
    for y in ys:
        y.backward()


def needed_on_one_path(x, n):
    h = x * 1.0
    y = (h * h).sum() if n > 2 else h.sum()
    h += 1
    y.backward()


def needed_on_the_other_path(x, n):
    h, y = x * 1.0, x.sum()
    if n > 2:
        y = y * 2
    else:
        y = y + (h * h).sum()
    with tj.no_grad():
        h += 1
    y.backward()


def needed_in_trips(x, n):
    h, y = x * 1.0, x.sum()
    for _ in range(n):
        y = y + (h * h).sum()
    h += 1
    y.backward()


def needed_in_trips_of_a_while(x, n):
    h, y, k = x * 1.0, x.sum(), 0
    while k < n:
        y, k = y + (h * h).sum(), k + 1
    h += 1
    y.backward()


CASES = [
    *((f, (n,)) for f in (needed_on_one_path, needed_on_the_other_path, needed_in_trips) for n in (0, 3)),
    *((needed_in_trips_of_a_while, (n,)) for n in (0, 3)),
    *((f, (n,)) for f in (items_of_straight_code, items_that_all_share) for n in (0, 1)),
    (arrays_of_a_list, (3,)),
    (by_what_each_trip_begins_with, (3,)),
    *((f, (n,)) for f in (behind_a_loop, one_of_what_was_made) for n in (0, 1, 2, 3)),
    (made_in_the_same_trips, (2,)),
    *((made_beside_each_other_in_trips, (n,)) for n in (0, 1, 3)),
    *((f, (n,)) for f in (made_in_the_trip_before, constant_on_one_path, by_what_is_between) for n in (1, 2)),
    *((through_other_loops, (n,)) for n in (2, 4)),
    *((items_of_a_list, (n,)) for n in (1, 2)),
    *((f, (n,)) for f in (an_item_again, an_item_on_one_path) for n in (2, 3)),
    *((f, (n,)) for f in (an_item_in_each_trip, items_and_neighbours) for n in (1, 2, 3)),
    *((f, (2,)) for f in (all_items_again, items_of_a_turned_list, items_of_two_loops)),
    *((f, ()) for f in (twice, twice_retained, three_times_retained_once, shared, shared_retained, computed_again)),
    *((f, (c,)) for f in (on_one_path, on_either_path) for c in (1, -1)),
    *((f, (n,)) for f in (in_a_loop, one_for_each_trip, inner_loop, two_for_each_trip) for n in (0, 1, 2)),
    (state_cut_in_each_trip, (2,)),
    *((f, ()) for f in (changed, result_changed, element_changed, leaf_changed)),
    *((f, ()) for f in (changed_but_not_needed, leaf_changed_but_not_needed, other_part_changed)),
    *((f, ()) for f in (in_place_with_its_own_value, bound_anew, changed_behind)),
    (elements_one_after_the_other, (2,)),
    *((f, ()) for f in (gradient_in_a_loss, gradient_of_a_gradient)),
    *((steps, (n,)) for n in (0, 3)),
]


@pytest.mark.parametrize(("fn", "arguments"), CASES, ids=[f"{f.__name__}{a}" for f, a in CASES])
def test_a_script_does_what_eager_code_does(fn, arguments) -> None:
    scripted = script(fn)
    expected = gradient(fn, *arguments)
    for _ in range(2):
        found = gradient(scripted, *arguments)
        assert found == (expected if isinstance(expected, str | None) else pytest.approx(expected, rel=1e-6))


def test_the_error_is_at_the_line_of_the_second_backward() -> None:
    with pytest.raises(RuntimeError, match=FREED) as caught:
        script(twice)(tj.tensor([1.0], requires_grad=True))
    assert caught.traceback[-1].lineno == twice.__code__.co_firstlineno + 2


def changed_on_one_path(x, c):
    y = x * 2
    z = y * y
    if c > 0:
        y += 1
    z.sum().backward()


def changed_in_a_loop(x, n):
    y = x * 2
    z = y * y
    for i in range(n):
        y[i] = 0.0
    z.sum().backward()


def a_leaf_changed_between_trips(x, n):
    h = x.detach() * 1
    for i in range(3 * n):
        h = tj.tanh(h * x + 0.1)
        if i % 3 == 2:
            h.sum().backward()
            h = h.detach()
        with tj.no_grad():
            x -= 0.1


def a_turned_array_changed_in_a_loop(x, n):
    y = tj.outer(x, x)
    z = (y.T * y.T).sum()
    for _ in range(n):
        y *= 0.5
    z.backward()


def needed_in_trips_of_an_inner_loop(x, n):
    h, y = x * 1.0, x.sum()
    for i in range(n):
        for _ in range(i):
            y = y + (h * h).sum()
    h += 1
    y.backward()


BY_PATH = [
    changed_on_one_path,
    changed_in_a_loop,
    a_leaf_changed_between_trips,
    a_turned_array_changed_in_a_loop,
    needed_in_trips_of_an_inner_loop,
]


@pytest.mark.parametrize("fn", BY_PATH)
def test_a_write_that_depends_on_the_path_is_an_error_on_that_path(fn) -> None:
    scripted = script(fn)
    for n in (0, 1, 3):
        expected = gradient(fn, n)
        assert gradient(scripted, n) == (
            expected if isinstance(expected, str | None) else pytest.approx(expected, rel=1e-6)
        )


def caught_twice(x):
    loss = (x * x).sum()
    loss.backward()
    try:
        loss.backward()
    except RuntimeError:
        return 1
    return 0


def caught_in_trips(x, n):
    loss, seen = (x * x).sum(), 0
    for _ in range(n):
        try:
            loss.backward()
            seen += 1
        except RuntimeError:
            seen += 10
            (x * x * x).sum().backward()
    return seen


def caught_change(x, n):
    y = x * 2
    z = y * y
    if n > 1:
        (x * 3).sum().backward()
    y[0] = 1.0
    try:
        z.sum().backward()
    except (RuntimeError, ValueError):
        (x * n).sum().backward()
    else:
        y *= 2
    finally:
        if x.grad is not None:
            x.grad *= 2
    return 1


def caught_part(x, n):
    y = x * 2
    z = y[1:] * y[1:]
    try:
        y[n] = 1.0
        z.sum().backward()
    except Exception:
        (x * 5).sum().backward()
        return -1
    return n


def caught_without_history(x, n):
    try:
        (x.detach() * n).sum().backward()
    except RuntimeError:
        (x * n).sum().backward()


CAUGHT = [
    (caught_twice, ()),
    *((caught_in_trips, (n,)) for n in (0, 1, 4)),
    *((f, (n,)) for f in (caught_change, caught_part) for n in (0, 2)),
    (caught_without_history, (2,)),
]


@pytest.mark.parametrize(("fn", "arguments"), CAUGHT, ids=[f"{f.__name__}{a}" for f, a in CAUGHT])
def test_errors_of_backward_are_caught(fn, arguments) -> None:
    scripted, found = script(fn), []
    for each in (fn, scripted, scripted):
        x = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
        found.append((each(x, *arguments), None if x.grad is None else x.grad.tolist()))
    assert found[0] == found[1] == found[2]


def test_what_ran_before_a_second_backward_is_kept() -> None:
    for fn in (twice, script(twice)):
        x = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
        with pytest.raises(RuntimeError, match=FREED):
            fn(x)
        assert x.grad.tolist() == [2.0, 4.0, 6.0]
