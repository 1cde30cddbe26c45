"""Reductions as users call them, compared with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.ops.function_cases import check, eager, interpreted

RNG = np.random.default_rng(1)
X = RNG.normal(size=(3, 4, 2))
AXES: list[Any] = [None, 0, -1, (0, 2), (1,)]


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "var", "std", "any", "all"])
def test_reductions_agree_with_numpy(name: str, axis: Any) -> None:
    for keepdims in (False, True):
        check(f"numpy {name}", getattr(np, name)(X, axis=axis, keepdims=keepdims), X, axis, keepdims=keepdims)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "uint8", "int64", "uint64", "float16", "float32"])
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "cumsum", "max", "var"])
def test_reductions_have_numpy_dtypes(name: str, dtype: str) -> None:
    x = np.array([1, 0, 1, 1]).astype(dtype)
    check(f"numpy {name}", getattr(np, name)(x, axis=0), x, 0)


def test_dtype_can_be_given() -> None:
    x = np.array([1, 2, 3], "int8")
    check("numpy sum", np.sum(x, dtype="int8"), x, dtype="int8")
    check("numpy sum", np.sum(x, dtype=np.float32), x, dtype=np.float32)
    check("numpy mean", np.mean(x, dtype="float32"), x, dtype="float32")


def test_spellings_of_pytorch_are_accepted() -> None:
    check("method sum", X.sum(axis=1), X, dim=1)
    check("method sum", X.sum(axis=1, keepdims=True), X, 1, True)
    check("method mean", X.mean(axis=-1, keepdims=True), X, dim=-1, keepdim=True)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places_agree_with_numpy(name: str, axis: int | None) -> None:
    check(f"numpy {name}", getattr(np, name)(X, axis=axis), X, axis)
    check(f"numpy {name}", getattr(np, name)(X, axis=axis, keepdims=True), X, axis, keepdims=True)


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_scans_agree_with_numpy(name: str, axis: int | None) -> None:
    check(f"numpy {name}", getattr(np, name)(X, axis=axis), X, axis)


def test_variance_with_a_correction() -> None:
    check("function var", X.var(axis=0, ddof=1), X, 0, correction=1)
    check("numpy std", X.std(axis=0, ddof=1), X, 0, ddof=1)


@pytest.mark.parametrize("order", [None, 1, 2, 3, 0, float("inf"), -float("inf")])
def test_norms_agree_with_numpy(order: Any) -> None:
    for name in ("function norm", "numpy linalg.norm"):
        check(name, np.linalg.norm(X, order, axis=1), X, order, axis=1)


def test_softmax_and_its_relatives() -> None:
    powers = np.exp(X)
    total = powers.sum(axis=1, keepdims=True)
    check("function softmax", powers / total, X, 1)
    check("function log_softmax", np.log(powers / total), X, dim=1)
    check("function logsumexp", np.log(total), X, 1, keepdims=True)
    infinite = np.array([-np.inf, -np.inf])
    check("function logsumexp", np.asarray(-np.inf), infinite, 0)
    check("function softmax", np.array([0.0, 1.0]), np.array([-1e308, 1e308]), 0)


def test_empty_extrema_are_refused() -> None:
    for run in (eager, interpreted):
        with pytest.raises(ValueError, match="zero-size array to reduction operation maximum which has no identity"):
            run("numpy max", np.zeros((0,)))
    check("numpy max", np.zeros((0,)), np.zeros((0, 3)), axis=1)


def test_axes_out_of_range_are_refused() -> None:
    for run in (eager, interpreted):
        with pytest.raises(ValueError, match="axis 2 is out of bounds for array of dimension 1"):
            run("numpy sum", np.zeros(3), 2)


def test_count_nonzero() -> None:
    x = np.array([[0.0, 1.0], [2.0, 3.0]])
    check("numpy count_nonzero", np.asarray(3), x)
    check("numpy count_nonzero", np.array([1, 2]), x, axis=0)
