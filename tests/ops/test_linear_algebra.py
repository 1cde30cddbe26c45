"""Linear algebra as users call it, compared with NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from tests.ops.function_cases import check, eager, interpreted

RNG = np.random.default_rng(5)
A = RNG.normal(size=(3, 3)) + 3 * np.eye(3)
P = A @ A.T


def test_functions_agree_with_numpy() -> None:
    check("numpy linalg.inv", np.linalg.inv(A), A)
    check("numpy linalg.det", np.asarray(np.linalg.det(A)), A)
    check("numpy linalg.cholesky", np.linalg.cholesky(P), P)
    check("numpy linalg.solve", np.linalg.solve(A, P), A, P)
    check("numpy linalg.solve", np.linalg.solve(A, P[0]), A, P[0])


def test_stacks_broadcast_and_integers_become_floats() -> None:
    stack = np.stack([A, P])
    check("function linalg.solve", np.linalg.solve(stack, P), stack, P)
    whole = np.array([[2, 1], [1, 3]])
    check("function linalg.inv", np.linalg.inv(whole), whole)


def test_singular_matrices_are_refused() -> None:
    for run in (eager, interpreted):
        with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
            run("numpy linalg.inv", np.zeros((2, 2)))
        with pytest.raises(np.linalg.LinAlgError, match="Matrix is not positive definite"):
            run("numpy linalg.cholesky", -P)


def test_matrices_must_be_square() -> None:
    for run in (eager, interpreted):
        with pytest.raises(np.linalg.LinAlgError, match="must be square"):
            run("numpy linalg.inv", np.zeros((2, 3)))
        with pytest.raises(np.linalg.LinAlgError, match="at least two-dimensional"):
            run("numpy linalg.det", np.zeros(3))
        with pytest.raises(ValueError, match="size 4 is different from 3"):
            run("numpy linalg.solve", A, np.zeros((4, 2)))
