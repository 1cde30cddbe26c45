"""Methods of numerical analysis as courses teach them, against plain Python: steps, grids, tableaus, hashes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.programs.compare import check

RNG = np.random.default_rng(23)


def oscillator(t: Any, y: Any) -> Any:
    return np.array([y[1], (1 - y[0] ** 2) * y[1] - y[0] + 0.1 * np.sin(t)])


def with_adaptive_steps(y: Any, end: float, tolerance: float) -> Any:
    """Pairs of Bogacki and Shampine: steps that are accepted or tried again."""
    places, weights = [0, 1 / 2, 3 / 4, 1], [[], [1 / 2], [0, 3 / 4], [2 / 9, 1 / 3, 4 / 9]]
    better, worse = np.array([2 / 9, 1 / 3, 4 / 9, 0]), np.array([7 / 24, 1 / 4, 1 / 3, 1 / 8])
    t, h, taken, rejected = 0.0, 0.1, 0, 0
    while t < end and taken < 500:
        h = min(h, end - t)
        k = np.zeros((4, len(y)))
        for i in range(4):
            at = y.copy()
            for j in range(i):
                at += h * weights[i][j] * k[j]
            k[i] = oscillator(t + places[i] * h, at)
        error = np.linalg.norm(h * ((better - worse) @ k), np.inf)
        if error <= tolerance:
            t, y, taken = t + h, y + h * (better @ k), taken + 1
        else:
            rejected += 1
        h *= min(5.0, max(0.2, 0.9 * (tolerance / (error + 1e-300)) ** (1 / 3)))
    return t, y, taken, rejected


def v_cycle(u: Any, f: Any, h: float) -> Any:
    for _ in range(3):
        u[1:-1] = 0.5 * (u[:-2] + u[2:] + h * h * f[1:-1])
    if len(u) <= 3:
        return u
    r = np.zeros_like(u)
    r[1:-1] = f[1:-1] + (u[:-2] - 2 * u[1:-1] + u[2:]) / h**2
    coarse = np.zeros((len(u) + 1) // 2)
    coarse[1:-1] = 0.25 * (r[1:-3:2] + 2 * r[2:-2:2] + r[3:-1:2])
    correction = v_cycle(np.zeros_like(coarse), coarse, 2 * h)
    u[::2] += correction
    u[1::2] += 0.5 * (correction[:-1] + correction[1:])
    return u


def poisson(n: int) -> Any:
    x = np.linspace(0, 1, n)
    u = np.zeros(n)
    for _ in range(4):
        u = v_cycle(u, np.sin(np.pi * x), 1.0 / (n - 1))
    return u


def simplex(costs: Any, matrix: Any, limits: Any) -> Any:
    m, n = matrix.shape
    table = np.zeros((m + 1, n + m + 1))
    table[:m, :n], table[:m, n : n + m], table[:m, -1], table[-1, :n] = matrix, np.eye(m), limits, -costs
    basis = list(range(n, n + m))
    while table[-1, :-1].min() < -1e-12:
        column = table[-1, :-1].argmin()
        with np.errstate(divide="ignore"):
            ratios = np.where(table[:m, column] > 1e-12, table[:m, -1] / table[:m, column], np.inf)
        row = ratios.argmin()
        if not np.isfinite(ratios[row]):
            return np.inf, basis
        table[row] /= table[row, column]
        for k in range(m + 1):
            if k != row:
                table[k] -= table[k, column] * table[row]
        basis[row] = int(column)
    return table[-1, -1], basis


def hashed(words: Any) -> Any:
    """Lanes of 32 bits that wrap around."""
    mixed, lanes = np.uint32(374761393), np.zeros(4, dtype=np.uint32)
    for i in range(len(words)):
        lanes[i % 4] += words[i] * np.uint32(2246822519)
        lanes[i % 4] = (lanes[i % 4] << 13) | (lanes[i % 4] >> 19)
        mixed ^= lanes[i % 4]
        mixed *= np.uint32(2654435761)
        mixed ^= mixed >> 15
    return mixed, lanes, int(mixed) % 97


CONSTRAINTS = np.array([[1.0, 1.0], [1.0, -1.0], [0.0, 1.0]])

CASES = [
    (with_adaptive_steps, (np.array([2.0, 0.0]), 2.0, 1e-5)),
    (with_adaptive_steps, (np.array([0.5, -1.0]), 0.3, 1e-3)),
    (poisson, (17,)),
    (simplex, (np.array([2.0, 1.0]), CONSTRAINTS, np.array([4.0, 2.0, 3.0]))),
    (simplex, (np.array([2.0, 1.0]), CONSTRAINTS[1:2], np.array([2.0]))),
    (hashed, (RNG.integers(0, 2**32, 9).astype(np.uint32),)),
    (hashed, (np.zeros(0, np.uint32),)),
]


@pytest.mark.parametrize(("program", "arguments"), CASES)
def test_methods(program: Any, arguments: tuple[Any, ...]) -> None:
    check(program, *arguments)
