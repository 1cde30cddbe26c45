"""Names that begin with two underscores, in classes, against plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from tests.programs.cases import Cases, Program, run
from tracejit import ScriptError, script

case = Cases()


class Holder:
    __secret = 5
    __table = np.arange(3.0)

    def __init__(self, v=1):
        self.__v = v

    def total(self):
        return self.__v + self.__secret + Holder.__secret

    def __helper(self, __k=2):
        __own = 7

        def inner(__z):
            return __own + __z + self.__v

        return inner(__k)

    def used(self):
        return self.__helper() + self.__table[1]

    @staticmethod
    def __more(x):
        return x + 1

    @classmethod
    def made(cls, v):
        return cls(cls.__more(v))

    @property
    def v(self):
        return self.__v

    @v.setter
    def v(self, x):
        self.__v = x


class _Below(Holder):
    def __init__(self):
        super().__init__(3)
        self.__v = 10

    def both(self):
        return self.__v, self._Holder__v


OUTER = Holder(4)


@case((3,), (0,))
def names_of_a_class_are_its_own(n):
    a, b = Holder(n), Holder.made(n)
    b.v = 50
    found = []
    for i in range(n):
        found.append(Holder(i))
    total = sum([x.total() for x in found])
    return a.total(), a.used(), a._Holder__v, b.v, _Below().both(), OUTER.total() + n, OUTER.used(), total, b


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_against_plain_python(fn: Program, calls: tuple[tuple[object, ...], ...]) -> None:
    run(fn, calls)


@pytest.mark.compiled
def test_the_dict_of_an_object_made_in_a_script_is_refused() -> None:
    def sets(n):
        x = Holder(n)
        x.__dict__["a"] = n
        return x.a

    with pytest.raises(ScriptError, match="__dict__ of an object made in a script"):
        script(sets)(3)
