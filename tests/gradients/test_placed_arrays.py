"""`backward()` through tensors that containers hold and that change in place, against eager code."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.gradients.random_placed import check
from tracejit.errors import NotDifferentiable

# ruff: noqa: E702


class Cell:
    def __init__(self, v):
        self.v = v


def in_each_trip(w, n):
    hs = []
    h = w * 1.0
    for i in range(n):
        hs.append(h)
        h *= 2
        h[i % 3] = h[0] * 0.5
    sum([r.sum() for r in hs], w.sum()).backward()
    return h, w.grad


def what_the_next_trip_makes_is_another(w, n):
    hs = []
    h = w * 1.0
    for _ in range(n):
        h = (h * h) * 0.5
        hs.append(h)
        h[0] = 0.25
    sum([(r * r).sum() for r in hs], w.sum()).backward()
    return h, w.grad


def in_dicts(w, n):
    d = {}
    h = w + 0
    for k in range(n):
        d[k % 2] = h
        h += 1
        h = h * 2 if k else h
    (sum([d[k].sum() for k in d]) + w.sum()).backward()
    return h, w.grad


def in_objects_and_queues(w, n):
    cells, q = [Cell(w * 1.0)], deque(maxlen=2)
    for i in range(n):
        cells[-1].v *= 2.0
        cells.append(Cell(cells[-1].v))
        cells[-1].v += i
        q.append(cells[-1].v)
        q[0][1:] = w[:-1]
    (sum([c.v.sum() for c in cells]) + sum([r.sum() for r in q])).backward()
    return w.grad


def rows_of_a_matrix(w, n):
    a = tj.outer(w, w)
    rows = [a[i] for i in range(n)]
    for r in rows:
        r += w
    a[0] *= 2
    sum([(r * r * (i + 1.0)).sum() for i, r in enumerate(rows)], w.sum()).backward()
    return a, w.grad


def under_no_grad(w, n):
    hs = [w * 2 for _ in range(n)]
    with tj.no_grad():
        for h in hs:
            h[0] = 3.0
            h += 1
    sum([(h * h).sum() for h in hs], w.sum()).backward()
    return w.grad


def behind_backward(w, n):
    hs = [w * (i + 1.0) for i in range(n)]
    sum([(h * h).sum() for h in hs], w.sum()).backward()
    for h in hs:
        h += 1
    return w.grad, sum([h.sum().item() for h in hs])


def of_copies(w, n):
    x = w.exp()
    hs = []
    for i in range(n):
        h = x.clone()
        h += i
        hs.append(h)
    rest = [w * 0.0 for _ in range(n)]
    for r in rest:
        r[:] = x
        r *= w
    sum([h.sum() + r.sum() for h, r in zip(hs, rest)], x.sum()).backward()
    return w.grad


def what_an_operation_in_place_keeps(w, n):
    hs = [w * (i + 1.0) for i in range(n)]
    for h in hs:
        h[1:] = h[:-1] * 0.5
        h.mul_(2.0)
        h.clamp_(min=0.1)
    sum([(h**3).sum() for h in hs], w.sum()).backward()
    return w.grad


def by_an_inner_function(w, n):
    hs = []

    def put(h):
        hs.append(h)
        h += 1

    for i in range(n):
        put(w * i)
    sum([(h * h).sum() for h in hs], w.sum()).backward()
    return w.grad


def twice(w, n):
    hs = [w * 1.0 for _ in range(n)]
    s = sum([h.sum() for h in hs], w.sum())
    s.backward()
    if n > 1:
        s.backward()
    hs[-1] += 1
    return w.grad


def twice_through_some(w, n):
    hs = [w * 1.0 for _ in range(n + 1)]
    hs[0] += 1
    one, other = (hs[0] * hs[0]).sum(), (hs[n] * w).sum()
    one.backward()
    other.backward()
    return w.grad


def saved_and_changed(w, n):
    hs = []
    for i in range(n):
        hs.append(w * i)
    h = w * 2
    hs.append(h)
    s = (h * h).sum()
    h += 1
    s.backward()
    return w.grad


def what_the_trip_before_read(w, n):
    a, s = tj.outer(w, w), w.sum()
    for _ in range(n):
        a[:, 2] *= 0.5
        s = s + (a @ w).sum()
    s.backward()
    return w.grad


PROGRAMS = [
    what_the_trip_before_read,
    in_each_trip,
    what_the_next_trip_makes_is_another,
    in_dicts,
    in_objects_and_queues,
    rows_of_a_matrix,
    under_no_grad,
    behind_backward,
    of_copies,
    what_an_operation_in_place_keeps,
    by_an_inner_function,
    twice,
    twice_through_some,
    saved_and_changed,
]


def outcome(fn: Callable[..., Any], n: int) -> Any:
    w = tj.tensor([0.3, -0.2, 0.5], dtype=tj.float64, requires_grad=True)
    try:
        found = fn(w, n)
    except (RuntimeError, IndexError) as error:
        return type(error), None
    values = found if isinstance(found, tuple) else (found,)
    return None, [v.detach().numpy() if isinstance(v, tj.Tensor) else v for v in values]


@pytest.mark.parametrize("n", [3, 1, 0])
@pytest.mark.parametrize("program", PROGRAMS)
def test_what_eager_code_does(program: Callable[..., Any], n: int) -> None:
    kind, expected = outcome(program, n)
    found_kind, found = outcome(tj.script(program), n)
    assert found_kind is kind
    for a, b in zip(found or (), expected or (), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def result_put_and_changed(w, n):
    hs = []
    for _ in range(n):
        hs.append(w.tanh())
    for h in hs:
        h += 1
    sum([h.sum() for h in hs], w.sum()).backward()
    return w.grad


def read_in_trips_and_changed(w, n):
    hs = []
    h = w * 1.0
    s = w.sum()
    for _ in range(n):
        hs.append(h)
        s = s + (h * h).sum()
        h *= 2
    s.backward()
    return w.grad


def part_read_and_changed(w, n):
    hs = [w * (i + 1.0) for i in range(n)]
    hs[0][0] = hs[1][1] * hs[1][2]
    hs[1] *= 3
    sum([h.sum() for h in hs]).backward()
    return w.grad


def one_of_two(w, n):
    h, other = w * 1.5, w * 2
    g = h if n > 2 else other
    s = (g * g).sum()
    h += 1
    s.backward()
    return w.grad


def what_a_loop_began_with(w, n):
    g = first = w * 1.5
    h, s = w * 2, w.sum()
    for _ in range(n):
        s = s + (g * g).sum()
        g = h
    first += 1
    s.backward()
    return w.grad


def what_a_loop_left(w, n):
    h, s = w * 1.5, w.sum()
    for _ in range(n):
        h = h.tanh()
        s = s + h.sum()
    h += 1
    s.backward()
    return w.grad


@pytest.mark.compiled
@pytest.mark.parametrize(
    "program",
    [
        result_put_and_changed,
        read_in_trips_and_changed,
        part_read_and_changed,
        one_of_two,
        what_a_loop_began_with,
        what_a_loop_left,
    ],
)
def test_what_may_be_changed_before_the_derivative_is_refused(program: Callable[..., Any]) -> None:
    assert outcome(program, 3)[0] is RuntimeError
    w = tj.tensor([0.3, -0.2, 0.5], dtype=tj.float64, requires_grad=True)
    with pytest.raises(NotDifferentiable, match="an array that it needs may be changed in place meanwhile"):
        tj.script(program)(w, 3)


def the_last_is_of_no_use(w, n):
    h, s = w * 1.5, w.sum()
    for _ in range(n):
        s = s + (h * h).sum()
        h = h.tanh()
    h += 1
    s.backward()
    return w.grad


@pytest.mark.parametrize("n", [3, 0])
def test_what_no_trip_reads_may_change(n: int) -> None:
    kind, (expected,) = outcome(the_last_is_of_no_use, n)
    found_kind, (found,) = outcome(tj.script(the_last_is_of_no_use), n)
    assert found_kind is kind is None
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("seed", [1, 7, 46])
def test_random_functions(seed: int) -> None:
    try:
        check(seed)
    except NotDifferentiable as error:
        assert "may be changed in place meanwhile" in str(error)
