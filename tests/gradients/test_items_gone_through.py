"""Inside a script as in eager code: which items of lists a `backward()` has gone through, where data decides it."""

from __future__ import annotations

from collections import deque

import pytest

import tracejit as tj
from tests.gradients.test_tape_misuse import gradient, losses
from tracejit.scripted import script


def one_of_what_was_summed(x, n):
    ys = losses(x, n)
    sum(ys).backward()
    ys[0].backward()


def one_of_two_items(x, n):
    ys = losses(x, 2)
    y = ys[0] if n > 2 else ys[1]
    y.backward()
    ys[0].backward()


def items_made_of_each_other(x, n):
    h, ys = x * 1.0, []
    for _ in range(n):
        h = tj.tanh(h * x)
        ys.append(h.sum())
    ys[0].backward()
    ys[1].backward()


def items_made_of_each_other_in_inner_loops(x, n):
    h, ys = x * 1.0, []
    for _ in range(n):
        for _ in range(n):
            h = tj.tanh(h * x)
        ys.append(h.sum())
    for y in ys:
        y.backward()


def items_made_of_what_an_outer_trip_made(x, n):
    ys = []
    for i in range(n):
        h = tj.tanh(x * i)
        for j in range(n):
            ys.append((h * j).sum())
    for y in ys:
        y.backward()


def items_of_one_item(x, n):
    ys = losses(x, n)
    zs = [ys[0] * i for i in range(n)]
    for z in zs:
        z.backward()


def an_item_of_another_list(x, n):
    ys = losses(x, n)
    zs = [y * 2 for y in ys]
    zs[0].backward()
    ys[1].backward()


def items_of_two_lists(x, n):
    ys, zs = [], []
    for i in range(n):
        ys.append((x * x * i).sum())
        zs.append(ys[-1] if n > 5 else (x * i).sum())
    ys[1].backward()
    zs[1].backward()


def one_item_in_two_lists(x, n):
    ys, zs = [], []
    for i in range(n):
        y = (x * x * i).sum()
        ys.append(y)
        zs.append(y)
    ys[1].backward()
    zs[1].backward()


def items_twice_in_a_list(x, n):
    ys = losses(x, n)
    zs = ys + ys
    zs[1].backward()
    zs[n + 1].backward()


def items_of_one_item_on_one_path(x, n):
    ys, zs = losses(x, n), []
    for i in range(n):
        z = ys[1] * i if n > 1 else (x * i).sum()
        zs.append(z)
    zs[0].backward()
    zs[1].backward()


def an_item_that_may_be_another(x, n):
    a, b = (x * x).sum(), (x * 2).sum()
    ys = [a]
    if n > 1:
        ys.append(b)
    a.backward()
    ys[1].backward()


def of_an_item_in_each_trip(x, n):
    ys = [(x * x).sum()]
    for i in range(n):
        ys[i % len(ys)].backward()
        ys.append((x * i).sum())


def of_an_item_that_is_put_back(x, n):
    ys = [(x * x).sum()]
    for _ in range(n):
        y = ys.pop()
        y.backward()
        ys.append(y)


def items_that_were_just_added(x, n):
    ys = []
    for i in range(n):
        ys.append((x * x * i).sum())
        ys[i].backward()
        ys.append((x * i).sum())
        ys[-1].backward()


def arrays_that_were_just_added(x, n):
    ys = []
    k = 0
    while k < n:
        ys.append(tj.tanh(x * k))
        if k % 2 == 0:
            ys[k].sum().backward()
        k += 1


def items_that_were_just_replaced(x, n):
    ys = [x * 1.0, x * 2.0]
    for i in range(n):
        ys[i % 2] = tj.tanh(x * i)
        ys[i % 2].sum().backward()


def items_before(x, n):
    ys = []
    for i in range(n):
        ys.append((x * x).sum() * i)
        if i >= 1:
            ys[i - 1].backward()
        if i >= 2:
            ys[-3].backward(retain_graph=True)


