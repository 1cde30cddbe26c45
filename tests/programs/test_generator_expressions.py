"""When generator expressions make their items, and which, against plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from tests.programs.cases import A, Cases, Program, run

case = Cases()


def noted(x, log):
    log.append(x)
    return x


@case((3, []), (0, []))
def any_and_all_stop_where_they_know(n, log):
    return any(noted(x, log) > 0 for x in range(n)), all(noted(x, log) < 1 for x in range(n))


@case(([3, 0, 2],), ([1, 0, 3],), ([],))
def what_comes_behind_is_not_computed(xs):
    return any(6 // x == 2 for x in xs)


@case((A(4), A(3)), (A(3), A(3)), (-A(4), A(3)))
def indices_behind_are_not_read(a, b):
    return all(a[i] == b[i] for i in range(len(a)))


@case((30,), (2,))
def nested_in_comprehensions(n):
    primes = [p for p in range(2, n) if all(p % d for d in range(2, int(p**0.5) + 1))]
    rows = [[1, n], [2]]
    found = any(any(v % k == 0 for v in row) for row in rows for k in (7, n))
    return primes, found, any(n % k == 0 for k in (2, 3, 5)), not any(c.isdigit() for c in "ab")


@case((3, []), (0, []))
def loops_take_items_one_by_one(n, log):
    for y in (noted(x, log) for x in range(n)):
        log.append(100 + y)
        if y == 1:
            break
    else:
        log.append(7)
    return log


@case((5,))
def loops_over_several_sequences(n):
    total = 0.0
    for i, s in ((k, k % 3) for k in range(n) if k % 2):
        total += i * s
    for v in (f(n) for f in (lambda q: q + 1, lambda q: q * 2)):
        total += v
    for part in (np.arange(3.0)[k:] for k in range(3)):
        total += part.sum()
    return total


@case(([3, 0, 2], []), ([3, 1], []))
def an_error_comes_where_its_item_is_taken(xs, log):
    try:
        for y in (6 // x for x in xs):
            log.append(y)
    except ZeroDivisionError:
        log.append(-1)
    return log


@case((3, A(4), []))
def what_items_read_is_read_when_they_are_taken(n, a, log):
    k, items = 2, [1, 2, n]
    scaled, more, elements = (v * k for v in range(n)), (v * 2 for v in items), (a[i] for i in range(n))
    noticed = (noted(v, log) for v in range(n))
    given = range(n)
    first = (v + n for v in given)
    k, given = 5, range(0)
    items.append(7)
    a[0] = 100.0
    log.append(-1)
    return sum(scaled), list(more), sum(elements), sum(noticed), log, list(first)


@case((3, []))
def functions_take_items_one_by_one(n, log):
    def total(values, start=0):
        log.append(-1)
        for v in values:
            start += v
            log.append(-v)
        return start

    first = total(noted(v, log) for v in range(n))
    for i, v in enumerate(noted(v, log) for v in range(n)):
        log.append(10 * i + v)
    for i, v in zip(range(2), (noted(v, log) for v in range(n)), strict=False):
        log.append(20 * i + v)
    return first, log


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_against_plain_python(fn: Program, calls: tuple[tuple[object, ...], ...]) -> None:
    run(fn, calls)
