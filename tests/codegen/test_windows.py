"""Runs of windows of one array that are written or added to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from graphs import run

import tracejit as tj
from tests.threads import each_number_of_threads
from tracejit.runtime.cpu import compile_program

PARAMS = "%x: inout DT[n, m], %u: DT[a, b], %v: DT[c, d], %o: i64, %p: i64, %q: i64, %h: i64, %w: i64"
PROGRAM = """graph @f(PARAMS) on cpu {
  %m = dim(%x) {axis = 1} : i64
  %one = const() {value = 1, type = !i64} : i64
  %z = const() {value = 0.5, type = !DT} : DT
  %fill = broadcast(%z, %h, %w) : DT[%h, %w]
  %x1 = FIRST : DT[n, m]
  %x2 = vadd(%x1, %u, %p, %m, %one) : DT[n, m]
  %x3 = vadd(%x2, %v, %q, %m, %one) : DT[n, m]
  %x4 = vadd(%x3, %u, %o, %m, %one) : DT[n, m]
  yield %x4
}"""
FIRST = ("vwrite(%x, %fill, %o, %m, %one)", "vwrite(%x, %v, %q, %m, %one)", "vadd(%x, %fill, %o, %m, %one)")

#: Sizes of the base, of both values and of the filled window, and the three offsets.
CASES = [
    ((9, 40), (7, 38), (7, 38), (7, 38), (41, 42, 81)),  # a stencil: all meet in most rows
    ((9, 40), (7, 36), (5, 38), (7, 38), (42, 3, 80)),
    ((30, 70), (4, 5), (3, 60), (9, 9), (0, 640, 1405)),  # apart
    ((6, 33), (6, 10), (6, 11), (6, 12), (0, 22, 11)),  # side by side
    ((6, 20), (4, 15), (3, 20), (4, 18), (10, 18, 7)),  # round the ends of rows
    ((5, 8), (5, 8), (5, 8), (5, 8), (0, 0, 0)),
    ((5, 8), (2, 3), (0, 8), (3, 3), (9, 10, 0)),
]


def expected(x: Any, first: str, u: Any, v: Any, places: tuple[int, ...], size: tuple[int, int]) -> Any:
    result, (o, p, q) = x.copy(), places
    flat, m = result.reshape(-1), x.shape[1]
    fill = np.full(size, 0.5, x.dtype)
    source, at = (fill, o) if "%fill" in first else (v, q)
    for value, place, adds in ((source, at, first.startswith("vadd")), (u, p, True), (v, q, True), (u, o, True)):
        for r, row in enumerate(value):
            line = flat[place + r * m : place + r * m + len(row)]
            line[:] = line + row if adds else row
    return result


@pytest.mark.parametrize("name", ["f64", "f32", "i32"])
@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("case", CASES)
def test_runs_of_windows(case: tuple[Any, ...], first: str, name: str) -> None:
    base, one, two, size, places = case
    rng = np.random.default_rng(0)
    dtype = {"f64": np.float64, "f32": np.float32, "i32": np.int32}[name]
    x, u, v = (rng.normal(0, 50, shape).astype(dtype) for shape in (base, one, two))
    text = PROGRAM.replace("PARAMS", PARAMS).replace("FIRST", first).replace("DT", name)
    if name == "i32":
        text = text.replace("value = 0.5", "value = 3")
    found = run(text, x.copy(), u, v, *places, *size)
    assert any("windows" in k.name for k in found.program.kernels)
    if name != "i32":
        got = x.copy()
        compile_program(found.program).call([got, u, v, *places, *size])
        np.testing.assert_array_equal(got, expected(x, first, u, v, places, size))


def sweep(u: Any, w: float, steps: int) -> Any:
    for _ in range(steps):
        v = u.copy()
        v[1:-1, 1:-1] = w * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]) + u[:-2, :-2] * u[2:, 2:]
        v[0, :] = u[1, :]
        u = v
    return u


@pytest.mark.parametrize("shape", [(5, 6), (40, 70), (3, 9), (300, 280)])
def test_derivative_of_a_stencil(shape: tuple[int, int]) -> None:
    compiled = tj.value_and_grad(lambda u, w, k: (sweep(u, w, k) ** 2).sum(), argnums=(0, 1))
    rng = np.random.default_rng(0)
    u = 0.1 * rng.normal(size=shape)
    bits: list[bytes] = []
    with each_number_of_threads(1, 3) as counts:
        for _ in counts:
            value, (du, dw) = compiled(u, 0.2, 3)
            bits.append(du.tobytes())
    assert bits[0] == bits[1]
    np.testing.assert_allclose(value, (sweep(u, 0.2, 3) ** 2).sum(), rtol=1e-12)
    direction, step = rng.normal(size=shape), 1e-6
    slope = ((sweep(u + step * direction, 0.2, 3) ** 2).sum() - (sweep(u - step * direction, 0.2, 3) ** 2).sum()) / (
        2 * step
    )
    np.testing.assert_allclose((du * direction).sum(), slope, rtol=1e-6)
    slope = ((sweep(u, 0.2 + step, 3) ** 2).sum() - (sweep(u, 0.2 - step, 3) ** 2).sum()) / (2 * step)
    np.testing.assert_allclose(dw, slope, rtol=1e-6)
