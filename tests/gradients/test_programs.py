"""Gradients of whole programs: compiled reverse mode, forward mode and the eager tape against central differences."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.gradients.programs import PROGRAMS
from tracejit import pytree

CASES = [pytest.param(fn, args, id=f"{fn.__name__}-{i}") for i, (fn, args) in enumerate(PROGRAMS)]


def differences(fn: Callable[..., Any], args: tuple[Any, ...], step: float = 1e-6) -> list[Any]:
    """The central differences of fn by every float in its arguments."""
    leaves, structure = pytree.flatten(args)
    slopes: list[Any] = []
    for k, leaf in enumerate(leaves):
        if isinstance(leaf, int):
            continue
        x = np.array(leaf, dtype="float64")
        slope = np.zeros(x.shape)
        for at in np.ndindex(*x.shape):
            values: list[float] = []
            for move in (step, -step):
                moved = x.copy()
                moved[at] += move
                given = [copy.deepcopy(v) for v in leaves]
                given[k] = moved if x.shape else float(moved)
                values.append(float(fn(*structure.unflatten(given))))
            slope[at] = (values[0] - values[1]) / (2 * step)
        slopes.append(slope)
    return slopes


def floats(args: tuple[Any, ...]) -> tuple[int, ...]:
    """The arguments that are no integers."""
    return tuple(i for i, x in enumerate(args) if not isinstance(x, int))


@pytest.mark.parametrize(("fn", "args"), CASES)
def test_gradient(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    value, slopes = tj.value_and_grad(fn, floats(args))(*copy.deepcopy(args))
    assert value == pytest.approx(float(fn(*copy.deepcopy(args))), rel=1e-12)
    for found, expected in zip(pytree.leaves(slopes), differences(fn, args), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("fn", "args"), CASES)
def test_forward_mode(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    rng = np.random.default_rng(3)
    leaves, structure = pytree.flatten(args)
    along = [None if isinstance(x, int) else rng.normal(size=np.shape(x)) for x in leaves]
    tangents = structure.unflatten(t if t is None or np.shape(t) else float(t) for t in along)
    out, tangent = tj.jvp(fn, copy.deepcopy(args), tangents)
    assert out == pytest.approx(float(fn(*copy.deepcopy(args))), rel=1e-12)
    moved = [t for t in along if t is not None]
    expected = sum(float(np.sum(s * t)) for s, t in zip(differences(fn, args), moved, strict=True))
    assert tangent == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize(("fn", "args"), CASES)
def test_pullback(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    out, pullback = tj.vjp(fn, *copy.deepcopy(args))
    assert out == pytest.approx(float(fn(*copy.deepcopy(args))), rel=1e-12)
    found = [s for s in pytree.leaves(pullback(2.0)) if s is not None]
    for slope, expected in zip(found, differences(fn, args), strict=True):
        np.testing.assert_allclose(slope, 2.0 * expected, rtol=1e-6, atol=2e-7)


@pytest.mark.parametrize(("fn", "args"), CASES)
def test_second_derivative(fn: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Reverse over reverse, along one direction, against differences of the gradient."""
    chosen = floats(args)
    gradient = tj.grad(fn, chosen)

    def slope(*given: Any) -> float:
        parts = pytree.leaves(gradient(*given))
        return sum(float(np.sum(np.cos(k + np.arange(np.size(p))) * np.ravel(p))) for k, p in enumerate(parts))

    leaves, structure = pytree.flatten(tuple(args[i] for i in chosen))
    weights = iter(range(len(leaves)))
    along = [np.cos(next(weights) + np.arange(np.size(x))).reshape(np.shape(x)) for x in leaves]
    tangents = list(args)
    for place, part in zip(chosen, structure.unflatten(t if np.shape(t) else float(t) for t in along), strict=True):
        tangents[place] = part
    tangents = [None if isinstance(x, int) else t for x, t in zip(args, tangents, strict=True)]
    _, product = tj.jvp(gradient, copy.deepcopy(args), tuple(tangents))
    found = [p for p in pytree.leaves(product) if p is not None]
    for p, expected in zip(found, differences(slope, args, 1e-5), strict=True):
        np.testing.assert_allclose(p, expected, rtol=1e-4, atol=1e-5)
