"""`contextlib.suppress` against plain Python."""

from __future__ import annotations

import contextlib
from contextlib import suppress

import numpy as np
import pytest

from tests.programs.cases import A, Cases, Program, run
from tracejit import ScriptError, script

case = Cases()


class Noted:
    def __init__(self, log):
        self.log = log

    def __enter__(self):
        self.log.append(1)

    def __exit__(self, kind, error, trace):
        self.log.append(2 if kind is None else 3)


@case((A(4), 7), (A(4), 2))
def the_rest_of_the_body_is_left(x, i):
    with contextlib.suppress(IndexError):
        x[i] = 100.0
        x[0] = 5.0
    return x.sum()


@case((3,), (0,), (2,))
def loops_are_left_and_go_on(n):
    t = 0
    for k in range(4):
        with suppress(ZeroDivisionError, ValueError):
            t += 10 // (k - n)
            t += 100
            if k == n + 1:
                continue
            if k == 3:
                break
        t += 1000
    return t


@case((A(4), 7), (A(4), 2))
def none_is_returned_where_the_return_failed(x, i):
    with suppress(LookupError):
        return x[i]


@case(({1: 2.0}, 3), ({1: 2.0}, 1))
def names_keep_what_they_were_bound_to(d, i):
    y = 0.0
    with contextlib.nullcontext(5) as k, suppress(KeyError) as e:
        y = 1.0
        y = d[i]
        k = 3
    return y, k, e


@case(({1: 2.0}, 3), ({1: 2.0}, 1))
def other_errors_pass(d, i):
    try:
        with suppress(ValueError):
            y = d[i]
            raise ValueError("x")
    except KeyError:
        y = -1.0
    return y


@case(([], 3), ([], 0))
def managers_around_and_inside_are_left(log, i):
    with Noted(log), suppress(ZeroDivisionError), Noted(log):
        log.append(5 // i)
    log.append(9)
    return log


@case((3,), (0,))
def nothing_is_suppressed_without_classes(i):
    with suppress():
        i = 5 // i
    return i


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_against_plain_python(fn: Program, calls: tuple[tuple[object, ...], ...]) -> None:
    run(fn, calls)


hidden = suppress


def test_under_another_name_is_refused() -> None:
    def other_name(x):
        with hidden(IndexError):
            x[9] = 1.0
        return x

    with pytest.raises(ScriptError, match=r"instead: with suppress"):
        script(other_name)(np.zeros(2))


def test_a_yield_inside_is_refused() -> None:
    def items():
        with suppress(ValueError):
            yield 1

    def loops(x):
        for i in items():
            x[0] = i
        return x

    with pytest.raises(ScriptError, match="where errors are suppressed"):
        script(loops)(np.zeros(2))
