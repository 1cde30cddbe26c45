"""What classes of the user's say of operators, attributes and instances, against plain Python."""

from __future__ import annotations

import abc
import functools
import math
from collections import deque
from typing import NamedTuple

import numpy as np
import pytest

from tests.programs.cases import Cases, Program, T, run
from tracejit import ScriptError, script

case = Cases()


class Num:
    def __init__(self, v):
        self.v = v

    def __add__(self, other):
        return NotImplemented if isinstance(other, float) else 1

    def __radd__(self, other):
        return 5

    def __mul__(self, other):
        return NotImplemented

    def __rmul__(self, other):
        return 9

    def __lt__(self, other):
        return NotImplemented

    def __gt__(self, other):
        return True

    def __eq__(self, other):
        return self.v == other.v

    def __divmod__(self, other):
        return self.v // other, self.v % other

    def __round__(self, digits=0):
        return -digits

    def __floor__(self):
        return math.floor(self.v)

    def __index__(self):
        return self.v


class Own(Num):
    def __radd__(self, other):
        return 6

    def __eq__(self, other):
        return False


class Inherited(Num):
    pass


class Other:
    def __rmul__(self, other):
        return 8


@case((3,), (0,))
def operators_ask_in_pythons_order(n):
    a = Num(n)
    sums = a + Num(1), a + Own(1), a + Inherited(1), 3 + a, sum([Num(1)], start=2)
    equal = a == Own(n), Own(n) == a, a != Own(n), Own(n) != a, a != Num(n), a < Num(n)
    return sums, equal, a * Other(), divmod(a, 2), round(a), round(a, 2), math.floor(a), [7, 8, 9, 10][a], [8] * a


@case((3,))
def the_right_side_of_one_class_is_not_asked(n):
    return Num(n) * Num(n)


class Both:
    def __iter__(self):
        return iter((1, 2))

    def __reversed__(self):
        return iter((7, 8))


class Partly:
    def __init__(self, k):
        self.k = k
        self.gone = 0

    @property
    def small(self):
        if self.k > 1:
            raise AttributeError("large")
        return self.k

    def __getattr__(self, name):
        if name.startswith("x"):
            return 5
        raise AttributeError(name)

    def __delattr__(self, name):
        object.__setattr__(self, name, -1)

    def tens(self, a, b):
        return a * 10 + b

    seventy = functools.partialmethod(tens, 7)


@case((3,), (0,))
def attributes_are_asked_for(n):
    p = Partly(n)
    del p.gone
    there = hasattr(p, "small"), hasattr(p, "xy"), hasattr(p, "other"), hasattr(p, "k")
    return there, getattr(p, "small", -1), getattr(p, "other", n), p.xx, p.gone, p.seventy(n), [*reversed(Both())]


