"""Attributes that descriptors of the user's give, set and delete, against plain Python."""

from __future__ import annotations

import pytest

from tests.programs.cases import Cases, Program, run

case = Cases()


class Doubled:
    def __get__(self, owner, cls=None):
        return owner._v * 2

    def __set__(self, owner, value):
        owner._v = value + 1

    def __delete__(self, owner):
        owner._v = -7


class AtLeast:
    def __init__(self, low):
        self.low = low

    def __set_name__(self, owner, name):
        self.slot = "_" + name

    def __get__(self, owner, cls):
        return getattr(owner, self.slot)

    def __set__(self, owner, value):
        if value < self.low:
            raise ValueError(f"{self.slot[1:]} is at least {self.low}, not {value}")
        setattr(owner, self.slot, value)


class Raised:
    """It gives way to an attribute of the instance."""

    def __get__(self, owner, cls=None):
        return owner._v + 100


class Thing:
    doubled = Doubled()
    size = AtLeast(2)
    raised = Raised()

    def __init__(self):
        self._v = 0
        self._size = 0


OUTER = Thing()
OUTER.size = 4


@case((3,), (5,))
def attributes_of_an_object(n):
    x = Thing()
    x.doubled = n
    before = x.doubled
    x.doubled += 5
    after = x.doubled
    del x.doubled
    raised = x.raised
    x.raised = 55
    return before, after, x._v, raised, x.raised


@case((3,), (1,))
def values_are_checked(n):
    things = []
    for i in range(n):
        x = Thing()
        x.size = n + i
        x.size *= 2
        things.append(x)
    return sum(x.size for x in things)


@case((3,), (1,))
def of_an_object_from_outside(n):
    found = OUTER.size, OUTER.doubled
    text = ""
    try:
        OUTER.size = n
    except ValueError as e:
        text = str(e)
    changed = OUTER.size
    OUTER.size = 4
    return found, changed, text


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_against_plain_python(fn: Program, calls: tuple[tuple[object, ...], ...]) -> None:
    run(fn, calls)
