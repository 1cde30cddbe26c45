"""What was written into an argument before an error stays written, also where a later write of the whole would have
replaced it; an error that is known while compiling is raised at its line."""

from __future__ import annotations

import traceback

import numpy as np
import pytest

import tracejit as tj
from tests.programs import random_writes
from tests.programs.cases import A, Cases, T, run

case = Cases()


@case((A(3), 0), (A(3), 2))
def division_between(a, x):
    a[:] = 5
    y = 1 // x
    a[:] = 6
    return y


@case((A(3), A(4)), (A(3), A(3)))
def element_then_array_that_does_not_fit(a, b):
    a[0] = 7
    a[:] = b


@case((A(3), 1), (A(3), 4))
def assertion_between(a, x):
    a[:] = 5
    assert x > 3
    a[:] = 6


@case((A(3), A(4)), (A(3), A(3)))
def augmented_then_array_that_does_not_fit(a, b):
    a += 1
    a[:] = b


@case((A(3),), (A(4),))
def product_that_does_not_fit(a):
    a[:] = 1
    a[:] = a @ np.ones(4)


@case((A(3, 3), np.zeros((3, 3))), (A(3, 3), np.eye(3)))
def singular_matrix(a, x):
    a[:] = 5
    a.fill(3)
    a[...] = np.linalg.inv(x)


@case((A(3), 2), (A(7), 7))
def index_of_a_part(a, n):
    a[:] = 1
    b = a[:n]
    b[5] = 2
    a[:] = 3


@case((T(3),), (T(7),))
def tensor_methods(x):
    x.add_(1)
    x.view(7)
    x.zero_()


@case((A(3), 0), (A(3), 3), (A(3), 9))
def in_a_loop(a, x):
    for i in range(4):
        a[:] = i
        y = 1 // (x + 2 - i)
        a[:] = 10
    return y


@case((A(3), 0), (A(3), 3), (A(3), 9))
def loop_then_write(a, x):
    for i in range(4):
        a[:] = i
        y = 1 // (x + 2 - i)
    a[:] = 10
    return y


@case((A(3), 0), (A(3), 3))
def updates_in_a_loop(a, x):
    for i in range(4):
        a += 1
        y = 1 // (x + 2 - i)
        a *= 2
    return y


@case((A(3), 0), (A(3), 3))
def error_in_a_loop_between(a, x):
    a[:] = 5
    y = 0
    for i in range(4):
        y += 1 // (x + 2 - i)
    a[:] = 6
    return y


@case((A(3), 0), (A(3), 3))
def in_a_branch(a, x):
    if x < 1:
        a[:] = 5
        y = 1 // x
        a[:] = 4
    else:
        y = 2
    a[:] = 6
    return y


@case((A(3), 0), (A(3), 1), (A(3), 3))
def branches_that_both_write(a, x):
    a[:] = 5
    y = 1 // x
    if x > 2:
        a[:] = 6
    else:
        a[:] = 7
    return y


@case((A(3), 0, 1), (A(3), 0, 0), (A(3), 3, 1))
def branch_that_updates_between(a, x, k):
    a[:] = 5
    y = 1 // x
    if k:
        a[0] = 9
    a[:] = 6
    return y


@case((A(3), 0), (A(3), 3))
def raise_in_a_branch(a, x):
    a[:] = 5
    if x < 1:
        raise ValueError("small")
    a[:] = 6


@case((A(3), 0), (A(3), 3))
def array_that_may_be_the_argument(a, x):
    b = a if x < 1 else np.zeros(3)
    b[:] = 5
    y = 1 // x
    b[:] = 6
    return y


@case((A(3), 0), (A(3), 3))
def through_a_view(a, x):
    b = a[::-1]
    b[:] = 5
    y = 1 // x
    a[:] = b + 1
    return y


@case((A(3), 0), (A(3), 3))
def three_writes(a, x):
    a[:] = 5
    y = 1 // x
    a[:] = 6
    a[:] = 7
    return y


def _set(a, value, x):
    a[:] = value
    return 1 // x


@case((A(3), 0), (A(3), 3))
def through_a_function(a, x):
    y = _set(a, 5, 1)
    y += _set(a, 6, x)
    return y + _set(a, 7, 1)


def _nest(a, n, x):
    a[:] = n
    y = 1 // (n + x)
    if n > 0:
        y += _nest(a, n - 1, x)
    a[:] = 10 + n
    return y


@case((A(3), 3, -1), (A(3), 3, 1))
def through_a_function_that_calls_itself(a, n, x):
    return _nest(a, n, x)


@case((np.zeros(2, np.int64),))
def nan_into_integers(a):
    a[1] = 7
    a[0] = float("nan")


@case((np.zeros(2, np.int64),), (np.zeros(2, np.int64),))
def infinity_into_all_integers(a):
    a[1] = 7
    a[:] = float("inf")


@case((np.zeros(2, np.int64), 0), (np.zeros(2, np.int64), 1))
def nan_into_integers_in_a_branch(a, k):
    if k:
        a[1] = 7
        a[0] = float("nan")
    return a.sum()


