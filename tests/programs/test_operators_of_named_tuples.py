"""NamedTuples whose classes say what operators, conditions and calls of them are; others are tuples."""

import functools
import math
import operator
from typing import NamedTuple

import pytest

from tests.programs.compare import check


class Point(NamedTuple):
    x: float
    y: float

    def __add__(self, other):
        return Point(self.x + other.x, self.y + other.y)

    def __sub__(self, other):
        return Point(self.x - other.x, self.y - other.y) if isinstance(other, Point) else NotImplemented

    def __mul__(self, k):
        return Point(self.x * k, self.y * k)

    __rmul__ = __mul__

    def __neg__(self):
        return Point(-self.x, -self.y)

    def __abs__(self):
        return math.hypot(self.x, self.y)

    def __bool__(self):
        return self.x > 0

    def __call__(self, t):
        return self.x * t + self.y


class Ranked(NamedTuple):
    name: int
    rank: float

    def __lt__(self, other):
        return self.rank < other.rank

    def __eq__(self, other):
        return self.name == other.name

    def __hash__(self):
        return hash(self.name)


UNIT = Point(1.0, 0.0)


def arithmetic(a, b, k):
    p, q = Point(*a), Point(*b)
    p += UNIT
    return p + q, p - q, p * k, k * p, 2.0 * UNIT, -p, abs(q), UNIT + UNIT


def reduced(rows):
    points = [Point(*row) for row in rows]
    return functools.reduce(operator.add, points), sum(points, Point(0.0, 0.0)), max(points, key=abs)._replace(x=0.0)


def carried(rows):
    total = Point(0.0, 0.0)
    for row in rows:
        total = total + Point(row[0], row[1]) * 2.0
    return total


def conditions(a):
    p = Point(*a)
    count = 0
    if p:
        count += 1
    if not p:
        count += 2
    return count, bool(p), p(3.0)


def as_tuples(a, b):
    p, q = Point(*a), Point(*b)
    return p == q, p != q, p < q, p >= q, p == a, b == q, p in [q], (UNIT == Point(1.0, 0.0))


def ranked(pairs):
    rows = [Ranked(*pair) for pair in pairs]
    a, b = rows[0], rows[1]
    return sorted(rows), min(rows), a == b, a != b, a in rows[1:]


def compared_by_tuple(pairs):
    rows = [Ranked(*pair) for pair in pairs]
    a, b, plain = rows[0], rows[1], (pairs[0][0], pairs[0][1] + 1.0)
    return a > b, b > a, a >= b, max(a, b), max(rows), a > plain, a != Ranked(a.name, -1.0), Point(1, 2) == a


def compared_in_loop(n):
    rows = []
    for i in range(n):
        rows.append(Ranked(i, float(-i)))
    return rows[0] > rows[1], rows[0] < rows[1], max(rows), min(rows), sorted(rows), sorted(rows, reverse=True)


def not_given(a):
    return Point(*a) - 1


def not_called(a):
    return Ranked(*a)(1)


class Span(NamedTuple):
    start: int
    stop: int

    def __len__(self):
        return self.stop - self.start

    def __getitem__(self, i):
        return self.start + i


def own_items(span, spans):
    first, second = span
    return len(span), span[2], span.stop, first + second, list(span), [s[1] for s in spans], span, 1 if span else 2


def outer_items():
    return len(OUTER), OUTER[1], OUTER.start, [*OUTER]


def as_tuple_too(span, other):
    same = hash(span) == hash((span.start, span.stop))
    return same, span == other, span + other, {span: 1}[span], list(zip(span, other, strict=True))


OUTER = Span(3, 9)


CASES = [
    (arithmetic, (1.0, 2.0), (3.0, 4.5), 2.0),
    (reduced, [(1.0, 2.0), (3.0, 4.5), (0.5, 0.5)]),
    (carried, [(1.0, 2.0), (3.0, 4.5)]),
    (conditions, (1.0, 2.0)),
    (conditions, (-1.0, 2.0)),
    (as_tuples, (1.0, 2.0), (1.0, 2.0)),
    (as_tuples, (1.0, 2.0), (1.0, 3.0)),
    (ranked, [(1, 3.0), (1, 2.0), (2, 2.5)]),
    (compared_by_tuple, [(1, 3.0), (1, 2.0), (2, 2.5)]),
    (compared_by_tuple, [(1, 2.0), (2, 3.0)]),
    (compared_in_loop, 3),
    (own_items, Span(2, 9), [Span(1, 2), Span(0, 5)]),
    (own_items, Span(2, 2), [Span(1, 2)]),
    (outer_items,),
    (as_tuple_too, Span(2, 9), Span(2, 9)),
    (not_given, (1.0, 2.0)),
    (not_called, (1, 2.0)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_programs(case):
    check(*case)
