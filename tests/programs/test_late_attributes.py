"""Attributes that a loop or a branch sets first: objects have them, or have not, as in plain Python."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tracejit import script
from tracejit.errors import ScriptError

X = np.array([1.3, -2.0, 0.7])


class Gate:
    def forward(self, x):
        self.mask = x > 0
        return x * self.mask

    def backward(self, g):
        return g * self.mask


class Bag:
    level = 3

    def __init__(self, x):
        self.x = x


def cached_in_a_method(x, n):
    gate, g, y = Gate(), np.ones_like(x), x
    for i in range(n):
        y = gate.forward(x - i)
        g = gate.backward(g)
    return y, g


def set_on_one_path(x, n):
    bag = Bag(x)
    if n > 2:
        bag.extra = x * 2
        bag.count = n
    if hasattr(bag, "extra"):
        return bag.extra + bag.count
    return bag.x


def read_after_the_loop(x, n):
    bag = Bag(x)
    for i in range(n):
        bag.last = i * 1.5
    return bag.last


def read_with_a_default(x, n):
    bag = Bag(x)
    for i in range(n):
        if i == 2:
            bag.hit = x + i
    return getattr(bag, "hit", x)


def read_by_the_next_iteration(x, n):
    bag = Bag(x)
    for i in range(n):
        if i > 0:
            x = x + bag.before
        bag.before = x * 2
    return x


def made_when_missing(x, n):
    bag = Bag(x)
    for i in range(n):
        if not hasattr(bag, "total"):
            bag.total = np.zeros_like(x)
        bag.total += x * i
    return bag.total


def of_several_objects(x, n):
    bags = [Bag(x), Bag(x * 2)]
    for i in range(n):
        for bag in bags:
            bag.cache = bag.x * i
    return bags[0].cache + bags[1].cache


def deleted(x, n):
    bag = Bag(x)
    if n > 2:
        bag.extra = x
    del bag.extra
    return hasattr(bag, "extra")


PROGRAMS = [
    cached_in_a_method,
    set_on_one_path,
    read_after_the_loop,
    read_with_a_default,
    read_by_the_next_iteration,
    made_when_missing,
    of_several_objects,
    deleted,
]


@pytest.mark.parametrize("fn", PROGRAMS)
@pytest.mark.compiled
def test_as_plain_python(fn):
    scripted = script(fn)
    for n in (0, 1, 4):
        check(fn, X, n, scripted=scripted)
    assert scripted.compiles == 1


@pytest.mark.parametrize("fn", [cached_in_a_method, read_by_the_next_iteration, made_when_missing, of_several_objects])
def test_gradients(fn):
    assert tj.check(fn, X, 3).ok


def in_a_new_dict(n):
    bag = Bag(n)
    bag.seen = {}
    for i in range(n):
        if i == 2:
            bag.seen = {i: 1}
        else:
            bag.seen[i] = i
    return bag.seen


@pytest.mark.compiled
def test_dicts_in_attributes_are_handed_on_once(monkeypatch):
    monkeypatch.setenv("TRACEJIT_VERIFY", "1")
    for n in (0, 2, 5):
        check(in_a_new_dict, n)


def test_what_the_class_has_too():
    def hides(x, n):
        bag = Bag(x)
        if n > 2:
            bag.level = 7
        return bag.level

    check(hides, X, 3)
    check(hides, X, 1)


def test_objects_that_are_returned_are_refused():
    def returned(x, n):
        bag = Bag(x)
        if n > 2:
            bag.extra = 7
        return bag

    with pytest.raises(ScriptError, match="on one path only"):
        script(returned)(X, 1)
