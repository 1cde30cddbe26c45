"""The mathematical library against the true values: at most 2 ULP, and the edge values of C99 and NumPy.

Expansions are evaluated by NumPy, that is, without fused multiply-add; every operation inside is expanded too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import tracejit as tj
from tracejit.codegen.loop_ir import Let, Scalar, Stmt, Var
from tracejit.codegen.numeric import Evaluation
from tracejit.codegen.scalars import SCALARS, KernelBuilder, expansion
from tracejit.ir.types import BY_NAME, F32, F64, DType

mp = pytest.importorskip("mpmath")

Array = NDArray[Any]
EXPANDED = frozenset(name for name, row in SCALARS.items() if row.expand)
FLOATS = pytest.mark.parametrize("dtype", [F32, F64], ids=str)


@dataclass(frozen=True)
class Case:
    """A function: its true value, and the interval (f32, f64) where results are finite, None for all floats."""

    name: str
    true: Callable[..., Any]
    f32: tuple[float, float] = (-1e36, 1e36)
    f64: tuple[float, float] = (-1e300, 1e300)

    def interval(self, dtype: DType) -> tuple[float, float]:
        return self.f32 if dtype == F32 else self.f64


def signed_root(x: Any) -> Any:
    """The real cube root."""
    return mp.sign(x) * mp.cbrt(abs(x))


CASES = [
    Case("exp", mp.exp, (-104, 88.7), (-746, 709.7)),
    Case("exp2", lambda x: mp.mpf(2) ** x, (-150, 127.9), (-1075, 1023.9)),
    Case("expm1", mp.expm1, (-90, 88.7), (-750, 709.7)),
    Case("log", mp.log, (1e-44, 1e38), (1e-320, 1e308)),
    Case("log1p", mp.log1p, (-0.999, 1e38), (-0.999, 1e308)),
    Case("log2", lambda x: mp.log(x, 2), (1e-44, 1e38), (1e-320, 1e308)),
    Case("log10", mp.log10, (1e-44, 1e38), (1e-320, 1e308)),
    Case("sin", mp.sin, (-2.6e5, 2.6e5), (-1e6, 1e6)),
    Case("cos", mp.cos, (-2.6e5, 2.6e5), (-1e6, 1e6)),
    Case("tan", mp.tan, (-2.6e5, 2.6e5), (-1e6, 1e6)),
    Case("asin", mp.asin, (-1, 1), (-1, 1)),
    Case("acos", mp.acos, (-1, 1), (-1, 1)),
    Case("atan", mp.atan),
    Case("sinh", mp.sinh, (-89.4, 89.4), (-710.4, 710.4)),
    Case("cosh", mp.cosh, (-89.4, 89.4), (-710.4, 710.4)),
    Case("tanh", mp.tanh),
    Case("asinh", mp.asinh),
    Case("acosh", mp.acosh, (1, 1e38), (1, 1e308)),
    Case("atanh", mp.atanh, (-0.9999999, 0.9999999), (-0.9999999999, 0.9999999999)),
    Case("erf", mp.erf),
    Case("sigmoid", lambda x: 1 / (1 + mp.exp(-x)), (-103, 1e3), (-744, 1e3)),
    Case("rsqrt", lambda x: 1 / mp.sqrt(x), (1e-44, 1e38), (1e-320, 1e308)),
    Case("cbrt", signed_root),
]
EACH_CASE = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)


def compute(name: str, dtype: DType, *operands: Array) -> Array:
    """The library's result on arrays."""
    params = tuple(Var("x", dtype) for _ in operands)
    result = Evaluation(dict(zip(params, operands, strict=True)), expand=EXPANDED)(Scalar(name, params, dtype))
    assert result.dtype == operands[0].dtype
    return result


