"""Sums of lists of arrays beside an array: where a list has no arrays, its sum is the number 0."""

import numpy as np
import pytest

from tests.programs.compare import check


def orthonormal(rows):
    basis = []
    for v in rows:
        w = v - sum(np.dot(v, b) * b for b in basis)
        if (np.abs(w) > 1e-10).any():
            basis.append(w / np.linalg.norm(w))
    return np.array(basis)


def beside_an_array(x, n):
    return x + sum([x * k for k in range(n)]), x - sum(x * k for k in range(n))


def of_rows(x, n):
    return x + sum(x[k] for k in range(n))


def of_numbers(x, n):
    return x - sum(range(n)), x + sum([]), x + sum([1.5] * n)


def of_a_generator(x, n):
    def multiples():
        for k in range(n):
            yield x * k

    return x + sum(multiples())


def own_sum(x, n):
    def sum(values):
        return len(values)

    return x + sum([x] * n)


X = np.arange(1.0, 13.0).reshape(4, 3)
CASES = [
    (orthonormal, X + np.eye(4, 3)),
    (orthonormal, np.zeros((2, 3)) + [1.0, 0.0, 2.0]),
    (beside_an_array, X[:3, :1], 3),
    (beside_an_array, X[:1, :1], 0),
    (of_rows, X, 2),
    (of_rows, X, 0),
    (of_numbers, X, 3),
    (of_a_generator, X, 2),
    (own_sum, X, 2),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_programs(case):
    check(*case)
