"""`zip(*rows)` of as many rows as the data has: batches of what a memory of transitions holds."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check


class Transition(NamedTuple):
    state: Any
    action: Any
    reward: Any


def _batch_of_a_list(x):
    rows = []
    for i in range(len(x)):
        rows.append(Transition(x[i], i % 2, x[i].sum()))
    batch = Transition(*zip(*rows))
    actions = tj.tensor(batch.action)
    return (tj.stack(batch.state).sum(1) * actions + tj.stack(batch.reward)).prod(), len(batch.action)


def _batch_of_a_deque(x):
    memory = deque(maxlen=3)
    for i in range(len(x)):
        memory.append(Transition(x[i], i, x[i].sum()))
    batch = Transition(*zip(*memory))
    return tj.cat(batch.state).prod() * batch.reward[-1], sum(batch.action)


def _lists_of_columns(x):
    rows = []
    for i in range(len(x)):
        rows.append((x[i], i))
    arrays, numbers = map(list, zip(*rows))
    arrays.append(x[0])
    columns = list(zip(*rows))
    return tj.stack(arrays).sum(), sum(numbers), columns[1][0], tj.stack(columns[0]).prod()


def _columns_passed_on(x):
    rows = []
    for i in range(len(x)):
        rows.append((x[i], 1.0 + i))

    def weighted(arrays, weights):
        return sum(a.sum() * w for a, w in zip(arrays, weights))

    return weighted(*zip(*rows)), len(rows)


PROGRAMS = [_batch_of_a_list, _batch_of_a_deque, _lists_of_columns, _columns_passed_on]


@pytest.mark.parametrize("fn", PROGRAMS)
def test_columns_of_arrays(fn) -> None:
    check(fn, tj.tensor(np.arange(1.0, 9.0).reshape(4, 2)))


@pytest.mark.parametrize("fn", PROGRAMS)
def test_gradients_of_columns(fn) -> None:
    assert tj.check(lambda x: fn(x)[0], tj.tensor(np.arange(1.0, 9.0).reshape(4, 2) / 5)).ok


def test_columns_of_no_rows_cannot_be_unpacked() -> None:
    def columns(x):
        rows = [(v, 1) for v in x if v > 9]
        first, _ = zip(*rows)
        return len(first)

    check(columns, tj.tensor(np.arange(3.0)))
    check(columns, tj.tensor(np.arange(12.0)))
