"""`try` around and inside loops, functions, generators and expressions does what it does in plain Python."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.test_tries import outcome
from tracejit import script


def a_condition_that_fails(x, n):
    i = 0
    try:
        while x[i] < n:
            i += 1
        r = 1
    except IndexError:
        r = 2
    return i, r


def loops_in_loops(x, n):
    i = 0
    s = 0.0
    while i < 6:
        try:
            while True:
                s += x[i]
                i += 1
                if i % 3 == n % 3:
                    break
            s += 100
        except IndexError:
            s = -s
            i += 1
    return s, i


def lambdas(x, n):
    f = lambda k: 10 // k  # noqa: E731
    try:
        return f(n) + f(n - 1)
    except ZeroDivisionError:
        return -1


def a_loop_with_else(x, n):
    for i in range(n):
        try:
            if i == 2:
                raise ValueError
        except ValueError:
            break
    else:
        return -5
    return i


def conditions(x, n):
    try:
        if n > 2 and x[n] > 1 or x[n + 2] > 0:
            return 1
        return 2
    except IndexError:
        return 3


def unpacking(x, n):
    a = b = 0
    try:
        a, b = 1, 10 // n
    except ZeroDivisionError:
        b = 7
    return a, b


def elements_updated(x, n):
    try:
        x[n] += 10
        x[n + 1] *= 2
    except IndexError:
        x[0] = -1


def views_bound_anew(x, n):
    y = x[1:]
    try:
        y[n] = 50
        y = y * 2
        y[n + 1] = 60
    except IndexError:
        y[0] = 7
    return y


def finally_in_a_while(x, n):
    while n > -3:
        try:
            try:
                n -= 1
                v = 6 // n
            finally:
                x[0] += 1
        except ZeroDivisionError:
            x[1] += 1
            continue
        x[2] += v
    return n


def over_an_array(x, n):
    best = x[0]
    try:
        for i, v in enumerate(x):
            if i == n:
                raise StopIteration
            best = max(best, v)
    except StopIteration:
        best = -best
    return best


def sets_and_lists(x, n):
    s = set()
    q = []
    try:
        for i in range(5):
            if i in s:
                raise KeyError(i)
            s.add(i % (n + 1))
            q.append(i)
    except KeyError as e:
        return q, e.args[0]
    return q, -1


def a_generator(x, n):
    def gen(k):
        for i in range(k):
            yield x[i]

    s = 0.0
    try:
        for v in gen(n):
            s += v
    except IndexError:
        s = -s
    return s


def names_of_the_function_around(x, n):
    count = 0

    def bump(k):
        nonlocal count
        count += 1
        if k > 2:
            raise ValueError
        count += 10

    try:
        bump(n)
        bump(n + 1)
    except ValueError:
        count += 100
    return count


def match(x, n):
    try:
        match n:
            case 0:
                return x[9]
            case 1:
                raise KeyError
            case _:
                return x[n]
    except LookupError:
        return -1.0


def an_array_that_is_filled(x, n):
    out = np.zeros(4)
    for i in range(4):
        try:
            out[i] = x[i + n]
        except IndexError:
            pass
    return out


def gradients_inside(x, n):
    try:
        g = tj.grad(lambda v: (v * v * x[n]).sum())(x)
    except IndexError:
        g = x * 0
    return g


def comprehensions(x, n):
    try:
        vals = sorted([x[i] for i in range(n)])
        m = max(vals)
    except (IndexError, ValueError):
        m = -1.0
    return m


def unpacked_slices(x, n):
    try:
        a, b = [1, 2, 3][:n]
    except ValueError:
        a, b = 0, 0
    return a + b


def conversions(x, n):
    try:
        v = int(math.sqrt(n - 2))
        w = 7 % v
    except (ValueError, ZeroDivisionError):
        return 0
    return v + w


def whole_arrays(x, n):
    try:
        y = x.copy()
        y[n] = 100.0
        x[:] = y
    except IndexError:
        x += 1
    return x.sum()


def joined_arrays(x, n):
    try:
        y = np.concatenate([x, np.ones(n)]).reshape(2, 3)
    except ValueError:
        y = np.zeros((2, 3))
    return y.sum()


def tried_again(x, n):
    for attempt in range(3):
        try:
            if attempt < n:
                raise RuntimeError("again")
            return attempt
        except RuntimeError:
            if attempt == 2:
                raise
    return -1


PROGRAMS = [
    a_condition_that_fails,
    loops_in_loops,
    lambdas,
    a_loop_with_else,
    conditions,
    unpacking,
    elements_updated,
    views_bound_anew,
    finally_in_a_while,
    over_an_array,
    sets_and_lists,
    a_generator,
    names_of_the_function_around,
    match,
    an_array_that_is_filled,
    gradients_inside,
    comprehensions,
    unpacked_slices,
    conversions,
    whole_arrays,
    joined_arrays,
    tried_again,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_compiled_is_plain_python(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    compiled = script(program)
    for n in (0, 1, 2, 3, 4, 9):
        assert outcome(compiled, n, capsys) == outcome(program, n, capsys)
