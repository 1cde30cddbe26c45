"""Generators of other files, and functions that take items one by one, against plain Python: effects in order."""

from __future__ import annotations

import itertools
import traceback

import numpy as np
import pytest

from tests.programs import other_generators
from tests.programs.cases import A, Cases, Program, run
from tests.programs.compare import check
from tests.programs.other_generators import scaled, triples
from tracejit import script

case = Cases()


def up_to(n):
    i = 0
    while i < n:
        yield i
        i += 1


def squares(values):
    for x in values:
        yield x * x


def even_pairs(n):
    for i in range(n):
        if i % 2 == 0:
            yield i, i * i


@case((6,), (1,))
def several_that_change_nothing(n):
    products = [a * b for a, b in zip(up_to(n), squares(range(n)))]
    first, second = zip(*even_pairs(n))
    found = []
    for (a, b), c in zip(even_pairs(n), up_to(3)):
        found.append(a + b * c)
    return products, first, second, found, dict(zip(up_to(n), squares(range(5))))


def counted(n, log):
    log.append(-1)
    for i in range(n):
        log.append(i)
        yield i
    log.append(-2)


def shorter(n, log):
    for k in counted(n, log):
        yield range(k)


@case((5, [1, 2, 3], []), (2, [1, 2, 3], []), (3, [1, 2, 3], []), (0, [1], []), (1, [], []))
def zip_ends_where_the_first_ends(n, xs, log):
    found = []
    for a, b in zip(counted(n, log), xs):
        if a == 1:
            continue
        log.append(100 + a)
        found.append(a * b)
    for b, a in zip(xs, counted(n, log)):
        log.append(200 + a)
        xs[0] = 50
        found.append(a * b)
    for i, a, (k, v) in zip(itertools.count(3), counted(n, log), enumerate(xs)):
        if k == 2:
            break
        found.append(a * i + v)
    else:
        log.append(7)
    return found


@case((5, []), (0, []))
def others_take_no_more_than_they_need(n, log):
    found = [any(map(lambda v: v > 1, counted(n, log))), all(counted(n, log)), 2 in counted(n, log)]
    found += [next(counted(n, log), -1), next(filter(lambda v: v > 9, range(n)), n), next(counted(2, log))]
    try:
        log.append(next(counted(n, log)))
    except StopIteration:
        log.append(-3)
    for x in filter(lambda v: v % 2, counted(n, log)):
        log.append(60 + x)
    for x in itertools.takewhile(lambda v: v < 2, counted(n, log)):
        log.append(70 + x)
    for x in itertools.islice(counted(n, log), 1, 4, 2):
        log.append(80 + x)
    for x in itertools.chain(counted(2, log), [9], counted(n, log)):
        if x == 3:
            break
        log.append(90 + x)
    return found


@case((5, []), (0, []))
def itertools_of_generators(n, log):
    return (
        list(itertools.accumulate(counted(n, log))),
        [x for x in itertools.accumulate(counted(n, log), lambda a, b: a * 2 + b, initial=1)],
        list(itertools.dropwhile(lambda v: v < 2, counted(n, log))),
        list(itertools.filterfalse(None, counted(n, log))),
        list(itertools.pairwise(counted(n, log))),
        list(itertools.compress(counted(n, log), [1, 0, 1, 1])),
        list(itertools.starmap(pow, zip(counted(n, log), range(9)))),
        list(map(lambda a, b: a + b, range(3), counted(n, log))),
        list(itertools.combinations(counted(n, log), 2)),
        list(itertools.chain.from_iterable(shorter(n, log))),
    )


@case((4, []), (0, []))
def starred_in_lists_and_put_into_them(n, log):
    found = [7]
    found[0:0] = counted(n, log)
    found += counted(2, log)
    found.extend(counted(1, log))
    return [*counted(n, log), *found], dict(zip(counted(n, log), range(9)))


@case((5, [], True), (0, [], False))
def one_that_runs_on_one_path(n, log, runs):
    items = counted(n, log)
    log.append(5)
    if runs:
        return list(items)
    return [0]


@case((A(2), []))
def of_another_file(x, log):
    total = 0.0
    for v in scaled(x, log):
        total += v
        x[0] = 9.0
    for i, k, j in triples(3):
        total += i + k + j
    return total, max(scaled(x, log))


@pytest.mark.parametrize(("fn", "calls"), case.programs, ids=case.ids)
def test_against_plain_python(fn: Program, calls: tuple[tuple[object, ...], ...]) -> None:
    run(fn, calls)


def test_an_error_has_the_place_in_the_generator() -> None:
    with pytest.raises(ValueError, match="negative 1") as caught:
        script(of_another_file)(np.array([1.0, -2.0]), [])
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.name) == (other_generators.__file__, "scaled")
    assert last.line == 'raise ValueError("negative %d" % i)'


def test_two_generators_that_change_what_they_are_given() -> None:
    def two(n, log):
        return [a + b for a, b in zip(counted(n, log), counted(n, log))]

    check(two, 3, [])


def test_a_generator_in_a_loop_around() -> None:
    def again(n, log):
        items = counted(n, log)
        total = 0
        for _ in range(n):
            for v in items:
                total += v
        return total

    check(again, 3, [])
