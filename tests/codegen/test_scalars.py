"""The scalar table and the expression builder: folding, typing, and expansions against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tracejit.codegen.loop_ir import Cast, Const, Let, Scalar, Select, Stmt, Var
from tracejit.codegen.numeric import Evaluation, numpy_dtype
from tracejit.codegen.scalars import SCALARS, KernelBuilder, cast_expansion, expansion
from tracejit.ir.types import BF16, BOOL, F16, F32, F64, FLOATS, I8, I32, I64, INTEGERS, U8, DType

K = KernelBuilder()
SIGNED = tuple(d for d in INTEGERS if d.kind == "i")


def integers(dtype: DType) -> np.ndarray[Any, Any]:
    """Edge values and random ones of an integer dtype."""
    limits = np.iinfo(dtype.numpy_name)
    edges = [0, 1, 2, 3, 5, 7, limits.max, limits.max - 1, limits.min, limits.min + 1]
    edges += [-1, -2, -3, -7] if dtype.kind == "i" else []
    random = np.random.default_rng(0).integers(limits.min, limits.max, 30, dtype=dtype.numpy_name, endpoint=True)
    return np.concatenate([np.array(edges, dtype.numpy_name), random])


def floats(dtype: DType) -> np.ndarray[Any, Any]:
    """Zeros, infinities, NaN, small and ordinary values of a float dtype."""
    edges = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.5, np.inf, -np.inf, np.nan, 1e-30, -1e30, 7.0, -7.0, 1e-40]
    random = np.random.default_rng(0).normal(size=30) * 10
    return np.concatenate([edges, random]).astype(dtype.numpy_name)


def pairs(values: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Every pair of the values."""
    a, b = np.meshgrid(values, values)
    return a.ravel(), b.ravel()


def expanded(name: str, *args: np.ndarray[Any, Any], dtype: DType) -> np.ndarray[Any, Any]:
    """The operation computed by its expansion, and by those of every operation that occurs in it."""
    has_expansion = frozenset(n for n, row in SCALARS.items() if row.expand and n not in ("fmod", "abs"))
    params = [Var(f"a{i}", dtype) for i in range(len(args))]
    return Evaluation(dict(zip(params, args, strict=True)), expand=has_expansion)(Scalar(name, tuple(params), dtype))


# -- building ---------------------------------------------------------------------------------------------------


def test_index_arithmetic_folds() -> None:
    i = Var("i", I64)
    assert K.add(i, 0) is i
    assert K.mul(1, i) is i
    assert K.mul(i, 0) == Const(0, I64)
    assert K.add(K.add(i, 2), 3) == Scalar("add", (i, Const(5, I64)), I64)
    assert K.sub(K.add(i, 2), 2) is i
    assert K.mul(K.mul(i, 4), 8) == Scalar("mul", (i, Const(32, I64)), I64)
    assert K.floordiv(K.const(7, I64), -2) == Const(-4, I64)
    assert K.floordiv(i, 1) is i
    assert K.mod(i, 1) == Const(0, I64)


def test_constants_fold_with_wrapping() -> None:
    assert K.add(K.const(127, I8), 1) == Const(-128, I8)
    assert K.mul(K.const(200, U8), 2) == Const(144, U8)
    assert K.const(-1, U8) == Const(255, U8)
    assert K.const(0.1, F32).value == float(np.float32(0.1))


def test_float_identities_that_change_bits_are_not_applied() -> None:
    x = Var("x", F32)
    assert isinstance(K.add(x, 0.0), Scalar)
    assert isinstance(K.mul(x, 0.0), Scalar)
    assert isinstance(K.sub(x, -0.0), Scalar)
    assert isinstance(K.eq(x, x), Scalar)
    assert K.sub(x, 0.0) is x
    assert K.mul(x, 1.0) is x


