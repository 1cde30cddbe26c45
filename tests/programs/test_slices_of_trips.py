"""Slices that begin at the number of a trip: how long they are is known where their end lies in the array."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check

X = np.arange(40.0).reshape(10, 4)


def rows(x: Any) -> Any:
    total = np.zeros(x.shape[1])
    for i in range(x.shape[0]):
        total += x[i : i + 1].sum(axis=0)
    return total


def windows(x: Any) -> Any:
    total = 0.0
    for i in range(len(x) - 3):
        part = x[i : i + 4]
        total += (part[1:] - part[:-1]).sum() * part.shape[0]
    return total


def backwards(x: Any) -> Any:
    found = []
    for i in range(len(x) - 1, -1, -2):
        found.append(x[i : i + 1].shape[0] + x[i - 1 : i + 1].sum())
    return found


def beyond(x: Any) -> Any:
    found = []
    for i in range(len(x)):
        found.append((x[i : i + 2].shape[0], x[i + 1 : i + 2].shape[0], x[i + 9 :].shape[0], x[i:8].shape[0]))
    return found


def moved(x: Any, n: int) -> Any:
    found = []
    for i in range(len(x)):
        i += n
        found.append(x[i : i + 1].sum())
    return found


def of_another(x: Any, y: Any) -> Any:
    found = []
    for i in range(len(x)):
        found.append((x[i : i + 1].sum() + y[i : i + 1].sum(), y[i : i + 1].shape[0]))
    return found


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 10])
def test_slices_are_as_long_as_in_python(length: int) -> None:
    x = X[:length]
    for function in (rows, windows, backwards, beyond):
        check(function, x)
    for n in (-3, 0, 1, 20):
        check(moved, x, n)
    for other in (0, 2, 10):
        check(of_another, x, X[:other])


@pytest.mark.compiled
def test_the_length_is_known() -> None:
    for function, size in ((rows, "f64[1, m]"), (windows, "f64[3, m]")):
        compiled = tj.script(function)
        compiled(X)
        assert size in compiled.ir("frontend")
        assert "minimum" not in compiled.ir("frontend")


@pytest.mark.compiled
def test_a_weight_is_updated_by_one_sample_in_one_kernel() -> None:
    def trained(x: Any, w: Any) -> None:
        for i in range(len(x)):
            sample = x[i : i + 1]
            w -= 0.01 * (sample.T @ np.tanh(sample @ w))

    compiled, w, expected = tj.script(trained), np.ones((4, 3)), np.ones((4, 3))
    compiled(X / 40, w)
    trained(X / 40, expected)
    np.testing.assert_allclose(w, expected, rtol=1e-13)
    assert compiled.ir("after:fuse").count("= matmul(") == 1
