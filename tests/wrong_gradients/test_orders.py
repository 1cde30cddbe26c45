"""Derivatives to third and fourth order of programs over lists, against those of the polynomials that they compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tracejit as tj
from tests.gradients.random_polynomials import POINT, Number


def replaced_in_a_branch(x: Any) -> Any:
    items = [x]
    for i in range(3):
        items.append(items[-1] * x)
        if i > 0:
            items[-1] = items[-1] * items[0]
    s = 0.0
    for v in items:
        s += v * v
    return s


def taken_in_a_branch(x: Any) -> Any:
    items = [x, x * x]
    for i in range(3):
        items.append(items[-1] * x + i)
        if items[-1] > 1:
            items[0] = items.pop() * items[i]
    s = 0.0
    while len(items) > 0:
        s = s * 0.5 + items.pop()
    return s


def replaced_in_a_list_of_lists(x: Any) -> Any:
    rows = [[x], [x * x]]
    for i in range(3):
        row = rows[i % 2]
        row.append(row[0] * x)
        if i > 0:
            row[1] = row[1] * row[0]
    return rows[0][1] * rows[1][1] * rows[0][2]


PROGRAMS = [(replaced_in_a_branch, 4), (taken_in_a_branch, 4), (replaced_in_a_list_of_lists, 3)]


@pytest.mark.parametrize(("fn", "order"), PROGRAMS)
def test_higher_orders(fn: Callable[[Any], Any], order: int) -> None:
    expected, found = fn(Number([0.0, 1.0])), fn
    for _ in range(order):
        expected, found = expected.deriv(), tj.grad(found)
        assert found(POINT) == pytest.approx(expected(POINT), rel=1e-10)
