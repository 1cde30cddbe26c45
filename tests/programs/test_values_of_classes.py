"""Attributes that a class has, and that methods set in instances: in loops, on one path, in lists of objects."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from tests.programs.compare import check


class Counter:
    count = 0
    step: float = 1.5
    label = None
    name = "counter"

    def bump(self):
        self.count += 1
        return self.count

    def faster(self):
        self.step *= 2


class Best:
    value = None
    row = None

    def offer(self, row):
        total = float(row.sum())
        if self.value is None or total > self.value:
            self.value = total
            self.row = row.copy()


class Loud(Counter):
    count = 10


@dataclass
class Body:
    mass: float
    hits: ClassVar[int] = 0

    def hit(self):
        self.hits += 1


def in_a_loop(n):
    a, b, c = Counter(), Counter(), Loud()
    for _ in range(n):
        a.bump()
        c.bump()
        c.faster()
    return a.count, b.count, c.count, Counter.count, Loud.count, c.step, a.step


def on_one_path(x):
    c = Counter()
    if x.sum() > 1:
        c.count = 7
        c.name = "changed"
    return c.count, c.name, c.step, c.label is None


def in_objects_of_a_list(n):
    counters = [Counter() for _ in range(n)]
    for i in range(2 * n):
        if i % 3 == 0:
            counters[i % n].bump()
    return [c.count for c in counters], sum(c.step for c in counters)


def in_dataclasses(n):
    body = Body(2.0)
    for _ in range(n):
        body.hit()
    return body.hits, Body.hits, body.mass


def until(n):
    c = Counter()
    while c.bump() < n:
        c.faster()
    return c.count, c.step


def none_at_first(x):
    best = Best()
    for i in range(x.shape[0]):
        best.offer(x[i])
    return best.value, best.row


CASES = [
    (in_a_loop, 3),
    (in_a_loop, 0),
    (on_one_path, np.ones(3)),
    (on_one_path, np.zeros(3)),
    (in_objects_of_a_list, 3),
    (in_dataclasses, 2),
    (until, 4),
    (none_at_first, np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]])),
    (none_at_first, np.zeros((0, 2))),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_programs(case):
    check(*case)