def points(low: float, high: float, count: int, seed: int) -> NDArray[np.float64]:
    """Values of every magnitude between the bounds, denser near 0, 1 and multiples of pi / 4."""
    rng = np.random.default_rng(seed)
    sign = rng.choice([-1.0, 1.0], count)
    with np.errstate(over="ignore"):
        drawn = [
            rng.uniform(low, high, count),
            rng.uniform(-2, 2, count),
            rng.uniform(-20, 20, count),
            sign * 10 ** rng.uniform(-6, 4, count),
            sign * 10 ** rng.uniform(-318, 308, count),
            1 + rng.normal(size=count) * 1e-4,
            np.arange(-(count // 2), count // 2) * np.pi / 4,
        ]
    x = np.concatenate(drawn)
    return x[(x >= low) & (x <= high)]


def ulps(actual: Array, true: list[Any], dtype: DType) -> Array:
    """The error of every result in units in the last place of the true value."""
    digits, least = (24, -149) if dtype == F32 else (53, -1074)
    errors: list[float] = []
    for got, want in zip(actual, true, strict=True):
        exponent = int(mp.floor(mp.log(abs(want), 2))) if want else least
        unit = mp.mpf(2) ** max(exponent - digits + 1, least)
        errors.append(float(abs(mp.mpf(float(got)) - want) / unit))
    return np.array(errors)


def assert_close(name: str, dtype: DType, operands: tuple[Array, ...], true: Callable[..., Any]) -> None:
    """The library is within 2 ULP of the true value everywhere."""
    with mp.workprec(300 if name in ("sin", "cos", "tan") else 160):
        exact = [true(*(mp.mpf(float(v)) for v in values)) for values in zip(*operands, strict=True)]
        errors = ulps(compute(name, dtype, *operands), exact, dtype)
    worst = int(np.argmax(errors))
    assert errors[worst] <= 2, f"{name}({[o[worst] for o in operands]}) is off by {errors[worst]:.2f} ULP"


@FLOATS
@EACH_CASE
def test_two_ulp_of_the_true_value(case: Case, dtype: DType) -> None:
    low, high = case.interval(dtype)
    with np.errstate(all="ignore"):
        x = points(low, high, 70, seed=1).astype(dtype.numpy_name)
    x = x[(x >= low) & (x <= high) & np.isfinite(x)]
    assert_close(case.name, dtype, (x,), case.true)


@EACH_CASE
def test_two_ulp_of_f64_on_many_f32(case: Case) -> None:
    low, high = case.f32
    x = np.concatenate([points(low, high, 8000, seed=2), np.linspace(0.25, 0.5, 20000), np.linspace(1, 1.3, 4000)])
    x = np.concatenate(
        [x, np.linspace(-17.4, -16.2, 20000), np.linspace(0.05, 0.13, 20000), np.linspace(0.5, 9, 20000)]
    )
    x = x.astype(np.float32)
    x = x[(x >= low) & (x <= high) & np.isfinite(x)]
    if case.name == "erf":
        x = x[::4]
    with np.errstate(all="ignore"):
        expected = SCALARS[case.name].evaluate(x.astype(np.float64))
    unit = np.maximum(2.0 ** (np.floor(np.log2(np.maximum(np.abs(expected), 1e-300))) - 23), 2.0**-149)
    errors = np.abs(compute(case.name, F32, x).astype(np.float64) - expected) / unit
    assert errors.max() <= 2, f"{case.name}({x[errors.argmax()]!r}) is off by {errors.max():.2f} ULP"


@FLOATS
@pytest.mark.parametrize("name", ["pow", "atan2", "hypot"])
def test_two_operand_functions(name: str, dtype: DType) -> None:
    rng = np.random.default_rng(3)
    magnitude = 36 if dtype == F32 else 300
    x = np.concatenate([10 ** rng.uniform(-2, 2, 150), 10 ** rng.uniform(-magnitude, magnitude, 150)])
    y = x * 10 ** rng.uniform(-4, 4, 300)
    true = {"pow": mp.power, "atan2": mp.atan2, "hypot": mp.hypot}[name]
    if name == "pow":
        x = np.concatenate([x, 1 + rng.normal(size=150) * 1e-5])
        limit = 80 if dtype == F32 else 690
        y = np.concatenate([rng.uniform(-limit, limit, 300) / np.log(x[:300]), 10 ** rng.uniform(0, 6, 150)])
        y = np.where(np.abs(y * np.log(x)) < limit, y, 0.5)
    else:
        x = np.concatenate([x, -x])
        y = np.concatenate([y, y])
    with np.errstate(all="ignore"):
        operands = x.astype(dtype.numpy_name), y.astype(dtype.numpy_name)
    usable = np.isfinite(operands[0]) & np.isfinite(operands[1]) & (operands[0] != 0) & (operands[1] != 0)
    assert_close(name, dtype, (operands[0][usable], operands[1][usable]), true)


def edge_values(dtype: DType) -> Array:
    """Zeros, infinities, NaN, subnormals, the largest numbers, integers odd and even, and thresholds."""
    finfo = np.finfo(dtype.numpy_name)
    edges = [
        0.0,
        1,
        2,
        0.5,
        3,
        1 / 3,
        7.5,
        1.5,
        1e10,
        1e20,
        20,
        30,
        88,
        89,
        100,
        104,
        128,
        149.5,
        709.7,
        710,
        745,
        746,
        1024,
    ]
    edges += [2.0**24 + 1, 1e-4, 1e-7, 1e-20, 0.999999, 1.000001, np.pi / 2, np.pi, np.inf]
    edges += [float(finfo.max), float(finfo.tiny), float(finfo.smallest_subnormal), float(finfo.tiny) / 8]
    return np.array([*edges, *(-e for e in edges), np.nan]).astype(dtype.numpy_name)


def assert_same(actual: Array, expected: Array, operands: tuple[Array, ...]) -> None:
    """Equal up to 2 ULP, with the same NaNs and the same signs, also of zeros."""
    with np.errstate(all="ignore"):
        near = (actual == expected) | (np.abs(actual - expected) <= 2 * np.spacing(np.abs(expected)))
    same = (np.isnan(actual) & np.isnan(expected)) | (near & (np.signbit(actual) == np.signbit(expected)))
    wrong = [(*(o[i] for o in operands), actual[i], expected[i]) for i in np.flatnonzero(~same)]
    assert not wrong, f"operands, actual, expected: {wrong[:5]}"


@FLOATS
@EACH_CASE
def test_edge_values(case: Case, dtype: DType) -> None:
    x = edge_values(dtype)
    with np.errstate(all="ignore"):
        expected = np.asarray(SCALARS[case.name].evaluate(x.astype(np.float64))).astype(dtype.numpy_name)
    assert_same(compute(case.name, dtype, x), expected, (x,))


@FLOATS
@pytest.mark.parametrize("name", ["pow", "atan2", "hypot", "fmod", "copysign"])
def test_edge_values_of_two_operands(name: str, dtype: DType) -> None:
    x, y = (grid.ravel() for grid in np.meshgrid(edge_values(dtype), edge_values(dtype)))
    with np.errstate(all="ignore"):
        expected = SCALARS[name].evaluate(x, y)
    if name == "hypot":
        expected = np.where(np.isinf(x) | np.isinf(y), np.array(np.inf, x.dtype), expected)
    assert_same(compute(name, dtype, x, y), expected, (x, y))


def power(dtype: DType, x: Array, exponent: float) -> Array:
    """x to a power that is known when compiling."""
    body: list[Stmt] = []
    param = Var("x", dtype)
    result = KernelBuilder(body).pow(param, exponent)
    run = Evaluation({param: x}, expand=EXPANDED)
    for let in body:
        assert isinstance(let, Let)
        run.values[let.var] = run(let.expr)
    return run(result)


@FLOATS
@pytest.mark.parametrize("exponent", [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 12.0, 16.0, -1.0, -2.0, 0.5, 1.5, -0.5, -1.5])
def test_powers_by_known_exponents(exponent: float, dtype: DType) -> None:
    edges = edge_values(dtype)
    with np.errstate(all="ignore"):
        assert_same(power(dtype, edges, exponent), np.power(edges, np.full_like(edges, exponent)), (edges,))
        reach = 36 / max(abs(exponent), 4)
        x = 10 ** np.random.default_rng(5).uniform(-reach, reach, 400).astype(dtype.numpy_name)
    true = [mp.mpf(float(v)) ** exponent for v in x]
    assert ulps(power(dtype, x, exponent), true, dtype).max() <= 2


@FLOATS
def test_fmod_is_exact(dtype: DType) -> None:
    rng = np.random.default_rng(4)
    x = (10 ** rng.uniform(-6, 12, 20000) * rng.choice([-1, 1], 20000)).astype(dtype.numpy_name)
    y = (10 ** rng.uniform(-6, 6, 20000)).astype(dtype.numpy_name)
    x[::3] = (np.round(x[::3]) * y[::3]).astype(dtype.numpy_name)
    with np.errstate(all="ignore"):
        expected = np.fmod(x, y)
    np.testing.assert_array_equal(compute("fmod", dtype, x, y), expected)


@pytest.mark.parametrize("bits", [8, 32, 64])
def test_integer_power_wraps(bits: int) -> None:
    dtype = BY_NAME[f"i{bits}"]
    base = np.arange(-5, 6).astype(dtype.numpy_name)
    exponent = np.arange(0, 80, 7).astype(dtype.numpy_name)
    x, y = (grid.ravel() for grid in np.meshgrid(base, exponent))
    modulus = 1 << bits
    wrapped = [pow(int(a), int(b), modulus) for a, b in zip(x, y, strict=True)]
    expected = [w - modulus if w >= modulus // 2 else w for w in wrapped]
    np.testing.assert_array_equal(compute("pow", dtype, x, y), np.array(expected, dtype.numpy_name))


@FLOATS
@pytest.mark.parametrize("name", ["exponent", "significand"])
def test_parts_of_floats_are_exact(name: str, dtype: DType) -> None:
    rng = np.random.default_rng(6)
    with np.errstate(all="ignore"):
        drawn = (rng.choice([-1, 1], 500) * 10 ** rng.uniform(-318, 308, 500)).astype(dtype.numpy_name)
        powers = 2.0 ** np.arange(-1070, 1020, 7)
        near = np.concatenate([f(m * powers, np.inf) for m in (0.75, 1, 1.5) for f in (np.minimum, np.nextafter)])
        x = np.concatenate([edge_values(dtype), drawn, near.astype(dtype.numpy_name)])
        expected = SCALARS[name].evaluate(x)
    np.testing.assert_array_equal(compute(name, dtype, x), expected)


@FLOATS
def test_expansions_are_short(dtype: DType) -> None:
    sizes = {case.name: len(expansion(case.name, dtype).lets) for case in CASES}
    assert max(sizes.values()) < 120, sizes


@pytest.mark.parametrize("fn", [np.sin, np.cos, np.tan])
def test_compiled_code_is_right_beyond_the_reduction_of_f32(fn: Callable[..., Any]) -> None:
    """Beyond the arguments that are reduced here, elements go to the C library, one by one or among others."""
    x = np.random.default_rng(4).uniform(2e5, 8e6, 20000).astype(np.float32)
    x = np.concatenate([x, -x, [np.float32(650275.06), np.float32(1e30)]]).astype(np.float32)
    expected = fn(x.astype(np.float64))
    unit = 2.0 ** (np.floor(np.log2(np.abs(expected))) - 23)
    assert (np.abs(tj.script(lambda v: fn(v))(x) - expected) / unit).max() <= 2
