"""Writes under `no_grad` in scripts: data change, derivatives go on as if nothing was written, as in eager code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import script
from tracejit.ir.core import walk

X = np.array([0.3, -0.5, 0.8])


def element(x):
    y = x * x
    with tj.no_grad():
        y[0] = 5.0
    return (y * y).sum()


def whole(x):
    y = x * x
    with tj.no_grad():
        y *= 2.0
    return (y * x).sum()


def view(x):
    y = x * x
    v = y[1:]
    with tj.no_grad():
        v += 1.0
    return (y * x).sum()


def replaced(x):
    y = x * x
    with tj.no_grad():
        y.copy_(tj.ones(3, dtype=tj.float64))
    return (y * x).sum()


def argument(x):
    before = (x[1:] * 2.0).sum()
    with tj.no_grad():
        x[0] = 5.0
        x *= 2.0
    return (x * x * x).sum() + before


def some_trips(x):
    y = x * 1.0
    for i in range(3):
        if i != 1:
            y = y * x
        else:
            with tj.no_grad():
                y[i] += 0.5
    return (y + x).sum()


PROGRAMS = [element, whole, view, replaced, argument, some_trips]


def variable() -> tj.Tensor:
    return tj.tensor(X.copy(), requires_grad=True)


@pytest.mark.parametrize("fn", PROGRAMS)
def test_gradients_are_those_of_eager_code(fn: Callable[..., Any]) -> None:
    compiled, eager = variable(), variable()
    value, expected = script(fn)(compiled), fn(eager)
    value.backward()
    expected.backward()
    assert value.item() == pytest.approx(expected.item(), rel=1e-14)
    np.testing.assert_allclose(compiled.grad.numpy(), eager.grad.numpy(), rtol=1e-14)
    np.testing.assert_array_equal(compiled.detach().numpy(), eager.detach().numpy())
    assert compiled.is_leaf


@pytest.mark.parametrize("fn", PROGRAMS)
def test_second_derivatives_are_those_of_eager_code(fn: Callable[..., Any]) -> None:
    found: list[Any] = []
    for call in (script(fn), fn):
        x = variable()
        (slope,) = tj.autograd.grad(call(x), [x], create_graph=True)
        (slope * slope).sum().backward()
        found.append(x.grad.numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-13)


@pytest.mark.parametrize("fn", PROGRAMS)
def test_forward_mode_is_the_transpose(fn: Callable[..., Any]) -> None:
    along = np.array([0.4, 1.2, -0.7])
    _, tangent = tj.jvp(fn, (X.copy(),), (along,))
    assert tangent == pytest.approx(float(tj.grad(fn)(X.copy()) @ along), rel=1e-12)


def test_a_recorded_write_to_a_leaf_is_refused_also_beside_one_that_is_not() -> None:
    @script
    def fn(x):
        x *= 2.0
        with tj.no_grad():
            x += 1.0
        return x.sum()

    with pytest.raises(RuntimeError, match="leaf"):
        fn(variable())


def test_element_writes_copy_nothing() -> None:
    @script
    def fn(x):
        with tj.no_grad():
            for i in range(x.shape[0]):
                x[i] = x[i] * 0.5

    x = X.copy()
    fn(x)
    np.testing.assert_array_equal(x, X * 0.5)
    assert "copy" not in {op.name for op in walk(fn.last.compiled.final.body)}
