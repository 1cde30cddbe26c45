"""Members of an Enum of which one is chosen at run time, against plain Python."""

from __future__ import annotations

import enum
import math

import numpy as np
import pytest

from tests.programs.cases import A, Cases, Program, run
from tracejit import ScriptError, script

case = Cases()


class Color(enum.Enum):
    RED = 1
    GREEN = 2
    BLUE = 4

    def following(self):
        return Color.GREEN if self is Color.RED else Color.BLUE

    def plus(self, k):
        return self.value + k

    def __add__(self, other):
        return self.value + other.value

    @classmethod
    def first(cls):
        return cls.RED

    @staticmethod
    def square(x):
        return x * x


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Access(enum.Flag):
    READ = 1
    WRITE = 2
    RUN = 4

    def may_write(self):
        return bool(self & Access.WRITE)


@case((1,), (2,), (4,), (5,))
def methods_of_the_member(v):
    c = Color(v)
    return c.following(), c.following().following(), c.plus(v), c.first(), c.square(3), c + Color.RED


@case((6,), (1,))
def flags(v):
    f = Access.READ if v > 5 else Access.WRITE | Access.RUN
    return f | Access.READ, f & Access.RUN, f.may_write(), Access.WRITE in f, f.value


@case((1, A(4)), (2, A(4)))
def ints_as_indices_and_operands(v, x):
    p = Level(v)
    x[0] = p
    x[p] = 7
    sizes = np.zeros(p).shape, list(range(p)), [10, 20, 30][p], (1, 2, 3)[p], {Level.LOW: 5, Level.HIGH: 6}[p]
    numbers = p + 1, 2.5 * p, -p, p / 2, ~p, abs(p), math.sqrt(p), divmod(p, 2), p < 2, p == Level.LOW, p in (1, 5)
    return x[p:], x * p, np.maximum(x, p), sizes, numbers, p, [p, p]


@case((3,), (1,))
def members_of_int_enums_stay_such(n):
    one = Level.LOW if n > 2 else Level.HIGH
    turned, kept = Level.LOW, []
    for _ in range(n):
        turned = Level.HIGH if turned == Level.LOW else Level.LOW
        kept.append(turned)
        last = Level.HIGH
    return one, one.name, isinstance(one, Level), one + 1, turned, kept, kept[0].name, last


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_against_plain_python(fn: Program, calls: tuple[tuple[object, ...], ...]) -> None:
    run(fn, calls)


@pytest.mark.compiled
def test_flags_of_numbers_and_members_beside_numbers_are_refused() -> None:
    with pytest.raises(ScriptError, match="the Level <Level.LOW: 1> on one path and the int 7"):
        script(lambda v: Level.LOW if v > 1 else 7)(3)
    with pytest.raises(ScriptError, match="keep the number"):
        script(lambda v: Access(v))(3)
