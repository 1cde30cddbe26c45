"""Lists that are one of several by the path taken: the caller gets its own back, and a change is seen or refused."""

from __future__ import annotations

from typing import Any

import pytest

from tracejit import ScriptError, script


def by_expression(xs, ys, c):
    return xs if c > 0 else ys


def by_statement(xs, ys, c):
    if c > 0:
        return xs
    return [1, 2]


def changed_on_its_path(xs, ys, c):
    if c > 0:
        xs.append(3)
        return xs
    return ys


def in_a_tuple(xs, ys, c):
    if c > 0:
        return xs, 1
    return ys, 2


def places_changed(xs, ys, c):
    for _ in range(c):
        xs, ys = ys, xs
    return xs


def bound_anew_in_trips(xs, ys, c):
    for i in range(c):
        xs = [i, i + 1]
    return xs


def chosen_in_trips(xs, ys, c):
    s, i = xs, 0
    while i < c:
        s = ys if i % 2 else xs
        i += 1
    return s


def behind_an_error(xs, ys, c):
    if c > 5:
        raise ValueError
    else:
        r = xs
    r[0] = 5
    return r


def best_of(xs, ys, c):
    best = xs
    for one in (xs, ys):
        if sum(one) > c + sum(best):
            best = one
    return best


def by_an_inner_function(xs, ys, c):
    def pick(a, b):
        if c > 0:
            return a
        return b

    return pick(xs, ys)


def copied_on_one_path(xs, ys, c):
    return xs[:] if c > 0 else xs


def read_before_another_changes(xs, ys, c):
    n = 0
    for v in xs if c > 0 else ys:
        n += v
    xs.append(n)
    return ys


def local_ones(xs, ys, c):
    a, b = [1, 2], [3, 4]
    r = a if c > 0 else b
    r.append(1)
    a.append(5)
    return r + a + b


RIGHT = [
    by_expression,
    by_statement,
    changed_on_its_path,
    in_a_tuple,
    places_changed,
    bound_anew_in_trips,
    chosen_in_trips,
    behind_an_error,
    best_of,
    by_an_inner_function,
    copied_on_one_path,
    read_before_another_changes,
    local_ones,
]


def outcome(fn: Any, xs: list[int], ys: list[int], c: int) -> Any:
    made = fn(xs, ys, c)
    first = made[0] if isinstance(made, tuple) else made
    return made, first is xs, first is ys, xs, ys


@pytest.mark.parametrize("program", RIGHT, ids=lambda p: p.__name__)
@pytest.mark.parametrize("lengths", [(2, 2), (3, 2)])
def test_the_caller_gets_its_own_list(program: Any, lengths: tuple[int, int]) -> None:
    compiled = script(program)
    for c in (0, 1, 2, 3, 1):
        given = [list(range(1, n + 1)) for n in lengths]
        if program is places_changed and lengths[0] != lengths[1]:
            continue  # refused: lists of known lengths that differ
        found = outcome(compiled, *map(list, given), c)
        assert found == outcome(program, *map(list, given), c)


def appended_to_either(xs, ys, c):
    r = xs if c > 0 else ys
    r.append(1)


def set_in_either(xs, ys, c):
    r = xs
    if c > 0:
        r = ys
    r[0] = 5


def set_in_the_source(xs, ys, c):
    r = xs if c > 0 else ys
    ys[0] = 7
    return r


def changed_after_trips(xs, ys, c):
    for _ in range(c):
        xs, ys = ys, xs
    xs.append(1)


def changed_and_bound_anew(xs, ys, c):
    for i in range(c):
        xs.append(i)
        xs = [*xs, 1]
    return xs


def in_tuples(xs, ys, c):
    t = (xs, ys)
    if c > 0:
        t = (ys, xs)
    t[0][0] = 5


REFUSED = [
    appended_to_either,
    set_in_either,
    set_in_the_source,
    changed_after_trips,
    changed_and_bound_anew,
    in_tuples,
]


@pytest.mark.parametrize("program", REFUSED, ids=lambda p: p.__name__)
def test_a_change_of_one_of_several_is_refused(program: Any) -> None:
    xs, ys = [1, 2], [3, 4]
    with pytest.raises(ScriptError, match="on one path"):
        script(program)(xs, ys, 1)
    assert (xs, ys) == ([1, 2], [3, 4])
