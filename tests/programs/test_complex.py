"""Complex numbers in scripts: values as NumPy's, derivatives of real results in every way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.sources import defined

RNG = np.random.default_rng(1)
Z = RNG.normal(size=(3, 4)) + 1j * RNG.normal(size=(3, 4))
W = RNG.normal(size=(4, 3)) + 1j * RNG.normal(size=(4, 3))
INF, NAN = np.inf, np.nan

#: Zeros of both signs, the sides of branch cuts, large, small and infinite numbers.
SPECIAL = np.array(
    [
        *(
            0,
            complex(-0.0, 0),
            1,
            -1,
            1j,
            -1j,
            2,
            -2,
            complex(2, -0.0),
            complex(-2, -0.0),
            0.5,
            1e-3j,
            2j,
            complex(-0.0, -2),
        ),
        *(1e3 + 1e3j, 1e-9 + 1e-9j, 700, -700 + 3j, 20 + 20j, 1e-300 + 1e-300j, complex(0.999999, 1e-8)),
        *(complex(INF, 0), complex(-INF, 1), complex(0, INF), complex(0, -INF)),
    ]
)

FUNCTIONS = (
    "exp log sqrt sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh arccosh arctanh exp2 expm1 log2 log10 log1p "
    "square abs angle conj real imag negative isnan isfinite isinf isreal iscomplex round nan_to_num positive"
).split()


def function(source: str, arguments: str = "x, y") -> Callable[..., Any]:
    """A function of that body, with its source where scripts look for it."""
    lines = source.splitlines() if "return" in source else [f"return {source}"]
    text = f"def f({arguments}):\n" + "".join(f"    {line}\n" for line in lines)
    return defined(text, f"<complex {source!r}>", np=np)["f"]


def agree(source: str, *arguments: Any, tolerance: float = 1e-13, names: str = "x, y") -> None:
    """The script gives what plain Python gives."""

    def fresh() -> list[Any]:
        return [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]

    plain = function(source, names)
    with np.errstate(all="ignore"):
        expected = plain(*fresh())
        found = tj.script(plain)(*fresh())
    assert type(found) is type(expected), source
    found, expected = np.asarray(found), np.asarray(expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), source
    for part in (np.real, np.imag):
        np.testing.assert_allclose(part(found), part(expected), rtol=tolerance, atol=tolerance * 0.01, err_msg=source)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.compiled
def test_functions_agree_with_numpy(name: str) -> None:
    agree(f"np.{name}(x)", Z, names="x")
    agree(f"np.{name}(x)", Z.astype("complex64"), names="x", tolerance=2e-6)
    agree(f"np.{name}(x)", SPECIAL, names="x", tolerance=1e-12)


EXPRESSIONS = """
x.sum() | x.sum(axis=0) | x.mean() | x.prod() | np.cumsum(x, axis=1) | np.cumprod(x, axis=0) | x.var()
x.std(axis=0) | x @ y | np.dot(x, y) | np.einsum('ij,jk->ik', x, y) | np.outer(x[0], y[0])
np.vdot(x[0], y[:, 0]) | np.inner(x, x) | x ** 2 | x ** 0.5 | x ** y.T | 2.0 ** x | x ** -1 | x ** (1+2j)
x.real + 1j * x.imag | x.T.conj() | abs(x) | x * 2 + 1j | x / y.T | 1 / x | x == x | x != y.T
np.where(np.abs(x) > 1, x, 0) | np.concatenate([x, y.T]) | x[0, 0] * 2j | complex(x[0, 0]) | x[0, 0].real
abs(x[0, 0]) | np.exp(x[0, 0]) | np.linalg.norm(x) | np.trace(x @ y) | x.astype(np.complex64)
np.zeros_like(x) | np.any(x) | np.all(x) | np.diag(x[0]) | x.reshape(-1)[::2] | np.roll(x, 1)
np.isclose(x, x) | np.full((2,), 1j) | np.array([1j, 2, 3.5]) | np.arange(3) * 1j | np.count_nonzero(x)
np.kron(x, y) | np.convolve(x[0], y[0]) | np.angle(x, deg=True) | np.power(x, 3) | np.round(x, 2)
np.add.reduce(x) | np.multiply.outer(x[0], y[0]) | np.flip(x) | np.tril(x) | bool(x[0, 0]) | np.cov(x)
np.prod(x, axis=1) | x.imag.sum() | np.polyval(x[0], y[0]) | np.sign(x) | np.reciprocal(x * [0, 1, 1, 1])
np.logical_and(x, x)
"""


@pytest.mark.parametrize("source", [e.strip() for line in EXPRESSIONS.strip().splitlines() for e in line.split("|")])
def test_expressions_agree_with_numpy(source: str) -> None:
    agree(source, Z, W)


@pytest.mark.parametrize(
    "source",
    [
        "x[1] = 1j",
        "x *= 2j",
        "x[x.real > 0] = 0",
        "x.real[:] = 0",
        "x.real[1, ::2] += 3",
        "x.imag = 3.0",
        "x[0].imag = x[1].real",
        "x.real *= 2",
        "r = x.imag\nr[0] = 5.0\nr += 1",
        "x /= 2",
        "x **= 2",
        "x -= x.real",
        "np.conj(x, out=x)",
        "np.multiply(x, 1j, out=x)",
        "x.fill(1j)",
        "for i in range(3):\n    x.real[i] = i\n    x.imag[i, i] = np.inf",
    ],
)
def test_writes_agree_with_numpy(source: str) -> None:
    agree(f"{source}\nreturn x", Z, W)


@pytest.mark.compiled
def test_an_array_whose_part_has_a_name_is_not_written() -> None:
    with pytest.raises(tj.ScriptError, match=r"stands for its \.real"):
        tj.script(function("r = x.real\nx[0] = 1j\nreturn r"))(Z.copy(), W)
    agree("r = x.real.copy()\nx[0] = 1j\nreturn r", Z, W)


@pytest.mark.parametrize(
    "source",
    "a * b | a / b | a ** b | a ** 2 | abs(a) | a.real | a.imag | a.conjugate() | a + 1 | a == b | -a | "
    "complex(1, 2) * a | a ** -1 | a ** 0.5 | bool(a) | a != 0 | a - b.real | complex(a.real, b.imag)".split(" | "),
)
def test_python_numbers_agree(source: str) -> None:
    agree(source, 1 + 2j, 0.5 - 1j, names="a, b")


# -- derivatives ------------------------------------------------------------------------------------------------

X, Y = RNG.uniform(0.2, 0.8, size=(2, 3)), RNG.uniform(0.2, 0.8, size=(2, 3))

SLOPES = (
    *(
        f"tj.{n}(z)"
        for n in "exp log sqrt sin cos tan sinh cosh tanh asin acos atan asinh acosh atanh exp2 expm1".split()
    ),
    *(f"tj.{n}(z)" for n in "exp2 expm1 log2 log10 log1p square reciprocal conj sign".split()),
    *(
        "z ** 2.5",
        "z ** (1 - 2j)",
        "2.0 ** z",
        "z ** z",
        "z * z.conj()",
        "z / (z + 2)",
        "1j * z.abs()",
        "tj.angle(z) * (1 + 1j)",
    ),
    *(
        "tj.angle(z) * (1 + 1j)",
        "z @ z.mT",
        "z.sum(0) * z.prod(1)[0]",
        "z.cumsum(1)",
        "z.cumprod(0)",
        "tj.where(x > 0.5, z, z * z)",
        "z.std()",
    ),
    *(
        "tj.einsum('ij,kj->ik', z, z)",
        "z.mean() * 1j",
        "tj.outer(z[0], z[1])",
        "tj.cat([z, z * 2j])[1:3]",
        "tj.complex(y, x)",
    ),
)


@pytest.mark.parametrize("source", SLOPES)
def test_all_ways_to_the_derivative_agree(source: str) -> None:
    f = function(f"z = x + 1j * y\nout = {source}\nreturn out.real * 2 + out.imag * 3")
    f.__globals__["tj"] = tj
    report = tj.check(f, tj.from_numpy(X), tj.from_numpy(Y))
    assert report and not report.skipped, str(report)


def test_the_gradient_of_a_complex_argument_is_the_direction_of_growth() -> None:
    def f(z: Any) -> Any:
        return (np.abs(np.sin(z)) ** 2).sum()

    gradient = tj.grad(f)(Z)
    assert gradient.dtype == np.complex128
    step = 1e-6
    for direction in (1, 1j):
        slopes = [
            (f(Z + step * direction * e) - f(Z - step * direction * e)) / (2 * step)
            for e in np.eye(12).reshape(12, 3, 4)
        ]
        np.testing.assert_allclose(np.real(np.conj(gradient.reshape(-1)) * direction), slopes, rtol=1e-6, atol=1e-8)


def test_the_gradient_of_a_complex_result_is_refused() -> None:
    with pytest.raises((tj.NotDifferentiable, RuntimeError, TypeError)):
        tj.grad(lambda z: np.sin(z).sum())(Z)
