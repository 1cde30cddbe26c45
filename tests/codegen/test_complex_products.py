"""Complex matrices times vectors: by pairs of real numbers where there is enough to multiply."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.threads import each_number_of_threads
from tracejit import script
from tracejit.codegen.lowering.products import LINES, TERMS

pytestmark = pytest.mark.compiled
RNG = np.random.default_rng(0)
SIZES = [
    (0, 20),
    (20, 0),
    (1, 1),
    (LINES - 1, TERMS),
    (LINES, TERMS - 1),
    (LINES, TERMS),
    (LINES + 1, TERMS + 1),
    (2 * LINES - 1, 100),
    (2 * LINES, 33),
    (101, 37),
    (300, 250),
]


@script
def product(a: Any, x: Any) -> Any:
    return a @ x


def numbers(*shape: int) -> Any:
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("size", SIZES)
def test_complex_matrices_times_vectors(size: tuple[int, int], dtype: Any) -> None:
    rows, depth = size
    x = numbers(2 * depth).astype(dtype)
    for a in (numbers(rows, depth), np.asfortranarray(numbers(rows, depth)), numbers(2 * rows, 3 * depth)[::2, ::-3]):
        for vector in (x[:depth], x[::2], x[depth:][::-1]):
            found = product(a.astype(dtype, copy=False), vector)
            assert found.dtype == dtype and found.shape == (rows,)
            error = 1e-4 if dtype is np.complex64 else 1e-12
            np.testing.assert_allclose(found, a @ vector.astype(np.complex128), rtol=error, atol=error)


def test_they_have_the_same_bits_for_any_number_of_threads() -> None:
    a, x = numbers(701, 400), numbers(400)
    with each_number_of_threads(1, 2, 3) as counts:
        found = [product(a, x).tobytes() for _ in counts]
    assert len(set(found)) == 1


def test_rows_that_are_not_finite_are_so_by_themselves() -> None:
    a, x = numbers(9, 40), numbers(40)
    a[2, 3], a[8, 39] = np.nan, complex(np.inf, 1)
    found = product(a, x)
    assert list(np.nonzero(~np.isfinite(found))[0]) == [2, 8]
    np.testing.assert_allclose(np.delete(found, [2, 8]), np.delete(a, [2, 8], 0) @ x, rtol=1e-12)