def test_logic_folds() -> None:
    p, i, x = Var("p", BOOL), Var("i", I64), Var("x", F32)
    true = K.const(True, BOOL)
    assert K.logical_and(p, true) is p
    assert K.logical_or(p, true) == true
    assert K.logical_not(K.logical_not(p)) is p
    assert K.logical_not(K.lt(i, 3)) == K.ge(i, 3)
    assert K.logical_not(K.lt(x, 3)) == Scalar("logical_not", (K.lt(x, 3),), BOOL)
    assert K.select(true, x, 0) is x
    assert K.select(p, x, x) is x
    assert K.select(p, true, False) is p


def test_rounding_and_classifying_integers_is_trivial() -> None:
    i = Var("i", I32)
    assert K.floor(i) is i
    assert K.isnan(i) == Const(False, BOOL)
    assert K.isfinite(i) == Const(True, BOOL)


def test_shifts_by_constants_need_no_guard() -> None:
    i = Var("i", I32)
    assert K.shl(i, 3) == Scalar("lsl", (i, Const(3, I32)), I32)
    assert K.shl(i, 32) == Const(0, I32)
    assert K.shr(i, 40) == Scalar("asr", (i, Const(31, I32)), I32)


def test_small_powers_become_products_of_a_shared_value() -> None:
    body: list[Stmt] = []
    x = Var("x", F32)
    result = KernelBuilder(body).pow(K.add(x, 1.0), 2.0)
    assert isinstance(body[0], Let)
    assert result == Scalar("mul", (body[0].var, body[0].var), F32)


def test_casts_fold_only_when_defined() -> None:
    x = Var("x", I32)
    assert K.cast(x, I32) is x
    assert K.cast(K.cast(x, F64), I32) is x
    assert isinstance(K.cast(K.cast(x, F32), I32), Cast)
    assert K.cast(K.const(2.9, F64), I64) == Const(2, I64)
    assert isinstance(K.cast(K.const(1e30, F64), I64), Cast)
    assert K.cast(K.const(-3, I64), BOOL) == Const(True, BOOL)


@pytest.mark.parametrize("half", [F16, BF16])
def test_halves_are_computed_in_f32_and_rounded_each_time(half: DType) -> None:
    x, y = Var("x", half), Var("y", half)
    total = K.add(x, y)
    assert total == Cast(Scalar("add", (Cast(x, F32), Cast(y, F32)), F32), half)
    assert K.lt(x, y) == Scalar("lt", (Cast(x, F32), Cast(y, F32)), BOOL)
    assert K.cast(x, F64) == Cast(Cast(x, F32), F64)
    assert isinstance(K.select(Var("p", BOOL), x, y), Cast)


def test_mistakes_are_type_errors() -> None:
    x, i = Var("x", F32), Var("i", I64)
    with pytest.raises(TypeError, match="different dtypes"):
        K.add(x, i)
    with pytest.raises(TypeError, match="not defined on i64"):
        K.exp(i)
    with pytest.raises(TypeError, match="takes 2 operands"):
        K.add(x)
    with pytest.raises(TypeError, match="not a literal of i64"):
        K.add(i, 0.5)


# -- meaning ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("name", ["floordiv", "mod", "shl", "shr", "minimum", "maximum"])
def test_integer_expansions_follow_numpy(name: str, dtype: DType) -> None:
    a, b = pairs(integers(dtype))
    with np.errstate(all="ignore"):
        expected = SCALARS[name].evaluate(a, b)
    np.testing.assert_array_equal(expanded(name, a, b, dtype=dtype), expected)


@pytest.mark.parametrize("dtype", SIGNED, ids=str)
@pytest.mark.parametrize("name", ["add_overflows", "sub_overflows", "mul_overflows"])
def test_overflow_flags_are_exact(name: str, dtype: DType) -> None:
    a, b = pairs(integers(dtype))
    limits = np.iinfo(dtype.numpy_name)
    exact = {"add": np.add, "sub": np.subtract, "mul": np.multiply}[name.split("_")[0]](
        a.astype(object), b.astype(object)
    )
    expected = ((exact < int(limits.min)) | (exact > int(limits.max))).astype(bool)
    np.testing.assert_array_equal(expanded(name, a, b, dtype=dtype), expected)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(SCALARS[name].evaluate(a, b), expected)


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", ["floordiv", "mod", "minimum", "maximum"])
def test_float_expansions_follow_numpy(name: str, dtype: DType) -> None:
    a, b = pairs(floats(dtype))
    with np.errstate(all="ignore"):
        expected = SCALARS[name].evaluate(a, b)
    actual = expanded(name, a, b, dtype=dtype)
    np.testing.assert_array_equal(actual, expected)
    if name in ("floordiv", "mod"):
        known = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(actual)[known], np.signbit(expected)[known])


