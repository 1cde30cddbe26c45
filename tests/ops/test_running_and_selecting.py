"""Extrema so far, elements by rank and number, arrays made of others, special functions: against NumPy and formulas."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.eager.differences import check_gradients
from tests.ops.function_cases import check


def data(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


special: Any = tj.special
X, V = data(4, 6), data(6, seed=1)
COUNTS = np.array([[1.0, 2, 2], [3, 3, 1], [2, 2, 2]])
NAN = np.array([1.0, np.nan, 3.0, -2.0, np.inf])


def test_extrema_so_far() -> None:
    for name, ufunc in (("cummax", np.maximum), ("cummin", np.minimum)):
        for axis in (0, 1):
            values = ufunc.accumulate(X, axis)
            size = X.shape[axis]
            steps = np.arange(size).reshape((-1, 1) if axis == 0 else (1, -1))
            places = np.maximum.accumulate(np.where(X == values, steps, 0), axis)
            check(f"function {name}", (values, places), X, axis)
        check(f"function {name}", (ufunc.accumulate(NAN), np.array([0, 1, 1, 1, 1])), NAN, 0)
        check(f"function {name}", (np.zeros((0, 3)), np.zeros((0, 3), int)), np.zeros((0, 3)), 0)
        check(f"function {name}", (np.array(1.5), np.array(0)), np.array(1.5), -1)
    check("function cummax", (np.array([1.0, 2, 2]), np.array([0, 1, 2])), COUNTS[0], 0)
    check_gradients(lambda x: x.cummax(1)[0] ** 2, X)


def test_logcumsumexp() -> None:
    check("function logcumsumexp", np.logaddexp.accumulate(X, 1), X, 1)
    far = np.array([-800.0, 0.0, 5.0, -np.inf, 700.0, 710.0])
    check("function logcumsumexp", np.logaddexp.accumulate(far), far, 0)
    start = np.array([-np.inf, -np.inf, -900.0, 2.0])
    check("function logcumsumexp", np.logaddexp.accumulate(start), start, 0)
    check_gradients(lambda x: x.logcumsumexp(0) ** 2, X)
    x = tj.tensor(start, requires_grad=True)
    x.logcumsumexp(0)[-1].backward()
    np.testing.assert_array_equal(x.grad, [0, 0, 0, 1])


def test_areas_so_far() -> None:
    expected = np.cumsum((X[:, 1:] + X[:, :-1]) / 2 * 0.5, 1)
    check("function cumulative_trapezoid", expected, X, dx=0.5)
    widths = np.diff(X[:, 0])[:, None]
    check("function cumulative_trapezoid", np.cumsum((X[1:] + X[:-1]) / 2 * widths, 0), X, X[:, 0], axis=0)
    check("function cumulative_trapezoid", np.zeros(0), V[:1])


def test_elements_by_rank() -> None:
    order = np.argsort(X, 1)
    expected = np.take_along_axis(X, order[:, 1:2], 1), order[:, 1:2]
    check("function kthvalue", (expected[0][:, 0], expected[1][:, 0]), X, 2)
    check("function kthvalue", expected, X, 2, 1, True)
    check("function mode", (np.array([2.0, 3, 2]), np.array([2, 1, 2])), COUNTS)
    check("function mode", (np.array([1.0, 2, 2]), np.array([0, 2, 2])), COUNTS, 0)
    check("function msort", np.sort(X, 0), X)
    check("function aminmax", (X.min(1), X.max(1)), X, axis=1)
    for call in (lambda x: x.kthvalue(7), lambda x: x.kthvalue(0), lambda x: x[:, :0].mode()):
        for function in (call, tj.script(call)):
            with pytest.raises(ValueError):
                function(tj.tensor(X))


def test_runs_and_bins() -> None:
    runs = np.array([3, 1, 1, 2, 2, 2, 0])
    expected = np.array([3, 1, 2, 0]), np.array([0, 1, 1, 2, 2, 2, 3]), np.array([1, 2, 3, 1])
    check("function unique_consecutive", expected, runs, True, True)
    check("function unique_consecutive", np.zeros(0), np.zeros(0))
    bounds = np.sort(V)
    check("function bucketize", np.searchsorted(bounds, X), X, bounds)
    check(
        "function bucketize", np.searchsorted(bounds, V, "right").astype("int32"), V, bounds, out_int32=True, right=True
    )
    check("function histc", np.histogram(X, 4, (-1, 1))[0].astype(float), X, 4, -1, 1)
    check("function histc", np.histogram(X, 5)[0].astype(float), X, 5)


def test_arrays_made_of_others() -> None:
    blocks = np.zeros((5, 9))
    blocks[:4, :6], blocks[4, 6:] = X, V[:3]
    check("function block_diag", blocks, X, V[:3])
    for offset in (0, 2, -1):
        check("function diag_embed", np.stack([np.diag(row, offset) for row in X]), X, offset)
    check("function diag_embed", np.moveaxis(np.stack([np.diag(row) for row in X]), 0, 1), X, 0, 0, 2)
    check("function vander", np.vander(V), V)
    check("function vander", np.vander(V, 3, increasing=True), V, 3, True)
    check("function vander", np.zeros((6, 0)), V, 0)
    check("function combinations", np.array(list(itertools.combinations(V, 2))), V)
    repeated = np.array(list(itertools.combinations_with_replacement(V, 3)))
    check("function combinations", repeated, V, 3, with_replacement=True)
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(tj.renorm(tj.tensor(X), 2, 0, 1.0).numpy(), X * np.minimum(1 / lengths, 1), rtol=1e-6)
    check("function polar", X * np.exp(1j * X), X, X)
    check_gradients(lambda x, v: tj.block_diag(x, v) ** 2, X, V)
    check_gradients(lambda x: tj.diag_embed(x, 1) ** 2, X)
    check_gradients(lambda v: tj.vander(v), V)


def test_elementwise_forms() -> None:
    check("function logaddexp2", np.logaddexp2(X, V), X, V)
    check("function float_power", np.float_power(COUNTS.astype(int), 2), COUNTS.astype(int), 2)
    check("function ldexp", np.ldexp(V, np.arange(6) - 2), V, np.arange(6) - 2)
    z = X + 1j * X[::-1]
    z[0, 0] = 0
    check("function sgn", np.sign(z), z)
    check("function isposinf", np.isposinf(NAN), NAN)
    check("function isneginf", np.isneginf(-NAN), -NAN)
    check("function isreal", np.isreal(z), z)


def integral(density: Any, low: float, high: float) -> float:
    t = np.linspace(low, high, 200001)
    return float(np.trapezoid(density(t), t))


def test_the_inverse_of_erf() -> None:
    x = np.array([1e-300, 0.3, -0.9, 0.999999, 1 - 1e-15, -1e-9, 1, -1, 1.5, 0.0])
    found = tj.erfinv(tj.tensor(x)).numpy()
    np.testing.assert_allclose(tj.script(lambda x: tj.erfinv(x))(tj.tensor(x)).numpy(), found, rtol=1e-15)
    np.testing.assert_array_equal(found[6:], [np.inf, -np.inf, np.nan, 0])
    again = np.array([math.erf(v) for v in found[:6]])
    np.testing.assert_allclose(again, x[:6], rtol=4e-16)
    np.testing.assert_allclose(math.erfc(found[4]), 1 - x[4], rtol=1e-13)
    np.testing.assert_allclose(special.ndtri(tj.tensor([0.975], dtype=tj.float64)).numpy(), [1.959963984540054])


def test_the_normal_distribution() -> None:
    x = np.array([-38.5, -30.0, -20.5, -19.5, -5.0, -0.1, 0.1, 3.0, 9.0])
    found = special.log_ndtr(tj.tensor(x)).numpy()
    for v, y in zip(x, found):
        # exp(-t*t/2) relative to its value at v does not underflow
        ratio = integral(lambda t, v=v: np.exp((v * v - t * t) / 2), min(v, 0) - 15, v) if v < 0 else None
        wanted = (
            math.log(ratio / math.sqrt(2 * math.pi)) - v * v / 2 if ratio else math.log1p(-math.erfc(v / 2**0.5) / 2)
        )
        assert y == pytest.approx(wanted, rel=1e-7)
    np.testing.assert_allclose(np.exp(found), special.ndtr(tj.tensor(x)).numpy(), rtol=1e-12)
    check_gradients(lambda x: special.log_ndtr(x), x[3:-1])


def test_bessel_functions() -> None:
    x = np.array([-25.0, -3.0, 0.0, 1.0, 19.9, 20.1, 60.0])
    turn = np.linspace(0, math.pi, 4001)
    for order, names in ((0, ("i0", "i0e")), (1, ("i1", "i1e"))):
        # the mean of exp(x cos t) cos(order t), by a rule that is exact for these
        values = np.exp(x[:, None] * np.cos(turn) - np.abs(x)[:, None]) * np.cos(order * turn)
        scaled = np.trapezoid(values, turn) / math.pi
        for name, factor in zip(names, (np.exp(np.abs(x)), 1.0)):
            found = getattr(special, name)(tj.tensor(x)).numpy()
            np.testing.assert_allclose(found, scaled * factor, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(tj.i0(tj.tensor(V)).numpy(), np.i0(V), rtol=1e-13)
    infinite = np.array([np.inf, -np.inf])
    for name, limit in (("i0", [np.inf] * 2), ("i0e", [0, 0]), ("i1", infinite), ("i1e", [0, 0])):
        check(f"function special.{name}", np.array(limit, float), infinite)
    check_gradients(lambda x: special.i1(x), x[1:4])


def test_polygamma() -> None:
    zeta3 = 1.2020569031595942
    one = tj.tensor([1.0], dtype=tj.float64)
    for n, wanted in ((1, math.pi**2 / 6), (2, -2 * zeta3), (3, math.pi**4 / 15)):
        np.testing.assert_allclose(tj.polygamma(n, one).numpy(), [wanted], rtol=1e-13)
    order = tj.script(lambda n, x: tj.polygamma(n, x) + x.polygamma(n))
    assert [order(n, one).tolist() for n in (1, 2)] == [(one.polygamma(n) * 2).tolist() for n in (1, 2)]
    for call in (tj.polygamma, tj.script(lambda n, x: tj.polygamma(n, x))):
        with pytest.raises(TypeError):
            call(one, one)
    x = np.array([0.3, 2.5, 11.0])
    check_gradients(lambda x: tj.polygamma(1, x), x)
    below = tj.polygamma(1, tj.tensor([-0.5, -2.0], dtype=tj.float64)).numpy()
    np.testing.assert_allclose(below, [math.pi**2 / 2 + 4, np.inf])
    assert np.isnan(tj.polygamma(2, tj.tensor([-0.5])).numpy()).all()
    check_gradients(lambda x: tj.lgamma(x) + tj.digamma(x) + tj.mvlgamma(x + 3, 2), x)


def test_entropy_and_products_with_logarithms() -> None:
    x = np.array([0.5, 0.0, -1.0, np.nan, np.inf])
    with np.errstate(all="ignore"):
        wanted = [-0.5 * np.log(0.5), 0, -np.inf, np.nan, -np.inf]
    np.testing.assert_array_equal(special.entr(tj.tensor(x)).numpy(), wanted)
    zero = tj.tensor([0.0], requires_grad=True)
    special.entr(zero).backward()
    assert zero.grad.item() == math.inf  # type: ignore[union-attr]
    y = special.xlog1py(tj.tensor([0.0, 0.0, 2.0]), tj.tensor([-1.0, np.nan, 1.0])).numpy()
    np.testing.assert_allclose(y, [0, np.nan, 2 * np.log(2)], rtol=1e-6)


def test_matrices_in_pytorchs_forms() -> None:
    a = data(3, 3, seed=5) + 3 * np.eye(3)
    x = tj.tensor(a)
    np.testing.assert_allclose(tj.logdet(x).item(), np.linalg.slogdet(a)[1] if np.linalg.det(a) > 0 else np.nan)
    assert math.isnan(tj.logdet(-x).item())
    u, s, v = tj.svd(tj.tensor(X))
    np.testing.assert_allclose((u * s @ v.T).numpy(), X)
    assert v.shape == (6, 4) and tj.svd(tj.tensor(X), some=False).V.shape == (6, 6)
    np.testing.assert_allclose(tj.svd(tj.tensor(X), compute_uv=False).S.numpy(), s.numpy())
    q, r = x.qr()
    np.testing.assert_allclose((q @ r).numpy(), a)
    np.testing.assert_allclose(tj.chain_matmul(x, x, x).numpy(), a @ a @ a)
    np.testing.assert_allclose(x.inverse().numpy(), np.linalg.inv(a))
    np.testing.assert_allclose(x.det().item(), np.linalg.det(a))
