"""`math.gamma`, `lgamma`, `erfc`, `nextafter`, `ulp`, their tensor functions; functions of `operator` that change."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check


def of_floats(x: float, n: int) -> Any:
    return (
        math.lgamma(x),
        math.erfc(x),
        math.nextafter(x, 3.0),
        math.nextafter(x, -math.inf),
        math.ulp(x),
        math.gamma(n),
    )


@pytest.mark.parametrize("x", [2.5, -2.5, 1e-9, 30.0, 1e300, -0.5])
def test_functions_of_floats(x: float) -> None:
    check(of_floats, x, 5, tolerance=1e-13)


@pytest.mark.parametrize("x", [0.0, -3.0, 172.0, 170.5, 0.5, -20.5, math.inf, -math.inf, math.nan, 1e308])
def test_poles_and_limits(x: float) -> None:
    check(lambda x: math.gamma(x), x, tolerance=1e-13)
    check(lambda x: math.lgamma(x), x, tolerance=1e-13)
    check(lambda x: (math.ulp(x), math.erfc(x), math.nextafter(x, 1.0)), x, tolerance=1e-13)


def of_tensors(x: Any) -> Any:
    return tj.erfc(x), x.lgamma(), tj.digamma(x), tj.nextafter(x, tj.zeros_like(x))


def test_functions_of_tensors() -> None:
    check(of_tensors, tj.tensor([0.25, 1.0, 2.0, 7.5, -0.3, -1.7]), tolerance=1e-6)
    x = np.array([0.25, 1.0, 2.0, 7.5, -0.3, -1.7])
    rise = [(math.lgamma(v + 1e-6) - math.lgamma(v - 1e-6)) / 2e-6 for v in x]
    np.testing.assert_allclose(tj.digamma(tj.tensor(x)).numpy(), rise, rtol=1e-6)
    assert np.isnan(tj.digamma(tj.tensor([0.0, -1.0])).numpy()).all()
    report = tj.check(lambda x: (tj.lgamma(x) * tj.erfc(x)).sum(), tj.tensor(x))
    assert report.ok, report


def test_the_next_number_has_no_derivative() -> None:
    with pytest.raises(tj.NotDifferentiable, match="nextafter"):
        tj.grad(lambda x: tj.nextafter(x, x + 1).sum())(tj.ones(2))


def changed(x: Any, rows: Any, n: int) -> Any:
    x = operator.iadd(x, 2)
    operator.imul(x, n)
    rows = operator.iadd(rows, [n])
    other = operator.iconcat(rows, [n + 1])
    m = operator.ifloordiv(operator.isub(n, 7), 2)
    return x, rows, other is rows, m, operator.ilshift(n, 2), operator.ixor(n, 1), operator.ipow(n, 2)


def test_functions_that_change_their_argument() -> None:
    check(changed, np.array([1.0, 2.0]), [1, 2], 3)
    check(changed, tj.tensor([1.0, 2.0]), [1, 2], 3)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "uint64"])
@pytest.mark.parametrize("function", [np.logaddexp, np.heaviside], ids=["logaddexp", "heaviside"])
def test_float_functions_of_integers(function: Any, dtype: str) -> None:
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    x, y = np.array([1, 0, 1, low, high], dtype), np.array([0, 1, low, high, high], dtype)
    want = function(x, y)
    for found in (
        tj.script(lambda x, y: function(x, y))(x, y),
        getattr(tj, function.__name__)(tj.tensor(x), tj.tensor(y)).numpy(),
    ):
        assert found.dtype == want.dtype
        np.testing.assert_allclose(found, want, rtol=1e-3 if want.dtype == np.float16 else 1e-14)


@pytest.mark.parametrize("dtype", ["int8", "int64"])
def test_divisors_of_the_smallest_integer(dtype: str) -> None:
    low = np.iinfo(dtype).min
    x, y = np.array([low, 3, low, 12, 0], dtype), np.array([3, low, -4, -18, low], dtype)
    found = tj.script(lambda x, y: np.gcd(x, y))(x, y)
    assert found.dtype == x.dtype and found.tolist() == np.gcd(x, y).tolist()
