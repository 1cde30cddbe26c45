"""Objects in lists, by an index of a loop; names of comprehensions and lambdas are their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from tests.programs.compare import check
from tracejit import script


@dataclass
class Body:
    x: float
    v: float = 0.0
    mass: float = 1.0

    def energy(self):
        return 0.5 * self.mass * self.v**2


class Plain:
    def __init__(self, x):
        self.x = x
        self.v = 0.0


def attracted(bodies, dt, n):
    for _ in range(n):
        for i in range(len(bodies)):
            pull = 0.0
            for j in range(len(bodies)):
                if i != j:
                    d = bodies[j].x - bodies[i].x
                    pull += bodies[j].mass * d / (d * d + 0.1) ** 1.5
            bodies[i].v += dt * pull
        for body in bodies:
            body.x += dt * body.v
    return sum(body.energy() for body in bodies)


def pushed(bodies, n):
    for _ in range(n):
        for i in range(len(bodies)):
            bodies[i].v += bodies[i - 1].x
            bodies[i].x *= 2.0


def test_data_classes():
    check(attracted, [Body(0.0, 1.0), Body(1.0, 0.5), Body(2.5, mass=3.0)], 0.01, 5)
    check(attracted, [Body(0.0, 1.0)], 0.01, 2)


def test_plain_classes():
    check(pushed, [Plain(1.0), Plain(2.0), Plain(4.0)], 3)


def test_coefficients_in_lists_of_lists():
    def steps(y, h):
        rows = [[], [1 / 2], [0, 3 / 4]]
        k = np.zeros((3, len(y)))
        for i in range(3):
            at = y.copy()
            for j in range(i):
                at += h * rows[i][j] * k[j]
            k[i] = -at
        return k

    check(steps, np.array([1.0, 2.0]), 0.1)


def test_variables_of_comprehensions_are_not_those_of_the_function():
    def shadowed(x, n):
        if n > 2:
            k = x * 2
        else:
            k = n
        total = sum(k * 2 for k in range(n))
        twice = (lambda k: k * 2)(n)
        return total + twice + [k for k in (1, 2)][-1]

    def outer_one(n):
        k = n if n > 2 else n + 1
        rows = [k + j for j in range(3)]
        again = [k for k in range(n)]
        return k, rows, again

    for n in (1, 4):
        check(shadowed, np.ones(2), n)
        check(outer_one, n)


@pytest.mark.parametrize("n", [0, 3])
def test_nested_functions_read_what_is_around_them(n):
    def around(x, n):
        for i in range(n):
            scale = i + 1.0

            def scaled(v, base=scale):
                total = v * base
                return total + i

            x = scaled(x)
        return x

    check(around, np.ones(2), n)
    assert script(around)(np.ones(2), n) is not None
