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


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_against_plain_python(fn: Program, calls: tuple[tuple[object, ...], ...]) -> None:
    run(fn, calls)
