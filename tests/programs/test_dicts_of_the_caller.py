"""Dicts of the caller, and of the module, that get keys which are known at run time only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check


def fib(n, memo):
    if n in memo:
        return memo[n]
    memo[n] = fib(n - 1, memo) + fib(n - 2, memo)
    return memo[n]


def counted(xs, d):
    for v in xs:
        d[v] = d.get(v, 0) + 1
    return d


def changed(d, n):
    for i in range(n):
        d[i * 2] = i + 0.5
        if i == 3:
            del d[0]
    d[1] = d.pop(2)
    return len(d), n in d, list(d.keys()), d


def of_pairs(d, n):
    for i in range(n):
        for j in range(i):
            d[i, j] = i * j
    return sum(d.values())


def raising(d, n):
    try:
        d[n] += 1
    except KeyError as error:
        print(error)
    d[n] = 5
    d[n + 1] = d[n + 2]


def read(d, n):
    return d[n], n in d, d.get(n + 1, 7)


def held_by_another(o, n):
    for i in range(n):
        o["counts"][i] = i
    return o["counts"][n - 1]


MANY = {i: i * i for i in range(40)}


@pytest.mark.parametrize(
    ("program", "calls"),
    [
        (fib, ((10, {0: 0, 1: 1}), (20, {1: 1, 0: 0, 5: 5}))),
        (counted, (([1, 2, 1, 5], {}), ([1, 2, 50, 39], MANY))),
        (changed, (({}, 5), ({1: 0.5, 0: 1.5}, 5))),
        (of_pairs, (({}, 4),)),
        (raising, (({}, 3), ({3: 1, 5: 2}, 3))),
        (read, ((MANY, 3), ({1: 2.5, 3: 4}, 1))),
        (held_by_another, (({"counts": {}, "other": 2}, 3),)),
    ],
)
def test_programs(program: Any, calls: tuple[tuple[Any, ...], ...]):
    for arguments in calls:
        check(program, *arguments)


KNOWN = {1: 2}


def test_a_dict_of_the_module():
    def program(n):
        for i in range(n):
            KNOWN[i] = i * 3
        return len(KNOWN)

    compiled = tj.script(program)
    assert compiled(3) == 3
    assert list(KNOWN.items()) == [(1, 3), (0, 0), (2, 6)]
    assert compiled(4) == 4
    assert KNOWN[3] == 9


def test_arrays_in_a_dict_of_the_caller_are_refused():
    def program(d, n):
        for i in range(n):
            d[i] = np.zeros(2)

    with pytest.raises(tj.ScriptError, match="put into a dict of the caller"):
        tj.script(program)({}, 2)


def test_a_dict_of_the_caller_with_other_keys_is_refused():
    def program(d, n):
        d[n] = 1

    with pytest.raises(tj.ScriptError, match="holds other things than numbers"):
        tj.script(program)({"a": 1}, 2)
    with pytest.raises(tj.ScriptError, match="a text made at run time is set as a key of a dict of the caller"):
        tj.script(lambda d, n: program(d, f"{n}"))({"a": 1}, 2)
