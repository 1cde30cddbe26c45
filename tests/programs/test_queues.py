"""Operators and methods of deques whose items are known at run time only."""

from collections import deque

import pytest

from tests.programs.compare import check


def in_place(n):
    d = deque([1, 2])
    same = d
    d += [n]
    d *= n
    return list(same), len(d), d is same


def operators(n):
    d = deque([1, n], maxlen=3)
    twice, again, joined = d * 2, 2 * d, d + deque([7, 8])
    d.extend(d)
    return list(twice), list(again), list(joined), list(d), twice.maxlen


def compared(n):
    d, e = deque([n, 2]), deque([n, 2])
    return d == e, d != e, d < deque([n, 3]), d == [n, 2], d >= e, deque([n]) in [deque([n])]


def methods(n):
    d = deque(range(n))
    d.insert(1, 9)
    d.remove(2)
    d.reverse()
    del d[-1]
    return list(d), d.index(9), d.copy() == d


def full(n):
    d = deque([n, 1, 2], maxlen=3)
    try:
        d.insert(0, 6)
    except IndexError as e:
        print(e)
    del d[1]
    d.insert(0, 5)
    return list(d)


def not_there(n):
    d = deque([n])
    for find in (d.remove, d.index):
        try:
            find(99)
        except ValueError as e:
            print(e)
    return len(d)


def josephus(n):
    d = deque(range(n))
    while len(d) > 1:
        d.rotate(-1)
        d.popleft()
    return d[0]


def of_queues(n):
    q = deque([deque([n])])
    q[0] *= 2
    q[0].append(1)
    return [list(v) for v in q]


def wrong_sum(n):
    return deque([n]) + [1]


def wrong_product(n):
    return deque([n]) * 1.5


CASES = [
    (in_place, 3),
    (in_place, 0),
    *((fn, 4) for fn in (operators, compared, methods, full, not_there, josephus, of_queues, wrong_sum, wrong_product)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_programs(case):
    check(*case)
