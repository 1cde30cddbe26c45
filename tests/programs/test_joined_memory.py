"""Names that are one array on one path and another elsewhere: which memory results lie in, and what writes reach."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tracejit as tj
from tracejit.scripted import script

V = np.array([1.0, 2.0, 3.0])
W = np.array([5.0, 6.0, 7.0])
M = np.arange(6.0).reshape(2, 3)


def memory(fn, arguments):
    """Values, and what they share memory with: results, arguments, exception."""
    own = copy.deepcopy(arguments)
    arrays = [a for a in own if isinstance(a, np.ndarray)]
    try:
        found = fn(*own)
    except Exception as error:
        return type(error), str(error), own
    results = found if isinstance(found, tuple) else (found,)
    places = [(r is a, np.shares_memory(r, a)) for r in results for a in arrays if r is not None]
    facts = [None if r is None else (r.dtype, r.shape, r.flags.writeable, r.tolist()) for r in results]
    return places, facts, [a.tolist() if isinstance(a, np.ndarray) else a for a in own]


def check(fn, *calls):
    """Plain Python and the script do the same, compiled at the call and on the native path."""
    scripted = script(fn)
    for arguments in (*calls, *calls):
        expected, found = memory(fn, arguments), memory(scripted, arguments)
        assert repr(found) == repr(expected)


def own_or_copy(a, x):
    b = a if x > 0 else a.copy()
    b[0] = 9.0
    return b


def own_or_new(a, x):
    if x > 0:
        return a
    return a + 1


def one_of_two(a, b, x):
    c = a if x > 0 else b
    c += 1
    return c


def rebound(a, n):
    for _ in range(n):
        a = a * 2
    return a


def narrowed(a, n):
    for _ in range(n):
        a = a[1:]
    return a


def narrowed_and_written(a, n):
    x = a
    for i in range(n):
        x = x[1:] if i % 2 else x[:-1]
        x[0] += 10
    return x


def copied_halfway(a, n):
    x = a
    for i in range(n):
        if i == 1:
            x = x.copy()
        x[0] += 10
    return x


def exchanged(a, b, n):
    for _ in range(n):
        a, b = b, a
    a[0] = 99.0
    return a, b


def best(a, n):
    found = a
    for i in range(n):
        candidate = a + i
        if candidate.sum() > 9:
            found = candidate
    return found


def or_none(a, x):
    b = None
    if x > 0:
        b = a
    if b is not None:
        b[0] = 4.0
    return b


def row_or_new(a, x):
    r = a[0] if x > 0 else np.ones(3)
    r[0] = 7.0
    return r


def row_or_argument(a, v, x):
    r = a[0] if x > 0 else v
    v[0] = 11.0
    a[0, 2] = 12.0
    r[1] = 40.0
    return r, r * 1


def row_then_own(a, n):
    x = a[0]
    for _ in range(n):
        x = x + 1
    return x


def row_written_first(a, n):
    x = a[0]
    for _ in range(n):
        x[0] = 5.0
        x = x + 1
    return x


def row_written_after(a, n):
    x = a[0]
    for _ in range(n):
        x = x + 1
    x[0] = 3.0
    return x


def flat_or_new(a, x):
    r = a.ravel() if x > 0 else np.zeros(6)
    r[1] = 2.5
    return r


def turned_or_copy(a, x):
    r = a.T if x > 0 else a.T.copy()
    r[0, 0] = 3.0
    return r


def stretched_or_new(a, x):
    r = np.broadcast_to(a, (2, 3)) if x > 0 else np.zeros((2, 3))
    if x < 2:
        r[0, 0] = 5.0
    return r


def stretched_later(a, n):
    w = np.zeros((2, 3))
    for i in range(n):
        w[0, 0] += 1
        if i == 1:
            w = np.broadcast_to(a, (2, 3))
    return w


def new_read_only(a):
    return np.broadcast_to(a + 1, (2, 3))


@pytest.mark.parametrize("fn", [own_or_copy, own_or_new, or_none, stretched_or_new])
def test_an_argument_or_an_array_of_its_own(fn) -> None:
    check(fn, (V, 1), (V, -1), (V, 2))


@pytest.mark.parametrize("fn", [row_or_new, flat_or_new, turned_or_copy])
def test_a_view_or_an_array_of_its_own(fn) -> None:
    check(fn, (M, 1), (M, -1))


@pytest.mark.parametrize("fn", [row_then_own, row_written_first, row_written_after])
def test_a_row_that_a_loop_may_rebind(fn) -> None:
    check(fn, *((M, n) for n in range(3)))
    check(fn, *((np.asfortranarray(M), n) for n in range(3)))


@pytest.mark.parametrize("fn", [rebound, narrowed, copied_halfway, best, stretched_later])
def test_an_argument_that_a_loop_may_rebind(fn) -> None:
    check(fn, *((V, n) for n in range(3)))


def test_views_of_one_argument_that_a_loop_narrows() -> None:
    check(narrowed_and_written, *((np.arange(8.0), n) for n in range(4)))


def test_one_of_two_arguments() -> None:
    check(one_of_two, (V, W, 1), (V, W, -1))
    check(exchanged, *((V, W, n) for n in range(3)))
    check(row_or_argument, (M, V, 1), (M, V, -1))


def test_a_new_array_that_may_not_be_written() -> None:
    check(new_read_only, (V,))


def test_a_read_only_argument_is_not_written_on_the_path_that_has_it() -> None:
    scripted = script(own_or_copy)
    fixed = V.copy()
    fixed.flags.writeable = False
    for _ in range(2):
        with pytest.raises(ValueError, match="read-only"):
            scripted(fixed, 1)
        assert scripted(fixed, -1)[0] == 9.0
    assert fixed[0] == 1.0


def test_a_read_only_view_stays_one_in_a_function_that_calls_itself() -> None:
    def fill(a, n):
        if n == 0:
            a[0] = 1.0
            return 0
        return fill(a, n - 1)

    def start(a, x):
        r = np.broadcast_to(a, (2, 3)) if x > 0 else np.zeros((2, 3))
        return fill(r, 2)

    scripted = script(start)
    assert scripted(V, -1) == 0
    with pytest.raises(ValueError, match="read-only"):
        scripted(V, 1)


@pytest.mark.compiled
def test_arrays_of_two_dtypes_under_one_name_are_not_written() -> None:
    def written(a, n):
        x = a
        for _ in range(n):
            x[0] = 5
            x = x * 1.5
        return x

    def joined(a, b, x):
        c = a if x > 0 else b
        c[0] = 7
        return c

    whole = np.array([1, 2, 3])
    for wrong, arguments in ((written, (whole, 1)), (joined, (whole, V, 1))):
        with pytest.raises(tj.ScriptError, match="one dtype on one path"):
            script(wrong)(*arguments)
    assert whole.tolist() == [1, 2, 3]


def test_a_returned_tensor_is_the_argument_with_its_history() -> None:
    scripted = script(own_or_new)
    x = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for side, slope in ((1, [2.0, 4.0, 6.0]), (-1, [4.0, 6.0, 8.0])) * 2:
        x.grad = None
        y = scripted(x, side)
        assert (y is x) is (side > 0)
        (y * y).sum().backward()
        assert x.grad is not None and x.grad.tolist() == slope


def test_a_returned_view_of_a_tensor_has_its_history() -> None:
    def part(x, s):
        return x[1:] if s > 0 else x[:2] * 2

    def parts(x):
        return x[1:], x * 2

    x = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    scripted = script(part)
    for side, slope in ((1, [0.0, 4.0, 6.0]), (-1, [8.0, 16.0, 0.0])) * 2:
        x.grad = None
        y = scripted(x, side)
        (y * y).sum().backward()
        assert x.grad is not None and x.grad.tolist() == slope
    for _ in range(2):
        x.grad = None
        first, second = script(parts)(x)
        (first.sum() + second.sum()).backward()
        assert x.grad is not None and x.grad.tolist() == [2.0, 3.0, 3.0]
        with tj.no_grad():
            assert not script(parts)(x)[0].requires_grad
