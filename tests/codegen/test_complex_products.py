"""Complex matrices times vectors: by pairs of real numbers where there is enough to multiply."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.threads import each_number_of_threads
from tracejit import script
from tracejit.codegen.evaluate import evaluate
from tracejit.codegen.lowering.entry import lower
from tracejit.codegen.lowering.products import LINES, TERMS
from tracejit.ir.parser import parse

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


#: A product with a column or a row, of a matrix that may be transposed.
GRAPH = """graph @f(%x: c128[{x}], %y: c128[{y}]) on cpu {{
  {line}
  %z = matmul({factors}) : c128[{z}]
  yield %z
}}"""


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


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("size", SIZES)
def test_vectors_times_complex_matrices(size: tuple[int, int], dtype: Any) -> None:
    columns, depth = size
    x = numbers(2 * depth).astype(dtype)
    for a in (numbers(depth, columns), np.asfortranarray(numbers(depth, columns)), numbers(2 * depth, columns + 2)):
        a = a.astype(dtype)[:depth, :columns]
        for matrix in (a, a[::-1], a[:, ::-1], np.broadcast_to(a[:1], a.shape)):
            for vector in (x[:depth], x[::2], x[depth:][::-1]):
                found = product(vector, matrix)
                assert found.dtype == dtype and found.shape == (columns,)
                error = 1e-4 if dtype is np.complex64 else 1e-12
                np.testing.assert_allclose(found, vector.astype(np.complex128) @ matrix, rtol=error, atol=error)


@pytest.mark.parametrize(
    ("x", "y", "line", "factors", "z"),
    [
        ("n, k", "k, 1", "", "%x, %y", "n, 1"),
        ("k, n", "k, 1", "%t = transpose(%x) {perm = (1, 0)} : c128[n, k]", "%t, %y", "n, 1"),
        ("1, k", "k, n", "", "%x, %y", "1, n"),
        ("1, k", "n, k", "%t = transpose(%y) {perm = (1, 0)} : c128[k, n]", "%x, %t", "1, n"),
    ],
)
@pytest.mark.parametrize("size", [(2, 3), (9, 40), (40, 9)])
def test_they_free_what_they_take(x: str, y: str, line: str, factors: str, z: str, size: tuple[int, int]) -> None:
    program = lower(parse(GRAPH.format(x=x, y=y, line=line, factors=factors, z=z)))
    lengths = {"n": size[0], "k": size[1], "1": 1}
    left, right = (numbers(*(lengths[n] for n in names.split(", "))) for names in (x, y))
    (found,) = evaluate(program, [left, right])
    turned = [a.T if line and name == "%t" else a for a, name in zip((left, right), factors.split(", "), strict=True)]
    np.testing.assert_allclose(found, turned[0] @ turned[1], rtol=1e-12, atol=1e-12)


def test_they_have_the_same_bits_for_any_number_of_threads() -> None:
    a, x = numbers(701, 400), numbers(400)
    for matrix in (a, np.asfortranarray(a)):
        with each_number_of_threads(1, 2, 3) as counts:
            found = [product(matrix, x).tobytes() for _ in counts]
        assert len(set(found)) == 1


def test_rows_that_are_not_finite_are_so_by_themselves() -> None:
    a, x = numbers(9, 40), numbers(40)
    a[2, 3], a[8, 39] = np.nan, complex(np.inf, 1)
    for matrix in (a, np.asfortranarray(a)):
        found = product(matrix, x)
        assert list(np.nonzero(~np.isfinite(found))[0]) == [2, 8]
        np.testing.assert_allclose(np.delete(found, [2, 8]), np.delete(a, [2, 8], 0) @ x, rtol=1e-12)
