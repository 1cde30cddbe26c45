"""Linear algebra as users call it, compared with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.ops.function_cases import check, eager, graph_of, interpreted
from tracejit.codegen.evaluate import evaluate
from tracejit.codegen.loop_ir import Program
from tracejit.codegen.lowering.entry import lower
from tracejit.codegen.walk import ProgramFailure
from tracejit.runtime.cpu import NativeFailure, compile_program
from tracejit.transforms import pipeline

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


# -- factorisations ---------------------------------------------------------------------------------------------

RECTANGLES = {
    "square": A,
    "tall": RNG.normal(size=(5, 3)),
    "wide": RNG.normal(size=(3, 5)),
    "stack": RNG.normal(size=(2, 4, 3)),
    "complex": RNG.normal(size=(3, 4)) + 1j * RNG.normal(size=(3, 4)),
    "one": np.array([[-2.0]]),
    "row": RNG.normal(size=(1, 3)),
    "no rows": np.zeros((0, 3)),
    "no columns": np.zeros((3, 0)),
    "zero": np.zeros((3, 2)),
    "one column": np.array([[3.0], [0.0], [-4.0]]),
}

rectangles = pytest.mark.parametrize("x", RECTANGLES.values(), ids=RECTANGLES.keys())


@rectangles
@pytest.mark.parametrize("mode", ["reduced", "complete", "r"])
def test_qr_agrees_with_numpy(x: np.ndarray, mode: str) -> None:
    expected = np.linalg.qr(x, mode=mode)
    check("numpy linalg.qr", tuple(expected) if mode != "r" else expected, x, mode)


@rectangles
def test_singular_values_and_what_is_made_of_them_agree_with_numpy(x: np.ndarray) -> None:
    check("function linalg.svdvals", np.linalg.svd(x, compute_uv=False), x)
    check("numpy linalg.svd", np.linalg.svd(x, compute_uv=False), x, compute_uv=False)
    check("numpy linalg.pinv", np.linalg.pinv(x), x)
    if x.size:
        check("numpy linalg.matrix_rank", np.asarray(np.linalg.matrix_rank(x)), x)


def program(x: np.ndarray, name: str, **options: object) -> tuple[Program, list[np.ndarray]]:
    graph, inputs = graph_of(name, [x], options, exact=False)
    return lower(pipeline.run(graph, ["dce", "ownership"])), inputs


def native(x: np.ndarray, name: str, **options: object) -> list[np.ndarray]:
    """The function as native code, with the LAPACK that is there."""
    made, inputs = program(x, name, **options)
    return compile_program(made).call(inputs)


def by_loops(x: np.ndarray, name: str, **options: object) -> list[np.ndarray]:
    """The function by own loops, as exported code computes it."""
    return evaluate(*program(x, name, **options))


@rectangles
@pytest.mark.parametrize("full", [False, True])
def test_svd_gives_orthonormal_vectors_that_make_the_matrix(x: np.ndarray, full: bool) -> None:
    for u, s, vh in (run(x, "numpy linalg.svd", full_matrices=full) for run in (native, by_loops)):
        k = min(x.shape[-2:])
        assert np.allclose((u[..., :k] * s[..., None, :]) @ vh[..., :k, :], x, atol=1e-13)
        for q in (u, vh.swapaxes(-1, -2)):
            assert np.allclose(q.conj().swapaxes(-1, -2) @ q, np.eye(q.shape[-1]), atol=1e-13)
        assert (np.diff(s) <= 0).all() and (s >= 0).all()


@pytest.mark.parametrize("x", [np.array([[np.inf], [1.0]]), np.array([[np.inf, 2.0], [1.0, -np.inf]])])
def test_singular_values_of_infinities_are_no_numbers(x: np.ndarray) -> None:
    for run in (native, by_loops):  # LAPACK says so, or that it did not converge, by its version
        np.testing.assert_array_equal(run(x, "numpy linalg.svd", compute_uv=False)[0], np.full(min(x.shape), np.nan))


HERMITIAN = {
    "positive": P,
    "indefinite": A + A.T,
    "repeated": np.diag([2.0, -1.0, 2.0]),
    "complex": P + 1j * (A - A.T),
    "zero": np.zeros((3, 3)),
    "one": np.array([[-3.0]]),
    "nothing": np.zeros((0, 0)),
    "stack": np.stack([P, A + A.T]),
    "zero diagonal": np.array([[0.0, 2.0], [2.0, 0.0]]),
    "tiny": P * 1e-200,
    "huge": P * 1e200,
}


@pytest.mark.parametrize("x", HERMITIAN.values(), ids=HERMITIAN.keys())
def test_eigh_diagonalises(x: np.ndarray) -> None:
    size = np.abs(x).max(initial=0) or 1.0
    for w, v in (run(x, "numpy linalg.eigh") for run in (native, by_loops)):
        np.testing.assert_allclose(w, np.linalg.eigvalsh(x), rtol=1e-13, atol=1e-14 * size)
        assert np.allclose(x @ v, v * w[..., None, :], atol=1e-13 * size)
        assert np.allclose(v.conj().swapaxes(-1, -2) @ v, np.eye(x.shape[-1]), atol=1e-13)


SQUARES = {
    "any": A,
    "complex": RNG.normal(size=(5, 5)) + 1j * RNG.normal(size=(5, 5)),
    "pairs": RNG.normal(size=(7, 7)),
    "cyclic": np.roll(np.eye(6), 1, axis=0),
    "turn": np.array([[0.0, 1.0], [-1.0, 0.0]]),
    "defective": np.eye(6, k=1) + 2 * np.eye(6),
    "nilpotent": np.eye(9, k=-1),
    "repeated": np.kron(np.eye(3), [[1.0, 2.0], [3.0, 4.0]]),
    "triangle": np.triu(RNG.normal(size=(5, 5))),
    "zero": np.zeros((3, 3)),
    "one": np.array([[-3.0]]),
    "nothing": np.zeros((0, 0)),
    "stack": RNG.normal(size=(2, 4, 4)),
    "tiny": A * 1e-300,
    "huge": A * 1e300,
}


@pytest.mark.parametrize("x", SQUARES.values(), ids=SQUARES.keys())
def test_eig_gives_vectors_that_keep_their_direction(x: np.ndarray) -> None:
    size = np.abs(x).max(initial=0) or 1.0
    for w, v in (run(x, "numpy linalg.eig") for run in (native, by_loops)):
        assert np.allclose(x / size @ v, v * (w / size)[..., None, :], atol=1e-13)
        assert np.allclose(np.linalg.norm(v, axis=-2), 1, atol=1e-13)
        assert np.allclose(np.sum(w / size, axis=-1), np.trace(x / size, axis1=-2, axis2=-1), atol=1e-13)
    made, expected = native(x, "numpy linalg.eig"), np.linalg.eig(x)
    np.testing.assert_array_equal(made[0], expected[0])
    np.testing.assert_array_equal(made[1], expected[1])


def test_one_half_of_a_hermitian_matrix_is_read() -> None:
    for half, part in (("L", np.tril(P)), ("U", np.triu(P))):
        check("numpy linalg.eigvalsh", np.linalg.eigvalsh(P), part, half)
    with pytest.raises(ValueError, match="UPLO argument must be 'L' or 'U'"):
        eager("numpy linalg.eigh", P, "X")


def test_infinite_elements_are_refused_or_give_nan() -> None:
    bad = P.copy()
    bad[1, 1] = np.nan
    with pytest.raises(np.linalg.LinAlgError, match="SVD did not converge"):
        eager("numpy linalg.svd", bad)
    with pytest.raises(NativeFailure, match="SVD did not converge"):
        native(bad, "numpy linalg.svd")
    with pytest.raises(ProgramFailure):
        by_loops(bad, "numpy linalg.svd")
    assert np.isnan(by_loops(bad, "numpy linalg.eigh")[0]).all()


@pytest.mark.parametrize("order", [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_matrix_norms_agree_with_numpy(order: object) -> None:
    x = RECTANGLES["tall"]
    stack = RECTANGLES["stack"]
    check("numpy linalg.norm", np.asarray(np.linalg.norm(x, order)), x, order)
    check("numpy linalg.norm", np.linalg.norm(stack, order, axis=(0, 2)), stack, order, axis=(0, 2))
    kept = np.linalg.norm(stack, order, axis=(2, 1), keepdims=True)
    check("numpy linalg.norm", kept, stack, order, axis=(2, 1), keepdims=True)
    check("numpy linalg.cond", np.asarray(np.linalg.cond(A, order)), A, order)


def test_norms_that_do_not_exist_are_refused() -> None:
    for arguments in ((A, "nonsense"), (A[0], "fro"), (A, 3), (RECTANGLES["stack"], 2)):
        with pytest.raises(ValueError):
            np.linalg.norm(*arguments)
        with pytest.raises(ValueError):
            eager("numpy linalg.norm", *arguments)


def test_products_and_powers_agree_with_numpy() -> None:
    for n in (0, 1, 5, -2):
        check("numpy linalg.matrix_power", np.linalg.matrix_power(A, n), A, n)
    tall, wide = RECTANGLES["tall"], RECTANGLES["wide"]
    check("numpy linalg.multi_dot", np.linalg.multi_dot([wide, tall, A, A[0]]), [wide, tall, A, A[0]])
    sign, log = np.linalg.slogdet(A)
    check("numpy linalg.slogdet", (np.asarray(sign), np.asarray(log)), A)
    check("numpy linalg.slogdet", (np.asarray(0.0), np.asarray(-np.inf)), np.ones((2, 2)))
    check("numpy linalg.slogdet", (np.asarray(-1.0), np.asarray(np.inf)), np.array([[1.0, np.inf], [2.0, 3.0]]))


@pytest.mark.parametrize("kind", ["square", "tall", "wide", "zero"])
def test_least_squares_agree_with_numpy(kind: str) -> None:
    a = RECTANGLES[kind]
    for c in (np.arange(a.shape[0]) + 1.0, RNG.normal(size=(a.shape[0], 2))):
        check("numpy linalg.lstsq", tuple(np.asarray(x) for x in np.linalg.lstsq(a, c)), a, c)


def test_triangular_systems() -> None:
    b = RNG.normal(size=(3, 2))
    check("function linalg.solve_triangular", np.linalg.solve(np.triu(P), b), P, b, upper=True)
    check("function linalg.solve_triangular", np.linalg.solve(np.tril(P), b[:, 0]), P, b[:, 0], upper=False)
    for name, x, message in (
        ("numpy linalg.inv", np.zeros((2, 2)), "Singular matrix"),
        ("numpy linalg.cholesky", -P, "Matrix is not positive definite"),
    ):
        with pytest.raises(NativeFailure, match=message):
            native(x, name)
        with pytest.raises(ProgramFailure):
            by_loops(x, name)


def test_vectors_have_the_signs_of_numpys() -> None:
    x = RNG.normal(size=(30, 30))
    for name, given in (("eigh", x + x.T), ("svd", x), ("qr", x)):
        for found, expected in zip(native(given, f"numpy linalg.{name}"), getattr(np.linalg, name)(given), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-11)


def test_the_exponential_of_matrices() -> None:
    values = np.array([0.5, -1.0, 12.0])
    basis, inverse = A, np.linalg.inv(A)
    a = tj.tensor((basis * values) @ inverse, requires_grad=True)
    expected = (basis * np.exp(values)) @ inverse
    for exp in (tj.linalg.matrix_exp, tj.script(lambda x: tj.linalg.matrix_exp(x))):
        made = exp(a)
        np.testing.assert_allclose(made.detach().numpy(), expected, rtol=1e-9, atol=1e-7)
        (grad,) = tj.autograd.grad(made.trace(), a)
        assert grad is not None
        np.testing.assert_allclose(grad.numpy(), expected.T, rtol=1e-9, atol=1e-7)
    assert tj.linalg.matrix_exp(tj.zeros(2, 0, 0)).shape == (2, 0, 0)


def test_solutions_by_cholesky_factors() -> None:
    def solved(a, b):
        lower, upper = tj.linalg.cholesky(a), tj.linalg.cholesky(a, upper=True)
        by_factors = tj.cholesky_solve(b, lower), b.cholesky_solve(upper, upper=True)
        return *by_factors, tj.cholesky_inverse(lower) @ b, upper.cholesky_inverse(True) @ b

    numbers = np.random.default_rng(5)
    a, b = numbers.normal(size=(2, 3, 3)), numbers.normal(size=(2, 3, 2))
    a = a @ a.swapaxes(1, 2) + 2 * np.eye(3)
    for fn in (solved, tj.script(solved)):
        for x in fn(tj.tensor(a), tj.tensor(b)):
            np.testing.assert_allclose(x.numpy(), np.linalg.solve(a, b))
    total = lambda a, b: sum(x.pow(2).sum() for x in solved(a @ a.mT + tj.eye(3, dtype=a.dtype), b))  # noqa: E731
    assert tj.check(total, tj.tensor(a), tj.tensor(b)).ok


# -- sizes from which on LAPACK factorises ----------------------------------------------------------------------


def large(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    parts = RNG.normal(size=(2, *shape))
    return (parts[0] + 1j * parts[1] if np.dtype(dtype).kind == "c" else parts[0]).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_determinants_of_large_matrices_agree_with_numpy(dtype: str) -> None:
    x = large((2, 3, 80, 80), dtype) / 8
    x[0, 1, :, 7] = x[0, 1, :, 3]  # singular
    x[1, 2] = np.eye(80, dtype=dtype)[RNG.permutation(80)]  # exchanges alone
    tolerance = 2e-3 if np.finfo(dtype).bits == 32 else 1e-10
    (found,) = native(x, "numpy linalg.det")
    expected = np.linalg.det(x.astype("complex128" if np.dtype(dtype).kind == "c" else "float64"))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found / scale, expected / scale, atol=tolerance)
    sign, log = native(x[1], "numpy linalg.slogdet")
    np.testing.assert_allclose(sign * np.exp(log), expected[1], rtol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("mode", ["reduced", "complete"])
def test_qr_of_large_matrices_agrees_with_numpy(dtype: str, mode: Any) -> None:
    made, _ = program(large((2, 70, 80), dtype), "numpy linalg.qr", mode=mode)
    compiled = compile_program(made)
    tolerance = 2e-4 if np.finfo(dtype).bits == 32 else 1e-11
    for shape in ((1, 70, 70), (2, 90, 66), (2, 66, 90)):
        x = large(shape, dtype)
        for found, wanted in zip(compiled.call([x]), np.linalg.qr(x, mode=mode), strict=True):
            np.testing.assert_allclose(found, wanted, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_values_without_vectors_are_those_with_them(dtype: str) -> None:
    x = large((2, 12, 12), dtype)
    hermitian = x + x.conj().swapaxes(-1, -2)
    np.testing.assert_allclose(native(hermitian, "numpy linalg.eigvalsh")[0], np.linalg.eigvalsh(hermitian), atol=1e-12)
    found = np.sort_complex(native(x, "numpy linalg.eigvals")[0])
    np.testing.assert_allclose(found, np.sort_complex(np.linalg.eigvals(x)), atol=1e-12)
    wide = x[:, :5]
    np.testing.assert_allclose(
        native(wide, "numpy linalg.svd", compute_uv=False)[0], np.linalg.svd(wide, compute_uv=False), atol=1e-12
    )


def test_derivatives_of_large_matrices() -> None:
    x = RNG.normal(size=(70, 70)) / 8 + np.eye(70)
    inverse = np.linalg.inv(x)
    np.testing.assert_allclose(tj.grad(lambda a: np.linalg.slogdet(a)[1])(x), inverse.T, atol=1e-10)
    np.testing.assert_allclose(tj.grad(np.linalg.det)(x), np.linalg.det(x) * inverse.T, atol=1e-10)
    symmetric = x + x.T
    np.testing.assert_allclose(tj.grad(lambda a: np.linalg.eigvalsh(a).sum())(symmetric), np.eye(70), atol=1e-10)
    report = tj.check(lambda a: (np.linalg.qr(a)[1] ** 2).sum() + np.linalg.svd(a, compute_uv=False)[0], x[:, :66])
    assert report, str(report)
