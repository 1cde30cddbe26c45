"""Objects that a script makes, in lists of a length known at run time only, linked to each other, one or another."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

# The programs are written as users write them.
# ruff: noqa: E701, E702, C416, PLR1714


class Particle:
    kind = "p"

    def __init__(self, x, v=0.0):
        self.x = x
        self.v = v

    def __lt__(self, other):
        return self.x < other.x

    def __repr__(self):
        return f"Particle({self.x})"

    @property
    def speed(self):
        return abs(self.v)

    @speed.setter
    def speed(self, value):
        self.v = -value

    def move(self, dt):
        self.x += self.v * dt
        return self


@dataclass(order=True)
class Item:
    weight: int
    value: float = 0.0
    tags: list[int] = field(default_factory=list)


class Link:
    def __init__(self, value, after=None):
        self.value = value
        self.after = after


class Tree:
    def __init__(self, value):
        self.value = value
        self.left = None
        self.right = None

    def insert(self, value):
        if value < self.value:
            if self.left is None:
                self.left = Tree(value)
            else:
                self.left.insert(value)
        elif self.right is None:
            self.right = Tree(value)
        else:
            self.right.insert(value)

    def walk(self, out):
        if self.left is not None:
            self.left.walk(out)
        out.append(self.value)
        if self.right is not None:
            self.right.walk(out)


def simulated(n, steps):
    particles = [Particle(i * 0.3, 1.0 + i) for i in range(n)]
    for _ in range(steps):
        for p in particles:
            p.move(0.1)
            if p.x > 1:
                p.v = -p.v
    fast = [p for p in particles if p.speed > 2]
    return [p.x for p in sorted(particles, key=lambda p: -p.x)], len(fast), particles


def ordered_by_less_than(n):
    items = [Particle((i * 3.0) % 5, i) for i in range(n)]
    items.sort()
    last = sorted(items, reverse=True)
    weighed = [Item((i * 3) % 4, float(i)) for i in range(n)]
    weighed.sort()
    return [p.v for p in items], [p.v for p in last], min(items).x, max(items, key=lambda p: p.v).x, weighed


def methods_of_lists(n):
    items = [Particle(i) for i in range(n)]
    first = items.pop()
    items.insert(0, first)
    items.reverse()
    at = items.index(first)
    items.extend([Particle(9), first])
    items.remove(first)
    first.x = 50
    other = copy.copy(first)
    other.x = -1
    return [p.x for p in items], at, first in items, other in items, items[-1] is first, items.count(first)


def what_objects_are(n):
    items = [Particle(float(i), float(i)) for i in range(n)]
    for p in items:
        p.speed = p.speed + 1
    a = items[0]
    shown = f"{a} {items[-1]!r} {type(a).__name__} {a.kind}"
    return (
        isinstance(a, Particle),
        hasattr(a, "x"),
        hasattr(a, "q"),
        getattr(a, "q", 7),
        a is items[0],
        shown,
        a.move(2.0).x,
    )


def lists_in_objects(n):
    items = []
    for i in range(n):
        item = Item(i)
        item.tags.append(i)
        items.append(item)
        items[i - 1].tags.append(-i)
    return items, sum(len(item.tags) for item in items)


def objects_in_objects(n):
    cells = [Link(np.array([i, i * 2.0]), []) for i in range(n)]
    for a in cells:
        for b in cells:
            if a is not b:
                a.after.append(b)
    return [sum([b.value.sum() for b in a.after]) for a in cells], cells[0].after[0] is cells[1]


def objects_in_dicts(n):
    known = {}
    for i in range(n):
        known[i % 3] = Particle(i)
    known[0].v = 3.0
    known[7] = known[0]
    return known[7].v, [p.x for p in known.values()], known


def chained(n):
    head = None
    for i in range(n):
        head = Link(i, head)
    total, p = 0, head
    while p is not None:
        total = total * 10 + p.value
        p = p.after
    return total


def trees(values):
    root = Tree(values[0])
    for v in values[1:]:
        root.insert(v)
    out = []
    root.walk(out)
    return out


def trees_by_loops(values):
    root = None
    for v in values:
        if root is None:
            root = Tree(v)
            continue
        p = root
        while True:
            if v < p.value:
                if p.left is None:
                    p.left = Tree(v)
                    break
                p = p.left
            else:
                if p.right is None:
                    p.right = Tree(v)
                    break
                p = p.right
    depth, p = 0, root
    while p is not None:
        depth += 1
        p = p.left
    return depth, root.value


def one_of_two(x):
    first = Particle(x)
    chosen = first
    if x > 0:
        chosen = Particle(2.0)
    chosen.x = 5.0
    return first.x, chosen is first


@pytest.mark.parametrize(
    ("program", "calls"),
    [
        (simulated, ((4, 3), (1, 1))),
        (ordered_by_less_than, ((5,), (1,))),
        (methods_of_lists, ((4,), (2,))),
        (what_objects_are, ((3,),)),
        (lists_in_objects, ((4,), (1,))),
        (objects_in_objects, ((4,), (2,))),
        (objects_in_dicts, ((5,), (1,))),
        (chained, ((4,), (0,))),
        (trees, (([3, 1, 2, 5, 4],), ([1],))),
        (trees_by_loops, (([3, 1, 2, 5, 4],), ([1],))),
        (one_of_two, ((1.0,), (-1.0,))),
    ],
)
def test_programs(program: Any, calls: tuple[tuple[Any, ...], ...]):
    for arguments in calls:
        check(program, *arguments)


def test_none_where_an_object_is_needed():
    def program(n):
        last = Link(n)
        nodes = [last]
        for i in range(n):
            nodes.append(Link(i, last))
        return nodes[0].after.value

    check(program, 2)


def test_items_that_may_be_none():
    def program(n):
        best = [None] * n
        for i in range(n):
            for k in range(i):
                v = (i * k) % 4
                if best[i] is None or v > best[i]:
                    best[i] = v
        pairs = [(i, None if i % 2 else float(i)) for i in range(n)]
        known = {}
        for i in range(n):
            known[i] = best[i]
        return best, sum(v for v in best if v is not None), [b is None for b in best], pairs, known

    check(program, 5)
    check(program, 1)


def test_a_derivative_through_objects():
    def energy(x, n):
        particles = [Particle(x[i], x[i] * 2) for i in range(n)]
        for _ in range(3):
            for p in particles:
                p.move(0.1)
        return sum([p.x * p.x for p in particles])

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(tj.grad(energy)(x, 2), 2 * 1.6**2 * x)


def inserted(tree, value):
    if tree is None:
        return Tree(value)
    if value < tree.value:
        tree.left = inserted(tree.left, value)
    else:
        tree.right = inserted(tree.right, value)
    return tree


def height(tree):
    return 0 if tree is None else 1 + max(height(tree.left), height(tree.right))


def test_functions_that_call_themselves_over_trees():
    def program(values):
        tree = None
        for v in values:
            tree = inserted(tree, v)
        return height(tree)

    check(program, [3, 1, 2, 5, 4])
    check(program, [])


def halved(x, depth):
    if depth == 0 or len(x) < 2:
        leaf = Tree(x.sum())
        return leaf
    m = len(x) // 2
    tree = Tree(x[0])
    tree.left, tree.right = halved(x[:m], depth - 1), halved(x[m:], depth - 1)
    return tree


def records(x, depth):
    if depth == 0 or len(x) < 2:
        return {"value": x.sum(), "left": None, "right": None}
    m = len(x) // 2
    return {"value": x[0], "left": records(x[:m], depth - 1), "right": records(x[m:], depth - 1)}


def total(tree):
    return tree["value"] if tree["left"] is None else total(tree["left"]) + total(tree["right"])


class Split:
    def __init__(self, at=None, left=None, right=None, *, value=None):
        self.at, self.left, self.right, self.value = at, left, right, value

    def is_leaf(self):
        return self.value is not None


def split(x, depth):
    if depth == 0 or len(x) < 2:
        return Split(value=x.sum())
    m = len(x) // 2
    return Split(x[m], split(x[:m], depth - 1), split(x[m:], depth - 1))


def leaf_of(split, v):
    if split.is_leaf():
        return split.value
    return leaf_of(split.left, v) if v < split.at else leaf_of(split.right, v)


def test_trees_that_functions_which_call_themselves_return():
    def program(x, depth):
        found = []
        halved(x, depth).walk(found)
        root = split(x, depth)
        return found, total(records(x, depth)), np.array([leaf_of(root, v) for v in x]), leaf_of(root, 1.0) + 1

    check(program, np.arange(7.0), 2)
    check(program, np.arange(1.0), 2)


def test_what_may_be_none_is_moved():
    def program(n):
        items = [None] * n
        for i in range(n):
            if i % 2:
                items[i] = i
        others, known, more = [None] * n, {}, []
        others[0] = items[0]
        items[0], items[n - 1] = items[n - 1], items[0]
        for i in range(n):
            more.append(items[i])
            known[i] = items[i]
        more.insert(0, items[0])
        more.extend(others)
        more += [items[0], 3]
        print(items[0], f"{items[n - 1]}")
        return items, others, known, more, (items[0], 1), items == others, items.count(None), items.pop(), items[0] or 5

    check(program, 4)
    check(program, 2)


def test_objects_and_arrays_that_may_be_none():
    def program(n):
        nodes = [Link(i) if i % 2 else None for i in range(n)]
        arrays = []
        for i in range(n):
            arrays.append(np.ones(2) * i if i % 2 else None)
        total = 0
        for node in nodes:
            if node:
                total += node.value
        nodes[0] = nodes[n - 1]
        filled = [a + 1 if a is not None else np.zeros(2) for a in arrays]
        return total, nodes[0] is nodes[n - 1], nodes, filled, arrays

    check(program, 4)
    check(program, 1)


@dataclass
class Nested:
    value: int
    inner: Any = None


def test_fields_of_objects_without_end_are_refused():
    def program(n):
        items = [Nested(i, Nested(i)) for i in range(n)]
        return items[0] == items[-1]

    with pytest.raises(tj.ScriptError, match="may hold others"):
        tj.script(program)(3)


def returned(o, n):
    if n == 0:
        return Particle(5)
    if n == 1:
        return o
    o.v += 1
    return returned(o, n - 1)


def set_inside(o, n):
    chosen = o
    if n % 2:
        chosen = Particle(n)
    chosen.x = n
    return o.x if n <= 0 else set_inside(o, n - 1) + o.x


def test_an_object_that_a_function_which_calls_itself_may_return():
    def program(n):
        o = Particle(n)
        made = returned(o, n)
        made.x = 9
        return made.v, o.x, o.v, set_inside(Particle(50), n)

    check(program, 3)
    check(program, 0)


def chosen_twice(a, b, n):
    first, made = Particle(1), Particle(3)
    if a > 0:
        made = Particle(0)
    elif b > 0:
        made = first
    else:
        made = Particle(2)
    made.x = 9
    for i in range(n):
        if a > 0 and i == 1:
            made = first
        made.v += 1
    return first.x, first.v, made.x, made.v


@pytest.mark.parametrize(("a", "b"), [(1, 1), (0, 1), (0, 0)])
def test_an_object_that_was_chosen_by_several_conditions(a: int, b: int):
    check(chosen_twice, a, b, 3)


def test_a_dict_that_was_chosen_by_several_conditions():
    def program(a, b):
        first = {"v": 1}
        if a > 0:
            made = {"v": 0}
        elif b > 0:
            made = first
        else:
            made = {"v": 2}
        made["v"] = 9
        return first["v"]

    for arguments in ((0, 1), (1, 0), (0, 0)):
        check(program, *arguments)


def test_objects_that_hold_themselves():
    def program(n):
        a, b = Link(1), Link(2)
        a.after = a
        if n > 2:
            a, b = b, a
        else:
            b = a
        for _ in range(n):
            if b.after is not None:
                b.value += 1
        return a.value, b.value, a is b, b.after is b, a.after is None

    check(program, 3)
    check(program, 1)
