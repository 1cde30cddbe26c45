"""Lists of many numbers: an index known at run time, and what changes, as in plain Python."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check


def picked(values, i):
    return values[i] * 2


def total_of_some(values, n):
    total = 0.0
    for i in range(n):
        total += values[i * i % len(values)]
    return total


def written(values, i):
    values[i] = values[i] + 1
    return values[0]


def heap(values):
    heapq.heapify(values)
    return [heapq.heappop(values) for _ in range(3)]


NUMBERS = {
    "floats": [float(i * 7 % 50) for i in range(50)],
    "ints": [i * 7 % 50 for i in range(50)],
    "mixed": [i if i % 2 else float(i) for i in range(50)],
}


@pytest.mark.parametrize("values", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.parametrize("index", [0, 49, -50, 17, 50, -51])
def test_an_item(values, index):
    check(picked, values, index)


@pytest.mark.parametrize("values", NUMBERS.values(), ids=NUMBERS)
def test_items_in_a_loop(values):
    check(total_of_some, values, 70)


@pytest.mark.parametrize("kind", ["floats", "ints"])
def test_changes(kind):
    check(written, list(NUMBERS[kind]), 3)
    check(heap, list(NUMBERS[kind]))


def test_the_slope_by_items():
    def loss(values, i):
        return values[i] * values[i] * values[1]

    values = [tj.tensor(float(v)) for v in NUMBERS["floats"]]
    slopes = tj.grad(loss)(values, 4)
    assert float(slopes[4]) == 2 * 28.0 * 7.0
    assert float(slopes[1]) == 28.0 * 28.0
    assert all(float(s) == 0 for i, s in enumerate(slopes) if i not in (1, 4))


def test_a_table_of_the_script():
    def looked_up(i):
        table = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4, 6, 2, 6, 4, 3, 3, 8, 3, 2, 7, 9, 5, 0, 2]
        return table[i] + table[-i]

    for i in (0, 5, 33):
        check(looked_up, i)


def by_row(rows, limit):
    found, lengths = {}, []
    for k, (name, row) in enumerate(rows):
        above = []
        for v in row:
            if v > limit:
                above.append(v)
        lengths.append(len(above))
        found[name] = above
        found[name].append(k)
    return found, lengths, [[v for v in row if v < limit] for _, row in rows]


def test_what_the_trips_of_an_unrolled_loop_make():
    check(by_row, [(name, [i, 2 * i, 3]) for i, name in enumerate("abcdefgh")], 3)


def grouped(items):
    groups, seen = {}, []
    for _, k, v in items:
        groups.setdefault(k % 3, []).append(v)
        seen.append(k)
    return [groups[k] for k in sorted(groups)], seen


def test_lists_of_a_table_filled_in_an_unrolled_loop():
    check(grouped, [("a", 1, 0.5), ("b", 2, 1.5), ("c", 4, 2.5), ("d", 1, 3.5)])


def of_one_trip(x, rows):
    shapes = []
    for axis in range(3):
        known = [1 for _ in range(2 - axis)]
        kept = [v for v in (rows if axis == 0 else known) if axis or v > 1]
        shapes.append(np.reshape(x, (-1, *known)).shape)
        shapes.append(len(kept))
        if axis:
            shapes.append(np.zeros((1, *kept)).shape)
    return shapes


def test_a_list_that_grows_in_one_trip_only():
    check(of_one_trip, np.ones((2, 3, 4)), [1, 2, 3])


PRIMES = [n for n in range(2, 600) if all(n % k for k in range(2, n))]


def least_factor(n):
    for p in PRIMES:
        if n % p == 0:
            return p
    return n


def numbered(x):
    found = []
    for i, p in enumerate(PRIMES):
        if p > x:
            found.append(i)
        if i == 70:
            break
    else:
        found.append(-1)
    return found, [a * b for a, b in zip(PRIMES, reversed(PRIMES), strict=True)][3], [p for p in PRIMES if p % 7 == x]


def needs_each(x):
    total = x.sum(axis=[p for p in PRIMES if p < 3][0] - 2)[0]
    for p in PRIMES:
        if p < 4:
            total = total + x.sum(axis=p - 2)[0]
    return total


def test_loops_over_many_known_numbers():
    for n in (35, 397 * 401, 2):
        check(least_factor, n)
    check(numbered, 3)
    check(needs_each, np.ones((3, 3)))


class Body:
    def __init__(self, place, mass):
        self.place = place
        self.speed = 0.0
        self.mass = mass


def pulled(places, pull):
    bodies = [Body(places[i], 1.0 + i) for i in range(16)]
    for a in bodies:
        for b in bodies:
            d = a.place - b.place
            a.speed = a.speed + b.mass * pull * d / (d * d + 1.0)
    for i in range(16):
        for j in range(16):
            if i != j:
                bodies[i].place += 0.01 * bodies[j].speed
    total = 0.0
    for body in bodies:
        total += body.place * body.mass
    return total


def test_loops_over_many_pairs_are_loops():
    places = np.arange(16) * 0.1
    check(pulled, places, 2.0)
    slope = (pulled(places, 2.5) - pulled(places, 1.5)) / 1.0
    assert tj.grad(pulled, argnums=1)(places, 2.0) == pytest.approx(slope, rel=1e-9)


@pytest.mark.compiled
def test_loops_over_many_pairs_are_no_long_programs():
    scripted = tj.script(pulled)
    scripted(np.arange(16) * 0.1, 2.0)
    assert len(scripted.graph.splitlines()) < 500


def pairs_of_kinds(x):
    items = [x, 1, 2.5, "a", (x, 1), None, True, 3] * 2
    total, alike = 0.0, 0
    for a in items:
        for b in items:
            if isinstance(a, str) and isinstance(b, str):
                alike += len(a + b)
            elif isinstance(a, float) and isinstance(b, float):
                total += a * b
    return total, alike


def test_pairs_of_items_of_other_kinds():
    check(pairs_of_kinds, 1.5)
