"""Short programs of many trades, as their authors write them, against plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from tests.programs.compare import check

RNG = np.random.default_rng(11)


def nearest_smaller(x):
    """A stack in an array, whose top falls in one loop and rises in another."""
    stack = np.zeros_like(x)
    top = 0
    found = np.full(len(x), -1.0)
    for i in range(len(x)):
        while top >= 1 and stack[top - 1] >= x[i]:
            top -= 1
        if top > 0:
            found[i] = stack[top - 1]
        stack[top] = x[i]
        top += 1
    return found, top


def lower_hull(points):
    hull = np.empty_like(points)
    k = 0
    for p in points[np.lexsort((points[:, 1], points[:, 0]))]:
        while k >= 2 and np.cross(hull[k - 1] - hull[k - 2], p - hull[k - 2]) <= 0:
            k -= 1
        hull[k] = p
        k += 1
    return hull[:k]


def variances_with_nugget(places, target):
    """Distances by the columns of a matrix, handed on as arguments."""
    return np.hypot(*(places - target).T).sum()


def paths_of_two_factors(normals, rho):
    level = np.zeros(normals.shape[2])
    for first, second in zip(*normals, strict=True):
        level += first + rho * second
    return level


def filtered(samples, order):
    weights = np.zeros((order, 1))
    for n in range(order, len(samples)):
        window = samples[n : n - order : -1, None]
        weights += 0.1 * (samples[n] - (weights.T @ window).item()) * window
    return weights.squeeze()


def turns(a, b):
    return np.cross(a, b), np.cross(a[0], b[0])


def turns_in_space(a, b):
    return np.cross(a, b), np.cross(b, a), np.cross(a[:3].T, b[0, :2], axisa=0, axisc=0)


@pytest.mark.parametrize(
    ("fn", "arguments"),
    [
        (nearest_smaller, [RNG.random(20)]),
        (lower_hull, [RNG.random((15, 2))]),
        (variances_with_nugget, [RNG.random((5, 2)), RNG.random(2)]),
        (paths_of_two_factors, [RNG.random((2, 4, 3)), -0.5]),
        (filtered, [RNG.random(20), 3]),
        (filtered, [RNG.random(6), 1]),
        (turns, [RNG.random((4, 2)), RNG.random((4, 2))]),
        (turns, [RNG.integers(0, 9, (4, 2)), RNG.random((1, 2))]),
        (turns_in_space, [RNG.random((3, 3)), RNG.random((3, 2))]),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_program(fn, arguments):
    check(fn, *arguments)
