"""What transformations take: which argument, bound functions, and directions, which are never stretched to fit."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import script

X = np.array([0.3, -0.5, 0.8])


def scaled(a: Any, b: Any, *, c: float = 2.0) -> Any:
    return (a * b * c).sum()


def squared(x: Any) -> Any:
    return x * x


@script
def pulled(x, g):
    return tj.vjp(squared, x)[1](g)[0]


@script
def pushed(x, t):
    return tj.jvp(squared, (x,), (t,))[1]


@script
def started(x, g):
    (x * x).backward(g)
    return x.grad


@script
def third_of_two(x, y):
    return tj.grad(scaled, argnums=2)(x, y)


def test_negative_argument_numbers_count_positions() -> None:
    np.testing.assert_array_equal(tj.grad(scaled, argnums=-1)(X, X + 1), 2 * X)
    np.testing.assert_array_equal(tj.grad(scaled, argnums=-2)(X, X + 1, c=3.0), 3 * (X + 1))


def test_an_argument_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no argument 3"):
        tj.grad(scaled, argnums=3)(X, X)
    with pytest.raises(ValueError, match="no argument 2"):
        third_of_two(X, X)


def test_bound_functions() -> None:
    w = X + 2.0
    np.testing.assert_array_equal(tj.grad(functools.partial(scaled, c=5.0))(X, X + 1), 5 * (X + 1))
    np.testing.assert_array_equal(tj.grad(functools.partial(scaled, w))(X), 2 * w)
    bound = functools.partial(scaled, w, c=0.5)
    numbers = functools.partial(scaled, 3.0)
    np.testing.assert_array_equal(script(lambda x: numbers(x))(X), scaled(3.0, X))
    np.testing.assert_array_equal(tj.grad(numbers)(X), np.full(X.shape, 6.0))
    assert script(lambda x: bound(x) + bound(x * 2.0))(X) == pytest.approx(1.5 * (w * X).sum())


@pytest.mark.parametrize("wrong", [1.0, np.ones(1), np.ones((1, 3)), np.ones(2)], ids=["number", "one", "row", "two"])
def test_directions_have_the_shape_of_what_they_belong_to(wrong: Any) -> None:
    for call in (pulled, pushed, lambda x, g: tj.vjp(squared, x)[1](g), lambda x, t: tj.jvp(squared, (x,), (t,))):
        with pytest.raises(ValueError, match="the value it belongs to"):
            call(X, wrong)


def test_directions_of_the_right_shape() -> None:
    np.testing.assert_array_equal(pulled(X, X), 2 * X * X)
    np.testing.assert_array_equal(pushed(X, X.astype(np.float32)), 2 * X * X.astype(np.float32))


def test_gradients_that_backward_starts_from_have_the_shape_of_the_output() -> None:
    def variable() -> tj.Tensor:
        return tj.tensor(X, requires_grad=True)

    np.testing.assert_array_equal(started(variable(), tj.tensor(X)).numpy(), 2 * X * X)
    with pytest.raises(RuntimeError, match="does not fit an output"):
        started(variable(), tj.ones(1, dtype=tj.float64))
