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


def decay(t, y):
    return np.array([y[1], -y[0]]) + t


def runge_kutta(y, h, A, b, c):
    k = np.zeros((len(b), len(y)))
    for i in range(len(b)):
        k[i] = decay(c[i] * h, y + h * sum(A[i, j] * k[j] for j in range(i)))
    return y + h * sum(b[i] * k[i] for i in range(len(b)))


def before_an_array(y, h, A, b, c):
    k = []
    for i in range(len(b)):
        k.append(decay(c[i], h * sum(A[i, j] * k[j] for j in range(i)) / 2 + y))
    return k


def by_forward_and_back_substitution(y, h, A, b, c):
    x = np.zeros((len(b), 2))
    for i in range(len(b)):
        x[i] = (b[i] * y - sum(A[i, j] * x[j] for j in range(i))) / 2
        x[i] -= h * sum([A[i, j] * x[j] for j in range(i)])
    for i in range(len(b) - 1, -1, -1):
        x[i] = -sum(A[i, j] * x[j] for j in range(i + 1, len(b)))
    x.T[0] = sum([x[:, 0] * k for k in range(int(h))])
    return x


def of_an_own_sum(y, h, A, b, c):
    sum = len  # noqa: A001
    z = y + 2 * sum([A[k] for k in range(2)])
    A[0] = 2 * sum([A[k, 0] for k in range(2)])
    z += 3 * sum([h])
    return z


def put_into_others(y, n):
    y[:] = -sum([v * 1.0 for v in range(n)])
    y += 2 * sum(range(n))
    y[1:] += sum([np.array([2.0, 1.0]) * 1.5 for _ in range(n)]) * -2
    return y


TABLE = np.tril(np.arange(16.0).reshape(4, 4) / 20, -1)
METHOD = (np.array([1.0, 0.5]), 0.1, TABLE, np.ones(4) / 4, TABLE.sum(1))

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
    (runge_kutta, *METHOD),
    (before_an_array, *METHOD),
    (by_forward_and_back_substitution, *METHOD),
    (by_forward_and_back_substitution, METHOD[0], 3.0, *METHOD[2:]),
    (of_an_own_sum, *METHOD),
    (put_into_others, np.ones(3), 0),
    (put_into_others, np.ones(3), 2),
    (put_into_others, np.ones(3, np.float32), 0),
    (put_into_others, np.ones(3, np.float32), 2),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_programs(case):
    check(*case)
