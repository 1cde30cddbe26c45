"""Loops that write elements and change whole parts of the same array: what the gradient needs must not be read from an
array that was changed meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj

RNG = np.random.default_rng(11)
X = RNG.uniform(0.3, 1.4, 6)
A = RNG.uniform(0.3, 1.2, (4, 4))


def reversed_part_added(x):
    y = np.empty_like(x)
    y[0] = x[0]
    for k in range(1, len(x)):
        a = np.sin(x[k] * y[0]) + x[k]
        y[:k] += a * y[:k][::-1]
        y[k] = a
    return np.sum(np.cos(y))


def scaled_whole_in_each_trip(x):
    y = x * 1.0
    for k in range(1, len(x)):
        y = np.tanh(y * 1.1)
        y[k] = y[k - 1] * y[k]
    return (y * y).sum()


def scaled_whole_in_place(x):
    y = x * 1.0
    for k in range(1, len(x)):
        y *= y
        y[k] = np.exp(-y[k - 1])
    return y.sum()


def scaled_in_one_branch(x):
    y = x * 1.0
    for k in range(1, len(x)):
        y[k] = np.tanh(y[k - 1] + y[k])
        if k % 2:
            y[:] = y * 0.5 + 0.1 * y * y
    return (y * y).sum()


def scaled_after_the_loop(x):
    y = x * 1.0
    for k in range(1, len(x)):
        y[k] = np.sin(y[k - 1]) * y[k]
    y *= y
    for k in range(1, len(x)):
        y[k] = y[k] * y[k - 1]
    return y.sum()


def scaled_in_the_loop_around(a):
    a = a * 1.0
    for i in range(len(a)):
        for j in range(1, len(a)):
            a[i, j] = np.tanh(a[i, j - 1] * a[i, j])
        a *= 1.1 + 0.1 * a
    return (a * a).sum()


def a_row_in_the_loop_around(a):
    a = a * 1.0
    for i in range(1, len(a)):
        for j in range(len(a)):
            a[i, j] = np.sin(a[i - 1, j]) * a[i, j]
        a[i - 1] = a[i] * a[i - 1]
    return (a * a).sum()


def by_a_helper(x):
    def halve(y):
        y[1:] -= 0.3 * y[:-1] * y[1:]

    y = x * 1.0
    for k in range(2, len(x)):
        y[k] = y[k - 1] * np.exp(-y[k])
        halve(y)
    return (y * y).sum()


def by_another_name(x):
    y = x * 1.0
    z = y[::-1]
    for k in range(1, len(x)):
        y[k] = np.tanh(y[k - 1] * y[k])
        z[0] = z[0] * z[0] + y[k]
    return (y * y).sum()


def another_array_takes_its_place(x):
    y, z = x * 1.0, x * 0.5
    for k in range(1, len(x)):
        y[k] = np.sin(y[k - 1]) * y[k]
        y, z = z, y
    return (y * z).sum()


def only_in_the_last_trip(x):
    y = x * 1.0
    for k in range(1, len(x)):
        y[k] = np.tanh(y[k - 1]) * y[k]
        if k == len(x) - 1:
            y[0:3] = y[3:6] * y[0:3]
            break
    return (y * y).sum()


def a_wrapped_index(x):
    y = x * 1.0
    for k in range(len(x)):
        y[k - 1] = np.sin(y[k]) * y[k - 2]
    return (y * y).sum()


def indices_from_an_array(x, at):
    y = x * 1.0
    for k in range(len(at)):
        y[at[k]] = np.sin(y[at[k] - 1]) * y[k]
    return (y * y).sum()


def swapped_elements(x):
    y = x * 1.0
    for k in range(len(x) - 1):
        y[k], y[k + 1] = np.sin(y[k + 1]), y[k] * y[k + 1]
    return (y * y).sum()


def a_while_that_turns_back(x):
    y, k, step = x * 1.0, 1, 1
    while k > 0:
        y[k] = np.sin(y[k - 1]) * y[k]
        if k == len(x) - 1:
            step = -1
        k += step
    return (y * y).sum()


def an_error_in_the_middle(x):
    y = x * 1.0
    try:
        for k in range(len(x)):
            y[k] = np.sin(y[k - 1]) * y[k]
            if y[k] > 0.9:
                raise ValueError("large")
    except ValueError:
        y *= y
    return (y * y).sum()


def read_again_by_the_next_loop(x):
    y = x * 1.0
    for _ in range(3):
        for k in range(1, len(x)):
            y[k] = np.sin(y[k - 1] * y[k])
    return (y * y).sum()


def a_column_that_many_rows_add_to(a):
    b = a * 1.0
    for i in range(len(a)):
        for j in range(len(a)):
            b[i, 0] += b[i, j] * a[j, i]
        b[:, 1] = b[:, 0] * b[:, 1]
    return (b * b).sum()


def a_column_changed_meanwhile(a):
    b = a * 1.0
    for i in range(len(a)):
        for j in range(1, len(a)):
            b[i, 0] += b[i, j] * a[j, i]
            b[:, 0] *= 0.9 + 0.1 * b[:, 0]
    return (b * b).sum()


def a_total_read_meanwhile(a):
    b, total = a * 1.0, 0.0
    for i in range(len(a)):
        for j in range(1, len(a)):
            b[i, 0] += b[i, j] * a[j, i]
            total += b[:, 0].sum() * b[j, 0]
    return (b * b).sum() + total


def no_trips(x):
    y = x[:1] * 1.0
    for k in range(1, len(y)):
        y[k] = np.sin(y[k - 1])
    return (y * y).sum()


VECTORS = [
    reversed_part_added,
    scaled_whole_in_each_trip,
    scaled_whole_in_place,
    scaled_in_one_branch,
    scaled_after_the_loop,
    by_a_helper,
    by_another_name,
    another_array_takes_its_place,
    only_in_the_last_trip,
    a_wrapped_index,
    swapped_elements,
    a_while_that_turns_back,
    an_error_in_the_middle,
    read_again_by_the_next_loop,
    no_trips,
]
MATRICES = [
    scaled_in_the_loop_around,
    a_row_in_the_loop_around,
    a_column_that_many_rows_add_to,
    a_column_changed_meanwhile,
    a_total_read_meanwhile,
]
PROGRAMS: list[tuple[Any, tuple[Any, ...]]] = [
    *((fn, (X,)) for fn in VECTORS),
    *((fn, (A,)) for fn in MATRICES),
    (indices_from_an_array, (X, np.array([2, 4, 2, 5, 1]))),
]


@pytest.mark.parametrize(("fn", "arguments"), PROGRAMS, ids=[fn.__name__ for fn, _ in PROGRAMS])
def test_gradients(fn: Any, arguments: tuple[Any, ...]) -> None:
    assert tj.check(fn, *arguments).ok
