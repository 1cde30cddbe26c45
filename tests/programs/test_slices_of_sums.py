"""Slices of sums that nothing else reads, as of the gates of a cell: every width against eager code, with gradients; a
slice may turn out to be one column, which is stretched, or none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj


def cell(x: Any, w: Any, b: Any, c: Any) -> Any:
    n = c.shape[1]
    gates = x @ w + b
    i = tj.sigmoid(gates[:, :n])
    f = tj.sigmoid(gates[:, n : 2 * n])
    g = np.tanh(gates[:, 2 * n : 3 * n])
    o = tj.sigmoid(gates[:, 3 * n :])
    c = f * c + i * g
    return (o * np.tanh(c)).sum()


def differences(x: Any, y: Any) -> Any:
    z = x + y
    return z[1:] - z[:-1]


neighbours = tj.script(differences)
forward, gradient = tj.script(cell), tj.value_and_grad(cell, argnums=(0, 1, 2, 3))


def arguments(rows: int, width: int, n: int) -> list[Any]:
    rng = np.random.default_rng(rows)
    return [rng.standard_normal(size) for size in ((rows, 5), (5, width), (width,), (rows, n))]


@pytest.mark.parametrize(
    "sizes", [(3, 8, 2), (3, 7, 2), (5, 10, 3), (2, 4, 1), (1, 160, 40), (4, 271, 90), (4, 181, 60), (33, 61, 20)]
)
def test_gates_of_all_widths(sizes: tuple[int, int, int]) -> None:
    args = arguments(*sizes)
    leaves: list[Any] = [tj.tensor(a).requires_grad_() for a in args]
    expected = cell(*leaves)
    expected.backward()
    np.testing.assert_allclose(forward(*args), float(expected), rtol=1e-12)
    value, grads = gradient(*args)
    np.testing.assert_allclose(value, float(expected), rtol=1e-12)
    for found, leaf in zip(grads, leaves, strict=True):
        np.testing.assert_allclose(found, leaf.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sizes", [(7, 270, 90), (2, 5, 4)])
def test_gates_that_do_not_fit_are_the_error_of_eager_code(sizes: tuple[int, int, int]) -> None:
    args = arguments(*sizes)
    for function in (lambda *a: cell(*map(tj.tensor, a)), forward, gradient):
        with pytest.raises(ValueError, match="could not be broadcast"):
            function(*args)


@pytest.mark.parametrize("rows", [0, 1, 2, 9])
def test_differences_of_neighbours_of_a_sum(rows: int) -> None:
    rng = np.random.default_rng(rows)
    x, y = rng.standard_normal((rows, 3)), rng.standard_normal((rows, 3))
    np.testing.assert_array_equal(neighbours(x, y), differences(x, y))
    np.testing.assert_array_equal(neighbours(x[::-1], y), differences(x[::-1], y))
