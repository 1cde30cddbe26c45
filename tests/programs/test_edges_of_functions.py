"""NumPy's functions at the edges: errors of bounds and weights, bools, complex numbers, ints beyond 64 bits."""

from __future__ import annotations

import cmath
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

A = np.array([5.0, 3.0, 9.0, 1.0, 7.0])
Z = np.array([1 + 2j, 3, 4j])
B = np.array([True, False, True])
M = np.array([[True, False, True], [True, True, False]])
E = np.array([])


def part(a: Any, k: int) -> Any:
    return np.partition(a, k)[k], a[np.argpartition(a, k)[k]]


def part_in_place(a: Any, k: int) -> Any:
    a.partition(k)
    return a[k]


@pytest.mark.parametrize("k", [2, -1, 5, -6])
def test_places_of_partition(k: int) -> None:
    check(part, A, k)
    check(part_in_place, A, k)


def digits(x: Any, bins: Any) -> Any:
    return np.digitize(x, bins), np.digitize(x, bins, right=True)


@pytest.mark.parametrize("bins", [[1, 3, 2], [1, 2, np.nan], [np.nan, 2, 1], [2, 2, 2], [np.nan, 1, 2], [3, 1, 1]])
def test_bounds_of_digitize(bins: list[float]) -> None:
    check(digits, np.array([0.0, 1.5, np.nan, 2.0]), np.array(bins))


@pytest.mark.parametrize("weights", [[1.0, -1.0, 0.0], [1.0, 1.0, 0.0]])
def test_weights_of_average(weights: list[float]) -> None:
    check(lambda x, w: np.average(x, weights=w), np.arange(3.0), np.array(weights))


@pytest.mark.parametrize(("x", "y"), [(E, A), (A, E), (A, A[:2])])
def test_empty_operands(x: Any, y: Any) -> None:
    check(lambda x, y: np.convolve(x, y), x, y)
    check(lambda x, y: np.correlate(x, y), x, y)
    check(lambda x, y: np.interp(1.5, x, y), x, y)


def of_bools(b: Any, m: Any) -> Any:
    products = m @ b, b @ b, m.dot(m.T), np.inner(m, b), np.outer(b, b), np.tensordot(m, m.T, 1), np.dot(b, b)
    return products, b.sum(dtype=bool), np.sum(m, axis=0, dtype=bool), np.prod(m, axis=1, dtype=bool), np.tril(m)


def test_products_and_sums_of_bools() -> None:
    check(of_bools, B, M)


def spaces(n: int) -> Any:
    lines = (
        np.linspace(1j, 3, 4),
        np.linspace(0, n + 2j, 3),
        np.linspace(0, [1, 2], 3),
        np.linspace(-1, 0, 5, dtype=int),
    )
    ratios = np.geomspace(1, 1000, 4), np.geomspace(1j, 1000j, 4), np.geomspace(-1, -100, n + 2), np.geomspace(2, 3, 1)
    return lines, ratios, np.linspace(np.arange(2.0), np.arange(2.0) + n, 3, retstep=True)


def test_spaces() -> None:
    check(spaces, 1)
    check(lambda: np.geomspace(0, 1, 3))


def more(a: Any, z: Any) -> Any:
    parts = np.extract([True, False], a), np.ediff1d(a, to_end=np.array([[1.0, 2.0]]), to_begin=0.0)
    masks = np.eye(N=3, M=4, k=1), np.tril(a), np.triu(a, 1)
    return parts, masks, np.corrcoef(z, z * 1j), np.isposinf(a), np.isneginf(-a)


def filled(x: Any) -> Any:
    made = np.nan_to_num(x, True, 1.0, posinf=2.0, neginf=-3), np.nan_to_num(np.arange(3))
    np.nan_to_num(x, copy=False)
    return made, x


def test_more_arguments() -> None:
    check(more, A, Z)
    check(filled, np.array([1.0, np.nan, np.inf, -np.inf]))


def of_complex(z: complex) -> Any:
    arcs = cmath.acos(z), cmath.asin(z), cmath.atan(z), cmath.acosh(z), cmath.asinh(z), cmath.atanh(z)
    return arcs, cmath.tan(z), cmath.sinh(z), cmath.cosh(z), cmath.tanh(z), cmath.log10(z)