class Abstract(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


@case((3,))
def abstract_classes_have_no_instances(n):
    try:
        Abstract()
    except TypeError as e:
        print(e)
    return Abstract()


class Pair(NamedTuple):
    a: int
    b: float = 2.0


class Shelf:
    """Runs over what it holds."""

    def __init__(self, items):
        self.items = items

    def __iter__(self):
        """The items."""
        return iter(self.items)


@case((3, T(2)), (4, T(3)))
def classes_of_values(n, x):
    values = (Pair(n), Num(n), n, 1.5, "a", True, None, [n], (n,), {"a": n}, x, x.sum(), 1j, range(3), deque([1]))
    print(Pair(n), [Pair(n)])
    made = Pair(n).__class__(4, 5.0), [1].__class__((1, 2)), Num(n).__class__(2).v
    return [v.__class__.__name__ for v in values], made, f"{Pair(n)}", str(Pair(n, 1.5))


@case((5, T(2)), (-3, T(2)), (0, T(1)))
def what_stands_behind_and(n, x):
    name = (n > 2 and n < 10 and "middle") or (n < 0 and "below") or "none"
    pair = (n > 2 and (1, 2)) or (3, 4)
    return name, pair, (n and 5) or 7, (n and 0) or 9, ((x > 1).any() and "large") or "small", (n > 0 and 1.5) or n


@case((3, Shelf([5, 6])), (4, Shelf([])))
def shelves(n, given):
    mixed, many = Shelf([1, "a", 2.5]), Shelf([i for i in range(n)])
    found = sum(v for v in many), max(v for v in many), any(v == 3 for v in many), 2 in many, sorted(many)
    return [v for v in mixed], [*mixed], list(zip("abc", mixed, strict=True)), found, sum(v for v in given)


class Known:
    """An object of the caller, or of the script, whose methods see what the script sets."""

    def __init__(self, k):
        self.k = k
        self.items = [1, 2]
        self.given = {"q": 5}

    def __getattr__(self, name):
        if name == "seven":
            return self.k * 7
        if name == "q":
            return self.given[name]
        raise AttributeError(name)

    def __format__(self, spec):
        return f"<{self.k}{spec}>" if spec else f"no. {self.k}"

    def __iter__(self):
        for item in self.items:
            yield item * self.k

    def __call__(self, x):
        return x * self.k

    @functools.cached_property
    def half(self):
        return self.k + 0.5

    @property
    def small(self):
        if self.k > 6:
            raise AttributeError("small")
        return self.k


def seen(o, n):
    o.k += n
    o.items.append(n)
    made = o.seven, o.q, hasattr(o, "seven"), hasattr(o, "none"), getattr(o, "none", 5), getattr(o, "small", -1)
    texts = f"{o} {o:>3}", "{} {:x}".format(o, o), format(o), format(o, "b")
    half, o.k = o.half, o.k + 1
    o.seven = n
    taken = sum(o), list(o), max(o), sorted(o), [*o], any(v == 3 for v in o), list(map(abs, o)), n * o.k in o
    return made, texts, half, o.half, o.seven, taken, o(2), callable(o), hasattr(o, "small")


@case((Known(1), 3), (Known(1), 4), (Known(5), 3))
def objects_of_the_caller(o, n):
    return seen(o, n)


@case((1, 3), (5, 3))
def objects_of_the_script(k, n):
    return seen(Known(k), n)


@case((3,))
def what_can_be_called_and_run_over(n):
    o, f, d = Known(n), lambda v: v, {n: 1}
    called = callable(o), callable(o.__iter__), callable(f), callable(n), callable(Pair), callable(Pair(n)), callable(d)
    return called, np.iterable(o), np.iterable(d), np.iterable(n), np.iterable("a"), np.iterable([n])


class Twice:
    """A descriptor without `__set__`."""

    def __get__(self, o, cls=None):
        return o.k * 2


class Row:
    """What is run over by its places."""

    twice = Twice()

    def __init__(self, k):
        self.k = k
        self.items = [1, 2]

    def __getitem__(self, i):
        if i >= len(self.items):
            raise IndexError(i)
        return self.items[i] * self.k

    def __index__(self):
        return self.k


@case((Row(1), 2), (Row(2), 3))
def rows_of_the_caller(o, n):
    o.k = n
    o.items.append(7)
    a, b, c = o
    return (
        o.twice,
        [v for v in o],
        sum(o),
        max(o),
        14 in o,
        (a, b, c),
        [1, 2, 3, 4][:o],
        [1, 2, 3, 4][o],
        [*range(o)],
        o * [5],
    )


class Plain:
    def __init__(self, v):
        self.v = v

    def __eq__(self, other):
        return self.v == other.v

    def __lt__(self, other):
        return self.v < other.v


Ordered = functools.total_ordering(Plain)
NOTHING = object()


@case((3, T(2)), (-3, T(2)))
def sentinels(n, x):
    def told(v=NOTHING, w=...):
        return v is NOTHING, w is ..., v is not NOTHING

    d = {"a": n}
    found = d.get("z", NOTHING) is NOTHING, d.get("a", NOTHING) is NOTHING, n is int, x is NotImplemented
    a, b = Ordered(n), Ordered(2)
    return told(), told(n), told(n, x), told(x.sum()), found, a >= b, a > b, a <= b, max(a, b).v


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_against_plain_python(fn: Program, calls: tuple[tuple[object, ...], ...]) -> None:
    run(fn, calls)


class Answering:
    def __getattribute__(self, name):
        return 42


class Meta(type):
    def __call__(cls, *args):
        return 7


class Made(metaclass=Meta):
    pass


@pytest.mark.compiled
@pytest.mark.parametrize("cls", [Answering, Made])
def test_classes_that_make_or_answer_for_instances_are_refused(cls) -> None:
    with pytest.raises(ScriptError, match="cannot be made in a script"):
        script(lambda n: cls().anything)(3)
