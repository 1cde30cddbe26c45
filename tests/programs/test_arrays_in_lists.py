"""Arrays that lists, dicts and attributes of objects hold, and that change in place: all names of one see it."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

# The programs are written as users write them.
# ruff: noqa: E701, E702

X = np.arange(12.0).reshape(4, 3)


class Particle:
    def __init__(self, pos, vel):
        self.pos = pos
        self.vel = vel

    def move(self, dt):
        self.pos += self.vel * dt


@dataclass
class Cell:
    grid: Any
    sums: list[float] = field(default_factory=list)


def attracted(x, n, steps):
    particles = [Particle(x[i] * 1.5, np.zeros(3)) for i in range(n)]
    for _ in range(steps):
        for a in particles:
            pull = np.zeros(3)
            for b in particles:
                if a is not b:
                    d = b.pos - a.pos
                    pull += d / (d @ d + 0.1) ** 1.5
            a.vel += 0.01 * pull
        for p in particles:
            p.move(0.1)
    return [p.pos for p in particles], particles


def other_names(x, n):
    shared = np.zeros(3)
    particles = [Particle(shared, x[i].copy()) for i in range(n)]
    best = np.zeros(3)
    for p in particles:
        old = p.vel
        p.pos += p.vel
        p.vel = p.vel * 2
        p.vel[0] = 30
        old[2] = -4
        if p.vel.sum() > best.sum():
            best = p.vel
    best[:] = 0
    shared[0] = -1
    return particles, shared, best


def grids(n):
    cells = [Cell(np.zeros((n, n))) for _ in range(n)]
    for k, c in enumerate(cells):
        for i in range(n):
            for j in range(i):
                c.grid[i, j] = i * j + k
                c.grid[j, i] += c.grid[i, j]
        c.grid[:] = c.grid.T @ c.grid
        c.grid[0, :] -= 2
        c.grid[1:, ::2] += 1
        c.grid.T[0] = 5
        c.grid[c.grid > 4] = -1
        row = c.grid[-1]
        row += c.grid[0]
        c.sums.append(c.grid.sum())
        np.add(c.grid, 1, out=c.grid)
        c.grid.sort(axis=0)
    return cells, np.mean([c.grid for c in cells], axis=0)


def moved_in_lists(x, n):
    rows = [x[i].copy() for i in range(n)]
    rows[0], rows[-1] = rows[-1], rows[0]
    rows[0][0] = 100
    ordered = sorted(rows, key=lambda r: r[0])
    ordered[0][1] = -5
    rows.append(ordered[0])
    rows[-1][2] = 77
    part = rows[1:]
    part[0] -= 1
    last = rows.pop()
    rows.insert(0, last)
    rows[0] += 1
    rows.reverse()
    return rows, ordered, part, last, np.stack(rows), sum(rows)


def of_other_kinds(n):
    ints = [np.zeros(3, dtype=int) for _ in range(n)]
    flags = [np.zeros(2, dtype=bool) for _ in range(n)]
    waves = [np.zeros(2, dtype=complex) for _ in range(n)]
    points = [np.array(0.0) for _ in range(n)]
    sizes = [np.ones(i) for i in range(n)]
    pairs = [(i, np.zeros(2, dtype=np.float32)) for i in range(n)]
    rows = [[np.zeros(2) for _ in range(n)] for _ in range(n)]
    blocks = [np.ones((n, 2, 3)) for _ in range(n)]
    for i in range(n):
        blocks[i][1:, :, ::2] += blocks[0][:-1, ::-1, 1:] * i
        blocks[i][:, ::-1, 1] -= blocks[i][..., 0]
        blocks[i][:, 1:] *= 3
        ints[i][i % 3] += i
        flags[i] |= i % 2 == 0
        waves[i] += 1j * i
        points[i] += i
        sizes[i][1:] = sizes[i][:-1] + 1
        rows[i][0] += i
        rows[0][i][1] = 7
    for i, v in pairs:
        v += i * 0.1
    return ints, flags, waves, points, sizes, pairs, rows, blocks


def of_several_classes(n):
    cells = [Cell(np.zeros((2, n), dtype=np.complex64)) for _ in range(n)]
    particles = [Particle(np.zeros(2), np.ones(2)) for _ in range(n)]
    for p, c in zip(particles, cells):
        p.move(1)
        c.grid[:, 1:] += p.pos[0] * 1j
        c.sums.append(p.pos[1])
    return particles, cells


def in_other_containers(x, n):
    sums, found, queue, slots = {}, defaultdict(lambda: np.zeros(3)), deque(), [None] * n
    for i in range(n):
        if i % 2 not in sums:
            sums[i % 2] = np.zeros(3)
        sums[i % 2] += x[i]
        found[i % 2][i % 3] += x[i, 0]
        queue.append(np.ones(2) * i)
        if slots[i // 2] is None:
            slots[i // 2] = np.zeros(2)
        slots[i // 2] += i
    first = queue.popleft()
    first += 1
    queue.append(first)
    first[0] = 9
    return sums, dict(found), list(queue), slots, first


def changed(v, k):
    v[k] = 100
    return v


def counted_down(rows, n):
    if n > 0:
        rows[n - 1] += 1
        rows[0][1] -= 1
        counted_down(rows, n - 1)


def through_functions(x, n):
    rows = [x[i] + 0 for i in range(n)]
    changed(rows[1], 0)[1] = -3
    for v in reversed(rows):
        changed(v, 2)
    for u, v in zip(rows, rows[1:]):
        u -= v
    counted_down(rows, n)
    smallest = min(rows, key=lambda v: v[0])
    smallest[:] = 7
    return rows


def chosen(x, n):
    rows = [x[i].copy() for i in range(n)]
    first = rows[0] if n > 2 else rows[-1]
    first += 1
    found, last = rows[0], None
    for i in range(n):
        if rows[i][0] > 3:
            found = rows[i]
            break
        last = rows[i]
    found[1] = 100
    if last is not None:
        last[2] = 50
    if n > 1:
        made = np.zeros(3)
    else:
        made = np.ones(3)
    rows.append(made)
    made[1] = 5
    return rows, first, found, made


def chosen_by_conditions(x, n):
    a, b = x[0] * 1.0, x[1] * 1.0
    rows, found = [a, b], []
    last = {0: np.zeros(3), 1: np.ones(3)}
    for i in range(n):
        for v in rows:
            v += i
        a *= 2
        found.append(a if i % 2 else b)
        last[i % 2] = rows[i % len(rows)]
    return a, b, found, last


def raising(n):
    rows = [np.ones(2) for i in range(n)]
    try:
        rows[0][0] = 7
        rows[n - 1][n] = 3
        rows[1][0] = 8
    except IndexError as error:
        rows[0][1] = -1
        print(error)
    rows[1][n] = 1
    return rows


@pytest.mark.parametrize(
    ("program", "calls"),
    [
        (attracted, ((X, 3, 3), (X, 1, 2))),
        (other_names, ((X, 3), (X, 1))),
        (grids, ((3,), (2,))),
        (moved_in_lists, ((X, 4),)),
        (of_other_kinds, ((3,), (1,))),
        (of_several_classes, ((3,),)),
        (in_other_containers, ((X, 4), (X, 1))),
        (through_functions, ((X, 3),)),
        (chosen, ((X, 3), (X, 1))),
        (chosen_by_conditions, ((X, 3), (X, 1))),
        (raising, ((2,),)),
    ],
)
def test_programs(program: Any, calls: tuple[tuple[Any, ...], ...]):
    for arguments in calls:
        check(program, *arguments)


def test_a_derivative_through_arrays_that_change_in_place():
    def energy(x, n):
        particles = [Particle(x[i] * 1.5, x[i] * 1.0) for i in range(n)]
        for _ in range(2):
            for p in particles:
                p.vel -= p.pos * 0.1
                p.move(0.1)
                p.pos[0] *= 1.5
        return sum([(p.pos * p.pos).sum() for p in particles])

    def slope(at):
        step = np.zeros((4, 3))
        step[at] = 1e-6
        return (energy(X + step, 3) - energy(X - step, 3)) / 2e-6

    found = tj.grad(energy)(X, 3)
    np.testing.assert_allclose(found, [[slope((i, k)) for k in range(3)] for i in range(4)], rtol=1e-6, atol=1e-6)


def test_derivatives_of_whole_arrays_that_are_written():
    def energy(x, n):
        particles = [Particle(x[i] * 1.5, x[i] * x[i]) for i in range(n)]
        for _ in range(2):
            for p in particles:
                p.vel -= p.pos * p.pos * 0.1
                p.move(1)
                p.pos[:2] = p.vel[1:] * p.pos[0]
            particles.append(Particle(x[0] * particles[0].pos, x[1] * 1.0))
        return sum([(p.pos**3).sum() for p in particles])

    def anew(x, n):
        found = [(x[i] * 1.5, x[i] * x[i]) for i in range(n)]
        for _ in range(2):
            moved = []
            for pos, vel in found:
                vel = vel - pos * pos * 0.1
                pos = pos + vel
                moved.append((np.stack([vel[1] * pos[0], vel[2] * pos[0], pos[2]]), vel))
            found = moved
            found.append((x[0] * found[0][0], x[1] * 1.0))
        return sum([(pos**3).sum() for pos, _ in found])

    x, v = X / 5, np.cos(X)
    for derivative in (
        lambda f: tj.grad(f)(x, 3),
        lambda f: tj.jvp(lambda x: f(x, 3), (x,), (v,)),
        lambda f: tj.hvp(lambda x: f(x, 3), (x,), (v,)),
    ):
        np.testing.assert_allclose(derivative(energy), derivative(anew), rtol=1e-10)


def test_a_derivative_of_parts_of_matrices_that_are_written():
    def changed(g, x):
        g[1:, 1:] *= g[:-1, :-1]
        g[:, ::2] -= x[:, ::2] * g[:, 1:2]
        return (g * g * x).sum()

    def in_a_list(x, n):
        grids = [x * (i + 1) for i in range(n)]
        return sum([changed(g, x) for g in grids])

    def by_itself(x, n):
        return sum([changed(x * (i + 1), x) for i in range(n)])

    np.testing.assert_allclose(tj.grad(in_a_list)(X, 2), tj.grad(by_itself)(X, 2), rtol=1e-10)


def test_parts_of_an_argument_in_a_list_that_changes_them_are_refused():
    def program(x, n):
        rows = [x[i] for i in range(n)]
        for r in rows:
            r += 1
        return x

    with pytest.raises(tj.ScriptError, match="an argument, or part of one"):
        tj.script(program)(X, 3)


def test_what_may_be_none_is_written():
    def program(x, n):
        rows = [x[i] * 2 if i % 2 else None for i in range(n)]
        rows[n - 1][0] = 5
        rows[n - 1] += 1
        return rows

    check(program, X, 4)
    check(program, X, 3)


def test_an_array_that_may_be_none_is_written():
    def program(x, n):
        last = None
        for i in range(n):
            last = x[i] * 2
        last[0] = 5
        return last

    check(program, X, 3)
    check(program, X, 0)
