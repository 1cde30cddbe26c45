"""Transformations of functions that change their arguments, or objects of their caller: as a call would, or refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import ScriptError, script


def bumped(x: Any) -> Any:
    x[0] += 1.0
    return (x * x).sum()


def bumped_array(x: Any) -> Any:
    x[0] += 1.0
    return x * x


def noted(o: Any, x: Any) -> Any:
    o.total = o.total + x.sum()
    return (x * x).sum()


@script
def batch_inside(x):
    return tj.vmap(bumped)(x)


@script
def sum_of_batch(x):
    return tj.vmap(lambda v: (v * v * v[0]).sum())(x).sum()


@script
def jacobian_inside(x):
    return tj.jacobian(bumped)(x)


@script
def jacobian_of_array_inside(x):
    return tj.jacobian(bumped_array)(x)


@script
def batch_that_notes(o, x):
    return tj.vmap(lambda row: noted(o, row))(x)


@pytest.mark.parametrize("batch", [tj.vmap(bumped), batch_inside])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_slice_of_a_batch_changes_once(batch: Any, count: int) -> None:
    x = np.arange(3.0 * count).reshape(count, 3)
    expected = x.copy()
    results = [bumped(row) for row in expected]
    np.testing.assert_array_equal(batch(x), results)
    np.testing.assert_array_equal(x, expected)


def test_slices_along_another_axis_change() -> None:
    x, out = np.arange(6.0).reshape(3, 2), np.zeros((2, 3))
    expected = x.copy()

    def fill(column: Any, row: Any) -> Any:
        row[:] = column * 2.0
        column[1:] = column[:-1]
        return column

    found = tj.vmap(fill, in_axes=(1, 0), out_axes=1)(x, out)
    np.testing.assert_array_equal(out, expected.T * 2.0)
    for column in expected.T:
        column[1:] = column[:-1].copy()
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(found, expected)


def test_gradient_through_a_batch_that_changes_its_slices() -> None:
    def total(x: Any) -> Any:
        y = x * 1.0
        found = tj.vmap(bumped)(y)
        return (found * y[:, 0]).sum()

    x = np.array([[0.3, -0.5], [0.8, 1.1]])
    first, second = x.T
    expected = np.stack([3 * (first + 1) ** 2 + second**2, 2 * second * (first + 1)], axis=1)
    np.testing.assert_allclose(tj.grad(total)(x), expected, rtol=1e-12)


def test_argument_that_all_slices_share_is_not_changed() -> None:
    def add(total: Any, x: Any) -> Any:
        total[0] += x
        return x

    with pytest.raises(ScriptError, match="the same for all slices"):
        tj.vmap(add, in_axes=(None, 0))(np.zeros(1), np.ones(3))


def test_objects_are_not_changed_by_slices() -> None:
    with pytest.raises(ScriptError, match="changes objects"):
        tj.vmap(noted, in_axes=(None, 0))(SimpleNamespace(total=0.0), np.ones((2, 3)))


def test_objects_change_slice_by_slice_in_a_script() -> None:
    o = SimpleNamespace(total=1.0)
    np.testing.assert_array_equal(batch_that_notes(o, np.ones((2, 3))), [3.0, 3.0])
    assert o.total == 7.0


@pytest.mark.parametrize("count", [0, 2])
def test_batch_in_a_script_by_its_size(count: int) -> None:
    x = np.arange(3.0 * count).reshape(count, 3)
    assert sum_of_batch(x) == pytest.approx(sum((v * v * v[0]).sum() for v in x))


@pytest.mark.parametrize("transformed", [tj.grad(bumped), tj.jacobian(bumped), jacobian_inside])
def test_derivative_changes_the_argument_once(transformed: Any) -> None:
    x = np.ones(3)
    np.testing.assert_array_equal(transformed(x), [4.0, 2.0, 2.0])
    np.testing.assert_array_equal(x, [2.0, 1.0, 1.0])


def test_jacobian_of_an_array_changes_the_argument_once_or_is_refused() -> None:
    x = np.ones(3)
    np.testing.assert_array_equal(tj.jacobian(bumped_array)(x), np.diag([4.0, 2.0, 2.0]))
    np.testing.assert_array_equal(x, [2.0, 1.0, 1.0])
    with pytest.raises(ScriptError, match="changes arrays or objects"):
        jacobian_of_array_inside(np.ones(3))


def test_objects_change_in_every_transformation() -> None:
    x = np.arange(3.0)
    o = SimpleNamespace(total=0.0)
    assert tj.vjp(lambda v: noted(o, v), x)[0] == 5.0
    assert o.total == 3.0
    assert tj.jvp(lambda v: noted(o, v), (x,), (x,)) == (5.0, 10.0)
    assert o.total == 6.0
    np.testing.assert_array_equal(tj.grad(noted, argnums=1)(o, x), 2 * x)
    assert o.total == 9.0


def test_an_array_that_is_an_index_of_what_a_loop_writes_is_not_changed() -> None:
    def place(x: Any, where: Any) -> Any:
        y = x * 1.0
        for i in range(3):
            y[where[i]] = tj.tanh(y[i]) * y[where[i]]
        return (y * y).sum()

    where = tj.tensor([2, 0, 2])
    x = tj.tensor([0.3, -0.5, 0.7], requires_grad=True)
    script(place)(x, where).backward()
    assert where._version == 0
    for f in (place, tj.checkpoint(place)):
        np.testing.assert_allclose(tj.grad(f)(x.detach(), where).numpy(), x.grad.numpy(), rtol=1e-6)
    rows = tj.stack([x.detach(), 2 * x.detach()])
    expected = [tj.grad(place)(row, where).numpy() for row in rows]
    np.testing.assert_allclose(tj.vmap(tj.grad(place), in_axes=(0, None))(rows, where).numpy(), expected, rtol=1e-6)
