"""Objects of several classes in one list, under one name, in one attribute: what is done with them is done by class."""

from __future__ import annotations

import copy
import functools
import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

# The programs are written as users write them.
# ruff: noqa: E701, E702


class Shape:
    sides = 0

    def __init__(self, name):
        self.name = name

    def twice(self):
        return self.area() * 2

    def __lt__(self, other):
        return self.area() < other.area()

    def __repr__(self):
        return f"{self.name}:{self.area():.2f}"

    @property
    def is_big(self):
        return self.area() > 20


class Circle(Shape):
    def __init__(self, r):
        super().__init__("circle")
        self.r = r

    def area(self):
        return 3.0 * self.r**2


class Square(Shape):
    sides = 4

    def __init__(self, s):
        super().__init__("square")
        self.s = s

    def area(self):
        return self.s * self.s

    def grow(self, by):
        self.s += by
        return self


class Cube(Square):
    def __init__(self, s):
        super().__init__(s)
        self.holds = []

    def area(self):
        return super().area() * 6

    def put(self, item):
        self.holds.append(item)
        return len(self.holds)

    def __len__(self):
        return len(self.holds)


def made(n):
    shapes = []
    for i in range(n):
        if i % 3 == 2:
            shapes.append(Cube(i))
        else:
            shapes.append(Circle(1.0 + i) if i % 2 else Square(2 * i))
    return shapes


def methods_and_attributes(n):
    shapes, total, grown = made(n), 0.0, 0
    for s in shapes:
        total += s.area() + s.twice() + s.sides + s.is_big
        if isinstance(s, Square):
            grown += s.grow(1).s
            if isinstance(s, Cube):
                grown += s.put(n) + len(s)
        elif s.r > 2:
            s.r -= 1
    names = [type(s).__name__ for s in shapes]
    return (
        total,
        grown,
        names,
        [s.name for s in shapes],
        f"{shapes[-1]} {shapes[0]!r}",
        [hasattr(s, "r") for s in shapes],
    )


def order_and_identity(n):
    shapes, best = made(n), None
    for s in shapes:
        if best is None or s > best:
            best = s
    first = shapes[0]
    shapes.sort()
    low, *rest = shapes
    shapes[0], shapes[-1] = shapes[-1], shapes[0]
    twin = copy.copy(shapes[0])
    if isinstance(twin, Square):
        twin.grow(3)
    where = shapes.index(best), shapes.count(best), best in rest, best is shapes[0], first is low
    return where, twin == shapes[0], twin.area(), shapes[0].area(), [s.area() for s in shapes], type(best) is Cube


def classes_that_a_loop_finds(n):
    """The name is of one class before the loop, and of others after it; some items are None."""
    here = Circle(0.5)
    kept = [None]
    for i in range(n):
        here = Cube(i) if here.area() < 3 else Circle(here.area() / 7)
        kept.append(None if i % 4 == 1 else here)
    total = 0.0
    for k in kept:
        match k:
            case None:
                total -= 1
            case Circle(r=r):
                total += r
            case Square(s=s):
                k.s += 1  # the subject's own name is known to be a Square, too
                total += s * 100 + k.s
    return total, here, kept[-1] is here, getattr(here, "s", -1)


def missing(n):
    total = 0
    for s in made(n):
        total += s.r
    return total


@dataclass
class Const:
    value: float

    def at(self, x):
        return self.value


class Var:
    def at(self, x):
        return x


@dataclass
class Add:
    a: Any
    b: Any

    def at(self, x):
        return self.a.at(x) + self.b.at(x)


@dataclass
class Mul:
    a: Any
    b: Any

    def at(self, x):
        return self.a.at(x) * self.b.at(x)


def expression(n, x):
    """A tree of nodes of four classes, whose methods call each other."""
    stack = []
    for i in range(n):
        if i % 5 < 2 or len(stack) < 2:
            stack.append(Const(i * 0.5) if i % 5 == 0 else Var())
        else:
            b, a = stack.pop(), stack.pop()
            stack.append(Add(a, b) if i % 5 == 2 else Mul(a, b))
    return sum(e.at(x) for e in stack), len(stack)


