"""Loops over sets of numbers come to the items in the order in which Python does."""

import random

import pytest

from tests.programs.compare import check
from tracejit import ScriptError, script


def drawn(seed, n, m):
    numbers = random.Random(seed)
    return [numbers.randrange(-m, m) for _ in range(n)]


def in_loops(values):
    items, found, total = set(values), [], 0
    for v in items:
        found.append(v)
        total = (total * 3 + v) % 1007
    return found, total, [v for v in items if v > 1], {v: values.count(v) for v in items}


def grown(values):
    seen = set()
    for x in values:
        seen.add(x % 50)
    return list(seen), tuple(seen), sum(x * 0.1 for x in seen), next(iter({x + 1 for x in seen}))


def operators(a, b):
    x, y = set(a), set(b)
    return list(x & y), list(x | y), list(x - y), list(x ^ y), list(x.copy()), list(frozenset(a) | y)


def methods(a, b):
    x = set(a)
    return list(x.union(b)), list(x.intersection(b)), list(x.difference(b)), list(x.symmetric_difference(b))


def changed(a, b):
    s = set(a)
    t = s
    s -= set(b)
    first = list(s)
    s |= {v + 100 for v in b}
    second = list(s)
    s ^= set(a)
    third = list(s)
    s &= set(range(0, 200, 2))
    return first, second, third, list(s), t is s


def gone_and_back(a, b):
    s = set(a)
    for x in b:
        s.discard(x)
    for x in b:
        s.add(x + 1)
    s.update(b)
    found = list(s)
    s.clear()
    s.add(3)
    s.add(8)
    s.add(0)
    return found, list(s)


def popped(values):
    s, found = set(values), []
    while s:
        found.append(s.pop())
        if len(s) > 3:
            s.discard(values[0])
    return found


def pairs(points):
    s = set()
    for x, y in points:
        s.add((x, y))
    return [p for p in s], list({x / 2 for x, _ in s})


def of_graphs(n, edges):
    near = [set() for _ in range(n)]
    for a, b in edges:
        near[a].add(b)
        near[b].add(a)
    return [(u, v) for u in range(n) for v in near[u]]


def left_early(values):
    for i, v in enumerate(set(values)):
        if v > 3:
            break
    return i, v


def beside_texts(words):
    lengths = set()
    for w in words:
        lengths.add(len(w))
    return sorted(set(words)), list(lengths), "a" in set(words)


def same_set(values):
    s = set(values)
    t = s
    s ^= {1, 2, 3}
    return sorted(t), sorted(s)


def changing(values):
    s = set(values)
    for v in s:
        if v == 2:
            s.add(99)
    return len(s)


def of_texts(n):
    words = {f"{i}x" for i in range(n)}
    return [w for w in words]


FEW, SOME, MANY = [8, 0, 16, 24, 1], drawn(1, 20, 40), drawn(2, 60, 1000)
CASES = [
    *((in_loops, values) for values in (FEW, MANY)),
    *((grown, values) for values in (FEW, drawn(3, 100, 10**6))),
    (operators, SOME, MANY),
    (methods, MANY, SOME),
    (changed, SOME, MANY),
    (gone_and_back, MANY, MANY[5:40]),
    (popped, SOME),
    (pairs, [(1, 2), (2, 1), (1, 2), (0, 0), (5, -3)]),
    (of_graphs, 5, [(0, 1), (1, 2), (0, 4), (3, 0), (2, 4)]),
    (left_early, [5, 3, 1]),
    (beside_texts, ["a", "bb", "cc"]),
    (same_set, [3, 4, 5]),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].__name__}({case[1]})"[:30])
def test_programs(case):
    check(*case)


def of_the_caller(items):
    return [v for v in items], list(items), sum(items)


@pytest.mark.compiled
def test_sets_of_the_caller_with_other_orders():
    first, second = set(), set()
    for items, order in ((first, (0, 8)), (second, (8, 0))):
        for v in order:
            items.add(v)
    scripted = script(of_the_caller)
    for items in (first, second, first, second):
        assert scripted(items) == of_the_caller(items)
    assert scripted.compiles == 2


@pytest.mark.compiled
def test_a_set_that_a_loop_changes_is_refused():
    with pytest.raises(ScriptError, match="a set changes while a loop runs over it"):
        script(changing)([1, 2])


@pytest.mark.compiled
def test_the_order_of_texts_is_refused():
    with pytest.raises(ScriptError, match="known to Python only"):
        script(of_texts)(3)
