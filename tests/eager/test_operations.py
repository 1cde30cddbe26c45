"""Elementwise functions, methods and operators against NumPy."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import tracejit as tj

DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128".split()
OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
UNARY = {
    **{
        n: (-2, 2)
        for n in "exp exp2 expm1 sin cos tan sinh cosh tanh floor ceil trunc square abs sign negative".split()
    },
    **{n: (0.1, 3) for n in "log log1p log2 log10 sqrt cbrt".split()},
    **{n: (-0.9, 0.9) for n in "arcsin arccos arctan arcsinh arctanh".split()},
    "arccosh": (1.1, 3),
}


def array(dtype: str, seed: int = 0, shape: tuple[int, ...] = (3, 4)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "int" in dtype:
        return rng.integers(1, 5, shape).astype(dtype)
    if "complex" in dtype:
        return (rng.uniform(1, 3, shape) + 1j * rng.uniform(1, 3, shape)).astype(dtype)
    return rng.uniform(1, 3, shape).astype(dtype)


@pytest.mark.parametrize("a", DTYPES)
@pytest.mark.parametrize("b", DTYPES)
def test_every_pair_of_dtypes_promotes_as_numpy(a: str, b: str) -> None:
    x, y = array(a), array(b, 1)
    for op in (*OPERATORS, *COMPARISONS):
        try:
            with np.errstate(all="ignore"):
                expected = op(x, y)
        except TypeError:
            with pytest.raises(TypeError):
                op(tj.tensor(x), tj.tensor(y))
            continue
        if op is operator.pow and "complex" not in a + b and x.dtype.kind == "b" == y.dtype.kind:
            continue
        if "complex" in a + b and op in COMPARISONS[2:]:
            continue
        got = op(tj.tensor(x), tj.tensor(y))
        assert got.dtype == expected.dtype, op
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-3 if "16" in str(expected.dtype) else 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("number", [True, 2, 2.5, 1 + 2j])
def test_python_numbers_are_weak(dtype: str, number: complex) -> None:
    x = array(dtype)
    for op in (operator.add, operator.mul, operator.truediv):
        with np.errstate(all="ignore"):
            expected, swapped = op(x, number), op(number, x)
        got, reflected = op(tj.tensor(x), number), op(number, tj.tensor(x))
        assert got.dtype == expected.dtype
        assert reflected.dtype == swapped.dtype
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-3 if dtype == "float16" else 1e-5)
        np.testing.assert_allclose(reflected.numpy(), swapped, rtol=1e-3 if dtype == "float16" else 1e-5)


def test_a_python_integer_that_does_not_fit_is_an_overflow() -> None:
    with pytest.raises(OverflowError):
        tj.tensor([1, 2], dtype=tj.uint8) + 300
    assert (tj.tensor([1, 2], dtype=tj.uint8) < 300).tolist() == [True, True]


@pytest.mark.parametrize("name", sorted(UNARY))
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
def test_unary_functions_equal_numpy(name: str, dtype: str) -> None:
    low, high = UNARY[name]
    x = np.random.default_rng(3).uniform(low, high, (4, 3)).astype(dtype)
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x)
    got = getattr(tj, name)(tj.tensor(x))
    assert got.dtype == expected.dtype
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-6)


def test_functions_are_methods_too() -> None:
    x = tj.tensor([0.5, 1.5])
    for name in "exp log sin sigmoid relu abs sqrt tanh erf square reciprocal rsqrt".split():
        np.testing.assert_array_equal(getattr(x, name)().numpy(), getattr(tj, name)(x).numpy())


def test_broadcasting_and_its_refusal() -> None:
    x, y = tj.ones(3, 1), tj.ones(4)
    assert (x + y).shape == (3, 4)
    with pytest.raises(ValueError, match="broadcast"):
        tj.ones(3) + tj.ones(4)


def test_operators_with_arrays_and_scalars_of_numpy_give_tensors() -> None:
    x = tj.tensor([1.0, 2.0])
    for result in (x + np.ones(2, np.float32), np.ones(2, np.float32) + x, np.float32(1) + x, x + np.float32(1)):
        assert isinstance(result, tj.Tensor)
        assert result.dtype == tj.float32
        assert result.tolist() == [2.0, 3.0]
    assert (x + np.float64(1)).dtype == tj.float64


def test_bit_and_logic_operators() -> None:
    x, y = tj.tensor([5, 6]), tj.tensor([3, 1])
    assert (x & y).tolist() == [1, 0]
    assert (x | y).tolist() == [7, 7]
    assert (x ^ y).tolist() == [6, 7]
    assert (~x).tolist() == [-6, -7]
    assert (x << y).tolist() == [40, 12]
    assert (x >> 1).tolist() == [2, 3]
    assert (~tj.tensor([True, False])).tolist() == [False, True]
    assert tj.logical_and(tj.tensor([1.0, 0.0]), tj.tensor([2, 2])).tolist() == [True, False]


def test_reflected_operators() -> None:
    x = tj.tensor([2.0, 4.0])
    assert (1 - x).tolist() == [-1.0, -3.0]
    assert (8 / x).tolist() == [4.0, 2.0]
    assert (2**x).tolist() == [4.0, 16.0]
    assert (9 // x).tolist() == [4.0, 2.0]
    assert (9 % x).tolist() == [1.0, 1.0]
    assert divmod(tj.tensor([7]), 2)[0].tolist() == [3]


def test_foreign_objects_are_refused() -> None:
    with pytest.raises(TypeError):
        tj.tensor([1.0]) + "a"
    with pytest.raises(TypeError):
        tj.exp("a")
    assert (tj.tensor([1.0]) == None) is False  # noqa: E711


def test_reductions_equal_numpy() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    t = tj.tensor(x)
    for name in ("sum", "mean", "prod", "max", "min", "var", "std"):
        for axis in (None, 0, -1, (0, 2)):
            for keepdims in (False, True):
                got = getattr(t, name)(axis=axis, keepdims=keepdims)
                expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
                assert got.shape == expected.shape
                np.testing.assert_allclose(got.numpy(), expected, rtol=1e-4, atol=1e-6)
    for name in ("argmax", "argmin", "cumsum", "cumprod"):
        for axis in (None, 1):
            np.testing.assert_allclose(getattr(t, name)(axis).numpy(), getattr(np, name)(x, axis), rtol=1e-4, atol=1e-6)
    assert t.sum(dim=1, keepdim=True).shape == (3, 1, 5)
    assert (t > 0).any().item() and not (t > 0).all().item()


def test_sums_of_small_integers_widen() -> None:
    assert tj.tensor([200, 100], dtype=tj.uint8).sum().item() == 300
    assert tj.tensor([True, True]).sum().dtype == tj.int64
    assert tj.tensor([1, 2]).mean().dtype == tj.float64


def test_softmax_family() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4)) * 300
    soft = tj.softmax(tj.tensor(x), 1).numpy()
    np.testing.assert_allclose(soft.sum(1), 1)
    np.testing.assert_allclose(tj.log_softmax(tj.tensor(x), -1).exp().numpy(), soft, atol=1e-12)
    np.testing.assert_allclose(tj.logsumexp(tj.tensor(x), 1).numpy(), np.logaddexp.reduce(x, axis=1))


def test_products_equal_numpy() -> None:
    rng = np.random.default_rng(0)
    for a, b in (
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
    ):
        x, y = rng.normal(size=a), rng.normal(size=b)
        np.testing.assert_allclose((tj.tensor(x) @ tj.tensor(y)).numpy(), x @ y)
    x, y = rng.normal(size=(2, 3)), rng.normal(size=(3, 2))
    np.testing.assert_allclose(tj.einsum("ij,jk->ik", tj.tensor(x), tj.tensor(y)).numpy(), x @ y)
    np.testing.assert_allclose(tj.outer(tj.tensor(x[0]), tj.tensor(y[:, 0])).numpy(), np.outer(x[0], y[:, 0]))
    with pytest.raises(ValueError):
        tj.ones(2, 3) @ tj.ones(2, 3)


def test_where_and_clamp() -> None:
    x = tj.tensor([-1.0, 0.5, 2.0])
    assert tj.where(x > 0, x, 0.0).tolist() == [0.0, 0.5, 2.0]
    assert x.clamp(min=0).tolist() == [0.0, 0.5, 2.0]
    assert x.clamp(max=1).tolist() == [-1.0, 0.5, 1.0]
    assert x.clamp(0, 1).tolist() == x.clip(0, 1).tolist() == [0.0, 0.5, 1.0]


def test_no_floating_point_warning() -> None:
    with np.errstate(all="raise"):
        assert (tj.tensor([1.0]) / 0).item() == float("inf")
        assert np.isnan(tj.log(tj.tensor([-1.0])).item())