class Event:
    def __init__(self, time):
        self.time = time

    def __lt__(self, other):
        return self.time < other.time


class Arrive(Event):
    def __init__(self, time, who):
        super().__init__(time)
        self.who = who

    def fire(self, log):
        log.append(self.who)


class Leave(Event):
    def fire(self, log):
        log.append(-1)


def events(n):
    queue, log, last = [], [], {}
    for i in range(n):
        heapq.heappush(queue, Arrive(i * 7 % 5 + i * 0.1, i))
        heapq.heappush(queue, Leave(i * 3 % 4 + 0.05 * i))
    while queue:
        event = heapq.heappop(queue)
        event.fire(log)
        last[int(event.time)] = event
    return log, sorted(last), [last[k].time for k in sorted(last)], queue


def rows(n):
    table = [[Circle(j) if (i + j) % 2 else Square(j) for j in range(i)] for i in range(n)]
    for row in table:
        if row:
            row[-1] = Cube(7)
    return [s.area() for row in table for s in row], table[-1]


@functools.singledispatch
def cost(x, k=1):
    return -1.0


@cost.register
def _(x: float, k=1):
    return x * 10 + k


@cost.register
def _(x: Circle, k=1):
    return x.r * 2.0


@cost.register(Square)
def _(x, k=1):
    return x.s * 100.0 + k


@cost.register(list)
def _(x, k=1):
    return sum(cost(y) for y in x)


@cost.register(type(None))
def _(x, k=1):
    return 7.0


def chosen_by_class(n):
    """Functions that are chosen by the class of their first argument."""
    costs = [cost(s, k=3) for s in made(n)]
    return costs, cost(n * 0.5), cost([0.5, Circle(n)]), cost(Cube(n) if n > 6 else None), cost("text"), cost(n)


def test_what_is_registered_later_is_seen():
    @functools.singledispatch
    def show(x):
        return 1

    program = tj.script(lambda n: show(n) + n)
    assert program(2) == 3
    show.register(int, lambda x: 10)
    assert program(2) == 12


@pytest.mark.parametrize(
    ("program", "calls"),
    [
        (methods_and_attributes, ((5,), (8,), (1,))),
        (order_and_identity, ((5,), (9,), (2,))),
        (classes_that_a_loop_finds, ((5,), (8,), (0,))),
        (missing, ((1,), (4,), (0,))),
        (expression, ((12, 1.5), (23, 0.5))),
        (events, ((5,), (8,))),
        (rows, ((4,), (7,))),
        (chosen_by_class, ((5,), (8,))),
    ],
)
def test_programs(program: Any, calls: tuple[tuple[Any, ...], ...]):
    check(program, calls)


class Scale:
    def __init__(self, by):
        self.by = by

    def __call__(self, x):
        return x * self.by


class Shift:
    def __init__(self, by):
        self.by = by

    def __call__(self, x):
        return x + self.by * self.by


def test_a_derivative_through_objects_of_two_classes():
    @tj.script
    def loss(w, n):
        steps, x = [], w.sum()
        for i in range(n):
            steps.append(Scale(w[i % 3]) if i % 2 else Shift(w[i % 3]))
        for step in steps:
            x = step(x)
        return x

    start = np.array([0.5, 2.0, -1.0])
    for n in (4, 7):
        w = tj.tensor(start, requires_grad=True)
        loss(w, n).backward()
        for i in range(3):
            e = np.eye(3)[i] * 1e-6
            slope = (loss(tj.tensor(start + e), n).item() - loss(tj.tensor(start - e), n).item()) / 2e-6
            assert abs(w.grad[i].item() - slope) < 1e-6 * max(1.0, abs(slope))


class Pair:
    def __init__(self, x):
        self.x = x

    def __iter__(self):
        return iter([self.x, self.x])


def test_a_loop_over_one_of_several_classes_is_refused():
    @tj.script
    def program(n):
        items = [Pair(0)]
        for i in range(n):
            items.append(Circle(i))
        return [x for item in items for x in item]

    with pytest.raises(tj.ScriptError, match="a loop runs over a Circle or Pair"):
        program(3)
