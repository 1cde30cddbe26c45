"""What items are compared by, methods that stand for operators, and sets that do not change."""

from __future__ import annotations

import operator
from collections import Counter

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check


def most_frequent(values):
    counts = {}
    for v in values:
        counts[v] = counts.get(v, 0) + 1
    by_count = max(counts.items(), key=operator.itemgetter(1))
    by_lambda = max(counts, key=lambda v: counts.get(v)), sorted(counts, key=lambda v: counts.get(v))
    by_get = max(counts, key=counts.get), min(counts.keys(), key=counts.get), sorted(counts, key=counts.get)
    return by_get, by_lambda, by_count


def of_a_counter(values):
    counts = Counter(values)
    return max(counts, key=counts.get), counts.most_common(1)


def known_keys(n):
    costs = {"a": n, "b": 3, "c": 2}
    return max(costs, key=costs.get), sorted(costs, key=costs.get, reverse=True)


@pytest.mark.parametrize("values", [[3, 1, 3, 2, 3, 1], np.array([3, 1, 3])], ids=["list", "array"])
def test_the_key_get(values):
    check(most_frequent, values)
    check(of_a_counter, values)


def test_the_key_get_of_known_keys():
    check(known_keys, 5)
    check(known_keys, 1)


def order(values):
    places = list(range(len(values)))
    places.sort(key=values.__getitem__)
    return places, sorted(places, key=values.__getitem__), min(places, key=values.__getitem__), values.__len__()


def test_methods_of_operators():
    check(order, [5, 3, 8])
    check(order, [5.0, 3, 8] * 9)


def from_keys(values, n):
    seen = dict.fromkeys(values)
    return list(seen), dict.fromkeys(values, n), dict.fromkeys("ab"), dict.fromkeys(range(n), 0.5)


def test_dicts_of_keys():
    check(from_keys, [3, 1, 3], 4)


def frozen(values):
    f = frozenset(values)
    g = f
    g |= {99}
    g ^= {1, 98}
    kinds = isinstance(f, frozenset), isinstance(f, set), isinstance(set(values), frozenset), hasattr(f, "add")
    return f, g, kinds, 1 in f, f == set(f), f <= g, f.union([3]), f.difference(values), f.copy(), sorted(f), sum(f)


def of_an_array(values):
    f = frozenset(values)
    return f, 2 in f, sum(f)


def of_two_kinds(values):
    s = set()
    for v in values:
        s.add(v % 3)
    f = frozenset(s)
    s.add(7)
    return s - f, f - s, f ^ s, s ^ f, {9, 1} | f, f & {1}, frozenset([1, 2])


def added(values):
    frozenset(values).add(3)


LIST, ARRAY = [1, 2, 3, 3], np.array([1, 2, 3, 3])


@pytest.mark.parametrize(("fn", "values"), [(frozen, LIST), (of_an_array, ARRAY), (of_two_kinds, ARRAY), (added, LIST)])
def test_frozen_sets(fn, values):
    check(fn, values)


def views_of_dicts(d, n):
    e = {"y": 2, "x": n}
    keys, values, items = d.keys(), d.values(), d.items()
    print(keys, values, f"{items}")
    equal = (
        keys == {"x", "y"},
        keys == e.keys(),
        keys == ("x", "y"),
        values == d.values(),
        values == values,
        items == e.items(),
    )
    sets = sorted(keys & {"x", "q"}), sorted(keys - {"x"}), sorted(keys | e.keys()), sorted({"q"} ^ keys), keys >= {"x"}
    sets += keys.isdisjoint({"q"}), keys.isdisjoint(e.keys()), keys.isdisjoint(["x"])
    return equal, sets, type(keys).__name__, isinstance(values, tuple), len(items), "x" in keys, [*keys], max(values)


def test_views_of_dicts():
    check(views_of_dicts, {"x": 1, "y": 2}, 1)
    check(views_of_dicts, {"x": 1, "y": 2}, 3)
    for fn in (lambda d: d.keys()[0], lambda d: d.keys() + ("a",), lambda d: d.values() * 2, lambda d: {d.keys(): 1}):
        check(fn, {"x": 1})


def items_in_a_set_of_pairs(d, n):
    pairs = set()
    for i in range(n):
        pairs.add((("x", i), ("y", i)))
    return d.items() in pairs


def values_in_a_set_of_pairs(d, n):
    pairs = set()
    for i in range(n):
        pairs.add((i, i + 1))
    return d.values() in pairs


def test_views_of_dicts_beside_keys_known_at_run_time():
    check(items_in_a_set_of_pairs, {"x": 1, "y": 1}, 2)


def test_values_of_dicts_as_keys_are_refused():
    with pytest.raises(tj.ScriptError, match="the values of a dict as a key"):
        tj.script(lambda d: {d.values(): 1})({"x": 1})
    with pytest.raises(tj.ScriptError, match="the values of a dict as a key"):
        tj.script(values_in_a_set_of_pairs)({"x": 1, "y": 2}, 3)


class Place:
    def __init__(self, row, column):
        self.row = row
        self.column = column

    def __repr__(self):
        return f"{self.row}:{self.column}"

    def __hash__(self):
        return hash((self.row, self.column))

    def __eq__(self, other):
        return isinstance(other, Place) and (self.row, self.column) == (other.row, other.column)


class Vertex:
    def __init__(self, name):
        self.name = name
        self.near = set()

    def join(self, other):
        self.near.add(other)
        other.near.add(self)


class Unhashable:
    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        return self.n == other.n


def visits(n, wanted):
    times = {Place(0, 0): 1}
    for i in range(n * 3):
        here = Place(i % n, i * i % 2)
        times[here] = times.get(here, 0) + i
    return len(times), list(times.values()), Place(1, 1) in times, times[Place(0, 0)], times[Place(wanted, 0)]


def distances(n):
    vertices = [Vertex(i) for i in range(n)]
    for i in range(n - 2):
        vertices[i].join(vertices[i + 2])
    distance, seen, todo = {vertices[0]: 0}, {vertices[0]}, [vertices[0]]
    while todo:
        vertex = todo.pop(0)
        for other in vertices:
            if other in vertex.near and other not in seen:
                seen.add(other)
                distance[other] = distance[vertex] + 1
                todo.append(other)
    return (
        [distance.get(v, -1) for v in vertices],
        len(seen),
        [v.name for v in distance],
        sum(len(v.near) for v in distance),
    )


def of_unhashable(n):
    found = set()
    for i in range(n):
        found.add(Unhashable(i))
    return len(found)


def test_objects_are_keys():
    check(visits, 4, 2)
    check(visits, 4, 9)
    check(distances, 5)
    check(of_unhashable, 3)
