"""Small programs as authors write them who never read what scripts refuse: each one was an error, or another one."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tracejit import ScriptError, script

# The programs are written as users write them.
# ruff: noqa: PERF401, C416, PLW0108


class Vector:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)

    def __iter__(self):
        yield self.x
        yield self.y


def sum_from_an_object(xs, n):
    known, many = [Vector(x, 1.0) for x in xs], [Vector(i, 1) for i in range(n)]
    return list(sum(known, Vector(0.0, 0.0))), sum(many, start=Vector(0, 0)).x


def errors_that_are_not_looked_at(n):
    try:
        assert n != 2, f"n is {n}"
        return 10 // n
    except (ZeroDivisionError, AssertionError) as error:  # noqa: F841
        return -n


def all_permutations(n):
    found = []
    for p in itertools.permutations(range(n)):
        found.append(p[:1])
    return found, list(itertools.permutations(range(n), 2))


def text_that_is_repeated(n):
    return f"{n}-" * 3 + "=" * 2 + "ab" * n + n * f"{n}"


def text_and_a_number(n):
    return f"{n}" + 1


def counted_bits(n):
    return bin(n).count("1"), f"{n:b}".count("1")


class Kelvin:
    def __init__(self, k):
        self.k = k

    @property
    def celsius(self):
        return self.k - 273.15

    @celsius.deleter
    def celsius(self):
        self.k = 0.0


def deleted(k):
    t = Kelvin(k)
    first = t.celsius
    del t.celsius
    return first, t.k


def counters(xs, n):
    a, b = Counter(xs), Counter([n, n, 7])
    return sorted((a + b).items()), len(a - b)


def of_one_length(xs, ys, n):
    pairs = [a * b for a, b in zip(xs, ys, strict=True)]
    return pairs, list(zip(range(n), ys, xs, strict=True))


def needs_two(a, b, *, c, d):
    return a


@pytest.mark.parametrize(
    ("program", "calls"),
    [
        (sum_from_an_object, (([1.0, 2.0], 3), ([1.0, 2.0], 1))),
        (errors_that_are_not_looked_at, ((0,), (2,), (3,))),
        (all_permutations, ((3,), (0,))),
        (text_that_is_repeated, ((3,),)),
        (text_and_a_number, ((3,),)),
        (counted_bits, ((11,), (-4,))),
        (deleted, ((300.0,),)),
        (of_one_length, (([1, 2], [3, 4], 2), ([1, 2], [3], 2), ([1], [3, 4], 2), ([1, 2], [3, 4], 1), ([1], [2], 3))),
        (lambda x, p: (tj.full((2,), p), tj.full((2,), 3 * p > 1)), ((tj.ones(2), 0.5), (tj.ones(2), 2))),
        (lambda x, p: np.full((2,), p), ((np.ones(2), 0.5), (np.ones(2), 2))),
        (lambda x, n: np.pad(x, 1, constant_values=n), ((np.ones(2), 3), (np.ones(2), 0.5))),
        (lambda x, y: (complex(x, imag=y), complex(imag=y), complex(real=x)), ((1.5, 2), (2, -1))),
        (counters, (([1, 2, 1], 2),)),
        (lambda x, n: (tj.triu(x, diagonal=n), x.tril(diagonal=-n)), ((tj.ones(3, 3), 1),)),
        (lambda n: range(5)[n], ((7,), (-6,))),
        (lambda x: x[0][1][2], ((np.ones((2, 2)),),)),
        (lambda n: needs_two(n), ((1,),)),
        (lambda n: needs_two(n, n), ((1,),)),
        (lambda x: np.stack([x, x[:-1]]), ((np.ones(3),),)),
        (lambda x: np.concatenate([x, x[0]]), ((np.ones((2, 2)),),)),
        (lambda x: np.concatenate([x, x[:, :1]]), ((np.ones((2, 2)),),)),
        (lambda n: (f"{n}" < "3", f"{n}" == "3"), ((3,), (20,))),
    ],
)
def test_programs(program: Any, calls: tuple[tuple[Any, ...], ...]):
    for arguments in calls:
        check(program, *arguments)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (lambda n: f"{n} %d" % 4, "text before %"),
    ],
)
def test_operators_of_text_made_of_run_time_values_are_refused(program: Any, reason: str):
    with pytest.raises(ScriptError, match=reason):
        script(program)(3)
