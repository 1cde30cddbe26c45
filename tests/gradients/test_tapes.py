"""Scripts on the eager tape: results, changed arguments, first and second derivatives are those of eager code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import script

Case = tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]
CASES: list[Case] = []
VECTOR, SQUARE = (3,), (3, 3)


def case(*shapes: tuple[int, ...]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a program with the shapes of its arguments."""

    def enter(fn: Callable[..., Any]) -> Callable[..., Any]:
        CASES.append((fn, shapes))
        return fn

    return enter


@case(VECTOR)
def an_element_is_written(x):
    x[1] = x[0] * 2
    return x.sum()


@case(VECTOR)
def a_view_is_changed_and_returned(x):
    v = x[1:]
    v *= x[0]
    return v


@case(VECTOR, VECTOR)
def two_arguments_change(x, y):
    x += y
    y *= x
    return x * y


@case(VECTOR)
def a_view_and_the_argument(x):
    return x[::2], x


@case(VECTOR)
def the_changed_argument(x):
    x *= 2.0
    return x


@case(VECTOR, VECTOR)
def one_of_two_changes(x, y):
    if x.sum() > 0:
        x[0] = y[0]
    else:
        y[0] = x[0]
    return x.sum()


@case(VECTOR)
def changes_in_a_while(x):
    s = x.sum()
    while s < 10.0:
        x *= 1.5
        x[0] += 1.0
        s = x.sum()
    return s


@case(SQUARE)
def rows_and_columns(m):
    m[0] = m[1]
    m[:, 1] *= m[:, 0]
    return m.T


@case(SQUARE)
def views_of_a_matrix(m):
    return m.T, m[0], m[:, ::2]


@case(SQUARE)
def a_diagonal_read_after_a_change(m):
    d = m.diagonal()
    m *= 2.0
    return d * d


@case(VECTOR)
def results_of_a_size_that_depends_on_data(x):
    x[x > 0] *= 2.0
    return x[x < 0]


@case(VECTOR, VECTOR)
def names_that_change_places(x, y):
    for _ in range(3):
        x, y = y, x * y
    return x


@case(VECTOR, VECTOR)
def arguments_that_change_places_and_content(x, y):
    for _ in range(3):
        x, y = y, x
        x += y
    return x


@case(VECTOR)
def chained_methods(x):
    x.mul_(3.0).add_(1.0).clamp_(-2.0, 2.0)
    return x


@case(VECTOR, VECTOR)
def a_row_of_a_stack(x, y):
    z = tj.stack([x, y])
    z[0] += z[1]
    return z


@case(VECTOR)
def overlapping_parts(x):
    z = tj.zeros(5, dtype=tj.float64)
    z[1:4] = x
    z[2:] += z[:3]
    return z


@case(VECTOR)
def views_of_views(x):
    y = x[1:]
    z = y[1:]
    z *= 5.0
    y *= 2.0
    return x


@case(VECTOR)
def items_of_containers(x):
    parts = [x, x * 2]
    named = {"a": parts[0]}
    parts[0] += 1.0
    named["a"] *= x[1]
    return parts


@case(VECTOR)
def stretched(x):
    y = x.expand(2, 3)
    return (y * y).sum(0)


def derivatives(fn: Callable[..., Any], shapes: tuple[tuple[int, ...], ...]) -> list[list[Any]]:
    """Results, arguments afterwards, and the first and second derivative of all of these together."""
    rng = np.random.default_rng(1)
    leaves = [tj.tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes]
    arguments = [leaf * 1.0 for leaf in leaves]
    found = fn(*arguments)
    results = list(found) if isinstance(found, tuple | list) else [found]
    total = sum((r * r).sum() for r in results) + sum((a * a * 0.3).sum() for a in arguments)
    first = tj.autograd.grad(total, leaves, create_graph=True)
    second = tj.autograd.grad(sum((g * g).sum() for g in first), leaves)
    return [[x.detach().numpy() for x in group] for group in (results, arguments, first, second)]


@pytest.mark.parametrize(("fn", "shapes"), CASES, ids=[fn.__name__ for fn, _ in CASES])
def test_scripts_on_the_tape(fn: Callable[..., Any], shapes: tuple[tuple[int, ...], ...]) -> None:
    for eager, compiled in zip(derivatives(fn, shapes), derivatives(script(fn), shapes), strict=True):
        assert len(eager) == len(compiled)
        for x, y in zip(eager, compiled, strict=True):
            np.testing.assert_allclose(y, x, rtol=1e-10, atol=1e-12)
