"""Compile-time objects from outside that change while they stay the same objects: no call runs stale code, and what
depends on more than guards tell is refused."""

from __future__ import annotations

import sys
import types
from array import array
from collections import deque

import numpy as np
import pytest

import tracejit as tj
from tracejit import script


def test_names_of_a_module_that_come_and_go():
    """Whether a module has a name is asked before each call, as plain Python asks it."""
    module = types.ModuleType("names_that_come_and_go")

    def has(x):
        return x * 3 if hasattr(module, "rate") else x * 2

    def with_default(x):
        return x * getattr(module, "rate", 2.0)

    def imported(x):
        try:
            from names_that_come_and_go import rate
        except ImportError:
            rate = 2.0
        return x * rate

    x = np.arange(3.0)
    sys.modules[module.__name__] = module
    try:
        for fn in (has, with_default, imported):
            scripted = script(fn)
            for rate in (None, 3.0, 5.0, None, 3.0):
                vars(module).pop("rate", None)
                if rate is not None:
                    module.rate = rate
                np.testing.assert_array_equal(scripted(x), fn(x))
    finally:
        del sys.modules[module.__name__]


class Changing:
    """Things that change while they stay the same objects."""

    def __init__(self):
        self.names = {1, 2}
        self.queue = deque([1.0, 2.0])
        self.numbers = array("d", [1.0, 2.0])
        self.letters = bytearray(b"ab")
        self.seen = memoryview(bytearray(b"ab"))
        self.held = {"a": 1.0}
        self.view = types.MappingProxyType(self.held)
        self.pair = {1, 2}, [1.0]

    def change(self):
        self.names.add(3)
        self.queue[0] = 9.0
        self.numbers[1] = 9.0
        self.letters[0] = 5
        self.seen[0] = 5
        self.held["b"] = 2.0
        self.pair[0].add(3)
        self.pair[1].append(2.0)
        self.late = 3.0


@pytest.mark.parametrize(
    "fn",
    [
        lambda x, c: x * len(c.names),
        lambda x, c: x * (2.0 if 3 in c.names else 1.0),
        lambda x, c: x * (2.0 if c.names <= {1, 2} else 1.0),
        lambda x, c: x * c.queue[0],
        lambda x, c: x * (2.0 if 9.0 in c.queue else 1.0),
        lambda x, c: x * c.numbers[1],
        lambda x, c: x * c.letters[0],
        lambda x, c: x * c.seen[0],
        lambda x, c: x * len(c.view),
        lambda x, c: x * len(c.pair[0]),
        lambda x, c: x * len(c.pair[1]),
        lambda x, c: x * len(vars(c)),
        lambda x, c: x * (2.0 if hasattr(c, "late") else 1.0),
        lambda x, c: x * getattr(c, "late", 2.0),
    ],
)
def test_changed_contents_compile_again(fn):
    scripted, x, holder = script(fn), np.arange(3.0), Changing()
    for _ in range(2):
        np.testing.assert_array_equal(scripted(x, holder), fn(x, holder))
    holder.change()
    for _ in range(2):
        np.testing.assert_array_equal(scripted(x, holder), fn(x, holder))
    assert scripted.compiles == 2


@pytest.mark.parametrize(
    "value", [{1, 2}, deque([1, 2]), array("d", [1, 2]), bytearray(b"ab"), types.MappingProxyType({0: 1, 1: 2})]
)
def test_changeable_arguments(value):
    """What an argument holds is compiled in; one that holds the same is no other."""

    def fn(x, held):
        return x * len(held) * (2.0 if 1 in held else 1.0)

    scripted, x = script(fn), np.arange(3.0)
    np.testing.assert_array_equal(scripted(x, value), fn(x, value))
    np.testing.assert_array_equal(scripted(x, value), fn(x, value))
    assert scripted.compiles == 1
    if isinstance(value, set):
        value.remove(1)
    elif isinstance(value, deque | array | bytearray):
        value.pop()
    np.testing.assert_array_equal(scripted(x, value), fn(x, value))


def test_defaults_that_change():
    """A default is one object: what it holds now counts, and what a script puts into it stays there."""
    weights = np.ones(3)

    def helper(x, w=weights, factors=[2.0], *, names={1}):  # noqa: B006
        factors.append(1.0)
        return x * w * factors[0] * len(factors) * len(names)

    def fn(x):
        return helper(x)

    scripted, x = script(fn), np.arange(3.0)
    held, names = helper.__defaults__[1], helper.__kwdefaults__["names"]
    np.testing.assert_array_equal(scripted(x), x * 4.0)
    assert held == [2.0, 1.0]
    weights[:], held[:] = 3.0, [5.0]
    names.add(2)
    np.testing.assert_array_equal(scripted(x), x * 60.0)
    assert held == [5.0, 1.0]


def test_a_module_that_becomes_another():
    first, second = types.ModuleType("first"), types.ModuleType("second")
    first.rate, second.rate = 2.0, 3.0
    module = first

    def fn(x):
        return x * module.rate

    scripted, x = script(fn), np.arange(3.0)
    np.testing.assert_array_equal(scripted(x), fn(x))
    module = second
    np.testing.assert_array_equal(scripted(x), fn(x))


@pytest.mark.parametrize(
    ("fn", "reason"),
    [
        (lambda x: x * len(dir(x)), "names"),
        (lambda x: x * globals()["np"].pi, "names"),
        (lambda x: x * eval("3.0"), "code in text"),
        (lambda x: x * np.loadtxt("numbers.txt"), "reads and writes no files"),
        (lambda x: x * (2.0 if np.geterr()["divide"] == "warn" else 1.0), "not known to tracejit"),
        (lambda x: x * np.get_printoptions()["precision"], "not known to tracejit"),
    ],
)
def test_what_depends_on_more_than_arguments_is_refused(fn, reason):
    with pytest.raises(tj.ScriptError, match=reason):
        script(fn)(np.arange(3.0))


class Counted(type):
    count = 1

    def __len__(cls):
        return cls.count


class Kind(metaclass=Counted):
    pass


def test_a_method_that_would_run_while_compiling_is_refused():
    with pytest.raises(tj.ScriptError, match="method of Counted"):
        script(lambda x: x * len(Kind))(np.arange(3.0))


class Cell:
    def __init__(self, n):
        self.n = n
        self.x = 0.5


def set_all(cells, a):
    total = 0.0
    for one in cells:
        for other in cells:
            one.x = other.n / (one.n + a)
        total += one.x
    return total


def count_all(cells, a):
    total = 0
    for one in cells:
        one.n += 1
        total += one.n * a
    return total


@pytest.mark.compiled
@pytest.mark.parametrize(("fn", "times"), [(set_all, 1), (count_all, 7)])
def test_attributes_that_are_set_before_they_are_read_are_inputs_at_once(fn, times, lowerings):
    """Numbers that were read first are compiled in until they are found set: then all is lowered again."""
    plain, cells = ([Cell(i) for i in range(6)] for _ in range(2))
    scripted = script(fn)
    for a in (2.0, 3.0):
        assert scripted(cells, a) == fn(plain, a)
        assert [(c.n, c.x) for c in cells] == [(c.n, c.x) for c in plain]
    assert len(lowerings) == times