@pytest.mark.parametrize("dtype", [F32, F64], ids=str)
@pytest.mark.parametrize("name", ["sign", "isnan", "isinf", "isfinite"])
def test_unary_expansions_follow_numpy(name: str, dtype: DType) -> None:
    x = floats(dtype)
    np.testing.assert_array_equal(expanded(name, x, dtype=dtype), SCALARS[name].evaluate(x))


def test_quotient_truncates() -> None:
    a, b = np.array([7, -7, 7, -7]), np.array([2, 2, -2, -2])
    np.testing.assert_array_equal(SCALARS["quotient"].evaluate(a, b), [3, -3, -3, 3])
    np.testing.assert_array_equal(SCALARS["remainder"].evaluate(a, b), [1, -1, 1, -1])


@pytest.mark.parametrize("half", [F16, BF16], ids=str)
def test_every_half_converts_to_f32_exactly(half: DType) -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    body = cast_expansion(half, F32)
    actual = run_expansion(body, bits)
    expected = bits.view(numpy_dtype(half)).astype(np.float32)
    np.testing.assert_array_equal(actual, expected)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(actual)[known], np.signbit(expected)[known])


@pytest.mark.parametrize("source", [F32, F64], ids=str)
@pytest.mark.parametrize("half", [F16, BF16], ids=str)
def test_conversion_to_halves_rounds_to_nearest_even(half: DType, source: DType) -> None:
    with np.errstate(all="ignore"):
        exact = np.arange(1 << 16, dtype=np.uint16).view(numpy_dtype(half)).astype(source.numpy_name)
    finite = np.sort(exact[np.isfinite(exact)])
    middle = finite[1:] / 2 + finite[:-1] / 2
    around = np.concatenate([np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf), middle])
    x = np.concatenate([exact, around.astype(source.numpy_name), np.array([1e30, -1e30, 1e-45], source.numpy_name)])
    with np.errstate(all="ignore"):
        expected = x.astype(numpy_dtype(half))
    actual = run_expansion(cast_expansion(source, half), x)
    known = ~np.isnan(x)
    np.testing.assert_array_equal(actual[known], expected.view(np.uint16)[known])
    assert np.all(np.isnan(actual.view(numpy_dtype(half))[~known].astype(np.float32)))


def run_expansion(body: Any, *args: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The result of straight-line code on arrays."""
    run = Evaluation(dict(zip(body.params, args, strict=True)))
    for let in body.lets:
        run.values[let.var] = run(let.expr)
    return run(body.result)


def test_expansions_are_shared_per_dtype() -> None:
    assert expansion("mod", I64) is expansion("mod", I64)
    with pytest.raises(KeyError):
        expansion("add", I64)


def test_every_row_can_be_printed_for_every_kind() -> None:
    for row in SCALARS.values():
        for kind in row.kinds:
            assert kind in row.llvm or row.expand is not None, f"{row.name} has no LLVM form for kind {kind}"
            assert kind in row.c or row.expand is not None, f"{row.name} has no C form for kind {kind}"


def test_select_evaluates_both_sides() -> None:
    p, x = Var("p", BOOL), Var("x", F32)
    expr = K.select(p, K.div(1.0, x), 0.0)
    assert isinstance(expr, Select)
    np.testing.assert_array_equal(
        Evaluation({p: np.array([True, False]), x: np.zeros(2, np.float32)})(expr), [np.inf, 0]
    )


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_literals_are_rounded_to_their_dtype(dtype: DType) -> None:
    assert K.const(1 / 3, dtype).value == float(numpy_dtype(dtype).type(1 / 3))
