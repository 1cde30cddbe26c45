"""Programs about lists of arrays, and lists of lists, that change while their items are in use."""

from __future__ import annotations

import numpy as np

from tests.gradients.programs import Registry

X = np.array([0.3, -0.5, 0.8, 1.1])

REGISTRY = Registry()
example = REGISTRY.example


@example(X, 0.7)
def item_outlives_an_append_in_a_branch(x, w):
    items = [x * w]
    s = np.zeros(4)
    for i in range(5):
        v = items[-1] * w
        if i < 3:
            items.append(np.sin(v))
        s = s + v
    return np.sum(s * s)


@example(X, 0.7)
def item_is_used_in_a_branch_behind_an_append(x, w):
    items = [x * w]
    s = 0.0
    for i in range(5):
        v = items[-1]
        if i % 2:
            items.append(np.cos(v))
            s += np.sum(v * w)
            if i > 2:
                items.append(v)
                s += v[1]
        else:
            u = items.pop()
            items.append(u * v)
            s += np.sum(v * u)
    return s


@example(X, 0.7)
def views_of_an_item_outlive_appends(x, w):
    items = [x * w]
    s = 0.0
    for i in range(4):
        v = items[-1][1:]
        r = v[::-1]
        if i != 1:
            items.append(items[0] * w)
        s += np.sum(v * r)
        items[0] = items[0] * 2.0
        s += r[0]
    return s


@example(X, 0.7)
def queue_of_lists_of_arrays(x, w):
    queue = [[x], [x * w, x + w]]
    s = np.zeros(4)
    n = 0
    while len(queue) > 0 and n < 8:
        n += 1
        items = queue.pop(0)
        v = items[-1] * w
        s = s + v
        if len(items) < 3 and n < 5:
            items.append(np.sin(v))
            queue.append(items)
    return np.sum(s * s)


@example(X, 0.7)
def lists_of_lists_that_grow_while_items_are_read(x, w):
    grid = [[x], [x * w]]
    s = 0.0
    for i in range(6):
        row = grid[i % 2]
        v = row[-1]
        if i % 3 == 0:
            grid.append([v * w])
        else:
            row.append(v * x)
        s += np.sum(v)
        last = grid[-1]
        u = last[0]
        last.append(u + w)
        s += np.sum(u * v)
    return s


@example(X, 0.7)
def weighted_neighbours(x, w):
    neighbours = [[] for _ in range(4)]
    for a, b in ((0, 1), (1, 2), (2, 0), (2, 3)):
        neighbours[a].append((b, x[b] * w))
        neighbours[b].append((a, x[a]))
    d = [0.0] * 4
    for _ in range(3):
        for i in range(4):
            t = 0.0
            for j, c in neighbours[i]:
                t += d[j] * c + c
            d[i] = np.tanh(t)
    return sum(d) + d[0] * d[3]
