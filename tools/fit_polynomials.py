"""Fits the polynomials of `tracejit/codegen/mathlib` and prints `coefficients.py`.

    python tools/fit_polynomials.py > tracejit/codegen/mathlib/coefficients.py

Each target is a smooth function on an interval, fitted with 80 digits by weighted least squares at Chebyshev nodes
(close to the minimax polynomial); coefficients are rounded to the dtype in which they are used. Needs mpmath.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import mpmath as mp
import numpy as np

mp.mp.dps = 80


@dataclass(frozen=True)
class Target:
    """One polynomial: `function` on [low, high], with so many coefficients per variant.

    `power`: the polynomial is multiplied by the variable to that power before it is added to exact terms, so that
    errors near 0 count less. `weight`: what an error is multiplied by before it reaches the result. With `in_order`
    each coefficient is rounded before those behind it are fitted, which make up for that.
    Variants: `f32` and `f64` arithmetic, `f32w` for results rounded to f32 from f64 arithmetic.
    """

    name: str
    meaning: str
    function: Callable[[mp.mpf], mp.mpf]
    low: mp.mpf
    high: mp.mpf
    power: int
    counts: dict[str, int]
    weight: Callable[[mp.mpf], mp.mpf] = lambda _x: mp.mpf(1)
    in_order: bool = False


def series_safe(function: Callable[[mp.mpf], mp.mpf]) -> Callable[[mp.mpf], mp.mpf]:
    """The function with extra digits, for quotients that cancel near 0."""

    def wrapped(t: mp.mpf) -> mp.mpf:
        with mp.workdps(200):
            return function(mp.mpf(t))

    return wrapped


def odd(function: Callable[[mp.mpf], mp.mpf]) -> Callable[[mp.mpf], mp.mpf]:
    """(f(x) - x) / x**3 as a function of z = x**2."""
    return series_safe(lambda z: (function(mp.sqrt(z)) - mp.sqrt(z)) / mp.sqrt(z) ** 3)


HALF_LN2 = mp.log(2) / 2
R_MAX = (mp.pi / 4 + mp.mpf("0.025")) ** 2
S_MAX = mp.mpf("0.04")  # of f in [-1/4, 1/2]

TARGETS = (
    Target(
        "exp",
        "(exp(r) - 1 - r) / r**2",
        series_safe(lambda r: (mp.exp(r) - 1 - r) / r**2),
        -HALF_LN2,
        HALF_LN2,
        2,
        {"f32": 5, "f64": 10},
    ),
    Target(
        "exp2",
        "(2**r - 1 - r * log(2)) / r**2",
        series_safe(lambda r: (2**r - 1 - r * mp.log(2)) / r**2),
        mp.mpf(-0.5),
        mp.mpf(0.5),
        2,
        {"f32": 5, "f64": 10},
    ),
    Target(
        "log",
        "(log((1 + s) / (1 - s)) - 2 * s) / s**3 in s**2",
        series_safe(lambda z: (2 * mp.atanh(mp.sqrt(z)) - 2 * mp.sqrt(z)) / mp.sqrt(z) ** 3),
        mp.mpf(0),
        S_MAX,
        1,
        {"f64": 7},
    ),
    Target(
        "atanh", "(atanh(s) - s) / s**3 in s**2", odd(mp.atanh), mp.mpf(0), mp.mpf("0.0625"), 1, {"f32": 4, "f64": 8}
    ),
    Target(
        "log2",
        "log2((1 + s) / (1 - s)) / s in s**2",
        series_safe(lambda z: 2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) / mp.log(2)),
        mp.mpf(0),
        S_MAX,
        0,
        {"f32w": 5},
    ),
    Target(
        "log1p",
        "(log(1 + f) - f) / f**2",
        series_safe(lambda f: (mp.log1p(f) - f) / f**2),
        mp.mpf(-0.25),
        mp.mpf(0.5),
        1,
        {"f32": 9},
    ),
    Target(
        "1/log(2) - 1",
        "log2(1 + f) / f - 1",
        series_safe(lambda f: mp.log1p(f) / mp.log(2) / f - 1),
        mp.mpf(-0.25),
        mp.mpf(0.5),
        0,
        {"f32": 10},
    ),
    Target(
        "1/log(10) - 1/2",
        "log10(1 + f) / f - 1/2",
        series_safe(lambda f: mp.log1p(f) / mp.log(10) / f - mp.mpf(0.5)),
        mp.mpf(-0.25),
        mp.mpf(0.5),
        0,
        {"f32": 10},
    ),
    Target(
        "pow_log",
        "(3 * atanh(s) / s - 3 - s**2) / s**4 in s**2",
        series_safe(lambda z: (3 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 3 - z) / z**2),
        mp.mpf(0),
        S_MAX,
        2,
        {"f64": 8},
    ),
    Target(
        "sin",
        "(sin(r) - r) / r**3 in r**2",
        odd(mp.sin),
        mp.mpf(0),
        R_MAX,
        1,
        {"f32": 3, "f64": 6, "f32w": 4},
    ),
    Target(
        "cos",
        "(cos(r) - 1 + r**2 / 2) / r**4 in r**2",
        series_safe(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2),
        mp.mpf(0),
        R_MAX,
        2,
        {"f32": 3, "f64": 6, "f32w": 3},
    ),
    Target(
        "atan",
        "(atan(t) - t) / t**3 in t**2",
        odd(mp.atan),
        mp.mpf(0),
        (mp.sqrt(2) - 1) ** 2,
        1,
        {"f64": 12},
    ),
    Target("atan to 1", "(atan(t) - t) / t**3 in t**2", odd(mp.atan), mp.mpf(0), mp.mpf(1), 1, {"f32": 9}),
    Target("asin", "(asin(x) - x) / x**3 in x**2", odd(mp.asin), mp.mpf(0), mp.mpf(0.25), 1, {"f32": 5, "f64": 13}),
    Target("tanh", "(tanh(x) - x) / x**3 in x**2", odd(mp.tanh), mp.mpf(0), mp.mpf(0.390625), 1, {"f64": 12}),
    Target("sinh", "(sinh(r) - r) / r**3 in r**2", odd(mp.sinh), mp.mpf(0), HALF_LN2**2, 1, {"f32": 2, "f64": 5}),
    Target(
        "cosh",
        "(cosh(r) - 1) / r**2 in r**2",
        series_safe(lambda z: (mp.cosh(mp.sqrt(z)) - 1) / z),
        mp.mpf(0),
        HALF_LN2**2,
        1,
        {"f32": 3, "f64": 6},
    ),
    Target(
        "asinh", "(asinh(x) - x) / x**3 in x**2", odd(mp.asinh), mp.mpf(0), mp.mpf("0.281"), 1, {"f32": 5, "f64": 15}
    ),
    Target(
        "erf",
        "erf(x) / x - 1 in x**2",
        series_safe(lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1),
        mp.mpf(0),
        mp.mpf("1.15") ** 2,
        0,
        {"f32": 8},
        in_order=True,
    ),
    Target(
        "erf",
        "erf(x) / x - 1 in x**2",
        series_safe(lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1),
        mp.mpf(0),
        mp.mpf(1),
        0,
        {"f64": 14},
    ),
    Target(
        "erfc",
        "erfc(x) * exp(x**2) in (x - 2) / (x + 2)",
        lambda u: mp.erfc(2 * (1 + u) / (1 - u)) * mp.exp((2 * (1 + u) / (1 - u)) ** 2),
        mp.mpf(-1) / 3,
        mp.mpf("0.5"),
        0,
        {"f64": 19},
    ),
    Target(
        "erfc**(1/4)",
        "erfc(x)**(1/4)",
        lambda x: mp.erfc(x) ** mp.mpf("0.25"),
        mp.mpf("1.15"),
        mp.mpf("3.92"),
        0,
        {"f32": 8},
        lambda x: 4 * mp.erfc(x) ** mp.mpf("0.75"),
        in_order=True,
    ),
    Target("cbrt", "cbrt(m)", mp.cbrt, mp.mpf("0.75"), mp.mpf("1.5"), 0, {"f32": 4, "f64": 8}),
)


@dataclass(frozen=True)
class Split:
    """A constant as a sum of parts; every part but the last has only so many significant bits, per variant."""

    name: str
    value: mp.mpf
    bits: dict[str, tuple[int, ...]]


SPLITS = (
    Split("log(2)", mp.log(2), {"f32": (12,), "f64": (32,)}),
    Split("log(2) short", mp.log(2), {"f64": (24,)}),
    Split("1/log(2) - 1", 1 / mp.log(2) - 1, {"f64": ()}),
    Split("1/log(10) - 1/2", 1 / mp.log(10) - mp.mpf(0.5), {"f64": ()}),
    Split("log10(2)", mp.log10(2), {"f32": (12,), "f64": (32,)}),
    Split("2/(3*log(2))", 2 / (3 * mp.log(2)), {"f64": (21,)}),
    Split("pi/2", mp.pi / 2, {"f32": (24,), "f64": (53,)}),
    Split("pi/2 reduction", mp.pi / 2, {"f64": (33, 33, 33), "f32w": (30,)}),
)


def split(value: mp.mpf, bits: tuple[int, ...], variant: str) -> list[float]:
    """The leading parts of the constant, each cut to its bits, and the rounded rest."""
    parts: list[float] = []
    rest = value
    for width in bits:
        scale = mp.mpf(2) ** (width - 1 - int(mp.floor(mp.log(rest, 2))))
        part = mp.floor(rest * scale) / scale
        parts.append(float(part))
        rest -= part
    return [*parts, rounded(rest, variant)]


def fit(target: Target, count: int, variant: str) -> list[float]:
    """Coefficients, constant first, of the polynomial with `count` terms that is closest at Chebyshev nodes."""
    if not target.in_order:
        return [rounded(c, variant) for c in closest(target, [], count)]
    fixed: list[float] = []
    while len(fixed) < count:
        fixed.append(rounded(closest(target, fixed, count)[0], variant))
    return fixed


def closest(target: Target, fixed: list[float], count: int) -> list[mp.mpf]:
    """The coefficients behind those that are fixed."""
    middle, radius, rows = (target.low + target.high) / 2, (target.high - target.low) / 2, 6 * count
    nodes = [middle + radius * mp.cos(mp.pi * (2 * i + 1) / (2 * rows)) for i in range(rows)]
    matrix, right = mp.matrix(rows, count - len(fixed)), mp.matrix(rows, 1)
    for i, node in enumerate(nodes):
        weight = abs(node) ** target.power * target.weight(node)
        right[i] = weight * (target.function(node) - sum(c * node**j for j, c in enumerate(fixed)))
        for j in range(len(fixed), count):
            matrix[i, j - len(fixed)] = weight * node**j
    return list(mp.lu_solve(matrix, right))


def error(target: Target, coefficients: list[float]) -> float:
    """The largest weighted error of the rounded polynomial on a grid."""
    points = [target.low + (target.high - target.low) * (i + mp.mpf("0.37")) / 400 for i in range(400)]
    values = list(reversed(coefficients))
    return float(
        max(abs(p) ** target.power * target.weight(p) * abs(mp.polyval(values, p) - target.function(p)) for p in points)
    )


def rounded(value: mp.mpf, variant: str) -> float:
    """The coefficient in the dtype it is used in."""
    return float(np.float32(float(value))) if variant == "f32" else float(value)


def main() -> None:
    """Print the module, and the approximation errors to standard error."""
    print('"""Polynomial coefficients, constant term first; printed by `tools/fit_polynomials.py`.')
    print()
    print("Variants: `f32`, `f64` by arithmetic; `f32w` is f64 arithmetic for a result rounded to f32.")
    print('"""')
    print()
    print("from __future__ import annotations")
    print()
    print("# fmt: off")
    print("COEFFICIENTS: dict[tuple[str, str], tuple[float, ...]] = {")
    for target in TARGETS:
        print(f"    # {target.meaning}, on [{mp.nstr(target.low, 6)}, {mp.nstr(target.high, 6)}]")
        for variant, count in target.counts.items():
            coefficients = fit(target, count, variant)
            print(f"{target.name} {variant}: {error(target, coefficients):.2e}", file=sys.stderr)
            print(f'    ("{target.name}", "{variant}"): (')
            for c in coefficients:
                print(f"        {c!r},")
            print("    ),")
    print("}")
    print()
    print("#: Constants as sums of parts whose products with small integers are exact.")
    print("SPLITS: dict[tuple[str, str], tuple[float, ...]] = {")
    for constant in SPLITS:
        for variant, bits in constant.bits.items():
            print(f'    ("{constant.name}", "{variant}"): {tuple(split(constant.value, bits, variant))!r},')
    print("}")
    print("# fmt: on")


if __name__ == "__main__":
    main()
