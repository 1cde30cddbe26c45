"""Errors that leave functions which call themselves are caught, by class, with what was done before kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

# The programs are written as users write them.
# ruff: noqa: TRY300, TRY301, B904, RET505


def walk(n, log):
    log.append(n)
    if n == 2:
        raise KeyError("two")
    if n == 7:
        raise ValueError("seven", n)
    if n > 9:
        return 1 // (n - n)
    return n + walk(n - 1, log) if n > 0 else 0


def by_class(n):
    log = []
    try:
        r = walk(n, log)
    except KeyError:
        r = -1
    except ValueError:
        r = -2
    except ZeroDivisionError:
        r = -3
    return r, log


def one_class(n):
    log = []
    try:
        r = walk(n, log)
    except KeyError as e:
        print(e, e.args)
        r = -1
    return r, log


def everything_and_finally(n):
    log = []
    try:
        r = walk(n, log)
    except Exception:
        r = -1
    else:
        r += 5
    finally:
        log.append(-1)
    return r, log


def within(n):
    try:
        try:
            r = walk(n, [])
        finally:
            print("left")
    except KeyError:
        r = 9
    return r


def never_returns(n):
    if n == 0:
        raise ValueError("end")
    never_returns(n - 1)


def in_a_loop(n):
    for i in range(n):
        try:
            never_returns(i)
        except ValueError as e:
            print(i, e)
    return n


def even(n):
    if n < 0:
        raise ValueError("odd")
    return True if n == 0 else odd(n - 1)


def odd(n):
    if n < 0:
        raise KeyError("even")
    return even(n - 1)


def through_each_other(n):
    try:
        return even(n)
    except LookupError:
        return False
    except ValueError:
        return None


@pytest.mark.parametrize(
    ("program", "values"),
    [
        (by_class, (1, 3, 8, 12)),
        (one_class, (1, 3, 8)),
        (everything_and_finally, (1, 3, 12)),
        (within, (1, 3)),
        (in_a_loop, (3,)),
        (through_each_other, (4, 5)),
    ],
)
def test_errors_by_class(program: Any, values: tuple[int, ...]):
    for n in values:
        check(program, n)


def filled(x, n):
    x[n] = n
    if n < 0:
        raise RuntimeError(f"{n} is negative")
    if n > 0:
        filled(x, n - 1)
    return x


def test_what_was_written_stays_written():
    def program(x, n):
        try:
            filled(x, n)
        except RuntimeError as e:
            return str(e)
        except IndexError:
            return "outside"
        return "done"

    for n in (2, 4, -1):
        check(program, np.zeros(4), n)


def parsed(items, i, depth):
    if depth > 3:
        raise ValueError("too deep")
    try:
        if items[i] == 0:
            return i
        return parsed(items, i + 1, depth + 1)
    except IndexError:
        return -i


def test_a_function_that_catches_its_own():
    def program(items):
        try:
            return parsed(items, 0, 0)
        except ValueError:
            return -100

    for items in ([1, 1], [1, 0], [1] * 6):
        check(program, items)


def power(x, n):
    if n == 3:
        raise ValueError("three")
    return x * x if n == 0 else x * power(x, n - 1)


def test_the_derivative_is_that_of_the_path_taken():
    def program(x, n):
        try:
            y = power(x, n)
        except ValueError:
            y = x * 3
        return y.sum()

    x = np.array([1.0, 2.0])
    assert tj.grad(program)(x, 2).tolist() == [4.0, 32.0]
    assert tj.grad(program)(x, 5).tolist() == [3.0, 3.0]
