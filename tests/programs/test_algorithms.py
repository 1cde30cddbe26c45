"""Whole algorithms as their authors would write them over NumPy arrays, against plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from tests.programs.compare import check

RNG = np.random.default_rng(11)


def heat(u, v, steps):
    """Explicit heat steps on a grid, two buffers."""
    for _ in range(steps):
        v[1:-1, 1:-1] = u[1:-1, 1:-1] + 0.1 * (
            u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
        )
        u[:] = v


def factorise(m):
    """LU factors in place, without pivoting."""
    n = m.shape[0]
    for k in range(n):
        for i in range(k + 1, n):
            m[i, k] /= m[k, k]
            m[i, k + 1 :] -= m[i, k] * m[k, k + 1 :]


def lower_root(m):
    """Cholesky factor in place, row by row."""
    for r in range(m.shape[0]):
        for c in range(r):
            m[r, c] = (m[r, c] - m[r, :c] @ m[c, :c]) / m[c, c]
        m[r, r] = np.sqrt(m[r, r] - m[r, :r] @ m[r, :r])


def back_substitute(upper, rhs):
    x = rhs.copy()
    for i in range(len(x) - 1, -1, -1):
        x[i] = (x[i] - np.dot(upper[i, i + 1 :], x[i + 1 :])) / upper[i, i]
    return x


def shortest_paths(dist):
    for via in range(dist.shape[0]):
        dist[:] = np.minimum(dist, np.add.outer(dist[:, via], dist[via]))


def orthonormalise(m):
    basis = np.zeros_like(m)
    for j in range(m.shape[1]):
        column = m[:, j].copy()
        for k in range(j):
            column -= np.dot(basis[:, k], m[:, j]) * basis[:, k]
        basis[:, j] = column / np.sqrt(np.dot(column, column))
    return basis


def checksum(data, poly):
    """A CRC of 16 bits, bit by bit."""
    register = 0xFFFF
    for byte in data:
        register ^= int(byte)
        for _ in range(8):
            if register & 1:
                register = (register >> 1) ^ poly
            else:
                register >>= 1
    return register


def escape_time(re, im, limit):
    """Counts of the Mandelbrot iteration, with masks over the whole grid."""
    c = re + im[:, None] * 1j
    z = np.zeros(c.shape, dtype=np.complex128)
    count = np.zeros(c.shape, dtype=np.int64)
    for k in range(limit):
        inside = np.abs(z) < 2.0
        count[inside] = k
        z[inside] = z[inside] ** 2 + c[inside]
    return count


def escape_time_by_pixel(re, im, limit):
    count = np.zeros((im.shape[0], re.shape[0]), np.int32)
    for row in range(im.shape[0]):
        for col in range(re.shape[0]):
            x = y = 0.0
            k = 0
            while k < limit and x * x + y * y <= 4.0:
                x, y = x * x - y * y + re[col], 2.0 * x * y + im[row]
                k += 1
            count[row, col] = k
    return count


def binned_means(values, places, bins):
    top = places.max()
    means = np.zeros(bins)
    for b in range(bins):
        chosen = np.logical_and(top * b / bins <= places, places < top * (b + 1) / bins)
        means[b] = values[chosen].mean() if chosen.any() else -1.0
    return means


def sparse_times_vector(starts, columns, entries, x):
    y = np.empty(starts.size - 1, entries.dtype)
    for row in range(y.shape[0]):
        part = slice_of(starts, row)
        y[row] = entries[part[0] : part[1]] @ x[columns[part[0] : part[1]]]
    return y


def slice_of(starts, row):
    return starts[row], starts[row + 1]


def edit_distance(a, b):
    table = np.zeros((len(a) + 1, len(b) + 1), np.int64)
    table[0] = np.arange(len(b) + 1)
    table[:, 0] = np.arange(len(a) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            table[i, j] = min(table[i - 1, j] + 1, table[i, j - 1] + 1, table[i - 1, j - 1] + (a[i - 1] != b[j - 1]))
    return table[-1, -1]


def primes_below(n):
    sieve = np.ones(n, dtype=np.bool_)
    sieve[:2] = False
    k = 2
    while k * k < n:
        if sieve[k]:
            for multiple in range(k * k, n, k):
                sieve[multiple] = False
        k += 1
    return sieve.sum()


def attract(positions, velocities, masses, steps, dt):
    for _ in range(steps):
        for i in range(len(masses)):
            pull = np.zeros(3)
            for j in range(len(masses)):
                if i != j:
                    d = positions[j] - positions[i]
                    pull += masses[j] * d / (np.sum(d * d) + 0.01) ** 1.5
            velocities[i] += dt * pull
        positions += dt * velocities


def power_iteration(m, tolerance):
    v = np.ones(m.shape[0])
    before, value = 0.0, 1.0
    while abs(value - before) > tolerance:
        w = m @ v
        before, value = value, np.sqrt(np.dot(w, w))
        v = w / value
    return value, v


def two_layers(x, w1, b1, w2, b2):
    hidden = np.maximum(x @ w1 + b1, 0)
    scores = hidden @ w2 + b2
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return scores / scores.sum(axis=-1, keepdims=True)


def normal(*shape):
    return RNG.normal(size=shape)


def positive_definite(n):
    m = normal(n, n)
    return m @ m.T + n * np.eye(n)


CASES = [
    (heat, (normal(7, 6), normal(7, 6), 3)),
    (factorise, (positive_definite(6),)),
    (lower_root, (positive_definite(6),)),
    (back_substitute, (np.triu(positive_definite(6)), normal(6))),
    (shortest_paths, (RNG.integers(1, 30, size=(7, 7)).astype(np.int32),)),
    (orthonormalise, (normal(6, 4),)),
    (checksum, (RNG.integers(0, 256, size=40).astype(np.uint8), 0xA001)),
    (escape_time, (np.linspace(-2.0, 0.5, 9), np.linspace(-1.0, 1.0, 8), 12)),
    (escape_time_by_pixel, (np.linspace(-2.0, 0.5, 9), np.linspace(-1.0, 1.0, 8), 30)),
    (binned_means, (normal(40), np.abs(normal(40)), 6)),
    (
        sparse_times_vector,
        (np.array([0, 2, 2, 5], np.uint32), np.array([0, 2, 1, 0, 2], np.uint32), normal(5), normal(3)),
    ),
    (edit_distance, (np.frombuffer(b"kitten", np.uint8), np.frombuffer(b"sitting", np.uint8))),
    (primes_below, (60,)),
    (attract, (normal(4, 3), normal(4, 3), np.abs(normal(4)), 2, 0.01)),
    (power_iteration, (positive_definite(5), 1e-10)),
    (two_layers, (normal(3, 4), normal(4, 5), normal(5), normal(5, 6), normal(6))),
]


@pytest.mark.parametrize(("fn", "arguments"), CASES, ids=[c[0].__name__ for c in CASES])
def test_algorithm_is_plain_python(fn, arguments):
    check(fn, *arguments)