@pytest.mark.parametrize("z", [1.5 + 0.5j, -2 + 0.25j, 0.3, 1.0, 800.0, complex(0, np.inf)])
def test_functions_of_complex_numbers(z: complex) -> None:
    check(of_complex, z)


def large(n: int) -> Any:
    word = 2**64 - 1
    h = np.uint64(2**63)
    a = np.array([2**63, n], dtype=np.uint64)
    return h ^ np.uint64(word), a + 1, 2**70 // 2**60, n < word, -(2**65) > n, n == word, float(2**80), str(word)


def stored(a: Any) -> Any:
    a[0] = 2**63
    return a


@pytest.mark.compiled
@pytest.mark.parametrize("program", [lambda n: n + 2**70, lambda n: n & (2**64 - 1), lambda n: 2**70 if n else 0])
def test_ints_beyond_64_bits_at_run_time(program: Callable[[int], int]) -> None:
    with pytest.raises(OverflowError):
        tj.script(program)(5)


def test_known_ints_beyond_64_bits() -> None:
    check(large, 5)
    check(stored, np.arange(3))


def of_dtypes(a: Any) -> Any:
    made = np.rint(a), np.reciprocal(a), np.float_power(a, 2), np.ldexp(a, 1), np.rint(a[0]), np.reciprocal(a[1])
    return made, np.isclose(a, a[::-1]), np.isclose(a, 1, atol=1), np.allclose(a, a), np.linspace(a[1], 1, 3)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i1", "i4", "i8", "u1", "u8", "?"])
def test_dtypes_of_results(dtype: str) -> None:
    check(of_dtypes, np.array([0, 1, 1, 2, 3], dtype), tolerance=2e-3 if dtype == "f2" else 1e-6)


@pytest.mark.parametrize("dtype", ["f8", "i4", "?"])
def test_functions_of_integers_alone(dtype: str) -> None:
    check(lambda a: np.bincount(a), np.array([0, 1, 1], dtype))
    if dtype == "i4":
        check(lambda a: np.gcd(a, 2 * a[::-1]), np.array([4, 1, 6], dtype))
    else:
        with pytest.raises(TypeError):
            tj.script(lambda a: np.gcd(a, a))(np.array([4, 1, 6], dtype))


def diagonals(x: Any, offsets: Any) -> Any:
    """Diagonals whose places are read from an array."""
    sums, made = np.zeros((len(offsets), 4)), np.zeros((12, 12))
    for i, k in enumerate(offsets):
        sums[i] = np.trace(x, k), np.diag(x, k).sum(), x.diagonal(offset=k, axis1=1, axis2=0).sum(), len(np.diag(x, k))
        d = np.diag(x[:2, 1], k)
        made[: len(d), : len(d)] += d
    return sums, made


def test_diagonals_at_computed_places() -> None:
    x, offsets = np.arange(12.0).reshape(3, 4), np.arange(-6, 7)
    check(diagonals, x, offsets)
    check(diagonals, x.T, offsets[::-1])
    tj.check(lambda x: diagonals(x, offsets)[0].sum(), x)


def test_axes_of_computed_size_are_squeezed_where_they_are_named() -> None:
    def squeezed(x: Any, chosen: Any) -> Any:
        row = np.squeeze(x[chosen], axis=0)
        row += 1
        return row, x[chosen].T.squeeze(1).sum()

    x = np.arange(12.0).reshape(4, 3)
    check(squeezed, x, np.arange(4) == 2)
    check(squeezed, x, np.arange(4) > 1)


@pytest.mark.compiled
def test_the_covariance_of_one_chosen_variable_is_refused_in_the_call() -> None:
    x = np.arange(12.0).reshape(4, 3) ** 2
    scripted = tj.script(lambda x, chosen: np.cov(x[chosen]))
    np.testing.assert_allclose(scripted(x, np.arange(4) > 1), np.cov(x[2:]))
    with pytest.raises(ValueError, match="the covariance of one variable is a number"):
        scripted(x, np.arange(4) == 1)
