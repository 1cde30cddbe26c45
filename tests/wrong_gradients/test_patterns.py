"""Failure patterns of differentiation, each right in every mode and to second order."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.gradients.test_programs import differences, floats
from tests.wrong_gradients import aliasing, control, edges, programs, sequences, sizes
from tracejit import pytree

FILES = (programs, control, aliasing, edges, sizes, sequences)
CASES = [
    pytest.param(fn, args, id=f"{fn.__name__}-{i}")
    for file in FILES
    for i, (fn, args) in enumerate(file.REGISTRY.programs)
]


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """Plain Python computes both sides of a `where`."""
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize(("fn", "args"), CASES)
def test_every_mode(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Reverse mode against differences; against it forward mode, and the pullback, whose residuals pass between two
    graphs."""
    chosen = floats(args)
    value, slopes = tj.value_and_grad(fn, chosen)(*copy.deepcopy(args))
    assert value == pytest.approx(float(fn(*copy.deepcopy(args))), rel=1e-12)
    expected = differences(fn, args)
    for found, difference in zip(pytree.leaves(slopes), expected, strict=True):
        np.testing.assert_allclose(found, difference, rtol=1e-6, atol=1e-7)
    along, weights = directions(args)
    _, tangent = tj.jvp(fn, copy.deepcopy(args), along)
    total = sum(float(np.sum(s * w)) for s, w in zip(pytree.leaves(slopes), weights, strict=True))
    assert tangent == pytest.approx(total, rel=1e-9, abs=1e-11)
    _, pullback = tj.vjp(fn, *copy.deepcopy(args))
    found = pullback(1.0)
    for number, slope in zip(chosen, slopes, strict=True):
        np.testing.assert_allclose(found[number], slope, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("fn", "args"), CASES)
def test_second_order(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Forward over reverse against differences, reverse over reverse against forward over reverse."""
    chosen = floats(args)
    gradient = tj.grad(fn, chosen)
    along, weights = directions(args)

    def slope(*given: Any) -> float:
        parts = pytree.leaves(gradient(*given))
        return sum(float(np.sum(w * p)) for p, w in zip(parts, weights, strict=True))

    def inner(*given: Any) -> Any:
        total = 0.0
        for part, weight in zip(tj.grad(fn, chosen)(*given), weights):  # noqa: B905
            total = total + np.sum(part * weight)
        return total

    _, product = tj.jvp(gradient, copy.deepcopy(args), along)
    expected = differences(slope, args, 1e-5)
    found = [p for p in pytree.leaves(product) if p is not None]
    for p, difference in zip(found, expected, strict=True):
        np.testing.assert_allclose(p, difference, rtol=1e-4, atol=1e-5)
    for p, q in zip(found, pytree.leaves(tj.grad(inner, chosen)(*copy.deepcopy(args))), strict=True):
        np.testing.assert_allclose(q, p, rtol=1e-8, atol=1e-10)


def directions(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[Any]]:
    """A tangent for each argument, None for integers; and those that are not None."""
    rng = np.random.default_rng(3)
    along = tuple(None if isinstance(x, int) else _like(rng.normal(size=np.shape(x))) for x in args)
    return along, [t for t in along if t is not None]


def _like(x: Any) -> Any:
    return x if np.shape(x) else float(x)