def items_of_two_trips(x, n):
    ys = []
    for i in range(n):
        ys.append((x * x * i).sum())
        if len(ys) % 2 == 0:
            (ys[-1] + ys[-2]).backward()


def items_of_a_deque(x, n):
    ys = deque(maxlen=3)
    for i in range(n):
        ys.append(((x * x).sum() - i) ** 2)
        if i >= 1:
            ys[-1].backward()


def parts_of_tuples(x, n):
    pairs = []
    for i in range(n):
        pairs.append(((x * i).sum(), (x * x).sum()))
        a, b = pairs[-1]
        (a * b).backward()


def the_best_item_and_then_all(x, n):
    ys = [(x * x).sum()]
    best = 0
    for i in range(n):
        ys.append(((x * 3).sum() - i * 7.0) ** 2)
        if ys[-1].item() < ys[best].item():
            best = len(ys) - 1
    ys[best].backward()
    for i in range(len(ys)):
        if i != best or n > 3:
            ys[i].backward()


def items_that_one_op_made_and_others_read(x, n):
    h, ys = x * 1.0, [(x * 2).sum()]
    for i in range(n):
        k = h * h + h
        h = k * 0.5 + k.sum()
        ys.append((k * i).sum())
        ys[i % len(ys)].backward(retain_graph=i % 2 == 0)
    ys[-1].backward()


def items_that_joins_hand_on(x, n):
    h, ys = x * 1.0, []
    for i in range(n):
        if i % 2:
            h = h * x
        else:
            ys.append(h.sum() * i)
        for _ in range(i):
            h = h * 0.5
        ys.append(h.sum())
    ys[n].backward()
    ys[n - 1].backward()


def retained_but_for_the_last(x, n):
    loss = (x * x).sum()
    for i in range(n):
        loss.backward(retain_graph=(i < n - 1))


def retained_but_for_the_last_item(x, n):
    h, ys = x * 1.0, []
    for _ in range(n):
        h = tj.tanh(h * x)
        ys.append(h.sum())
    for i, y in enumerate(ys):
        y.backward(retain_graph=i != len(ys) - 1)


def not_retained_for_the_one_before(x, n):
    loss = (x * x).sum()
    for i in range(n):
        loss.backward(retain_graph=i < n - 2)


def rows_of_items(x, n):
    rows = [[(x * x).sum()] for _ in range(2)]
    for i in range(n):
        rows[i % 2].append((x * i).sum())
    rows[0][0].backward()
    for row in rows:
        row[-1].backward()


def an_item_behind_one_that_was_taken_off(x, n):
    ys = [(x * 2).sum()]
    for i in range(n):
        ys.append((x * i).sum())
        ys.append((x * x).sum())
        ys.pop()
        ys[-1].backward()


def the_first_of_which_more_are_put_before(x, n):
    ys = [(x * x).sum()]
    for i in range(n):
        ys.insert(0, (x * i).sum())
        ys[0].backward()
        if i == 2:
            ys[-1].backward()


def two_places_that_may_be_one(x, n):
    ys = [(x * 2).sum(), (x * 3).sum()]
    k = n % 2
    for i in range(n):
        ys[k] = (x * x).sum() * i
        ys[1] = (x * x * x).sum() * i
        ys[k].backward()


def a_ring_with_places_for_later(x, n):
    ring = [None] * 3
    for i in range(n):
        ring[i % 3] = (x * x).sum() * i
        y = ring[(i + 1) % 3]
        if y is not None:
            y.backward()


def caught_where_an_item_is_gone_through_again(x, n):
    h, ys = x * 1.0, []
    for i in range(n):
        h = tj.tanh(h * x)
        if i % 2 == 0:
            ys.append(h.sum())
        try:
            ys[-1].backward()
        except RuntimeError:
            (x * x).sum().backward()
            h = h.detach()


class Tripled(tj.autograd.Function):
    """A square whose slope is three times the number."""

    @staticmethod
    def forward(ctx, a):
        ctx.save_for_backward(a)
        return a * a

    @staticmethod
    def backward(ctx, g):
        (a,) = ctx.saved_tensors
        return 3 * g * a


