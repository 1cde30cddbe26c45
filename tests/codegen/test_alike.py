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
