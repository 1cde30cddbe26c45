"""Kernels of equal code are made once."""

from __future__ import annotations

from typing import Any

import numpy as np

import tracejit as tj
from tracejit.codegen.evaluate import evaluate
from tracejit.codegen.llvm.alike import structure
from tracejit.codegen.loop_ir import Const, Let, Pointer, Program, Scalar, Store, Var
from tracejit.codegen.lowering.entry import lower
from tracejit.ir.parser import parse
from tracejit.ir.types import F64, I64
from tracejit.transforms import pipeline


def body(name: str, number: float) -> tuple[tuple[Var, ...], tuple[Any, ...]]:
    out, x, y = Var(name, Pointer(F64)), Var("x", F64), Var(f"{name}1", F64)
    return (out, x), (Let(y, Scalar("add", (x, Const(number, F64)), F64)), Store(out, Const(0, I64), y))


def test_names_do_not_matter_but_numbers_and_their_signs_do() -> None:
    assert structure(*body("a", 0.0)) == structure(*body("b", 0.0))
    assert structure(*body("a", 0.0)) != structure(*body("a", -0.0))
    assert structure(*body("a", float("nan"))) == structure(*body("b", float("nan")))
    params, stmts = body("a", 1.0)
    assert structure(params, stmts) != structure(params[::-1], stmts)


def systems(*ops: str) -> Program:
    """A program that solves several systems."""
    lines = "\n".join(ops)
    graph = parse(f"graph @f(%a: f64[n, n], %b: f64[n, m]) on cpu {{\n{lines}\nyield %y\n}}")
    return lower(pipeline.run(graph, ["ownership"]))


def test_a_program_computes_two_systems_with_the_kernels_of_one() -> None:
    once = systems("%y = solve(%a, %b) : f64[n, m]")
    twice = systems("%x = solve(%a, %b) : f64[n, m]", "%y = solve(%a, %x) : f64[n, m]")
    assert len(twice.kernels) == len(once.kernels)
    a, b = np.eye(3) + 1.0, np.arange(6.0).reshape(3, 2)
    np.testing.assert_allclose(evaluate(twice, [a, b])[0], np.linalg.solve(a, np.linalg.solve(a, b)), atol=1e-14)


def test_shared_kernels_get_their_own_arguments() -> None:
    @tj.script
    def f(a: Any, b: Any) -> Any:
        return np.linalg.solve(a, b), np.linalg.solve(b, a), np.fft.ifft(np.fft.fft(a))

    a, b = np.eye(3) + 1.0, np.diag([1.0, 2.0, 4.0]) + 0.5
    for found, expected in zip(f(a, b), f.__wrapped__(a, b), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


def test_kernels_of_parts_of_arrays_and_of_whole_ones_are_one() -> None:
    @tj.script
    def f(x: Any, y: Any, n: int) -> Any:
        a, b = np.sin(x[:n]), np.sin(x[n:])
        c, d = np.sin(y), np.sin(x[3:9])
        y[n:] = a[n:] + b[n:]
        y[:n] = a[:n] + b[:n]
        return a, b, c, d, (x.reshape(2, -1) + 1.0).sum(), (x + 1.0).sum()

    x, y = np.arange(10.0), np.ones(5)
    expected_y = y.copy()
    expected = f.__wrapped__(x, expected_y, 5)
    for found, wanted in zip(f(x, y, 5), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-15)
    np.testing.assert_array_equal(y, expected_y)


SHIFTED = """
graph @f(%x: f64[n], %at: i64, %m: i64, %k: i64) on cpu {
  %c = const() {value = 1, type = !i64} : i64
  %p = vread(%x, %at, %c, %m) : f64[%m]
  %a = exp(%p) : f64[%m]
  %b = exp(%x) : f64[n]
  %q = vread(%x, %at, %c, %k) : f64[%k]
  %r = vread(%x, %c, %c, %k) : f64[%k]
  %d = add(%q, %r) : f64[%k]
  yield %a, %b, %d
}
"""


def test_a_kernel_gets_the_buffer_from_where_all_accesses_begin() -> None:
    program = lower(pipeline.run(parse(SHIFTED), pipeline.LEVEL2))
    assert len(program.kernels) == 2
    x = np.arange(8.0)
    a, b, d = evaluate(program, [x, np.int64(2), np.int64(5), np.int64(4)])
    np.testing.assert_array_equal(a, np.exp(x[2:7]))
    np.testing.assert_array_equal(b, np.exp(x))
    np.testing.assert_array_equal(d, x[2:6] + x[1:5])