def items_of_a_function_of_its_own(x, n):
    ys = []
    for i in range(n):
        ys.append(Tripled.apply(x * i).sum())
        if i > 0:
            ys[i - 1].backward()
        if i == 3:
            ys[i - 2].backward()


def of_a_list_with_more_items_since(x, n):
    ys = losses(x, n)
    y = ys[0]
    ys.append(y)
    y.backward()


def through_an_item_again_with_more_since(x, n):
    ys = losses(x, n)
    first = ys[0]
    ys.append(x.sum())
    (first * 2.0).backward()
    ys.append(x.sum())
    (first * 3.0).backward()


def of_another_item_with_more_since(x, n):
    ys = losses(x, n)
    first, last = ys[0], ys[-1]
    ys.append(x.sum())
    for y in (first, last):
        y.backward()


def in_trips_of_what_was_read_before(x, n):
    ys = losses(x, n)
    first, last = ys[0], ys[-1]
    ys[0] = x.sum()
    for i in range(n):
        if i == 1:
            first.backward()
        elif i == n - 1:
            last.backward()


def of_a_number_in_an_array_that_changed(x, n):
    hs = [x * i for i in range(n)]
    h = x * 1.0
    h[1] = hs[1][1] * 0.5
    hs[1] *= 0.5
    y = (hs[-1] * x).sum() + h.sum()
    y.backward()


def items_behind_trips_and_others(x, n):
    ys, h, c = [], tj.ones(3, dtype=tj.float64), tj.ones(3, dtype=tj.float64)
    for epoch in range(2):
        for _ in range(n):
            h = h * 0.5 + c
        for _ in range(n):
            ys.append((c * x).sum() * epoch)
        for _ in range(n):
            h = tj.tanh(h * x)
        (x * 3.0).sum().backward()
        for y in ys:
            y.backward()
        ys = []


CASES = [
    *(
        (fn, 4)
        for fn in (
            an_item_behind_one_that_was_taken_off,
            the_first_of_which_more_are_put_before,
            two_places_that_may_be_one,
            a_ring_with_places_for_later,
            caught_where_an_item_is_gone_through_again,
            items_of_a_function_of_its_own,
            items_behind_trips_and_others,
        )
    ),
    *(
        (fn, n)
        for fn in (
            one_of_what_was_summed,
            one_of_two_items,
            items_made_of_each_other,
            items_made_of_each_other_in_inner_loops,
            items_made_of_what_an_outer_trip_made,
            items_of_one_item,
            an_item_of_another_list,
            items_of_two_lists,
            one_item_in_two_lists,
            items_twice_in_a_list,
            items_of_one_item_on_one_path,
            an_item_that_may_be_another,
            of_an_item_in_each_trip,
            of_an_item_that_is_put_back,
            items_that_were_just_added,
            arrays_that_were_just_added,
            items_that_were_just_replaced,
            items_before,
            items_of_two_trips,
            items_of_a_deque,
            parts_of_tuples,
            the_best_item_and_then_all,
            items_that_one_op_made_and_others_read,
            items_that_joins_hand_on,
            retained_but_for_the_last,
            retained_but_for_the_last_item,
            not_retained_for_the_one_before,
            rows_of_items,
            of_a_list_with_more_items_since,
            through_an_item_again_with_more_since,
            of_another_item_with_more_since,
            in_trips_of_what_was_read_before,
            of_a_number_in_an_array_that_changed,
        )
        for n in (2, 3, 6)
    ),
]


@pytest.mark.parametrize(("fn", "n"), CASES, ids=[f"{fn.__name__}-{n}" for fn, n in CASES])
def test_a_script_does_what_eager_code_does(fn, n) -> None:
    scripted = script(fn)
    expected = gradient(fn, n)
    for _ in range(2):
        found = gradient(scripted, n)
        assert found == (expected if isinstance(expected, str | None) else pytest.approx(expected, rel=2e-5))
