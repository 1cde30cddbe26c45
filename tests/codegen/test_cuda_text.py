"""The CUDA C of small programs, against golden files (`--update-golden` rewrites them), and its spelling rules."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracejit.ops  # noqa: F401
from tests.codegen.cuda_graphs import place
from tests.codegen.test_cuda_programs import COLUMNS, NORMALISE, RECURRENCE, SOFTMAX
from tracejit.codegen.cuda.printer import KernelPrinter, Module, print_kernels
from tracejit.codegen.loop_ir import (
    Carried,
    Cast,
    Const,
    Expr,
    Fail,
    For,
    If,
    Kernel,
    Let,
    Load,
    Pointer,
    Scalar,
    Stmt,
    Store,
    Var,
)
from tracejit.codegen.scalars import KernelBuilder
from tracejit.errors import Span
from tracejit.ir.types import BOOL, F16, F32, F64, I8, I32, I64, U8, U32, DType

GOLDEN = Path(__file__).parent / "golden" / "cuda"

ELEMENTWISE = """
graph @elementwise(%x: f32[n], %w: f32[n], %b: f32) on cuda {
  %n = dim(%x) {axis = 0} : i64
  %bb = broadcast(%b, %n) : f32[n]
  %p = mul(%x, %w) : f32[n]
  %s = add(%p, %bb) : f32[n]
  %t = tanh(%s) : f32[n]
  %g = sigmoid(%x) : f32[n]
  %y = mul(%t, %g) : f32[n]
  yield %y
}
"""

HALVES = """
graph @halves(%x: f16[n, m], %y: bf16[n, m]) on cuda {
  %xf = cast(%x) {dtype = !f32} : f32[n, m]
  %yf = cast(%y) {dtype = !f32} : f32[n, m]
  %s = add(%xf, %yf) : f32[n, m]
  %h = cast(%s) {dtype = !f16} : f16[n, m]
  yield %h
}
"""

PROGRAMS = {
    "elementwise": ELEMENTWISE,
    "halves": HALVES,
    "softmax": SOFTMAX,
    "columns": COLUMNS,
    "normalise": NORMALISE,
    "recurrence": RECURRENCE,
}

K = KernelBuilder()


@pytest.mark.parametrize("name", PROGRAMS)
def test_golden_text(name: str, update_golden: bool) -> None:
    text = print_kernels(place(PROGRAMS[name]).program)
    path = GOLDEN / f"{name}.cu"
    if update_golden:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{path} differs; --update-golden rewrites it"


def kernel_text(body: tuple[Stmt, ...], *params: Var, outputs: frozenset[Var] = frozenset(), **fields: object) -> str:
    """The definition of a kernel, without the functions it needs."""
    return KernelPrinter(Kernel("f.0", params, outputs, body, **fields), Module()).text()  # type: ignore[arg-type]


def spelling(e: Expr, *names: Var) -> str:
    """An expression of variables as a kernel spells it."""
    result = Var("result", e.type)
    text = kernel_text((Let(result, e),), *names)
    return next(line for line in text.splitlines() if " result = " in line).strip().split(" = ")[1].rstrip(";")


def var(name: str, dtype: DType) -> Var:
    return Var(name, dtype)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (F32, "a + b"),
        (U32, "a + b"),
        (I32, "(i32)((u32)a + (u32)b)"),
        (I64, "(i64)((u64)a + (u64)b)"),
        (I8, "(i8)((u32)a + (u32)b)"),
        (U8, "(u8)((u32)a + (u32)b)"),
    ],
    ids=str,
)
def test_integers_wrap_without_undefined_behaviour(dtype: DType, expected: str) -> None:
    a, b = var("a", dtype), var("b", dtype)
    assert spelling(K.add(a, b), a, b) == expected


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (0.1, F32, "x * 0.1f"),
        (0.1, F64, "x * 0.1"),
        (-2.0, F32, "x * (-2.0f)"),
        (1e30, F32, "x * 1e+30f"),
        (float("inf"), F32, "x * __int_as_float(0x7f800000)"),
        (float("nan"), F64, "x * __longlong_as_double(0x7ff8000000000000LL)"),
    ],
)
def test_literals(value: float, dtype: DType, expected: str) -> None:
    x = var("x", dtype)
    assert spelling(K.mul(x, value), x) == expected


def test_least_integers_have_no_overflowing_literal() -> None:
    x, y = var("x", I64), var("y", I32)
    assert "(-9223372036854775807LL - 1)" in spelling(K.minimum(x, -(1 << 63)), x)
    assert "(-2147483647 - 1)" in spelling(K.minimum(y, -(1 << 31)), y)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (F32, I32, "(i32)x"),
        (F32, U8, "(u8)(i64)x"),
        (F64, BOOL, "x != 0"),
        (I64, F32, "(float)x"),
        (F32, F16, "tj_f16_of_f32(x)"),
    ],
    ids=str,
)
def test_conversions(source: DType, target: DType, expected: str) -> None:
    x = var("x", source)
    assert spelling(Cast(x, target), x) == expected


def test_accurate_functions_are_cudas_own_and_others_are_expanded() -> None:
    x = var("x", F32)
    assert spelling(K.exp(x), x) == "expf(x)"
    assert spelling(K.tan(x), x) == "tj_tan_f32(x)"


def test_names_avoid_words_of_the_language_and_called_functions() -> None:
    names = [var(n, F32) for n in ("float", "exp", "expf", "x.1", "i64", "bitand", "x_1", "3d")]
    text = kernel_text((), *names)
    assert "float_, const float exp_, const float expf_, const float x_1, const float i64_" in text
    assert "const float bitand_, const float x_1_1, const float _3d" in text


def test_a_carried_swap_reads_both_before_it_writes() -> None:
    a, b, i, out = var("a", F32), var("b", F32), var("i", I64), Var("out", Pointer(F32))
    results = var("a", F32), var("b", F32)
    carried = (
        Carried(a, Const(1.0, F32), b, results[0]),
        Carried(b, Const(2.0, F32), a, results[1]),
    )
    body = (For(i, Const(3, I64), (), "serial", carried), Store(out, Const(0, I64), results[0]))
    lines = [line.strip() for line in kernel_text(body, out, outputs=frozenset((out,))).splitlines()]
    at = lines.index("const float a_next = b;")
    assert lines[at : at + 4] == ["const float a_next = b;", "const float b_next = a;", "a = a_next;", "b = b_next;"]


def test_uniform_stores_to_a_buffer_that_is_also_loaded_stand_between_barriers() -> None:
    p, i, block = Var("p", Pointer(F32)), var("i", I64), var("block", I64)
    store = Store(p, i, K.add(Load(p, K.add(i, 1), F32), 1.0))
    body = (For(block, Const(1, I64), (For(i, Const(4, I64), (store,), "serial"),), "grid.x"),)
    lines = [line.strip() for line in kernel_text(body, p, outputs=frozenset((p,))).splitlines()]
    at = lines.index("if (threadIdx.x == 0) p[i] = p[i + 1] + 1.0f;")
    assert lines[at - 1] == lines[at + 1] == "__syncthreads();"


def test_a_failure_reports_through_the_last_parameter() -> None:
    x, status = var("x", F64), Var("status", Pointer(I64))
    body = (If(K.lt(x, 0.0), (Fail(2, (x,)),)),)
    lines = [line.strip() for line in kernel_text(body, x, status, outputs=frozenset((status,))).splitlines()]
    assert lines[2:5] == ["status[1] = __double_as_longlong(x);", "status[0] = 3;", "return;"]


def test_the_users_line_is_a_comment(tmp_path: Path) -> None:
    source = tmp_path / "user.py"
    source.write_text("def f(x):\n    return x + 1\n")
    text = kernel_text((), spans=(Span(str(source), 2), Span(str(source), 2)))
    assert text.startswith("// 2: return x + 1\nextern")


def test_rare_lanes_call_the_library() -> None:
    x = var("x", F64)
    text = print_kernels(place(ELEMENTWISE.replace("tanh", "tan").replace("f32", "f64")).program)
    assert "? tan(x) :" in text
    assert spelling(Scalar("fmod", (x, x), F64), x) == "fmod(x, x)"
