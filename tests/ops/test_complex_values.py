"""Complex elements near the zeros of their parts, at infinity and beside branch cuts, against NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj

PARTS = (0.0, -0.0, 0.5, -1.0, 2.5, np.inf, -np.inf)
POINTS = np.array([complex(a, b) for a, b in itertools.product(PARTS, PARTS)])


def same_bits(found: Any, want: Any) -> None:
    """Equal, with the signs of zeros; any nan for a nan."""
    for x, y in ((found.real, want.real), (found.imag, want.imag)):
        np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(np.signbit(x[~np.isnan(y)]), np.signbit(y[~np.isnan(y)]))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_quotients_are_numpys_to_the_bit(dtype: str) -> None:
    x, y = np.repeat(POINTS, len(POINTS)).astype(dtype), np.tile(POINTS, len(POINTS)).astype(dtype)
    with np.errstate(all="ignore"):
        want = x / y
    same_bits(tj.script(lambda x, y: x / y)(x, y), want)


@pytest.mark.parametrize("function", [np.sin, np.sinh], ids=["sin", "sinh"])
def test_signs_of_zeros(function: Callable[..., Any]) -> None:
    x = POINTS[np.isfinite(POINTS)]
    found, want = tj.script(lambda x: function(x))(x), function(x)
    for a, b in ((found.real, want.real), (found.imag, want.imag)):
        np.testing.assert_array_equal(np.signbit(a), np.signbit(b))


def test_powers_of_zero() -> None:
    exponents = np.array([0j, 1j, 1 + 1j, 2.0, -1.0, -1 + 1j])
    with np.errstate(all="ignore"):
        want = np.zeros(6, complex) ** exponents
    same_bits(tj.script(lambda x, y: x**y)(np.zeros(6, complex), exponents), want)


def test_the_exponential_vanishes_at_minus_infinity() -> None:
    x = np.array([complex(-np.inf, np.inf), complex(-np.inf, np.nan), complex(-np.inf, 1.0)])
    assert not tj.script(lambda x: np.exp(x))(x).any()


def _near(rng: Any) -> Any:
    """Points near 1, -1, i, -i and 0, and others of all sizes."""
    z = rng.standard_normal(500) + 1j * rng.standard_normal(500)
    around = rng.choice([1, -1, 1j, -1j, 0], 500) + z * rng.choice([1e-3, 1e-6, 1e-10], 500)
    return np.concatenate([z, z * 0.01, z * 10, z * 100, around])


FUNCTIONS = "log sqrt tan arcsin arccos arctan tanh arcsinh arccosh arctanh".split()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_are_right_relative_to_their_size(name: str) -> None:
    function, x = getattr(np, name), _near(np.random.default_rng(3))
    found, want = tj.script(lambda x: function(x))(x), function(x)
    assert np.max(np.abs(found - want) / np.abs(want)) < 2e-15


@pytest.mark.parametrize("name", ["tan", "tanh"])
def test_both_parts_of_tangents_are_right(name: str) -> None:
    function = getattr(np, name)
    x = np.random.default_rng(4).uniform(-30, 30, (1000, 2)).view(complex)[:, 0]
    found, want = tj.script(lambda x: function(x))(x), function(x)
    np.testing.assert_allclose(found.real, want.real, rtol=4e-15)
    np.testing.assert_allclose(found.imag, want.imag, rtol=4e-15)


def test_log1p_near_minus_one() -> None:
    x = -1 + np.array([1e-8 + 1e-9j, 1e-12j, -1e-10 + 1e-10j])
    with np.errstate(all="ignore"):
        want = np.log(x + 1)
    np.testing.assert_allclose(tj.script(lambda x: np.log1p(x))(x), want, rtol=1e-13)