@case((A(4), 0), (A(4), 2))
def copy_read_behind_the_error(a, x):
    b = a.copy()
    a[0] = 7
    y = 1 // x
    return b * y


@case((A(4), 0), (A(4), 2))
def value_of_before_read_behind_the_error(a, x):
    old = a * 2
    a[:] = 5
    y = 1 // x
    return old.sum() + y


@case((A(4), 2), (A(4), 9), (A(4), 0))
def values_of_before_in_a_loop(a, x):
    old = a[::-1] * 2
    for i in range(3):
        a[i] = old[i]
        y = 1 // (x - i)
        a *= 2
        old = old + a * y
    return old


@case((A(4), A(4)[::-1].copy(), 1), (A(4), A(4)[::-1].copy(), 4))
def two_arguments_of_sizes_that_are_compared(a, b, x):
    c = np.where(a > b, a, b)
    a[...] = c
    b[:] = a - c + 1
    assert x > 3, "small"
    return c.sum() + a.sum()


@case((A(5), 3), (A(5), 1))
def name_that_may_be_the_argument_in_a_loop(a, x):
    b = a if x > 0 else np.zeros(5)
    for i in range(x):
        b[i] = 3
        if i == 1:
            b[4] = 8
            raise ValueError("two")
        a[2] += 1
    return y_of(b)


def y_of(b):
    return b[0] + b[4]


@case((A(5), 3), (A(5), 1))
def arrays_that_change_places(a, x):
    b = np.zeros(5)
    for i in range(x):
        a[i] = 3
        if i == 1:
            b[4] = 8
            a[4] = 6
            raise ValueError("two")
        a, b = b, a
    return a[0]


@case((A(5), A(5), 5), (A(5), A(5), 2))
def arguments_that_change_places(a, b, x):
    for i in range(x):
        a += 1
        y = 1 // (2 - i)
        b *= 2 + y
        a, b = b, a
    return a


@case((A(5), 4), (A(5), 2))
def whole_contents_of_arrays_that_change_places(a, x):
    b = np.zeros(5)
    for i in range(x):
        a[:] = i + 1
        b[:] = a * 2
        if i == 2:
            raise ValueError("three")
        a, b = b, a
    return b


@case((A(5), 0), (A(5), 2), (A(5), 9), (A(5), 10))
def content_made_in_a_loop_that_raises(b, x):
    n = len(b)
    v = np.zeros(n)
    for i in range(n):
        v[i] = i
        if i == x:
            raise ValueError("x")
    b[:] = v
    y = 1 // (x - 10)
    return v + y


@case((A(5), 1), (A(5), 3), (A(5), 7))
def contents_made_by_loops_in_a_loop(b, x):
    n = len(b)
    y = 0
    while x > 0:
        v = np.ones(n)
        for i in range(n):
            v[i] = v[i - 1] + b[i]
            y = 1 // (x - i)
        b[:] = v
        x -= 1
    return y


@case((A(5), 0), (A(5), 1), (A(5), 2))
def content_made_by_a_write(b, x):
    v = np.zeros(5)
    y = 1 // x
    v[0] = y
    b[:] = v
    return 1 // (x - 1)


@case((A(5), 5, 0), (A(5), 0, 0), (A(5), 5, 1))
def whole_in_a_branch_then_whole(a, n, x):
    c = a * 2
    if n > 3:
        a[:] = c[::-1]
    a *= 0.5
    y = 1 // x
    c = a.copy()
    a[1:] = c[:-1]
    return y


@case((A(5), A(5) + 1, 1), (A(5), A(5) + 1, 9))
def another_argument_in_a_loop(a, b, x):
    t = 0
    for _ in range(3):
        a[:] = b
        t += 1
        assert t != x, "stop"
    return t


@case((A(5), A(5) + 1, 5), (A(5), A(5) + 1, 1))
def sizes_known_from_another_array(a, b, x):
    z = np.zeros(5)
    z += a[::-1]
    a *= 0.5
    s = a[x]
    a[1:] = b[:-1]
    return s


@case((A(5), 1), (A(5), 2), (A(5), 4))
def name_for_the_argument_or_another_in_a_loop(b, x):
    t = 0
    z = np.zeros(5)
    p = b
    for _ in range(3):
        b *= 0.5
        z[0] += 1
        t += 1
        assert t != x, "stop"
        if t % 2 == 0:
            p, z = z, p
        else:
            p = b
    return t


@case((A(3),), (A(5),), (A(0),), (A(1),))
def two_names_of_an_array_that_a_loop_changes(a):
    u = a
    for i in range(a.shape[0]):
        u = a[::-1]
        a[i] -= 0.75
    u[3] = 0.5


@case((A(3),), (A(5),), (A(1),))
def a_name_that_becomes_a_view_in_some_trips(a):
    u = a
    for i in range(a.shape[0]):
        if i > 0:
            u = a[::-1]
        a[i] -= 0.75
    u[3] = 0.5


@case((A(3),), (A(10),))
def names_that_change_places_in_a_loop(a):
    u, v = a, a
    for i in range(a.shape[0]):
        t = u
        u = v
        v = t
        u[i] += i
    u[9] = 1.0


