"""Eigenvalues of any matrices and zeros of polynomials, as programs use them: complex numbers, whatever the matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

RNG = np.random.default_rng(11)
GROWTH = np.array([[0.0, 1.5, 1.0], [0.5, 0.0, 0.0], [0.0, 0.25, 0.0]])


def spectral_radius(a: Any) -> Any:
    return np.max(np.abs(np.linalg.eigvals(a)))


def long_run(growth: Any) -> Any:
    """The growth rate of a population and its shares by age."""
    w, v = np.linalg.eig(growth)
    k = np.argmax(np.abs(w))
    shares = np.abs(v[:, k])
    return w[k].real, shares / shares.sum()


def is_stable(a: Any) -> Any:
    found = np.linalg.eig(a)
    for w in found.eigenvalues:
        if w.real >= 0:
            return False
    return True


def real_zeros(p: Any) -> Any:
    r = np.roots(p)
    r = np.sort(r[np.abs(r.imag) < 1e-9].real)
    return r, len(r)


def zeros_by_size(p: Any) -> Any:
    return np.sort(np.abs(np.roots(p))), np.abs(np.polyval(p, np.roots(p))) < 1e-6


@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i8"])
def test_eigenvalues_of_any_matrix(dtype: str) -> None:
    a = (RNG.normal(size=(4, 4)) * 5).astype(dtype)
    check(spectral_radius, a, tolerance=1e-5 if dtype == "f4" else 1e-9)


def test_programs() -> None:
    check(long_run, GROWTH)
    check(is_stable, GROWTH - 2 * np.eye(3))
    check(spectral_radius, RNG.normal(size=(3, 3)).T)


@pytest.mark.parametrize(
    "p", [[1.0, -6.0, 11.0, -6.0], [0.0, 2.0, 0.0, -8.0, 0.0], [0.0, 3.0, 0.0, 0.0], [0.0, 0.0], [5.0], [1, 0, 1], []]
)
def test_zeros_of_polynomials(p: list[float]) -> None:
    check(real_zeros, np.array(p))
    check(zeros_by_size, np.array(p))


@pytest.mark.parametrize("a", [np.array([[1.0, np.nan], [0.0, 1.0]]), np.ones((2, 3)), np.ones(3)])
def test_what_is_no_matrix_of_numbers(a: Any) -> None:
    check(spectral_radius, a)


def weighed(a: Any) -> Any:
    w, v = np.linalg.eig(a)
    return np.sum(np.abs(w) ** 2 * np.arange(1, 5)) + np.sum(np.abs(v) ** 4)


@pytest.mark.parametrize("program", [weighed, spectral_radius])
def test_derivatives(program: Any) -> None:
    assert tj.check(tj.script(program), RNG.normal(size=(4, 4))).ok
