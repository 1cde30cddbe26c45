"""Arrays that are joined of results: each is written where it belongs, columns of one array in one loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads

DTYPES = ["float64", "float32", "float16", "int8", "int32", "bool", "complex64", "complex128"]


@tj.script
def one_behind_the_other(a: Any, b: Any) -> Any:
    return np.concatenate([a + a, b * b, a]), np.concatenate([a + a, b * b, b], axis=1)


@tj.script
def columns(x: Any, y: Any, z: Any) -> Any:
    return np.stack([x + y, y * z, z + z], axis=1), np.stack([x, y + y], axis=-1), np.column_stack([x, y, z])


@tj.script
def paired(x: Any, y: Any) -> Any:
    return np.stack([x * 2, y + 1], axis=1)


@tj.script
def rows(x: Any, y: Any) -> Any:
    return np.stack([x + y, y * y]), np.vstack([x * x, x, y + x]), np.hstack([x + x, y])


@tj.script
def of_images(a: Any, b: Any) -> Any:
    return np.stack([a + b, a * b, b], axis=-1), np.stack([a + b, a * b], axis=1), np.stack([a, a + b])


@tj.script
def used_elsewhere(a: Any, b: Any) -> Any:
    c = a + b
    d = a * b
    return np.concatenate([c, d, c]), np.stack([d, c], axis=-1), c, d.max()


@tj.script
def of_statistics(x: Any) -> Any:
    return np.stack([x.min(1), x.max(1), x.sum(1)], axis=1), np.concatenate([x.sum(0), x.max(1)])


@tj.script
def of_products(x: Any, w: Any) -> Any:
    return np.concatenate([x @ w, np.tanh(x) @ w, x + 1], axis=1)


@tj.script
def nested(a: Any, b: Any) -> Any:
    return np.concatenate([np.concatenate([a + b, a]), np.stack([a[0] * 2, b[0] + 1])]) * 2


@tj.script
def in_a_loop(a: Any, b: Any) -> Any:
    total = np.zeros((len(a), 2))
    for i in range(4):
        both = np.stack([a * i, b + i], axis=1)
        if i % 2 == 0:
            both = np.stack([both[:, 1] * 2, both[:, 0] - 1], axis=1)
        total = total + both
    return total


@tj.script
def rotated(p: Any, angle: Any) -> Any:
    """What is joined is made of columns of what was joined before."""
    for _ in range(5):
        c, s = np.cos(angle), np.sin(angle)
        p = np.stack([c * p[:, 0] - s * p[:, 1], s * p[:, 0] + c * p[:, 1]], axis=1)
    return p


@tj.script
def written(a: Any, b: Any) -> Any:
    out = np.empty((len(a), 3))
    out[:, 0] = a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]
    out[:, 1] = a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2]
    out[:, 2] = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return out


@tj.script
def swapped(x: Any) -> Any:
    """Each column gets what the other was."""
    first, second = x[:, 0] * 1.5, x[:, 1] + 2.0
    x[:, 1] = first
    x[:, 0] = second
    return x[:, 0].sum()


@tj.script
def met(a: Any, b: Any) -> Any:
    """The second window has elements of the first."""
    out = np.zeros(len(a) + 2)
    out[1:-1] = a + b
    out[2:] = a * b
    out[: len(a)] += a - b
    return out


@tj.script
def seen_between(a: Any, b: Any) -> Any:
    out = np.zeros((len(a), 2))
    out[:, 0] = a + b
    seen = out.sum()
    out[:, 1] = a * b
    return out, seen


@tj.script
def with_a_check(a: Any, b: Any, n: int) -> Any:
    c = a + b
    if n < 0:
        raise ValueError("negative")
    return np.concatenate([c, a * b])


def check(function: Any, *arguments: Any, tolerance: float = 0.0) -> None:
    """That a compiled function does what the plain one does, its arguments included."""
    with each_number_of_threads(1, 3) as counts:
        for _ in counts:
            mine, theirs = ([x.copy() if isinstance(x, np.ndarray) else x for x in arguments] for _ in range(2))
            found, expected = function(*mine), function.__wrapped__(*theirs)
            if not isinstance(expected, tuple):
                found, expected = (found,), (expected,)
            for one, other in zip((*found, *mine), (*expected, *theirs), strict=True):
                np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
                if isinstance(other, np.ndarray):
                    assert one.dtype == other.dtype and one.shape == other.shape


def made(rng: np.random.Generator, shape: Any, dtype: str) -> Any:
    x = rng.integers(0, 2 if dtype == "bool" else 9, shape)
    return (x + 1j * x[::-1]).astype(dtype) if dtype.startswith("complex") else x.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [0, 1, 2, 15, 16, 33, 100, 1000])
def test_joined_vectors_and_matrices(dtype: str, n: int) -> None:
    rng = np.random.default_rng(n)
    x, y, z = (made(rng, n, dtype) for _ in range(3))
    check(columns, x, y, z)
    check(columns, x[::-1], y, z[::-1])
    for shape in ((n, 3), (3, n), (n, 40)):
        a, b = made(rng, shape, dtype), made(rng, shape, dtype)
        check(one_behind_the_other, a, b)
        check(rows, a, b)
        check(of_images, a, b)
        check(of_images, np.asfortranarray(a), b[::-1])
        if n:
            check(nested, a, b)
        if n and not dtype.startswith("complex"):
            check(used_elsewhere, a, b)


@pytest.mark.parametrize("n", [0, 1, 17, 1000])
def test_joined_results_of_other_kinds(n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, 5))
    if n:
        check(of_statistics, x, tolerance=1e-12)
    check(of_products, x, rng.normal(size=(5, 7)), tolerance=1e-12)
    check(in_a_loop, rng.normal(size=n), rng.normal(size=n), tolerance=1e-12)
    check(rotated, rng.normal(size=(n, 2)), 0.3, tolerance=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2, 16, 33, 1000, 5000])
def test_windows_of_one_array(n: int) -> None:
    rng = np.random.default_rng(n)
    check(written, rng.normal(size=(n, 3)), rng.normal(size=(n, 3)), tolerance=1e-12)
    check(swapped, rng.normal(size=(n, 2)), tolerance=1e-12)
    check(met, rng.normal(size=n), rng.normal(size=n), tolerance=1e-12)
    check(seen_between, rng.normal(size=n), rng.normal(size=n), tolerance=1e-12)


def test_sizes_that_differ_are_errors() -> None:
    x, y = np.ones(3), np.ones(4)
    with pytest.raises(ValueError, match="all input arrays must have the same shape"):
        paired(x, y)
    with pytest.raises(ValueError, match="along dimension 1, the array at index 0 has size 3 and the array at index 1"):
        one_behind_the_other(np.ones((2, 3)), np.ones((2, 4)))


@tj.script
def written_before(a: Any, c: Any, tried: bool) -> Any:
    a[0] = 5
    if tried:
        return np.stack([a, c], axis=1)
    return a[:, None] * 2


def test_sizes_that_are_known_to_differ() -> None:
    """Arguments with axes of sizes 0 and 1, whose sizes are numbers when they are compiled."""
    for a, c in ((np.ones(1), np.ones(0)), (np.ones(1), np.ones(3))):
        with pytest.raises(ValueError, match="all input arrays must have the same shape"):
            written_before(a, c, True)
        assert a[0] == 5
        np.testing.assert_array_equal(written_before(a, c, False), [[10.0]])
    with pytest.raises(ValueError, match="array at index 0 has size 0 and the array at index 1 has size 1"):
        one_behind_the_other(np.ones((0, 4)), np.ones((1, 4)))


def test_an_error_before_the_parts_are_joined_loses_nothing() -> None:
    for n in (1, -1, 1, -1):
        if n < 0:
            with pytest.raises(ValueError, match="negative"):
                with_a_check(np.ones(100), np.ones(100), n)
        else:
            check(with_a_check, np.ones(100), np.ones(100), n)


def test_parts_are_not_copied() -> None:
    """Results are where they belong: no kernel copies, and columns of one array are made by one."""
    x = np.ones(100)
    explained = str(columns.explain(x, x, x))
    assert explained.count("launched") == 3, explained
    a, b = np.ones((10, 3)), np.ones((10, 3))
    written(a, b)
    explained = str(written.explain(a, b))
    assert explained.count("launched") == 1 and ".copy" not in explained, explained


def test_derivatives_of_joined_arrays() -> None:
    def loss(p: Any, w: Any) -> Any:
        q = np.stack([p[:, 0] * w[0], np.sin(p[:, 1]), p[:, 2] * p[:, 0]], axis=1)
        return (np.concatenate([q, p * 2]) ** 2).sum()

    rng = np.random.default_rng(0)
    p, w = rng.normal(size=(20, 3)), rng.normal(size=2)
    found = tj.grad(tj.script(loss), argnums=(0, 1))(p, w)
    for at, x in enumerate((p, w)):
        for place in np.ndindex(x.shape):
            if place[0] < 3:
                step = np.zeros_like(x)
                step[place] = 1e-6
                sides = [[p, w], [p, w]]
                sides[0][at], sides[1][at] = x + step, x - step
                slope = (loss(*sides[0]) - loss(*sides[1])) / 2e-6
                np.testing.assert_allclose(found[at][place], slope, rtol=1e-5, atol=1e-6)