@case((A(7), 0), (A(7), 1), (A(7), 9))
def raise_in_the_trip_of_a_write(a, x):
    for t in range(4):
        a += 1
        if t > x:
            raise ValueError("late")


@case((A(7),))
def index_in_the_trip_of_a_write(a):
    for t in range(4):
        a += 1
        a[t + 5] = 0


@case((A(7),))
def index_in_the_trip_of_a_write_in_a_branch(a):
    for t in range(len(a)):
        if t < 9:
            a *= 2
        a[t] = a[t + 1]


@case((A(7),))
def index_in_a_while_of_writes(a):
    t = 0
    while True:
        a[:] = a * 2
        a[t] = a[t + 1]
        t += 1


@case((A(7), 3), (A(7), 2))
def assertion_of_what_no_trip_changes(a, k):
    fine = k < 3
    for _ in range(3):
        a += 1
        assert fine


@case((A(7), 3), (A(7), 0))
def part_that_does_not_fit_in_a_later_trip(a, k):
    for t in range(a.shape[0] // 2 - 1):
        a[:] = a[::-1] * 0.5 + np.abs(a)
        a[k:-1] = a[t:-1] - 0.5


@case((A(7), A(5)), (A(7), A(7)))
def sum_that_does_not_fit(a, b):
    a += 1
    a += b


@case((A(7), A(5)), (A(7), A(7)))
def sums_in_a_loop_that_do_not_fit(a, b):
    for _ in range(2):
        a *= 2
        b += a


@case((A(7), A(5)), (A(7), A(7)))
def product_of_vectors_that_do_not_fit(a, b):
    a[:] = np.sin(a)
    return a @ b


@case((A(3), A(1)), (A(3), A(4)))
def loop_of_one_trip_behind_the_error(a, b):
    a += 1
    b[2] = 4
    for _ in range(1):
        a[:] = 7


@case((A(3), A(1)), (A(3), A(4)))
def loop_over_one_element_behind_the_error(a, b):
    a += 1
    b[2] = 4
    for t in range(len(b)):
        a[:] = b[t]


@case((A(3), A(4), 5), (A(3), A(4), 2))
def loop_of_one_trip_behind_a_loop_that_raises(a, b, k):
    y = 0
    for t in range(k):
        y += int(a[t])
        b[:] = 0
    for _ in range(1):
        b *= 2
    return y


@case((A(3, 3), 0), (A(3, 3), 2), (A(3, 3), 3))
def column_that_was_read_before(a, k):
    v = a[:, 0] * 2
    if k > 2:
        a[:, 1] = a[:, 0]
    if k > 1:
        raise ValueError("too many")
    return a[0], v


@case((A(4), 0), (A(4), 2), (A(4), 3))
def part_that_was_read_before(a, k):
    head = a[:2]
    total = head.sum()
    for i in range(k):
        if i == 1:
            a[2:] = head
            a[:2] += 1
        assert i < 2
    return total


@case((A(3), np.zeros(3), 0.0), (A(3), np.zeros(3), 100.0))
def the_same_content_in_every_trip(a, b, limit):
    for _ in range(3):
        b[:] = a * 2 + 1
        if (b > limit).any():
            break
    else:
        raise ValueError("no end")
    if limit < 1:
        raise ValueError("found at once")


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_is_plain_python(fn, calls):
    run(fn, calls)


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_random_writes(first):
    for seed in range(first, first + 10):
        random_writes.check(seed)


def test_the_error_is_in_the_function_of_the_user():
    with pytest.raises(ValueError, match="cannot convert float NaN to integer") as caught:
        tj.script(nan_into_integers)(np.zeros(2, np.int64))
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (frame.name, frame.line) == ("nan_into_integers", 'a[0] = float("nan")')


@pytest.mark.compiled
def test_a_write_of_the_whole_replaces_the_content_where_nothing_raises_between():
    def twice(a):
        a[:] = 5
        a[:] = 6

    scripted = tj.script(twice)
    scripted(np.zeros(3))
    assert "vwrite" not in scripted.graph
    assert "5.0" not in scripted.graph


def _leaf_at_once(x, y):
    z = y * 2
    x += 1  # here
    return (x * z).sum()


def _leaf_in_a_branch(x, y):
    if y.sum() > 0:
        x[0] = y[0]  # here
    return (x * 2).sum()


def _leaf_in_a_loop(x, y):
    for _ in range(2):
        x.mul_(y)  # here
    return (x * 2).sum()


@pytest.mark.parametrize("fn", [_leaf_at_once, _leaf_in_a_branch, _leaf_in_a_loop])
@pytest.mark.compiled
def test_a_written_leaf_is_an_error_at_the_line_that_writes(fn):
    x = tj.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf tensor that requires gradients cannot be changed") as caught:
        tj.script(fn)(x, tj.tensor([1.0, 2.0]))
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert frame.name == fn.__name__ and frame.line is not None and frame.line.endswith("# here")
    assert x.tolist() == [1.0, 2.0]
