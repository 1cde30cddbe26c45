"""Python numbers made of tensors that ask for gradients: constants of the tape, as in plain Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj


def by_item(x: Any) -> Any:
    scale = x.max().item()
    return (x * scale).sum(), scale


def by_float(x: Any) -> Any:
    scale = float(x[2])
    return (x * scale).sum() / float(x.sum()), scale


def by_complex(x: Any) -> Any:
    scale = complex(x[1], x[0]).imag
    return (x * x * scale).sum(), scale


def in_a_loop(x: Any) -> Any:
    total, seen = x[0] * 0.0, 0.0
    for i in range(len(x)):
        total = total + x[i] * x[i].item()
        seen += total.item()
    return total, seen


PROGRAMS = [by_item, by_float, by_complex, in_a_loop]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_tape_sees_a_constant(program: Callable[..., Any]) -> None:
    def inside(x: Any) -> Any:
        program(x)[0].backward()
        return x.grad

    x, y, z = (tj.tensor([1.0, 2.0, 3.0], dtype=tj.float64, requires_grad=True) for _ in range(3))
    expected, number = program(x)
    expected.backward()
    found, same = tj.script(program)(y)
    found.backward()
    assert type(same) is type(number) is float and same == pytest.approx(number, rel=1e-14)
    assert found.item() == pytest.approx(expected.item(), rel=1e-14)
    np.testing.assert_allclose(y.grad.numpy(), x.grad.numpy(), rtol=1e-14)
    np.testing.assert_allclose(tj.script(inside)(z).numpy(), x.grad.numpy(), rtol=1e-14)


@pytest.mark.parametrize("program", PROGRAMS)
def test_transformations_go_through(program: Callable[..., Any]) -> None:
    """`grad` is the derivative of what is computed, whatever kind of number it is meanwhile."""
    x, step = np.array([1.0, 2.0, 3.0]), 1e-6
    slopes = tj.grad(lambda x: program(x)[0])(x)
    sides = [[float(program(x + s * e)[0]) for s in (step, -step)] for e in np.eye(3)]
    np.testing.assert_allclose(slopes, [(a - b) / (2 * step) for a, b in sides], rtol=1e-7)
