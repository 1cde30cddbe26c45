"""Scalar loops over array elements, as their authors would write them, with data for each.

Plain Python over NumPy: what compiles them (tracejit, Numba) is somebody else's business, so this module imports NumPy
only and can be loaded in any environment.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Data = Callable[[], tuple[Any, ...]]
Programs = dict[str, tuple[Callable[..., Any], Data]]
Register = Callable[[str, Data], Callable[[Callable[..., Any]], Callable[..., Any]]]


def registering(programs: Programs) -> Register:
    """A decorator that adds a program under the name of its benchmark case, with what makes its arguments."""

    def program(name: str, data: Data) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def register(fn: Callable[..., Any]) -> Callable[..., Any]:
            programs[name] = fn, data
            return fn

        return register

    return program


PROGRAMS: Programs = {}
program = registering(PROGRAMS)


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def _strings() -> tuple[Any, ...]:
    rng = _rng()
    return rng.integers(0, 4, 500), rng.integers(0, 4, 500), np.zeros((501, 501), np.int64)


@program("edit distance, 500 x 500", _strings)
def edit_distance(a: Any, b: Any, d: Any) -> Any:
    """Dynamic programming over a table."""
    for i in range(a.shape[0] + 1):
        d[i, 0] = i
    for j in range(b.shape[0] + 1):
        d[0, j] = j
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            cost = 0 if a[i] == b[j] else 1
            d[i + 1, j + 1] = min(d[i, j + 1] + 1, d[i + 1, j] + 1, d[i, j] + cost)
    return d[a.shape[0], b.shape[0]]


def _text() -> tuple[Any, ...]:
    return (_rng().choice(np.frombuffer(b"    \n\n\tabcdefghijklmnopqrstuvwxyz,.", np.uint8), 1_000_000),)


@program("Adler-32 of 1,000,000 bytes", _text)
def adler32(data: Any) -> int:
    """A checksum with two running sums."""
    a = 1
    b = 0
    for i in range(len(data)):
        a = (a + int(data[i])) % 65521
        b = (b + a) % 65521
    return b * 65536 + a


@program("words and lines in 1,000,000 bytes", _text)
def count_words(data: Any) -> tuple[int, int]:
    """A scan with a state, as over the characters of a string."""
    words = 0
    lines = 0
    inside = False
    for i in range(data.shape[0]):
        c = data[i]
        if c == 10:
            lines += 1
        if c == 32 or c == 10 or c == 9:
            inside = False
        elif not inside:
            inside = True
            words += 1
    return words, lines


@program("Gauss-Seidel 512 x 512, 10 sweeps", lambda: (_rng().standard_normal((512, 512)), 10))
def gauss_seidel(u: Any, sweeps: int) -> None:
    """A stencil each of whose places needs the new values of its neighbours."""
    n, m = u.shape
    for _ in range(sweeps):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])


def _matrix() -> tuple[Any, ...]:
    a = _rng().standard_normal((200, 200)) + 200 * np.eye(200)
    return a, np.empty_like(a)


@program("LU factors of 200 x 200", _matrix)
def lu(source: Any, a: Any) -> None:
    """Gaussian elimination without pivots."""
    n = a.shape[0]
    for i in range(n):
        for j in range(n):
            a[i, j] = source[i, j]
    for k in range(n):
        for i in range(k + 1, n):
            a[i, k] /= a[k, k]
            for j in range(k + 1, n):
                a[i, j] -= a[i, k] * a[k, j]


@program("prefix sums of 1,000,000", lambda: (_rng().standard_normal(1_000_000), np.empty(1_000_000)))
def prefix_sums(x: Any, out: Any) -> None:
    """A running sum, kept at every place."""
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i]
        out[i] = total


@program("sieve up to 1,000,000", lambda: (np.empty(1_000_000, np.bool_),))
def sieve(composite: Any) -> int:
    """Primes by striking out multiples."""
    n = composite.shape[0]
    for i in range(n):
        composite[i] = False
    count = 0
    for i in range(2, n):
        if not composite[i]:
            count += 1
            j = i * i
            while j < n:
                composite[j] = True
                j += i
    return count


@program("Mandelbrot 256 x 256, 200 iterations", lambda: (np.zeros((256, 256), np.int64), 200))
def mandelbrot(counts: Any, limit: int) -> None:
    """One loop per pixel, of a length that depends on it."""
    h, w = counts.shape
    for i in range(h):
        for j in range(w):
            cr = -2.0 + 2.6 * j / w
            ci = -1.3 + 2.6 * i / h
            zr = 0.0
            zi = 0.0
            n = 0
            while n < limit and zr * zr + zi * zi <= 4.0:
                zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
                n += 1
            counts[i, j] = n


def _bodies() -> tuple[Any, ...]:
    rng = _rng()
    return rng.standard_normal((64, 3)), rng.standard_normal((64, 3)), rng.random(64), 1e-3, 10


@program("n-body, 64 bodies, 10 steps", _bodies)
def n_body(position: Any, velocity: Any, mass: Any, dt: float, steps: int) -> None:
    """Gravitation, pair by pair."""
    n = position.shape[0]
    for _ in range(steps):
        for i in range(n):
            ax = 0.0
            ay = 0.0
            az = 0.0
            for j in range(n):
                dx = position[j, 0] - position[i, 0]
                dy = position[j, 1] - position[i, 1]
                dz = position[j, 2] - position[i, 2]
                r2 = dx * dx + dy * dy + dz * dz + 1e-3
                s = mass[j] / (r2 * np.sqrt(r2))
                ax += s * dx
                ay += s * dy
                az += s * dz
            velocity[i, 0] += dt * ax
            velocity[i, 1] += dt * ay
            velocity[i, 2] += dt * az
        for i in range(n):
            for k in range(3):
                position[i, k] += dt * velocity[i, k]


def _sparse() -> tuple[Any, ...]:
    rng, n = _rng(), 20_000
    counts = rng.integers(0, 20, n)
    starts = np.concatenate([[0], np.cumsum(counts)])
    places = rng.integers(0, n, starts[-1])
    return starts, places, rng.standard_normal(starts[-1]), rng.standard_normal(n), np.empty(n)


@program("sparse matrix times vector, 20,000 rows", _sparse)
def sparse_times_vector(starts: Any, places: Any, values: Any, x: Any, y: Any) -> None:
    """Compressed rows."""
    for i in range(y.shape[0]):
        total = 0.0
        for k in range(starts[i], starts[i + 1]):
            total += values[k] * x[places[k]]
        y[i] = total


def _factors() -> tuple[Any, ...]:
    rng = _rng()
    return rng.random((200, 200)), rng.random((200, 200)), np.empty((200, 200))


@program("product of 200 x 200 by three loops", _factors)
def product(a: Any, b: Any, c: Any) -> None:
    """A nest whose trips, but for those of the innermost loop, could run in any order."""
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = 0.0
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            c[i, j] = total


def _filter() -> tuple[Any, ...]:
    rng = _rng()
    return rng.random((260, 260)), rng.random((5, 5)), np.empty((256, 256))


@program("convolution of 256 x 256 by 5 x 5", _filter)
def convolution(x: Any, w: Any, y: Any) -> None:
    """A stencil of any size."""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            total = 0.0
            for p in range(w.shape[0]):
                for q in range(w.shape[1]):
                    total += x[i + p, j + q] * w[p, q]
            y[i, j] = total


@program(
    "density of 1,000 points at 1,000 places", lambda: (_rng().random(1_000), _rng().random(1_000), np.empty(1_000))
)
def density(points: Any, places: Any, found: Any) -> None:
    """An exponential for each pair."""
    for i in range(len(places)):
        total = 0.0
        for j in range(len(points)):
            d = places[i] - points[j]
            total += np.exp(-50.0 * d * d)
        found[i] = total


@program("integral by 200,000 terms", lambda: (0.0, 3.0, 200_000))
def integral(a: float, b: float, n: int) -> float:
    """A sum of costly terms in their order."""
    total = 0.0
    h = (b - a) / n
    for i in range(n):
        x = a + (i + 0.5) * h
        total += np.exp(-x * x) * np.sin(x)
    return total * h
