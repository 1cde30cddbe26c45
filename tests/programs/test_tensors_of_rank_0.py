"""Tensors of rank 0 that meet numbers: names, and items of lists, dicts and objects, that are one or the other."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tracejit.errors import ScriptError
from tracejit.scripted import script


def A():
    return tj.tensor(np.arange(1.0, 13.0).reshape(4, 3) / 7)


def B():
    return tj.tensor(np.sin(np.arange(12.0)).reshape(4, 3))


def _losses_in_a_list(a, b):
    losses = [tj.tensor(0.0, dtype=tj.float64)]
    for i in range(len(a)):
        losses.append((a[i] - b[i]).pow(2).mean())
    return sum(losses), tj.stack(losses)


def _rows_of_a_lattice(a, b):
    rows = []
    for t in range(len(a)):
        row = []
        for u in range(a.shape[1]):
            if t == 0 and u == 0:
                row.append(tj.zeros((), dtype=tj.float64))
            elif t == 0:
                row.append(row[u - 1] + b[t, u - 1])
            elif u == 0:
                row.append(rows[t - 1][u] + a[t - 1, u])
            else:
                row.append(tj.logaddexp(row[u - 1] + b[t, u - 1], rows[t - 1][u] + a[t - 1, u]))
        rows.append(row)
    return rows[-1][-1]


def _table_of_lists(a, b):
    best = [[tj.tensor(-1e9, dtype=tj.float64)] * a.shape[1] for _ in range(len(a))]
    best[0][0] = tj.tensor(0.0, dtype=tj.float64)
    for t in range(1, len(a)):
        for u in range(a.shape[1]):
            before = [best[t - 1][u] + a[t, u]]
            if u > 0:
                before.append(best[t - 1][u - 1] + b[t, u])
            best[t][u] = tj.stack(before).logsumexp(0)
    return best[-1][-1]


def _tuples_in_a_list(a, b):
    states = [(tj.zeros((), dtype=tj.float64), a[0])]
    for i in range(len(a)):
        states.append((states[-1][0] + a[i].sum(), b[i]))
    return sum(s * v.sum() for s, v in states)


def _values_of_a_dict(a, b):
    parts = {}
    for i in range(len(a)):
        parts[i] = tj.zeros((), dtype=tj.float64)
        if i % 2:
            parts[i] = (a[i] * b[i]).sum()
    return sum(parts.values())


class _Meter:
    def __init__(self):
        self.total = tj.zeros((), dtype=tj.float64)
        self.parts = [self.total]

    def add(self, loss):
        self.total = self.total + loss
        self.parts.append(loss)


def _attributes(a, b):
    meter = _Meter()
    for i in range(len(a)):
        meter.add((a[i] * b[i]).sum())
    return meter.total + tj.stack(meter.parts).prod() + meter.parts[-1]


def _a_number_that_becomes_one(a, b):
    total, penalty = 0, 0.0
    for row in a:
        total = total + (row[None] @ b.T[:, :1]).squeeze()
    if a.sum() > 0:
        penalty = (a[:1] @ b[:1].T).reshape(())
    return total + penalty


def _numbers_in_a_list(a, b):
    found = [0.0]
    for row in a:
        found.append((row[None] @ b.T[:, :1]).squeeze())
    return sum(found)


PROGRAMS = [
    _losses_in_a_list,
    _rows_of_a_lattice,
    _table_of_lists,
    _tuples_in_a_list,
    _values_of_a_dict,
    _attributes,
    _a_number_that_becomes_one,
    _numbers_in_a_list,
]


@pytest.mark.parametrize("fn", PROGRAMS)
def test_rank_0_beside_numbers(fn) -> None:
    check(fn, A(), B())


@pytest.mark.parametrize("fn", PROGRAMS)
def test_gradients_of_rank_0_beside_numbers(fn) -> None:
    def total(a, b):
        found = fn(a, b)
        return found[0] if isinstance(found, tuple) else found

    assert tj.check(total, A(), B()).ok


def test_items_changed_in_place_in_a_list_of_their_own() -> None:
    def added(x):
        made = [tj.zeros((), dtype=tj.float64) for _ in range(len(x))]
        rows = [x[i].sum() for i in range(len(x))]
        for i, s in enumerate(rows):
            made[i] += x[i].sum()
            rows[i] += s
        return made, rows

    check(added, A())


def _on_one_path(x, n):
    s = x.sum()
    v = s if x[0, 0] >= 0 else 2.0
    s += 1
    return v, s


def _of_two(x, n):
    s = x.sum()
    v = s if x[0, 0] >= 0 else x.max() * 2.0
    s += 1
    return v, s


def _detached(x, n):
    s = x.sum()
    v = s.detach()
    s += 1
    return v, s


def _before_a_loop(x, n):
    s = x[0, 1] * 2.0
    k = s
    for i in range(n):
        s += x[i, 0]
    return s, k


def _in_a_dict_before_a_loop(x, n):
    s = x.sum()
    made = {"first": s}
    while n > 0:
        s += x[n, 0]
        n -= 1
    return s, made


def _of_a_trip_before(x, n):
    s, k = x[0, 1] * 2.0, x[0, 1] * 5.0
    for i in range(n):
        s += x[i, 0]
        if i == 1:
            k = s
    return s, k


def _of_what_a_trip_binds(x, n):
    s, k = x[0, 1] * 2.0, x[0, 1] * 5.0
    for i in range(n):
        s += x[i, 0]
        if i == 0:
            s = k
    return s, k


def _of_a_number_that_becomes_one(x, n):
    s, k = 0, 0
    for i in range(n):
        s += x[i, 0]
        if i == 0:
            k = s
    return s, k


@pytest.mark.compiled
@pytest.mark.parametrize(
    "fn",
    [
        _on_one_path,
        _of_two,
        _detached,
        _before_a_loop,
        _in_a_dict_before_a_loop,
        _of_a_trip_before,
        _of_what_a_trip_binds,
        _of_a_number_that_becomes_one,
    ],
)
def test_changes_of_what_another_name_may_stand_for_are_refused(fn) -> None:
    with pytest.raises(ScriptError, match="another name stands for"):
        script(fn)(A(), 3)


def _cloned(x, n):
    s = x.sum()
    k = s.clone()
    s += 1
    return s, k


def _exchanged(x, n):
    a, b = x[0, 1] * 1.0, x[1, 1] * 1.0
    if a < b:
        a, b = b, a
    a += 1
    return a, b


def _rotated(x, n):
    a, b = x[0, 1] * 1.0, x[1, 1] * 1.0
    for _ in range(n):
        a, b = b, a + b
    a += 1
    return a, b


def _summed(x, n):
    total, best, count = x.sum() * 0.0, x[0, 0] * 1.0, 0
    for i in range(n):
        loss = x[i].sum()
        if loss > 1:
            total += loss
            count += 1
        for j in range(i):
            total += x[j, 1]
        if total > best:
            best = total.clone()
    total /= count + 1
    return total, best


def _until_it_changes_little(x, n):
    f = x.sum()
    before = f + 10.0
    while before - f > 1e-3:
        before = f
        f = f * 0.5
    f *= 2
    return f, before


@pytest.mark.parametrize("fn", [_cloned, _exchanged, _rotated, _summed, _until_it_changes_little])
def test_changes_of_what_no_other_name_stands_for(fn) -> None:
    check(fn, A(), 3)


class _Cell:
    def __init__(self, value):
        self.value = value


def test_parts_of_objects_and_dicts_that_are_changed_in_place() -> None:
    def counted(x):
        cells, totals, sums = [], {}, defaultdict(lambda: tj.tensor(0.0, dtype=tj.float64))
        for i in range(len(x)):
            cells.append(_Cell(x[i].sum() * 2.0))
            if i % 2 not in totals:
                totals[i % 2] = tj.zeros((), dtype=tj.float64)
            totals[i % 2] += x[i].sum()
            sums[i % 3] += x[i].sum()
        for cell in cells:
            cell.value += 1.0
        return [cell.value for cell in cells], totals[0] * totals[1], sums[0], sums[1]

    check(counted, A())


def test_arrays_of_rank_0_of_numpys_are_copied_where_they_meet_numbers() -> None:
    def changed(x):
        t = np.zeros(())
        u = t if x.sum() > 100 else x.sum()
        t += 1
        return u

    assert script(changed)(np.ones(3)) == 3
