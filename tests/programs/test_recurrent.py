"""Recurrent networks as loops: gradients of weights that every trip uses, for few and many rows and trips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads


def network(x: Any, h: Any, wi: Any, wh: Any, b: Any) -> Any:
    for t in range(x.shape[0]):
        h = np.tanh(x[t] @ wi + h @ wh + b)
    return (h * h).sum()


def by_hand(x: Any, h: Any, wi: Any, wh: Any, b: Any) -> tuple[Any, ...]:
    """The gradients of `wi`, `wh` and `b`; vectors are rows of one."""
    states = [np.atleast_2d(h)]
    for t in range(len(x)):
        states.append(np.tanh(np.atleast_2d(x[t]) @ wi + states[-1] @ wh + b))
    dwi, dwh, db, dh = np.zeros_like(wi), np.zeros_like(wh), np.zeros_like(b), 2 * states[-1]
    for t in reversed(range(len(x))):
        g = dh * (1 - states[t + 1] ** 2)
        dwi, dwh, db = dwi + np.atleast_2d(x[t]).T @ g, dwh + states[t].T @ g, db + g.sum(axis=0)
        dh = g @ wh.T
    return dwi, dwh, db


GRADIENT = tj.grad(network, argnums=(2, 3, 4))


@pytest.mark.parametrize("rows", [None, 1, 2, 16, 17, 40])
@pytest.mark.parametrize("trips", [0, 1, 5, 33, 300])
def test_gradients_of_the_weights(rows: int | None, trips: int) -> None:
    rng = np.random.default_rng(trips)
    batch = () if rows is None else (rows,)
    x, h = rng.normal(size=(trips, *batch, 3)), rng.normal(size=(*batch, 5))
    wi, wh, b = rng.normal(size=(3, 5)), rng.normal(size=(5, 5)) / 3, rng.normal(size=5)
    for found, expected in zip(GRADIENT(x, h, wi, wh, b), by_hand(x, h, wi, wh, b), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.compiled
def test_a_state_of_several_rows_is_not_stretched_and_its_gradient_is_laid_aside_once() -> None:
    @tj.script
    def gradient(x: Any, h: Any, wi: Any, wh: Any, b: Any) -> Any:
        return tj.grad(network, argnums=(2, 3, 4))(x, h, wi, wh, b)

    rng = np.random.default_rng(3)
    x, h, wi, wh, b = (rng.normal(size=shape) for shape in ((9, 2, 3), (2, 5), (3, 5), (5, 5), 5))
    for found, expected in zip(gradient(x, h, wi, wh, b), by_hand(x, h, wi, wh, b), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    assert " eq(" not in gradient.ir()
    lines = gradient.ir("after:defer-products").splitlines()
    assert len([line for line in lines if "%aside" in line and "= undef(" in line]) == 3  # of x, of h, of what both get


@pytest.mark.parametrize(("rows", "trips", "others"), [(6, 5, 1), (3, 2, 1), (2, 1, 4), (4, 0, 4), (3, 3, 1)])
def test_an_array_that_gets_shorter_is_stretched_when_it_has_one_element(rows: int, trips: int, others: int) -> None:
    @tj.script
    def shorter(x: Any, y: Any, n: int) -> Any:
        total = 0.0
        for _ in range(n):
            x = x[1:]
            total = total + (x + y[: x.shape[0]]).sum()
        return total, x * y

    rng = np.random.default_rng(rows)
    x, y = rng.normal(size=rows), rng.normal(size=others)
    for found, expected in zip(shorter(x, y, trips), shorter.__wrapped__(x, y, trips), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_state_that_is_stretched_in_the_first_trip() -> None:
    rng = np.random.default_rng(0)
    x, wi, wh, b = rng.normal(size=(9, 4, 3)), rng.normal(size=(3, 5)), rng.normal(size=(5, 5)), rng.normal(size=5)
    h = rng.normal(size=(1, 5))
    expected = by_hand(x, np.repeat(h, 4, axis=0), wi, wh, b)
    for found, exact in zip(GRADIENT(x, h, wi, wh, b), expected, strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-9)


def test_second_derivatives_through_laid_rows() -> None:
    rng = np.random.default_rng(1)
    x, h, wi, b = rng.normal(size=(40, 1, 2)), rng.normal(size=(1, 3)), rng.normal(size=(2, 3)), rng.normal(size=3)
    wh, v = rng.normal(size=(3, 3)) / 2, rng.normal(size=(3, 3))

    def along(wh: Any) -> Any:
        return (tj.grad(network, argnums=3)(x, h, wi, wh, b) * v).sum()

    step = 1e-6
    up, down = (by_hand(x, h, wi, wh + s * v, b)[1] for s in (step, -step))
    np.testing.assert_allclose(tj.grad(along)(wh), (up - down) / (2 * step), rtol=1e-5, atol=1e-7)


def test_a_while_loop_that_ends_by_its_data() -> None:
    def shrink(x: Any, w: Any) -> Any:
        trips = 0
        while (x * x).sum() > 1e-3:
            x = np.tanh(x @ w) * 0.999
            trips += 1
        return x.sum(), trips

    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(2, 4)), np.linalg.qr(rng.normal(size=(4, 4)))[0] * 0.997
    (_, trips), found = tj.value_and_grad(shrink, argnums=1, has_aux=True)(x, w)
    states = [x]
    for _ in range(trips):
        states.append(np.tanh(states[-1] @ w) * 0.999)
    dx, dw = np.ones_like(x), np.zeros_like(w)
    for before, after in zip(reversed(states[:-1]), reversed(states[1:]), strict=True):
        g = dx * 0.999 * (1 - (after / 0.999) ** 2)
        dx, dw = g @ w.T, dw + before.T @ g
    assert trips > 300
    np.testing.assert_allclose(found, dw, rtol=1e-9)


def test_what_is_added_to_an_argument_before_an_error_stays_there() -> None:
    @tj.script
    def add(total: Any, x: Any, y: Any, limit: float) -> None:
        for t in range(x.shape[0]):
            if x[t, 0] > limit:
                raise ValueError("too large")
            total += np.outer(x[t], y[t])

    rng = np.random.default_rng(3)
    x, y, total = rng.uniform(size=(20, 3)), rng.normal(size=(20, 4)), np.zeros((3, 4))
    x[12, 0] = 2.0
    with pytest.raises(ValueError, match="too large"):
        add(total, x, y, 1.5)
    np.testing.assert_allclose(total, x[:12].T @ y[:12])


def test_weights_that_lie_the_other_way() -> None:
    @tj.script
    def run(x: Any, h: Any, w: Any, v: Any) -> Any:
        for t in range(x.shape[0]):
            h = np.tanh(x[t] @ v[1].T + h @ w.T)
        return h

    def plain(x: Any, h: Any, w: Any, v: Any) -> Any:
        for t in range(x.shape[0]):
            h = np.tanh(x[t] @ v[1].T + h @ w.T)
        return h

    rng = np.random.default_rng(4)
    w, v = rng.normal(size=(5, 5)), rng.normal(size=(2, 5, 3))
    for trips, rows in ((0, 4), (1, 4), (6, 4), (6, 1)):
        x, h = rng.normal(size=(trips, rows, 3)), rng.normal(size=(rows, 5))
        np.testing.assert_allclose(run(x, h, w, v), plain(x, h, w, v), rtol=1e-12)
        value, found = tj.value_and_grad(lambda w, x=x, h=h: (run(x, h, w, v) ** 2).sum())(w)
        np.testing.assert_allclose(value, (plain(x, h, w, v) ** 2).sum(), rtol=1e-12)
        step, direction = 1e-6, rng.normal(size=w.shape)
        up, down = ((plain(x, h, w + s * direction, v) ** 2).sum() for s in (step, -step))
        np.testing.assert_allclose((found * direction).sum(), (up - down) / (2 * step), rtol=1e-6, atol=1e-8)


def test_weights_that_change_on_the_way() -> None:
    @tj.script
    def train(x: Any, w: Any, rate: float) -> Any:
        for _ in range(4):
            h = x
            for _ in range(3):
                h = h @ w.T
            w = w - rate * (h.T @ x)
        return w

    rng = np.random.default_rng(5)
    x, w = rng.normal(size=(7, 3)), rng.normal(size=(3, 3))
    expected = w
    for _ in range(4):
        h = x
        for _ in range(3):
            h = h @ expected.T
        expected = expected - 0.01 * (h.T @ x)
    np.testing.assert_allclose(train(x, w, 0.01), expected, rtol=1e-10)


@pytest.mark.compiled
def test_a_matrix_laid_out_for_a_loop_is_a_copy_that_may_be() -> None:
    @tj.script(copies="error")
    def run(x: Any, w: Any) -> Any:
        h = np.zeros_like(x[0])
        for t in range(x.shape[0]):
            h = np.tanh(x[t] + h @ w.T)
        return h

    rng = np.random.default_rng(6)
    x, w = rng.normal(size=(5, 4, 3)), rng.normal(size=(3, 3))
    h = np.zeros((4, 3))
    for t in range(5):
        h = np.tanh(x[t] + h @ w.T)
    np.testing.assert_allclose(run(x, w), h, rtol=1e-12)
    assert "the products of a loop read it the other way round" in run.explain()


def test_budgets_of_memory_change_no_more_than_the_order_of_sums() -> None:
    def fn(x: Any, w: Any) -> Any:
        h, total = np.zeros_like(x[0]), 0.0
        for t in range(x.shape[0]):
            h = np.tanh(h @ w + x[t])
            total += (h * h).sum()
        return total

    rng = np.random.default_rng(7)
    x, w = rng.normal(size=(300, 2, 4)), rng.normal(size=(4, 4)) / 3
    dx, dw = tj.grad(fn, argnums=(0, 1))(x, w)
    for budget in (2000, "20KB"):
        frugal_dx, frugal_dw = tj.grad(tj.script(memory=budget)(fn), argnums=(0, 1))(x, w)
        np.testing.assert_array_equal(frugal_dx, dx)
        np.testing.assert_allclose(frugal_dw, dw, rtol=1e-13)


@pytest.mark.parametrize(
    ("columns", "n"), [(12, 3), (12, 5), (12, 7), (12, 13), (2, 1), (1, 1), (0, 2), (4, 0), (9, -2)]
)
def test_gradients_of_parts_of_rows_that_follow_each_other_or_meet(columns: int, n: int) -> None:
    def apart(x: Any, n: int) -> Any:
        return (2 * x[..., :n]).sum() + (3 * x[..., n : 2 * n]).sum() + (x[..., 2 * n :] ** 2).sum()

    def meeting(x: Any, n: int) -> Any:
        return (2 * x[..., : n + 1]).sum() + (3 * x[..., n : 2 * n + 1]).sum() + (x[..., 2 * n :] ** 2).sum()

    given = np.random.default_rng(0).normal(size=(3, columns))
    for fn, more, x in ((apart, 0, given), (meeting, 1, given), (apart, 0, given[0])):
        expected = np.zeros_like(x)
        expected[..., : n + more] += 2
        expected[..., n : 2 * n + more] += 3
        expected[..., 2 * n :] += 2 * x[..., 2 * n :]
        np.testing.assert_allclose(tj.grad(fn)(x, n), expected, rtol=1e-12)


@pytest.mark.compiled
def test_an_lstm_cell_has_the_same_bits_for_any_number_of_threads_and_derives_its_gates_in_place() -> None:
    def cell(x: Any, h: Any, c: Any, wi: Any, wh: Any, b: Any) -> Any:
        n = h.shape[1]
        for t in range(x.shape[0]):
            gates = x[t] @ wi + h @ wh + b
            forget, take = tj.sigmoid(gates[:, :n]), tj.sigmoid(gates[:, n : 2 * n])
            c = forget * c + take * np.tanh(gates[:, 2 * n : 3 * n])
            h = tj.sigmoid(gates[:, 3 * n :]) * np.tanh(c)
        return (h * h).sum()

    @tj.script
    def gradient(x: Any, h: Any, c: Any, wi: Any, wh: Any, b: Any) -> Any:
        return tj.grad(cell, argnums=(3, 4, 5))(x, h, c, wi, wh, b)

    rng = np.random.default_rng(8)
    shapes = (21, 31, 7), (31, 33), (31, 33), (7, 132), (33, 132), 132
    args = [rng.normal(size=shape) / 2 for shape in shapes]
    leaves = [tj.tensor(a).requires_grad_() for a in args[3:]]
    expected = tj.autograd.grad(cell(*map(tj.tensor, args[:3]), *leaves), leaves)
    first = gradient(*args)
    for found, exact in zip(first, expected, strict=True):
        np.testing.assert_allclose(found, np.asarray(exact), rtol=1e-9, atol=1e-12)
    with each_number_of_threads(1, 2, 3) as counts:
        for _ in counts:
            for found, before in zip(gradient(*args), first, strict=True):
                np.testing.assert_array_equal(found, before)
    assert "vadd(" in gradient.ir("after:unstack")
    assert "vadd(" not in gradient.ir("after:ranges")
