"""Derivatives of results that are views of arguments, lists, or values that may be None."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj

X = np.linspace(0.1, 0.9, 12).reshape(3, 4)


def tail(x):
    return x[1:]


def written_tail(x):
    rows = x[1:]
    rows[::2] *= 3
    return x.sum(), rows


def columns(x):
    x.T[0] -= 3
    return [x[:, 1], (x.reshape(-1)[::-1], x)]


def powers(x, n):
    found = []
    for k in range(n):
        found.append((x[k] ** 2, k))
    return found


def prefixes(x):
    found = []
    for k in range(len(x)):
        found.append(x[0, :k] * x[k, 0])
    return found, x.T


def maybe(x):
    if x[0, 0] > 0:
        return x * x
    return None


@pytest.mark.parametrize("fn", [tail, written_tail, columns, prefixes, maybe])
def test_arrays(fn):
    report = tj.check(fn, X.copy())
    assert report.ok and not report.skipped, report


def test_numbers_of_a_list():
    assert tj.check(powers, X.copy(), 3).ok
    assert tj.jvp(powers, (X.copy(), 1), (np.ones_like(X), 0))[1][0][1] is None


@pytest.mark.parametrize("fn", [tail, prefixes, lambda x: x.T])
def test_tensors(fn):
    assert tj.check(fn, tj.tensor(X)).ok


def test_jacobian_and_batches_of_views():
    found = tj.jacobian(lambda x: x[::-1])(np.ones(3))
    np.testing.assert_array_equal(found, np.eye(3)[::-1])
    np.testing.assert_array_equal(tj.vmap(lambda x: x.T)(X[None]), X.T[None])


def test_what_has_no_jacobian_is_refused():
    with pytest.raises(tj.NotDifferentiable, match="list"):
        tj.jacobian(prefixes)(X.copy())


def test_a_returned_view_is_on_the_tape():
    x = tj.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    square = tj.script(lambda x: x.reshape(2, 2))
    weights = tj.tensor([[1.0, 2.0], [3.0, 4.0]])
    (square(x) * weights).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1.0, 2.0, 3.0, 4.0])
    with tj.no_grad():
        assert not square(x).requires_grad


def test_writes_through_a_returned_view_reach_its_base_and_the_tape():
    x = tj.tensor([1.0, 2.0, 3.0, 4.0], requires_grad=True)
    base = x * 1
    view = tj.script(lambda x: x.reshape(2, 2))(base)
    base[0] = 5.0
    view[1, 1] = x[0] * 7
    assert view.tolist() == [[5.0, 2.0], [3.0, 7.0]] and base.tolist() == [5.0, 2.0, 3.0, 7.0]
    (base.sum() + view.sum()).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [14.0, 2.0, 2.0, 0.0])


def test_a_view_of_what_the_script_wrote_is_on_the_tape():
    @tj.script
    def double(x):
        x *= 2
        return x[1:]

    x = tj.tensor([1.0, 2.0, 3.0], requires_grad=True)
    double(x * 1).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [0.0, 2.0, 2.0])
