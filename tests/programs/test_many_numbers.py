"""Lists of many numbers of a caller: run-time values of any length, unless something needs each item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import agree, check, observe
from tracejit.frontend.boundary.signature import FEW_NUMBERS

INTS = [i * 7 % 23 for i in range(24)]
FLOATS = [float(i * 7 % 23) / 4 for i in range(24)]
FLAGS = [i % 3 == 0 for i in range(24)]
COMPLEX = [complex(i, -i) for i in range(24)]


def weighted(values, k):
    total = 0
    for i, v in enumerate(values):
        total += v * i
    return total + values[k] + len(values), max(values), sorted(values)[:3], [v for v in values if v > 3]


def counted(flags):
    n = 0
    for flag in flags:
        if flag:
            n += 1
    return n, flags[0], [not flag for flag in flags]


def squares(values):
    total = 0j
    for v in values:
        total += v * v
    return total, values[-1]


def grown(values):
    values.append(3)
    values[0] = 9
    return values


@pytest.mark.compiled
def test_one_compile_serves_all_lengths():
    for values in (INTS, FLOATS):
        scripted = None
        for n in (FEW_NUMBERS + 1, 20, 24):
            scripted = check(weighted, values[:n], 2, scripted=scripted)
        assert scripted.compiles == 1


@pytest.mark.parametrize(("fn", "values"), [(counted, FLAGS), (squares, COMPLEX), (grown, INTS), (grown, FLOATS)])
def test_kinds_of_numbers(fn, values):
    check(fn, values)


def test_the_list_stays_the_callers_own():
    values = list(INTS)
    made = tj.script(grown)(values)
    assert made is values and values[0] == 9 and values[-1] == 3


@pytest.mark.compiled
def test_calls_are_told_apart():
    scripted = tj.script(weighted)
    for values in (INTS, FLOATS, INTS[:-1] + [0.5], INTS[:5], INTS):
        for _ in range(3):  # the later ones are served natively
            agree(observe(weighted, (values, 1)), observe(scripted, (values, 1)), 1e-9)
    assert scripted.compiles == 4


@pytest.mark.compiled
def test_numbers_beyond_64_bits():
    scripted = tj.script(weighted)
    scripted(INTS, 1)
    for _ in range(3):
        with pytest.raises(OverflowError):
            scripted([2**70] * 20, 1)


def unpacked(values):
    return print(*values), helper(*values)


def helper(*values):
    return len(values), values[3]


def of_several_kinds(values):
    values.append("end")
    return values[-1]


def sizes(values):
    return np.zeros(values[1:3]).shape, np.tile(np.arange(2.0), values[1:3]).shape


@pytest.mark.parametrize("fn", [unpacked, of_several_kinds, sizes])
def test_where_each_item_is_needed(fn):
    check(fn, INTS)


@dataclass
class Weights:
    values: list
    scale: int


def scaled(weights):
    total = 0
    for v in weights.values:
        total += v * weights.scale
    weights.values.append(total)
    return total


def by_key(series):
    return sum(series["a"]) + series["b"][3]


def pairs(both):
    a, b = both
    return [x * y for x, y in zip(a, b, strict=True)]


def test_in_containers():
    check(scaled, Weights(list(INTS), 2))
    check(by_key, {"a": INTS, "b": FLOATS})
    check(pairs, (INTS, FLOATS))
    check(pairs, [INTS, FLOATS])


def changed_before_an_error(values):
    values[2] = 99
    values.append(5)
    if values[0] == 0:
        raise ValueError(f"bad {values[2]}")
    return values


def test_changes_before_an_error():
    check(changed_before_an_error, list(INTS))


def with_arrays(x, values):
    x[:] = x + values
    return (
        np.mean(values),
        np.interp(x, np.arange(24.0), values),
        np.concatenate([x, values]),
        np.lexsort((values, values)),
    )


def test_as_operands_of_array_functions():
    check(with_arrays, np.linspace(0, 3, 24), FLOATS)


def halves(values, low, high):
    if high - low == 1:
        return values[low]
    middle = (low + high) // 2
    return max(halves(values, low, middle), halves(values, middle, high))


def test_in_a_function_that_calls_itself():
    check(halves, FLOATS, 0, 24)


def test_with_tensors_and_slopes():
    def loss(w, values):
        total = 0.0
        for v in values:
            total = total + (w * v).sum()
        return total

    w = tj.tensor([1.0, 2.0], requires_grad=True)
    scripted = tj.script(loss)
    for _ in range(3):
        w.grad = None
        scripted(w, FLOATS).backward()
        np.testing.assert_allclose(w.grad.numpy(), [sum(FLOATS)] * 2, rtol=1e-6)
    slopes = tj.grad(lambda values: sum(v * v for v in values))(FLOATS)
    assert slopes == [2 * v for v in FLOATS]


EDGES = [(i % 7, i * 3 % 11, i / 4) for i in range(20)]


def relaxed(edges, n):
    dist = [float("inf")] * n
    dist[0] = 0.0
    for _ in range(n):
        for u, v, w in edges:
            if dist[u] + w < dist[v]:
                dist[v] = dist[u] + w
    return dist, edges[2], sorted(edges, key=lambda e: e[2])[-1], [w for _, _, w in edges if w > 2]


@pytest.mark.compiled
def test_tuples_of_numbers():
    scripted = check(relaxed, EDGES, 11)
    check(relaxed, EDGES[:18], 11, scripted=scripted)
    assert scripted.compiles == 1
    check(relaxed, [*EDGES[:-1], (1, 2, 3)], 11, scripted=scripted)


@pytest.mark.compiled
def test_calls_with_other_tuples_are_told_apart():
    scripted = tj.script(lambda edges: edges[3])
    for edges in (EDGES, EDGES[1:], [*EDGES, (1, 2)], [*EDGES, (1, 2, 3)], [*EDGES, [1, 2, 0.5]], EDGES):
        for _ in range(3):
            assert scripted(edges) == edges[3]
    assert scripted.compiles == 4


def with_last(edges):
    edges.append((1, 2, 0.5))
    edges[0] = (3, 3, 3)
    u, *_ = edges
    return u, edges


def test_changes_of_tuples():
    check(with_last, list(EDGES))
