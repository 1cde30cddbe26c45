"""Conditions about what a later operand, or the branch, changes, against plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.programs.cases import A, Cases, Program, run

case = Cases()


class Box:
    def __init__(self, v: Any) -> None:
        self.v = v
        self.n = 0

    def fill(self) -> bool:
        self.v = 5.0
        return True

    def step(self, k: int) -> bool:
        self.n += 1
        self.v = None if self.n > k else self.n * 1.5
        return True

    def count(self, xs: Any) -> float:
        total = 0.0
        for x in xs:
            total += x
            self.n += 1
        return total


class Outer:
    def __init__(self) -> None:
        self.inner = Box(None)

    def renew(self, x: float) -> bool:
        if x > 1:
            self.inner = Box(3.0)
        else:
            self.inner.v = None
        return True


class One:
    def __init__(self, k: int) -> None:
        self.k = k


class Two:
    def __init__(self, k: int) -> None:
        self.k = k
        self.m = 2 * k


@case((3.0, True), (3.0, False), (-1.0, True))
def a_function_sets_it(x, ok):
    v = None
    if x < 0:
        v = 10.0

    def fill():
        nonlocal v
        v = x * 2
        return ok

    if v is None and fill():
        return 1, v
    return 2, -1.0 if v is None else v


@case((3.0,), (-1.0,))
def a_method_sets_it(x):
    b = Box(None)
    if x < 0:
        b.v = x
    other = b
    if b.v is None and other.fill():
        return b.v is None, b.v
    return b.v is None, b.v


@case((3.0,), (0.0,), (1.0,))
def the_object_is_another_one(x):
    outer = Outer()
    if x > 0:
        outer.inner.v = x
    if outer.inner.v is not None and outer.renew(x):
        return outer.inner.v is None, outer.inner.v
    if outer.inner.v is None and outer.renew(x):
        return outer.inner.v is None, outer.inner.v
    return False, -1.0


@case((3,), (0,))
def while_there_is_one(k):
    b = Box(1.0)
    trips = 0
    while b.v is not None and b.step(k):
        trips += 1 if b.v is None else 100
    return trips


@case((3,), (0,))
def while_a_name_is_there(n):
    v = n if n > 0 else None
    total = 0

    def fall():
        nonlocal v
        v = v - 1 if v > 1 else None
        return True

    while v is not None and fall():
        total += 10 if v is None else v
    return total, v


@case((3.0,), (-1.0,))
def while_none_or_called(x):
    v = x if x > 0 else None
    n = 0

    def change():
        nonlocal v
        v = None if v is not None and v > 5 else (1.0 if v is None else v + 1)
        return n < 9

    while v is None or change():
        n += 1
        if v is None:
            v = 2.0
    return v, n


@case((3,), (0,))
def bound_by_a_walrus(n):
    a = 5 if n > 1 else None

    def other():
        return None if n > 2 else 8

    if a and (a := other()):
        return 1, a
    if a is None or (a := (None if n > 2 else 8)) is None:
        return 2, a
    return 3, a


@case((3.0, True), (-1.0, True), (-1.0, False))
def in_conditional_expressions(x, b):
    v = x if x > 0 else None

    def change():
        nonlocal v
        v = x * 3
        return b

    r = (1.0 if v is None else v) if v is None and change() else (-5.0 if v is None else v)
    return r, v


@case((4,), (0,))
def in_comprehensions(n):
    b = Box(None)
    if n > 0:
        b.v = 1.5

    def swap():
        b.v = None if b.v is not None else 2.0
        return True

    return [b.v is None for i in range(n + 3) if b.v is not None or swap() if b.v is not None and swap()]


@case((3.0,), (-1.0,))
def asserted(x):
    v = x if x > -5 else None

    def change():
        nonlocal v
        if x < 0:
            v = None
        return True

    assert v is not None and change()
    return v is None, v


@case((3.0,), (-1.0,))
def nested_and_denied(x):
    v = x if x > 0 else None
    n = 0

    def turn():
        nonlocal v, n
        n += 1
        v = None if v is not None else 4.0
        return n < 3

    def ask():
        nonlocal n
        n += 10
        return v is None

    r = ((v is not None and turn()) and ask()) or (v is None and turn() and not ask())
    if not ((v is None or turn()) or n > 50):
        return r, v is None, n
    return r, v is None, n


@case((3,), (-1,))
def known_at_first(n):
    v = None

    def change():
        nonlocal v
        if n > 0:
            v = n
        return True

    if v is None and change():
        return v is None, 0 if v is None else v
    return True, -5


@case((3,), (0,))
def classes_asked_for(n):
    o = One(n) if n > 1 else Two(n)

    def change():
        nonlocal o
        o = Two(n + 5) if n > 1 else One(n + 7)
        return n > 5

    if isinstance(o, Two) and not change():
        return isinstance(o, Two), o.k
    if not isinstance(o, Two) or change():
        return isinstance(o, Two), o.k
    return isinstance(o, Two), -o.k


@case((3,), (-1,), (0,))
def in_guards(n):
    v = n if n >= 0 else None

    def change():
        nonlocal v
        v = None if v is not None else 3
        return n > 0

    match v:
        case None if change():
            return 1, v
        case int() if v is not None and change():
            return 2, v
        case _:
            return 3, v


@case((3.0,), (-1.0,), (-6.0,))
def a_branch_changes_it_and_the_other_raises(x):
    v = x if x > 0 else None

    def fill():
        nonlocal v
        v = x if x < -5 else None

    if v is None:
        fill()
    else:
        raise ValueError("there")
    return v is None, 0.0 if v is None else v


@case((3,), (-1,))
def a_branch_binds_another_class_and_the_other_raises(n):
    o = One(n) if n > 1 else Two(n)
    if isinstance(o, One):
        o = Two(4) if n > 2 else One(3)
    else:
        raise ValueError
    return isinstance(o, One), o.k


@case((A(3), 1.0), (A(3), -1.0))
def arrays_that_come_and_go(x, c):
    buf = None
    if c > 0:
        buf = x

    def turn():
        nonlocal buf
        buf = x * 2 if buf is None else None
        return True

    y = x
    for _ in range(3):
        if buf is None and turn():
            y = y + (buf if buf is not None else x - 9)
        elif buf is not None and turn():
            y = y - (buf if buf is not None else x + 7)
    return y


@case((np.arange(4.0), 3.0), (np.arange(4.0), -1.0))
def what_is_not_changed_is_known_still(xs, x):
    b = Box(x if x > 0 else None)
    total = 0.0
    for _ in range(2):
        if b.v is not None and b.count(xs) > 1:
            total += b.v * 2
    return total, b.n


@case((3.0,), (-1.0,))
def each_trip_asks_anew(x):
    v = x if x > 0 else None
    total = 0.0

    def change(a):
        nonlocal v
        v = None if a > 4 else a + 1
        return a > 0

    for i in range(6):
        total += 1.0 if v is not None and change(v) else 0.5
        if i == 4:
            v = 2.0
        total += 10 * v if v is not None else 0.25
    return total, v is None


@case((3,), (-1,), (0,))
def messages_of_assertions_that_hold(n):
    xs, calls = [1.0] * 5, 0

    def message():
        nonlocal calls
        calls += 1
        return "small"

    def first():
        nonlocal calls
        calls += 10
        return calls < 15

    assert n > -5, message()
    assert n < 2, xs[n + 5]
    assert n >= 0, 7 // (n + 1)
    assert first(), xs[n]
    assert n == 0, f"{n + 1}"
    return calls


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_outlived_condition(fn: Program, calls: tuple[tuple[Any, ...], ...]) -> None:
    run(fn, calls)
