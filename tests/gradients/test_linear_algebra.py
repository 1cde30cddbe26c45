"""Derivatives of linear algebra in scripts: every way of computing one agrees, at first and second order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj

RNG = np.random.default_rng(11)
SQUARE = RNG.normal(size=(3, 3)) + np.diag([3.0, 5.0, 8.0])
TALL = RNG.normal(size=(4, 2)) + 2 * np.eye(4, 2)
WIDE = TALL.T.copy()
STACK = RNG.normal(size=(2, 3, 3)) + np.diag([3.0, 5.0, 8.0])


def inverse(x: Any) -> Any:
    return tj.linalg.inv(x), tj.linalg.det(x)


def logarithm(x: Any) -> Any:
    return tj.linalg.slogdet(x).logabsdet


def factor(x: Any) -> Any:
    return tj.linalg.cholesky(x @ x.mT)


def system(x: Any) -> Any:
    return tj.linalg.solve(x, x[..., :1] + 1.0)


def triangular(x: Any) -> Any:
    return tj.linalg.solve_triangular(x, x @ x, upper=True)


def orthogonal(x: Any) -> Any:
    q, r = tj.linalg.qr(x)
    return q.sin() @ r.cos()


def eigenvalues(x: Any) -> Any:
    w, v = tj.linalg.eigh(x + x.mT)
    return w.sin(), v * v


def singular_values(x: Any) -> Any:
    u, s, vh = tj.linalg.svd(x, full_matrices=False)
    return (u * s.exp()[..., None, :]) @ vh, u * u


def inverted(x: Any) -> Any:
    return tj.linalg.pinv(x)


def fitted(x: Any) -> Any:
    return tj.linalg.lstsq(x, x[:, 0] + 1.0)[0]


def nuclear(x: Any) -> Any:
    return tj.linalg.norm(x, "nuc") + tj.linalg.norm(x, 2) + tj.linalg.norm(x, 1) + tj.linalg.norm(x)


def powers(x: Any) -> Any:
    return tj.linalg.matrix_power(x, 3) + tj.linalg.matrix_power(x, -1)


def hermitian(x: Any) -> Any:
    z = x + 1j * (x @ x)
    w, v = tj.linalg.eigh(z + z.mT.conj())
    return w, v.abs()


def complex_factors(x: Any) -> Any:
    z = x + 1j * x.sin()
    q, r = tj.linalg.qr(z)
    u, s, vh = tj.linalg.svd(z, full_matrices=False)
    return (q * q).abs(), r.abs(), s, (u * u).abs(), vh.abs()


def complex_systems(x: Any) -> Any:
    z = x + 1j * x.cos()
    sign, log = tj.linalg.slogdet(z)
    return tj.linalg.inv(z).imag, tj.linalg.det(z).abs(), sign.real, log, tj.linalg.cholesky(z @ z.mT.conj()).real


SQUARES = [
    *(
        inverse,
        logarithm,
        factor,
        system,
        triangular,
        orthogonal,
        eigenvalues,
        singular_values,
        inverted,
        nuclear,
        powers,
    ),
    *(hermitian, complex_factors, complex_systems),
]
CASES: list[tuple[Callable[..., Any], np.ndarray]] = [
    *((f, SQUARE) for f in SQUARES),
    *((f, STACK) for f in (inverse, factor, system, orthogonal, eigenvalues, singular_values)),
    *((f, x) for f in (orthogonal, singular_values, inverted, nuclear, complex_factors) for x in (TALL, WIDE)),
    (fitted, TALL),
]


def named(value: Any) -> str:
    return value.__name__ if callable(value) else "x".join(map(str, value.shape))


@pytest.mark.parametrize(("f", "x"), CASES, ids=named)
def test_all_ways_to_the_derivative_agree(f: Callable[..., Any], x: np.ndarray) -> None:
    report = tj.check(f, tj.from_numpy(x))
    assert report and not report.skipped, str(report)


@pytest.mark.parametrize(
    "f", [inverse, logarithm, factor, system, orthogonal, eigenvalues, singular_values, inverted, hermitian], ids=named
)
def test_second_derivatives_agree(f: Callable[..., Any]) -> None:
    def slope(x: Any) -> Any:
        def total(y: Any) -> Any:
            found = f(y)
            found = found if isinstance(found, tuple) else (found,)
            out = found[0].sin().sum()
            for more in found[1:]:
                out = out + more.sin().sum()
            return out

        return tj.grad(total)(x)

    report = tj.check(slope, SQUARE)
    assert report and not report.skipped, str(report)


def test_values_have_derivatives_where_vectors_have_none() -> None:
    assert tj.grad(lambda x: tj.linalg.eigvalsh(x).sum())(np.eye(3)).tolist() == np.eye(3).tolist()
    np.testing.assert_allclose(tj.grad(lambda x: tj.linalg.norm(x, "nuc"))(np.eye(3)), np.eye(3), atol=1e-15)
    weights = RNG.normal(size=(3, 3))
    vectors = tj.grad(lambda x: (tj.linalg.eigh(x)[1] * weights).sum())(np.diag([1.0, 1.0, 2.0]))
    assert not np.isfinite(vectors).all()


def test_the_polar_factor_has_a_derivative_where_singular_values_coincide() -> None:
    def polar(x: Any) -> Any:
        u, _, vh = tj.linalg.svd(x)
        return u @ vh

    _, pullback = tj.vjp(polar, 2 * np.eye(3))
    weights = RNG.normal(size=(3, 3))
    np.testing.assert_allclose(pullback(weights)[0], (weights - weights.T) / 4, atol=1e-15)


def test_a_projector_has_a_derivative_where_its_eigenvalues_coincide() -> None:
    def projector(x: Any) -> Any:
        v = tj.linalg.eigh(x)[1][:, :2]
        return v @ v.T

    weights = RNG.normal(size=(3, 3))
    found = tj.vjp(projector, np.diag([1.0, 1.0, 3.0]))[1](weights)[0]
    expected = np.zeros((3, 3))
    expected[2, :2] = -(weights + weights.T)[2, :2] / 2  # turns of the plane, by the inverse of the gap
    np.testing.assert_allclose(found, expected, atol=1e-15)


def rebuilt_by_svd(x: Any) -> Any:
    u, s, vh = tj.linalg.svd(x)
    return (u * s**2) @ vh


def rebuilt_by_eigh(x: Any) -> Any:
    w, v = tj.linalg.eigh(x)
    return (v * w.exp()) @ v.T


TURN = np.linalg.qr(RNG.normal(size=(3, 3)))[0]


@pytest.mark.parametrize("fn", [rebuilt_by_svd, rebuilt_by_eigh])
@pytest.mark.parametrize("x", [2 * np.eye(3), (TURN * [2.0, 2.0, 5.0]) @ TURN.T], ids=["exactly", "up to rounding"])
def test_what_values_and_vectors_that_coincide_make_has_no_number_for_a_derivative(fn: Any, x: np.ndarray) -> None:
    leaf = tj.tensor(x, requires_grad=True)
    (fn(leaf) * tj.from_numpy(np.arange(9.0).reshape(3, 3))).sum().backward()
    assert not np.isfinite(leaf.grad.numpy()).all()


#: Of rank n - 1, n - 2 and 0; one that elimination does not find to be singular; pivots that are 0 one after the other.
SINGULAR = {
    "of rank 1": np.array([[1.0, 2.0], [2.0, 4.0]]),
    "counting": np.arange(1.0, 10.0).reshape(3, 3),
    "two rows short": STACK[0][[0, 1, 1, 0]][:, [0, 1, 2, 0]],
    "a column is 0": np.diag([1.0, 0.0, 2.0]) + np.eye(3, k=2),
    "shift": np.eye(4, k=1),
    "zero": np.zeros((3, 3)),
    "stack": np.stack([np.ones((3, 3)), np.eye(3), np.diag([2.0, 0.0, 3.0])]),
}


@pytest.mark.parametrize("x", SINGULAR.values(), ids=SINGULAR.keys())
def test_determinants_have_derivatives_at_singular_matrices(x: np.ndarray) -> None:
    report = tj.check(tj.linalg.det, tj.from_numpy(x))
    assert report and not report.skipped, str(report)
    rows, columns = np.indices(x.shape[-2:])
    minors = [np.delete(np.delete(x, i, -2), j, -1) for i, j in np.ndindex(x.shape[-2:])]
    expected = np.stack([np.linalg.det(m) for m in minors], -1).reshape(x.shape) * (-1.0) ** (rows + columns)
    found = tj.grad(lambda y: tj.linalg.det(y).sum())(x)
    np.testing.assert_allclose(found, expected, atol=1e-13)
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        tj.hessian(lambda y: tj.linalg.det(y).sum())(np.ones((2, 2)))


def test_determinants_of_complex_singular_matrices() -> None:
    z = np.array([[1 + 1j, 2], [2 + 2j, 4]])
    conjugates = np.array([[4, -2 + 2j], [-2, 1 - 1j]])
    np.testing.assert_allclose(tj.grad(lambda y: tj.linalg.det(y).real)(z), conjugates, atol=1e-15)
    leaf = tj.tensor(z, requires_grad=True)
    tj.linalg.det(leaf).real.backward()
    np.testing.assert_allclose(leaf.grad.numpy(), conjugates, atol=1e-15)


def test_full_bases_have_derivatives_for_square_matrices_only() -> None:
    def of_basis(x: Any) -> Any:
        u, s, vh = np.linalg.svd(x)
        return np.abs(u).sum()

    def of_values(x: Any) -> Any:
        u, s, vh = np.linalg.svd(x)
        return s.sum()

    def of_complete(x: Any) -> Any:
        return np.abs(np.linalg.qr(x, "complete")[0]).sum()

    u, _, vh = np.linalg.svd(TALL, full_matrices=False)
    np.testing.assert_allclose(tj.grad(of_values)(TALL), u @ vh, atol=1e-14)
    assert tj.check(of_basis, SQUARE) and tj.check(of_complete, SQUARE)
    for f in (of_basis, of_complete):
        with pytest.raises((ValueError, tj.NotDifferentiable), match="not square"):
            tj.grad(f)(TALL)


def test_a_singular_matrix_is_refused_at_its_line() -> None:
    @tj.script
    def f(a: Any, b: Any) -> Any:
        b[0] = 7.0
        return np.linalg.solve(a, b)

    b = np.ones(3)
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix") as caught:
        f(np.ones((3, 3)), b)
    assert b[0] == 7.0
    assert "return np.linalg.solve(a, b)" in str(caught.traceback[-1].statement)


def test_results_have_the_names_of_numpys() -> None:
    @tj.script
    def f(x: Any) -> Any:
        made = np.linalg.svd(x)
        return made.S, np.linalg.eigh(x @ x.T).eigenvalues, np.linalg.qr(x).R, np.linalg.slogdet(x).sign

    for found, expected in zip(f(SQUARE), f.__wrapped__(SQUARE), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert type(tj.linalg.svd(SQUARE)).__name__ == "SVDResult"
