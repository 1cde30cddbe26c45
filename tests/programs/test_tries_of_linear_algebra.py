"""A `LinAlgError` that a handler catches: values, what was written before, derivatives of the path taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
REGULAR = np.array([[2.0, 1.0], [1.0, 3.0]])


def jittered(a: Any) -> Any:
    jitter = 1e-3
    for _ in range(20):
        try:
            return np.linalg.cholesky(a + jitter * np.eye(2)), jitter
        except np.linalg.LinAlgError:
            jitter *= 10
    raise ValueError("not positive definite")


def solved(a: Any, b: Any) -> Any:
    try:
        x = np.linalg.solve(a, b)
        b[0] = 7.0
    except np.linalg.LinAlgError as error:
        print("failed:", error)
        x = np.linalg.lstsq(a, b, rcond=None)[0]
    return x


def inverted(a: Any) -> Any:
    try:
        found = np.linalg.inv(a)
        is_regular = True
    except Exception:
        found, is_regular = np.zeros_like(a), False
    finally:
        a[0, 0] += 1.0
    return found, is_regular


def raised_again(a: Any) -> Any:
    try:
        return np.linalg.inv(a)
    except ValueError:
        a[0, 0] = -1.0
        raise


def decomposed(a: Any) -> Any:
    try:
        return np.linalg.svd(a, compute_uv=False), np.linalg.eigvalsh(a), np.linalg.pinv(a)
    except np.linalg.LinAlgError:
        return None


def logarithm(a: Any) -> Any:
    try:
        return 2 * np.log(np.diagonal(np.linalg.cholesky(a))).sum()
    except np.linalg.LinAlgError:
        return (a * a).sum()


def total_of_solution(a: Any, b: Any) -> Any:
    try:
        return (np.linalg.solve(a, b) ** 2).sum()
    except np.linalg.LinAlgError:
        return (a * 3).sum() + b.sum()


@pytest.mark.parametrize("a", [REGULAR, SINGULAR, -REGULAR], ids=["positive", "singular", "negative"])
def test_what_is_caught(a: Any):
    check(jittered, a)
    check(solved, a, np.array([1.0, 2.0]))
    check(inverted, a)
    check(raised_again, a)


def test_other_decompositions():
    check(decomposed, REGULAR)


@pytest.mark.parametrize("a", [REGULAR, SINGULAR, -REGULAR], ids=["positive", "singular", "negative"])
def test_the_derivative_is_that_of_the_path_taken(a: Any):
    for f, arguments in ((logarithm, (a,)), (total_of_solution, (a, np.array([1.0, 2.0])))):
        found = tj.grad(tj.script(f))(*map(tj.tensor, arguments))
        works = np.linalg.det(a) != 0 and (f is not logarithm or a[0, 0] > 0)
        inverse = np.linalg.inv(a) if works else None
        if f is logarithm:
            expected = inverse.T if works else 2 * a
        elif works:
            x = inverse @ arguments[1]
            expected = -2 * np.outer(inverse.T @ x, x)
        else:
            expected = np.full((2, 2), 3.0)
        symmetric = [(m + m.T) / 2 for m in (found.numpy(), expected)]
        np.testing.assert_allclose(*symmetric, rtol=1e-9, atol=1e-12)
