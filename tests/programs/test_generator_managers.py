"""`with` over generators (`contextlib.contextmanager`), and `try` in generators, against plain Python."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.cases import A, Cases, Program, T, run
from tracejit import ScriptError, script

case = Cases()


@contextlib.contextmanager
def doubled(k):
    m = k * 2
    yield m


@contextlib.contextmanager
def restored(a, i):
    before = a[i]
    try:
        yield before
    finally:
        a[i] = before


@contextlib.contextmanager
def passes_over():
    try:
        yield 1
    except ValueError:
        pass


@contextlib.contextmanager
def converted(x):
    try:
        y = x[0] * 2
        yield y
    except ValueError as e:
        raise RuntimeError("converted: " + str(e)) from None
    else:
        x[1] = 55
    finally:
        x[2] = -9


@contextlib.contextmanager
def one_of_two(flag, out):
    if flag:
        yield 1
        out[0] = 7
        return
    yield 2
    out[0] = 8


@contextlib.contextmanager
def two_names(x):
    yield x, x + 1


@contextlib.contextmanager
def unrecorded():
    with tj.no_grad():
        yield


class Deep:
    def __init__(self):
        self.depth = 0

    @contextlib.contextmanager
    def deeper(self):
        self.depth += 1
        try:
            yield self
        finally:
            self.depth -= 1


@case((A(3),))
def a_value_is_bound(x):
    with doubled(3) as k, doubled(k) as m:
        y = x * m + k
    with two_names(x) as (a, b):
        pass
    manager = doubled(2)
    with manager as q:
        return y * a * b * q


@case((A(3),), (-A(3),))
def what_follows_the_yield_runs_where_the_body_returns(x):
    with restored(x, 1) as v:
        x[1] = 100
        x[0] = v * 10
        if x[2] > 0:
            return x + 0
    return x + 100


@case((A(3),))
def methods_are_managers(x):
    o = Deep()
    with o.deeper() as same:
        d = same.depth
        with o.deeper():
            d += o.depth * 10
    return x * d, o.depth


@case((A(3),), (-A(3),))
def finally_runs_on_errors(x):
    try:
        with restored(x, 1):
            x[1] = 100
            if x[0] > 0:
                raise ValueError("x")
            x[0] = 77
    except ValueError:
        x[2] = 5
    return x


@case((A(3),), (-A(3),))
def errors_are_passed_over(x):
    a = x.copy()
    if x[1] > 0:
        with passes_over():
            if x[0] > 0:
                raise ValueError("x")
            a[0] = 9
    with passes_over() as k:
        a[k] = int(a[0]) // 1
        raise_if(x[2] < 0)
        a[2] = 33
    return a


def raise_if(flag):
    if flag:
        raise ValueError("flag")


@case((A(3),), (-A(3),))
def errors_are_converted(x):
    try:
        with converted(x) as y:
            if y < 0:
                raise ValueError("below 0")
            x[0] = 100
    except RuntimeError as e:
        return x, str(e)
    return x, ""


@case((A(3),), (-A(3),), (A(3) * 60,))
def loops_are_left(x):
    t = 0.0
    for i in range(3):
        with converted(x) as y, doubled(i) as k:
            if i == 1:
                continue
            if x[i] > 50:
                break
            t += y * k
    return t, x


@contextlib.contextmanager
def quotient(x):
    try:
        k = 12 // int(x[0])
    except ZeroDivisionError:
        yield -1
    else:
        yield k


@case((A(3),), (-A(3),), (A(3) * 0,))
def paths_yield_once_each(x):
    with one_of_two(x.sum() > 0, x) as k, quotient(x) as q:
        z = x * k + q
    return z, x


@case((A(3),), (np.array([1.0, 0.0, 3.0]),), (np.array([0.0, -1.0, 2.0]),), (np.array([2.0, 9.0, 0.0]),), (-A(3),))
def generators_with_jumps_in_a_try(x):
    t = 0
    for v in quotients(x):
        t = t * 10 + v
    for v in some_quotients(x):
        t = t * 10 + v
    return t


def quotients(x):
    for i in range(3):
        try:
            if x[i] < 0:
                return
            v = 6 // int(x[i])
        except ZeroDivisionError as e:
            v = 5 if "division" in str(e) else 7
        yield v


def some_quotients(x):
    for i in range(3):
        try:
            if x[i] < 0:
                continue
            if x[i] > 8:
                break
            v = 6 // int(x[i])
        except ZeroDivisionError:
            v = 4
        finally:
            x[i] = 1
        yield v


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_compiled_is_plain_python(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)


def test_gradients_are_off_inside() -> None:
    def f(x):
        with unrecorded():
            y = x * 2
        return (y * x).sum()

    for fn in (f, script(f)):
        x = T(3).requires_grad_()
        fn(x).backward()
        np.testing.assert_array_equal(x.grad, [2, 4, 6])


def test_a_name_of_a_generator_is_shown_as_it_is_written() -> None:
    def late(n: int) -> Iterator[int]:
        if n > 3:
            found = n
        yield found

    def f(n: int) -> int:
        return sum(late(n))

    with pytest.raises(UnboundLocalError, match="variable 'found'"):
        script(f)(2)


@contextlib.contextmanager
def never(n):
    for i in range(n):
        yield i


@contextlib.contextmanager
def goes_on():
    try:
        n = int("1")
        yield n
    except ValueError:
        pass


def in_a_loop(n):
    with never(n) as i:
        return i


def an_error_before_the_yield(n):
    with goes_on() as i:
        n += i
    return n


def left_by_return(n):
    with passes_over():
        if n > 2:
            raise ValueError
        return n
    return -n


def a_try_in_a_loop(n):
    s = 0
    for k in passes_through(n):
        s += k
    return s


def passes_through(n):
    for i in range(n):
        try:
            yield i
        finally:
            n += 1


@contextlib.contextmanager
def misses_after_an_error(n):
    try:
        k = 12 // n
    except ZeroDivisionError:
        pass
    else:
        yield k


@contextlib.contextmanager
def returns_in_a_loop(n):
    for i in range(n):
        if i > 2:
            return
    yield 1


@contextlib.contextmanager
def returns_in_a_with(n):
    with tj.no_grad():
        if n > 2:
            return
    yield 1


def an_error_instead_of_the_yield(n):
    with misses_after_an_error(n - 4) as k:
        n += k
    return n


def a_return_instead_of_the_yield(n):
    with returns_in_a_loop(n) as k:
        n += k
    return n


def a_return_in_a_with(n):
    with returns_in_a_with(n) as k:
        n += k
    return n


@pytest.mark.parametrize(
    "fn",
    [
        in_a_loop,
        an_error_before_the_yield,
        left_by_return,
        a_try_in_a_loop,
        an_error_instead_of_the_yield,
        a_return_instead_of_the_yield,
        a_return_in_a_with,
    ],
)
def test_what_is_not_seen_through_is_refused(fn: Program) -> None:
    with pytest.raises(ScriptError, match="generator|yield"):
        script(fn)(4)
