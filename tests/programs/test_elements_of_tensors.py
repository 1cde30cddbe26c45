"""An element of a Tensor is a view of rank 0: it sees what is written to the Tensor, and writes it."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tracejit.errors import ScriptError
from tracejit.scripted import script


def X():
    return tj.tensor(np.arange(1.0, 6.0))


def test_an_element_sees_later_writes() -> None:
    def seen(x, y):
        first, pair, items = x[0], (x[1], x[2]), [x[3], x[4]]
        held = {"last": x[4]}
        shown, flat = first[...], x[0].reshape(1)

        def inner(v):
            x[0] = x[0] + 50.0
            return v * 1.0

        if y[0] > 0:
            x[0] = 9.0
        called = inner(x[0])
        for i in range(1, len(x)):
            x[i] = x[i] * pair[0]
        left = x[1] + x.add_(1.0)[2]
        return tj.stack([first, *pair, *items, held["last"], shown, flat[0], called, left, max(x[1], x[2])])

    check(seen, X(), X())


def test_what_swaps_elements_of_tensors_loses_one() -> None:
    def swapped(x, y):
        x[0], x[1] = x[1], x[0]
        a, b = y[0], y[1]
        y[0] = b
        y[1] = a
        for i in range(2, 4):
            a, b = x[i], x[i + 1]
            x[i] = b * 2.0
            x[i + 1] = a * 3.0
        return x, y

    check(swapped, X(), X())


def test_an_element_is_changed_in_place() -> None:
    def changed(x, y, z):
        v, w = x[0], x[1]
        v += 1.0
        w.fill_(7.0)
        u = x[2]
        u[...] = u * 2.0
        x[3].mul_(v)
        for i in range(3):
            v += y[i]

        def add(v):
            v -= 1.0

        add(y[0])
        for i, v in enumerate(z):
            v *= i
        rows = [z[1], z[2]]
        rows[0] += 5.0
        for row in x.reshape(1, 5):
            for v in row:
                v += 0.5
        return x, y, z

    check(changed, X(), X(), X())


def test_copies_and_results_are_no_elements() -> None:
    def copies(x, n):
        own = tj.stack([x[0].clone(), +x[1], x[0] * 1.0, abs(x[1]), x[2].sum(), tj.tensor(x[3])])
        number, previous, best, total = x[0].item(), x[0], x[0], x[0] * 0.0
        for i in range(1, n):
            x[i] = x[i] + previous
            previous = x[i]
            total += x[i]
        for v in x:
            best = v if v > best else best
        return own, number, previous * 1.0, best * 1.0, total

    check(copies, X(), 5)


def test_elements_of_arrays_are_numbers_beside_tensors() -> None:
    def arrays(x, a):
        own = np.zeros(3)
        v, w = a[0], own[0]
        a[0] = own[0] = 9.0
        v += 1.0
        return x * v + w

    check(arrays, X(), np.arange(3.0))


def _of_two(x):
    v = x[0] if x[2] > 0 else x[1]
    x[0] = 9.0
    return v * 1.0


def _one_of_two_changed(x):
    v = x[0] if x[2] > 0 else x[1]
    v += 1.0
    return x


def _view_of_one_of_two(x):
    v = x[0] if x[2] > 0 else x[1]
    v.reshape(1)[0] = 9.0
    return x


def _view_of_what_changes(x):
    v = (x[0] if x[2] > 0 else x[1]).view(1)
    x += 1.0
    return v * 2.0


def _best(x):
    best = x[0]
    for i in range(len(x)):
        if x[i] > best:
            best = x[i]
        x[i] = 0.0
    return best * 1.0


def _in_a_list(x):
    found = []
    for v in x:
        if v > 2.0:
            found.append(v)
    x += 1.0
    return found[0]


def _of_two_names(x):
    s = x.sum()
    t = s
    s += 1.0
    return t


def _total_in_a_list(x):
    s, sums = x[0] * 1.0, []
    for v in x:
        s += v
        sums.append(s)
    return sums[0]


def _to_itself(x):
    def f(v, n):
        if n == 0:
            return v * 1.0
        x[0] = x[0] + 1.0
        return f(v, n - 1)

    return f(x[0], len(x))


def _rank_0_on_one_path(x):
    t = tj.zeros((), dtype=x.dtype)
    u = t if x.sum() > 0 else x.sum()
    t += 1.0
    return u


def _rank_0_in_later_trips(x):
    t = tj.zeros((), dtype=x.dtype)
    u = t
    for i in range(len(x)):
        if i > 9:
            u = x.sum()
        t += 1.0
    return u


def _name_of_an_item(x):
    s, sums = x.sum(), []
    for v in x:
        sums.append(v * 1.0)
    sums.append(s)
    sums[0] += 1.0
    return s


def _item_of_a_repeated_one(x):
    sums = [x.sum()] * len(x)
    sums[0] += 1.0
    return sum(sums)


def _item_of_another_list(x):
    sums = [v * 1.0 for v in x]
    others = list(sums)
    others[0] += 1.0
    return sum(sums)


def _item_of_two_lists(x):
    s, first, second = x.sum(), [], []
    for v in x:
        first.append(v * 1.0)
        second.append(v * 2.0)
    first.append(s)
    second.append(s)
    first[-1] += 1.0
    return second[-1]


def _one_of_two_items_in_another_list(x):
    first = [v * 1.0 for v in x]
    best = first[0]
    if x[0] > 0:
        best = first[1]
    second = [v * 2.0 for v in x]
    second.append(best)
    first[1] += 1.0
    return second[-1]


def _item_of_a_copied_dict(x):
    sums = {}
    for i in range(len(x)):
        sums[i] = x[i] * 2.0
    others = dict(sums)
    sums[0] += 1.0
    return others[0]


def _item_that_is_an_element(x):
    items = []
    for i in range(len(x)):
        items.append(x[i])
    items[0] += 1.0
    return x.sum()


def _rank_0_in_a_list(x):
    t = tj.zeros((), dtype=x.dtype)
    items = [t]
    for v in x:
        items.append(v * 1.0)
    items[0] += 1.0
    return t


@pytest.mark.parametrize(
    ("fn", "reason"),
    [
        (_rank_0_on_one_path, "an element of a tensor that changed since"),
        (_rank_0_in_later_trips, "an element of a tensor that changed since"),
        (_name_of_an_item, "an element of a tensor that changed since"),
        (_item_of_a_repeated_one, "a 0-d tensor of a list in place"),
        (_item_of_another_list, "a 0-d tensor of a list in place"),
        (_item_of_two_lists, "a 0-d tensor of a list in place"),
        (_one_of_two_items_in_another_list, "a 0-d tensor of a list in place"),
        (_item_of_a_copied_dict, "a 0-d tensor of a list in place"),
        (_item_that_is_an_element, "a 0-d tensor of a list in place"),
        (_rank_0_in_a_list, "a 0-d tensor of a list in place"),
        (_of_two, "an element of a tensor that changed since"),
        (_one_of_two_changed, "changes an element of a tensor or list in place"),
        (_view_of_one_of_two, "on one path only, the same memory as another name's"),
        (_view_of_what_changes, "on one path only, the same memory as another name's"),
        (_best, "an element of a tensor that changed since"),
        (_in_a_list, "of which a list holds elements"),
        (_of_two_names, "a 0-d tensor in place that another name stands for"),
        (_total_in_a_list, "changes an element of a tensor or list in place"),
        (_to_itself, "an element of a tensor that changed since"),
    ],
)
def test_what_depends_on_the_path_is_refused(fn, reason) -> None:
    with pytest.raises(ScriptError, match=reason):
        script(fn)(X())
