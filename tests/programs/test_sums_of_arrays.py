"""Sums of lists of arrays beside an array: where a list has no arrays, its sum is the number 0."""

import numpy as np
import pytest

from tests.programs.compare import check
from tracejit import script


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


def named_stages(y, h, A, b, c):
    k = []
    for i in range(len(b)):
        dy = sum(h * a * rate for a, rate in zip(A[i], k))
        k.append(decay(c[i] * h, y + dy))
    total = sum(k)
    half = h * total / 2
    return y + half, k[-1] - half, y - -half * 2


def by_path(y, n):
    parts = [y * i for i in range(n)]
    if y[0] > 0.5:
        dy = sum(parts)
    else:
        dy = np.ones(3)
    if n > 1:
        e = sum(parts)
    else:
        e = 2 * sum(parts)
    x = np.ones(3)
    x[:] = e
    x += dy
    return y + dy, y - e, x


def in_closures_and_tries(y, n):
    parts = [y * i for i in range(n)]
    dy = sum(parts)
    try:
        z = y + dy
        if z[0] > 0.1:
            raise ValueError(z[0])
    except ValueError:
        z = y - dy
    while np.max(z + dy) < 9:
        z = z + dy + 1
    return z


def times_an_array(y, n):
    scaled = y * sum([y * i for i in range(n)])
    return y + scaled


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
    (named_stages, *METHOD),
    *(
        (fn, x, n)
        for fn in (by_path, in_closures_and_tries, times_an_array)
        for x in (X[0], X[1] / 9)
        for n in (0, 1, 3)
    ),
    (put_into_others, np.ones(3), 0),
    (put_into_others, np.ones(3), 2),
    (put_into_others, np.ones(3, np.float32), 0),
    (put_into_others, np.ones(3, np.float32), 2),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0].__name__)
def test_programs(case):
    check(*case)


@pytest.mark.compiled
def test_a_number_in_the_place_of_an_array_is_an_error_at_its_line():
    def returned(y, n):
        dy = sum([y * i for i in range(n)])
        y = y + dy
        return dy

    def carried(y, n):
        dy = y
        for i in range(n):
            y = y + dy
            dy = sum([y * j for j in range(i)])
        return y + dy

    assert script(returned)(X[0], 2).tolist() == X[0].tolist()
    for fn, line in ((returned, 3), (carried, 4)):
        with pytest.raises(TypeError, match="sum\\(\\) of an empty list") as caught:
            script(fn)(X[0], 0 if fn is returned else 2)
        assert caught.traceback[-1].lineno + 1 == fn.__code__.co_firstlineno + line
