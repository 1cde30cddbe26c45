"""The LLVM printer, by running what it prints: loops, branches, carried values, failures, lists, parallel loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
import pytest
from native_programs import data, dim, entry_program, fold, pointwise, size, values, vector_input

from tests.threads import each_number_of_threads
from tracejit.codegen.llvm import function as llvm_function
from tracejit.codegen.llvm.callee import leaves_owning
from tracejit.codegen.llvm.calls import SUPPORTED
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.printer import print_program
from tracejit.codegen.llvm.vector import plan
from tracejit.codegen.loop_ir import (
    Alloc,
    Call,
    Carried,
    Const,
    ErrorSite,
    Expr,
    Fail,
    For,
    Free,
    If,
    Input,
    InputSpec,
    Kernel,
    Launch,
    Let,
    Load,
    Output,
    Pointer,
    PrintSite,
    Program,
    Select,
    Stmt,
    Store,
    Var,
)
from tracejit.codegen.numeric import numpy_dtype
from tracejit.codegen.scalars import KernelBuilder
from tracejit.codegen.support.names import BUFFERS, LISTS, SCALARS, SUPPORT
from tracejit.ir.types import BOOL, F32, F64, I8, I16, I32, I64, U8, DType, ScalarType, TensorType
from tracejit.runtime.cpu import NativeFailure, compile_program
from tracejit.runtime.machines import host_options

k = KernelBuilder()
SIZES = (0, 1, 2, 15, 31, 32, 33, 64, 100, 127, 128, 129, 1000)
NARROW = LlvmOptions("x86-64-v2", "", 128, 0)
WIDTHS = [host_options(), *([NARROW] if "+sse4.2" in host_options().features else [])]


def run(program: Program, *inputs: Any, options: LlvmOptions | None = None) -> list[Any]:
    """Compile and call."""
    return compile_program(program, options=options).call(inputs)


def scalar_input(dtype: DType, name: str = "s") -> InputSpec:
    """A host scalar parameter."""
    return InputSpec(name, ScalarType(dtype))


# -- vector loops --------------------------------------------------------------------------------


def test_every_support_function_has_a_body() -> None:
    assert set(SUPPORT) == SUPPORTED


@pytest.mark.parametrize("options", WIDTHS)
@pytest.mark.parametrize("dtype", [F32, F64])
def test_many_uses_of_an_elementary_function_call_one_copy(
    dtype: DType, options: LlvmOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def value(k: KernelBuilder, x: Expr, y: Expr) -> Expr:
        for _ in range(3 * llvm_function.COPIES):
            x, y = k.sin(k.add(x, y)), k.tanh(k.mul(x, y))
        return k.sub(x, y)

    program = pointwise(value, [dtype, dtype], dtype)
    called = str(print_program(program, options or host_options()))
    monkeypatch.setattr(llvm_function, "COPIES", 1000)
    inline = str(print_program(program, options or host_options()))
    assert called.count("call fastcc") > 0 == inline.count("call fastcc")
    assert len(called) < 0.7 * len(inline)
    monkeypatch.undo()
    x, y = (np.random.default_rng(i).normal(size=133) for i in range(2))
    found = compile_program(program, options=options, keep=False).call([v.astype(numpy_dtype(dtype)) for v in (x, y)])
    for _ in range(3 * llvm_function.COPIES):
        x, y = np.sin(x + y), np.tanh(x * y)
    np.testing.assert_allclose(found[0], x - y, rtol=0, atol=1e-4 if dtype == F32 else 1e-13)


@pytest.mark.parametrize("dtype", [F32, F64])
def test_exponents_and_significands_are_instructions_of_avx512(dtype: DType) -> None:
    def value(k: KernelBuilder, x: Expr) -> Expr:
        return k.ldexp(k.const(1, dtype), k.add(k.exponent(x), k.significand(x)))

    program = pointwise(value, [dtype], dtype)
    wide, narrow = (str(print_program(program, o)) for o in (LlvmOptions("x86-64-v4", "", 512, 8), NARROW))
    for name in ("getexp", "getmant", "scalef"):
        assert name in wide and name not in narrow


@pytest.mark.parametrize("options", WIDTHS)
@pytest.mark.parametrize("dtype", [F32, F64, I8, I64])
def test_every_size_of_a_vector_loop_has_its_tail(dtype: DType, options: LlvmOptions) -> None:
    compiled = compile_program(pointwise(lambda k, x, y: k.add(k.mul(x, y), x), [dtype, dtype], dtype), options=options)
    for n in SIZES:
        x, y = (np.arange(n).astype(numpy_dtype(dtype)) % 7 for _ in range(2))
        np.testing.assert_array_equal(compiled.call([x, y])[0], x * y + x)


def test_no_masked_instruction_is_about_eight_bytes() -> None:
    """LLVM's own way to widen such a mask loses the lanes that are off, where the mask is kept on the stack."""
    program = pointwise(lambda k, x, b: k.add(k.cast(x, I8), b), [F64, I8], I8)
    text = str(print_program(program, LlvmOptions("x86-64-v4", "", 512, 8)))
    assert "masked.load.v8f64" in text and "masked.load.v16i8" in text and "masked.store.v16i8" in text
    assert "masked.load.v8i8" not in text and "masked.store.v8i8" not in text
    compiled = compile_program(program)
    for n in SIZES:
        x, b = np.arange(float(n)) % 7, (np.arange(n) % 5).astype(np.int8)
        np.testing.assert_array_equal(compiled.call([x, b])[0], x.astype(np.int8) + b)


def test_long_bodies_are_printed_once_and_masked() -> None:
    program = pointwise(lambda k, x: k.tanh(k.exp(k.sin(x))), [F32], F32)
    loop = program.kernels[0].body[0]
    assert isinstance(loop, For)
    made = plan(loop, LlvmOptions("x", "", 512, 8))
    assert made is not None and made.shape == "masked"
    x = np.linspace(-3, 3, 101, dtype=np.float32)
    np.testing.assert_allclose(run(program, x)[0], np.tanh(np.exp(np.sin(x))), rtol=1e-6)


def test_the_rest_of_short_bodies_is_done_register_by_register() -> None:
    program = pointwise(lambda k, x: k.mul(x, 3.0), [F32], F32)
    loop = program.kernels[0].body[0]
    assert isinstance(loop, For)
    made = plan(loop, LlvmOptions("x", "", 512, 8))
    assert made is not None and (made.shape, made.lanes, made.piece) == ("split", 32, 16)


@pytest.mark.parametrize(
    ("bits", "is_block", "registers"), [(512, True, 4), (512, False, 2), (256, True, 2), (256, False, 2)]
)
def test_blocks_of_one_elementary_function_have_more_registers(bits: int, is_block: bool, registers: int) -> None:
    program = pointwise(lambda k, x: k.exp(x), [F32], F32)
    loop = program.kernels[0].body[0]
    assert isinstance(loop, For)
    made = plan(loop, LlvmOptions("x", "", bits, 8), is_block=is_block)
    assert made is not None and (made.shape, made.lanes) == ("split", registers * bits // 32)


@pytest.mark.parametrize(("terms", "shape"), [(8, "split"), (20, "split"), (30, "masked")])
def test_bodies_of_medium_length_have_whole_vectors(terms: int, shape: str) -> None:
    program = pointwise(lambda k, x: reduce(k.add, (k.mul(x, i + 2.0) for i in range(terms))), [F32], F32)
    loop = program.kernels[0].body[0]
    assert isinstance(loop, For)
    made = plan(loop, LlvmOptions("x", "", 512, 8))
    assert made is not None and made.shape == shape


def test_long_bodies_that_wait_for_memory_are_masked_register_by_register() -> None:
    for count, lanes in ((1, 32), (12, 16)):
        program = pointwise(
            lambda k, *xs: reduce(k.add, (k.mul(xs[i % len(xs)], i + 2.0) for i in range(30))), [F32] * count, F32
        )
        loop = program.kernels[0].body[0]
        assert isinstance(loop, For)
        made = plan(loop, LlvmOptions("x", "", 512, 8))
        assert made is not None and (made.shape, made.lanes) == ("masked", lanes)


@pytest.mark.parametrize("extent", [1, 3, 16, 17, 32, 33, 48, 49, 64, 100])
def test_known_extents_need_no_tail_or_a_known_one(extent: int) -> None:
    x = np.arange(extent, dtype=np.float32)
    np.testing.assert_array_equal(run(pointwise(lambda k, v: k.mul(v, 3.0), [F32], F32, extent=extent), x)[0], x * 3)


@pytest.mark.parametrize("options", WIDTHS)
@pytest.mark.parametrize(
    ("combine", "identity", "expected"), [("add", 0, np.sum), ("maximum", -1e30, np.max), ("mul", 1, np.prod)]
)
def test_reductions_of_every_size(combine: str, identity: float, expected: Any, options: LlvmOptions) -> None:
    compiled = compile_program(fold(combine, F64, float(identity)), options=options)
    rng = np.random.default_rng(0)
    for n in SIZES:
        x = rng.uniform(0.9, 1.1, n)
        found = compiled.call([x])[0]
        np.testing.assert_allclose(found, expected(x) if n else identity, rtol=1e-13)


def test_maximum_passes_nan_from_any_lane() -> None:
    compiled = compile_program(fold("maximum", F32, -np.inf))
    for at in (0, 5, 40, 70):
        x = np.zeros(71, np.float32)
        x[at] = np.nan
        assert np.isnan(compiled.call([x])[0])


def test_a_sum_is_more_accurate_than_a_serial_one() -> None:
    x = np.full(100_000, 0.1, np.float32)
    found = run(fold("add", F32, 0.0), x)[0]
    assert abs(found - 10_000) < 0.5


def _strided_kernel(steps: Sequence[int], dtype: DType = F32) -> Program:
    """out[i] = sum of x[start + step * i] over the steps, start such that negative steps stay inside."""
    source, target, n, i = Var("x", Pointer(dtype)), Var("out", Pointer(dtype)), Var("n", I64), Var("i", I64)
    total: Expr = k.const(0, dtype)
    for step in steps:
        start: Expr = k.mul(k.sub(n, 1), -step) if step < 0 else size(0)
        total = k.add(total, Load(source, k.add(start, k.mul(i, step)), dtype))
    kernel = Kernel(
        "strided", (source, target, n), frozenset([target]), (For(i, n, (Store(target, i, total),), "vector"),)
    )
    made = Var("made", Pointer(dtype))
    count = k.floordiv(dim(0), 4)
    return entry_program(
        (Alloc(made, count), Launch("strided", (data(0, dtype), made, count)), Output(0, made, (count,))),
        [vector_input(dtype)],
        [(dtype, 1)],
        [kernel],
    )


@pytest.mark.parametrize("options", WIDTHS)
@pytest.mark.parametrize("dtype", [F32, U8])
def test_strides_become_splats_plain_loads_and_gathers(dtype: DType, options: LlvmOptions) -> None:
    compiled = compile_program(_strided_kernel([0, 1, 2, 3, -1, -2], dtype), options=options)
    for n in (0, 1, 33, 70):
        x = (np.arange(4 * n) % 11).astype(numpy_dtype(dtype))
        expected = np.zeros(n, x.dtype)
        for step in (0, 1, 2, 3, -1, -2):
            start = -step * (n - 1) if step < 0 else 0
            expected += x[start + step * np.arange(n)] if n else expected
        np.testing.assert_array_equal(compiled.call([x])[0], expected)


@pytest.mark.parametrize("options", WIDTHS)
@pytest.mark.parametrize("dtype", [F32, F64, I16])
def test_parts_of_complex_numbers_are_loaded_and_stored_together(dtype: DType, options: LlvmOptions) -> None:
    """out[2i] = x[2i+1], out[2i+1] = -x[2i], which is a multiplication by -1j."""
    source, target, n, i = Var("x", Pointer(dtype)), Var("out", Pointer(dtype)), Var("n", I64), Var("i", I64)
    at = k.mul(i, 2)
    even, odd = Load(source, at, dtype), Load(source, k.add(at, 1), dtype)
    body = (Store(target, at, odd), Store(target, k.add(at, 1), k.neg(even)))
    kernel = Kernel("turn", (source, target, n), frozenset([target]), (For(i, n, body, "vector"),))
    made = Var("made", Pointer(dtype))
    half = k.quotient(dim(0), size(2))
    program = entry_program(
        (Alloc(made, dim(0)), Launch("turn", (data(0, dtype), made, half)), Output(0, made, (dim(0),))),
        [vector_input(dtype)],
        [(dtype, 1)],
        [kernel],
    )
    assert "gather" not in str(print_program(program, options))
    compiled = compile_program(program, options=options)
    for count in (0, 1, 31, 32, 100):
        x = np.arange(1, 2 * count + 1).astype(numpy_dtype(dtype))
        found = compiled.call([x])[0]
        np.testing.assert_array_equal(found[::2], x[1::2])
        np.testing.assert_array_equal(found[1::2], -x[::2])


@pytest.mark.parametrize("options", WIDTHS)
def test_steps_known_only_at_run_time_have_a_version_of_their_own(options: LlvmOptions) -> None:
    """A size of 1 is stretched: the index is 0 or i, doubled."""
    source, target, n, i, one = (
        Var("x", Pointer(F64)),
        Var("out", Pointer(F64)),
        Var("n", I64),
        Var("i", I64),
        Var("one", BOOL),
    )
    value = Load(source, k.mul(Select(one, size(0), i, I64), 2), F64)
    kernel = Kernel(
        "stretch", (source, target, n, one), frozenset([target]), (For(i, n, (Store(target, i, value),), "vector"),)
    )
    made = Var("made", Pointer(F64))
    count = k.quotient(dim(0), size(2))
    launch = Launch("stretch", (data(0, F64), made, count, Input("scalar", 1, BOOL)))
    program = entry_program(
        (Alloc(made, count), launch, Output(0, made, (count,))),
        [vector_input(F64), scalar_input(BOOL)],
        [(F64, 1)],
        [kernel],
    )
    compiled = compile_program(program, options=options)
    masks_are_free = 0 < options.masked_bits <= 8
    assert compiled.llvm.count(" store <") == (1 if masks_are_free else 2)  # then one of them is masked throughout
    for length in (0, 2, 30, 200):
        x = np.arange(float(length)) + 1
        np.testing.assert_array_equal(compiled.call([x, False])[0], x[::2])
        np.testing.assert_array_equal(compiled.call([x, True])[0], np.ones(length // 2))


@pytest.mark.parametrize("options", WIDTHS)
@pytest.mark.parametrize("dtype", [F32, F64, BOOL])
@pytest.mark.parametrize("branched", [False, True])
def test_stretched_elements_of_long_bodies_are_not_gathered(options: LlvmOptions, dtype: DType, branched: bool) -> None:
    """A size of 1 is stretched: the index is 0 or i. In a branch some lanes do not read at all."""
    source, target, n, i, one = (
        Var("x", Pointer(dtype)),
        Var("out", Pointer(F64)),
        Var("n", I64),
        Var("i", I64),
        Var("one", BOOL),
    )
    x = Load(source, Select(one, size(0), i, I64), dtype)
    number = Select(x, k.const(2.0, F64), k.const(3.0, F64), F64) if dtype == BOOL else k.cast(x, F64)
    store: Any = Store(target, i, k.tanh(k.exp(k.sin(number))))
    late = k.gt(k.remainder(i, 5), 2)
    body = (Store(target, i, k.const(7.0, F64)), If(late, (store,))) if branched else (store,)
    kernel = Kernel("stretch", (source, target, n, one), frozenset([target]), (For(i, n, body, "vector"),))
    made = Var("made", Pointer(F64))
    launch = Launch("stretch", (data(0, dtype), made, dim(0), Input("scalar", 1, BOOL)))
    program = entry_program(
        (Alloc(made, dim(0)), launch, Output(0, made, (dim(0),))),
        [vector_input(dtype), scalar_input(BOOL)],
        [(F64, 1)],
        [kernel],
    )
    if options.masked_bits and dtype.bits >= options.masked_bits:
        assert "gather" not in str(print_program(program, options))
    compiled = compile_program(program, options=options)
    for length in (1, 2, 30, 200):
        x = (np.arange(length) % 7).astype(numpy_dtype(dtype))
        numbers = np.where(x, 2.0, 3.0) if dtype == BOOL else x.astype(float)
        lanes = np.arange(length)
        for stretched in (False, True):
            whole = np.tanh(np.exp(np.sin(np.full(length, numbers[0]) if stretched else numbers)))
            expected = np.where(lanes % 5 > 2, whole, 7.0) if branched else whole
            np.testing.assert_allclose(compiled.call([x, stretched])[0], expected, rtol=1e-13)


def test_long_bodies_are_printed_once_where_sizes_may_be_stretched() -> None:
    """Beside a step that may be anything, there is a version for the likely one."""
    source, target, n, i, one, step = (
        *(Var(name, Pointer(F64)) for name in ("x", "out")),
        *(Var("n", I64), Var("i", I64), Var("one", BOOL), Var("step", I64)),
    )
    options = LlvmOptions.for_cpu("x86-64-v4", {"avx512bw": True, "avx512vl": True})
    for index, versions in ((Select(one, size(0), i, I64), 1), (k.mul(i, step), 2)):
        value = k.tanh(k.exp(k.sin(k.exp(Load(source, index, F64)))))
        kernel = Kernel(
            "long",
            (source, target, n, one, step),
            frozenset([target]),
            (For(i, n, (Store(target, i, value),), "vector"),),
        )
        made = Var("made", Pointer(F64))
        launch = Launch("long", (data(0, F64), made, dim(0), Input("scalar", 1, BOOL), Input("scalar", 2, I64)))
        program = entry_program(
            (Alloc(made, dim(0)), launch, Output(0, made, (dim(0),))),
            [vector_input(F64), scalar_input(BOOL), scalar_input(I64)],
            [(F64, 1)],
            [kernel],
        )
        assert str(print_program(program, options)).count("call void @llvm.masked.store") == versions


@pytest.mark.parametrize("options", WIDTHS)
def test_indices_are_divided_exactly(options: LlvmOptions) -> None:
    target, n, i, width = Var("out", Pointer(I64)), Var("n", I64), Var("i", I64), Var("w", I64)
    far = k.add(i, (1 << 40) + 12345)
    value = k.add(k.mul(k.quotient(far, width), 1000), k.remainder(k.add(i, 7), width))
    kernel = Kernel(
        "split", (target, n, width), frozenset([target]), (For(i, n, (Store(target, i, value),), "vector"),)
    )
    made = Var("made", Pointer(I64))
    body = (
        Alloc(made, size(1000)),
        Launch("split", (made, size(1000), Input("scalar", 0, I64))),
        Output(0, made, (size(1000),)),
    )
    compiled = compile_program(entry_program(body, [scalar_input(I64)], [(I64, 1)], [kernel]), options=options)
    for divisor in (1, 2, 3, 7, 10, 999, 1 << 30, (1 << 40) + 1):
        index = np.arange(1000)
        expected = (index + (1 << 40) + 12345) // divisor * 1000 + (index + 7) % divisor
        np.testing.assert_array_equal(compiled.call([divisor])[0], expected)


def test_indices_from_memory_are_gathered_and_scattered() -> None:
    index, source, target, n, i = (
        Var("ix", Pointer(I64)),
        Var("x", Pointer(F64)),
        Var("out", Pointer(F64)),
        Var("n", I64),
        Var("i", I64),
    )
    place = Load(index, i, I64)
    body = (Store(target, place, Load(source, place, F64)),)
    kernel = Kernel("move", (index, source, target, n), frozenset([target]), (For(i, n, body, "vector"),))
    made = Var("made", Pointer(F64))
    program = entry_program(
        (Alloc(made, dim(0)), Launch("move", (data(0, I64), data(1, F64), made, dim(0))), Output(0, made, (dim(0),))),
        [vector_input(I64), vector_input(F64)],
        [(F64, 1)],
        [kernel],
    )
    for options in WIDTHS:
        order = np.random.default_rng(0).permutation(77)
        x = np.arange(77.0)
        np.testing.assert_array_equal(run(program, order, x, options=options)[0], x)


def test_the_index_itself_is_a_value() -> None:
    for dtype in (I64, I32, I16, F32):
        source, target, n, i = Var("x", Pointer(dtype)), Var("out", Pointer(dtype)), Var("n", I64), Var("i", I64)
        value = k.cast(k.add(k.mul(i, 3), 1), dtype)
        kernel = Kernel("iota", (target, n), frozenset([target]), (For(i, n, (Store(target, i, value),), "vector"),))
        made = Var("made", Pointer(dtype))
        program = entry_program(
            (Alloc(made, dim(0)), Launch("iota", (made, dim(0))), Output(0, made, (dim(0),))),
            [vector_input(dtype)],
            [(dtype, 1)],
            [kernel],
        )
        assert source.type == target.type
        x = np.zeros(99, numpy_dtype(dtype))
        np.testing.assert_array_equal(run(program, x)[0], np.arange(99) * 3 + 1)


@pytest.mark.parametrize("options", WIDTHS)
def test_a_branch_inside_a_vector_loop_stores_only_its_lanes(options: LlvmOptions) -> None:
    source, target, n, i, r = (
        Var("x", Pointer(F32)),
        Var("out", Pointer(F32)),
        Var("n", I64),
        Var("i", I64),
        Var("r", F32),
    )
    x = Load(source, i, F32)
    inner = If(k.gt(x, 0.0), (Store(target, i, x),), (), (r,), (k.mul(x, 2.0),), (k.const(-1.0, F32),))
    again = If(k.lt(r, 0.0), (Store(target, i, r),))
    kernel = Kernel("pick", (source, target, n), frozenset([target]), (For(i, n, (inner, again), "vector"),))
    made = Var("made", Pointer(F32))
    program = entry_program(
        (Alloc(made, dim(0)), Launch("pick", (data(0, F32), made, dim(0))), Output(0, made, (dim(0),))),
        [vector_input(F32)],
        [(F32, 1)],
        [kernel],
    )
    values_in = np.linspace(-2, 2, 75, dtype=np.float32)
    np.testing.assert_array_equal(run(program, values_in, options=options)[0], np.where(values_in > 0, values_in, -1))


@pytest.mark.parametrize("options", WIDTHS)
def test_columns_are_summed_by_a_serial_loop_inside_a_vector_loop(options: LlvmOptions) -> None:
    source, target = Var("x", Pointer(F64)), Var("out", Pointer(F64))
    rows, columns, i, j, acc, total = (
        Var("r", I64),
        Var("c", I64),
        Var("i", I64),
        Var("j", I64),
        Var("acc", F64),
        Var("t", F64),
    )
    element = Load(source, k.add(k.mul(i, columns), j), F64)
    carried = Carried(acc, k.const(0.0, F64), k.add(acc, element), total, "add", element)
    body = (For(i, rows, (), "serial", (carried,)), Store(target, j, total))
    kernel = Kernel("columns", (source, target, rows, columns), frozenset([target]), (For(j, columns, body, "vector"),))
    made = Var("made", Pointer(F64))
    program = entry_program(
        (
            Alloc(made, dim(0, 1)),
            Launch("columns", (data(0, F64), made, dim(0), dim(0, 1))),
            Output(0, made, (dim(0, 1),)),
        ),
        [InputSpec("x", TensorType(F64, ("n", "m")))],
        [(F64, 1)],
        [kernel],
    )
    for shape in ((0, 5), (3, 0), (7, 50), (50, 7)):
        x = np.random.default_rng(0).normal(size=shape)
        np.testing.assert_allclose(run(program, x, options=options)[0], x.sum(0), rtol=1e-13, atol=1e-15)


def test_booleans_take_a_byte_in_memory() -> None:
    program = pointwise(lambda k, x, y: k.logical_xor(k.logical_not(x), y), [BOOL, BOOL], BOOL)
    x, y = (values(BOOL, 70, np.random.default_rng(s)) for s in (1, 2))
    np.testing.assert_array_equal(run(program, x, y)[0], ~x ^ y)


def test_rare_arguments_take_the_library_function_lane_by_lane() -> None:
    x = np.array([0.5, 1e30, -3.0, np.inf, np.nan, 1e22, 2.0] * 10, np.float32)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(run(pointwise(lambda k, v: k.sin(v), [F32], F32), x)[0], np.sin(x), rtol=1e-6)


# -- scalar code of the entry --------------------------------------------------------------------------------


def _collatz() -> Program:
    """The number of Collatz steps, at most `limit`."""
    i, state, steps, result, go = Var("i", I64), Var("x", I64), Var("n", I64), Var("steps", I64), Var("go", BOOL)
    start = Input("scalar", 0, I64)
    half, triple = k.floordiv(state, 2), k.add(k.mul(state, 3), 1)
    following, last = Var("y", I64), Var("last", I64)
    even = k.eq(k.mod(state, 2), 0)
    loop = For(
        i,
        Input("scalar", 1, I64),
        (Let(following, Select(even, half, triple, I64)),),
        "serial",
        (Carried(state, start, following, last), Carried(steps, size(0), k.add(steps, 1), result)),
        (go, k.ne(start, 1), k.ne(following, 1)),
    )
    return entry_program((loop, Output(0, result), Output(1, last)), [scalar_input(I64), scalar_input(I64)], [I64, I64])


def test_a_while_loop_runs_while_both_conditions_hold() -> None:
    compiled = compile_program(_collatz())
    assert compiled.call([27, 1000]) == [111, 1]
    assert compiled.call([27, 5]) == [5, 31]
    assert compiled.call([1, 1000]) == [0, 1]
    assert compiled.call([27, 0]) == [0, 27]


def test_branches_give_values() -> None:
    a, b, c, d = Input("scalar", 0, F64), Input("scalar", 1, F64), Var("c", F64), Var("d", I32)
    inner = Var("inner", F64)
    nested = If(k.lt(b, 0.0), (), (), (inner,), (k.neg(b),), (b,))
    branch = If(k.lt(a, b), (nested,), (), (c, d), (k.add(inner, a), k.const(1, I32)), (a, k.const(2, I32)))
    program = entry_program((branch, Output(0, c), Output(1, d)), [scalar_input(F64), scalar_input(F64)], [F64, I32])
    compiled = compile_program(program)
    assert compiled.call([1.0, 2.0]) == [3.0, 1]
    assert compiled.call([-5.0, -2.0]) == [-3.0, 1]
    assert compiled.call([3.0, 2.0]) == [3.0, 2]


def test_loops_unroll_when_their_extent_is_known() -> None:
    i, acc, total = Var("i", I64), Var("acc", I64), Var("total", I64)
    loop = For(i, size(5), (), "unroll", (Carried(acc, size(0), k.add(k.mul(acc, 2), i), total),))
    program = entry_program((loop, Output(0, total)), [], [I64])
    assert run(program) == [26]
    assert "phi" not in print_program(program, host_options()).entry.text.split("define i32")[1]


def test_memory_written_in_a_loop_is_read_again() -> None:
    buffer, i, acc, total = Var("buf", Pointer(I64)), Var("i", I64), Var("acc", I64), Var("total", I64)
    cell = Load(buffer, size(0), I64)
    loop = For(
        i,
        size(10),
        (Store(buffer, size(0), k.add(cell, i)),),
        "serial",
        (Carried(acc, size(0), k.add(acc, cell), total),),
    )
    body = (Alloc(buffer, size(4)), Store(buffer, size(0), size(1)), loop, Free(buffer), Output(0, total))
    assert run(entry_program(body, [], [I64])) == [sum(1 + sum(range(j + 1)) for j in range(10))]


def test_strides_of_inputs_are_elements_and_null_means_c_order() -> None:
    spec = InputSpec("x", TensorType(F64, ("n", "m")), order="any")
    element = Load(Var("x", Pointer(F64)), k.add(Input("stride", 0, I64, 0), Input("stride", 0, I64, 1)), F64)
    program = entry_program((Let(element.buffer, data(0, F64)), Output(0, element)), [spec], [F64])
    base = np.arange(48.0).reshape(6, 8)
    for view in (base, base[::2, ::3], base.T, base[::-1, ::-1]):
        assert run(program, view) == [view[1, 1]]


def test_stack_memory_lives_as_long_as_the_call() -> None:
    cells, i, total = Var("cells", Pointer(F32)), Var("i", I64), Var("t", F32)
    fill = For(i, size(8), (Store(cells, i, k.cast(i, F32)),))
    program = entry_program(
        (Alloc(cells, size(8), stack=True), fill, Let(total, Load(cells, size(7), F32)), Output(0, total)), [], [F32]
    )
    assert run(program) == [7.0]


# -- failures --------------------------------------------------------------------------------

SITE = ErrorSite("ValueError", "bad {0} and {1}", (I64, F64), None)


def test_a_failure_reports_its_site_and_payload() -> None:
    x, y = Input("scalar", 0, I64), Input("scalar", 1, F64)
    body = (If(k.lt(x, 0), (Fail(0, (x, y)),)), Output(0, x))
    compiled = compile_program(entry_program(body, [scalar_input(I64), scalar_input(F64)], [I64], errors=(SITE,)))
    assert compiled.call([3, 0.0]) == [3]
    with pytest.raises(NativeFailure, match="bad -3 and 2.5") as caught:
        compiled.call([-3, 2.5])
    assert caught.value.site is SITE and caught.value.payload == [-3, 2.5]


def test_a_failure_frees_buffers_and_lists() -> None:
    """Memory of failing calls is reused: a leak of 64 MiB per call would show in the size of the process."""
    import resource

    buffer, handle, inner, i = (
        Var("buf", Pointer(F64)),
        Var("l", Pointer(F64, True)),
        Var("in", Pointer(F64)),
        Var("i", I64),
    )
    body: tuple[Stmt, ...] = (
        Alloc(buffer, size(8 << 20)),
        Call("list_new", (size(BUFFERS),), (handle,)),
        For(
            i,
            size(3),
            (Alloc(inner, size(1 << 20)), Store(inner, size(0), k.const(1.0, F64)), Call("list_push", (handle, inner))),
        ),
        For(i, size(8 << 20), (Store(buffer, i, k.const(1.0, F64)),)),
        If(k.lt(Input("scalar", 0, I64), 0), (Fail(0, (size(0), k.const(0.0, F64))),)),
        Call("list_free", (handle,)),
        Free(buffer),
        Output(0, size(1)),
    )
    compiled = compile_program(entry_program(body, [scalar_input(I64)], [I64], errors=(SITE,)))
    for _ in range(3):
        with pytest.raises(NativeFailure):
            compiled.call([-1])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20):
        with pytest.raises(NativeFailure):
            compiled.call([-1])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
    assert compiled.call([1]) == [1]


def test_only_who_may_leave_with_memory_keeps_a_list_of_it() -> None:
    buffer, other, i = Var("buf", Pointer(F64)), Var("other", Pointer(F64)), Var("i", I64)
    take, fails = Alloc(buffer, size(8)), If(k.lt(Input("scalar", 0, I64), 0), (Fail(0, ()),))
    write, give = Store(buffer, size(0), k.const(1.0, F64)), Output(0, buffer, (size(8),))
    for body, owns in (
        ((fails, take, write, give), False),
        ((For(i, size(3), (fails,)), take, write, Free(buffer), Output(0, size(1))), False),
        ((take, fails, write, give), True),
        ((take, For(i, size(3), (write,)), give), True),
        ((take, Alloc(other, size(8)), write, Free(other), give), True),
        ((For(i, size(3), (take, write, Free(buffer))), Output(0, size(1))), True),
        ((replace(give, owned=False),), True),
        ((Call("list_new", (size(BUFFERS),), (Var("l", Pointer(F64, True)),)),), True),
    ):
        assert leaves_owning(body) == owns


def test_what_follows_a_certain_failure_is_not_printed() -> None:
    body = (Fail(0, (size(1), k.const(2.0, F64))), Output(0, size(1)))
    with pytest.raises(NativeFailure):
        run(entry_program(body, [], [I64], errors=(SITE,)))


def test_memory_that_cannot_be_had_is_reported() -> None:
    buffer = Var("buf", Pointer(F64))
    program = entry_program(
        (Alloc(buffer, Input("scalar", 0, I64)), Output(0, buffer, (Input("scalar", 0, I64),))),
        [scalar_input(I64)],
        [(F64, 1)],
    )
    with pytest.raises(MemoryError):
        run(program, 1 << 50)


@pytest.mark.parametrize("n", [1 << 32, 1 << 61, -1])
def test_a_product_of_sizes_beyond_64_bits_cannot_be_had(n: int) -> None:
    buffer, size = Var("buf", Pointer(F64)), Input("scalar", 0, I64)
    program = entry_program(
        (Alloc(buffer, k.mul(size, size)), Output(0, buffer, (size, size))), [scalar_input(I64)], [(F64, 2)]
    )
    with pytest.raises(MemoryError):
        run(program, n)


def test_many_owned_buffers_are_tracked() -> None:
    handle, inner, i, total = Var("l", Pointer(F64, True)), Var("in", Pointer(I64)), Var("i", I64), Var("t", I64)
    rows = [Var(f"b{n}", Pointer(I64)) for n in range(40)]
    body: list[Stmt] = [Alloc(b, size(3)) for b in rows]
    body += [Store(b, size(0), size(n)) for n, b in enumerate(rows)]
    value: Expr = size(0)
    for b in rows:
        value = k.add(value, Load(b, size(0), I64))
    body += [Let(total, value), If(k.lt(Input("scalar", 0, I64), 0), (Fail(0, (size(0), k.const(0.0, F64))),))]
    body += [Free(b) for b in rows[::2]] + [Free(b) for b in rows[1::2]] + [Output(0, total)]
    assert handle.type != inner.type and i.type == I64
    compiled = compile_program(entry_program(body, [scalar_input(I64)], [I64], errors=(SITE,)))
    assert compiled.call([1]) == [sum(range(40))]
    with pytest.raises(NativeFailure):
        compiled.call([-1])


# -- lists --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [F64, F32, I8, BOOL, I64])
def test_a_list_of_scalars_is_last_in_first_out(dtype: DType) -> None:
    handle, i, j, taken, acc, total = (
        Var("l", Pointer(dtype, True)),
        Var("i", I64),
        Var("j", I64),
        Var("v", dtype),
        Var("a", F64),
        Var("t", F64),
    )
    n, left, first, empty = Input("scalar", 0, I64), Var("left", I64), Var("first", dtype), Var("empty", dtype)
    weighted = k.add(acc, k.mul(k.cast(taken, F64), k.cast(j, F64)))
    body: tuple[Stmt, ...] = (
        Call("list_new", (size(SCALARS),), (handle,)),
        Call("list_pop0", (handle,), (empty,)),
        For(i, n, (Call("list_push", (handle, k.cast(k.mod(i, 5), dtype))),)),
        Call("list_len", (handle,), (left,)),
        Call("list_get", (handle, size(3)), (first,)),
        For(
            j,
            n,
            (Call("list_pop", (handle,), (taken,)),),
            "serial",
            (Carried(acc, k.const(0.0, F64), weighted, total),),
        ),
        Call("list_free", (handle,)),
        Output(0, total),
        Output(1, left),
        Output(2, first),
        Output(3, empty),
    )
    found = run(entry_program(body, [scalar_input(I64)], [F64, I64, dtype, dtype]), 1000)
    items = (np.arange(1000) % 5).astype(numpy_dtype(dtype)).astype(float)
    assert found == [float((items[::-1] * np.arange(1000)).sum()), 1000, items[3], 0]


def test_a_list_owns_its_buffers_and_lends_them() -> None:
    handle, buffer, lent, back, null = (Var(n, Pointer(F64, n == "l")) for n in ("l", "buf", "lent", "back", "null"))
    x, y, absent, present = Var("x", F64), Var("y", F64), Var("absent", BOOL), Var("present", BOOL)
    body: tuple[Stmt, ...] = (
        Call("list_new", (size(BUFFERS),), (handle,)),
        Alloc(buffer, size(2)),
        Store(buffer, size(1), k.const(4.0, F64)),
        Call("list_push", (handle, buffer)),
        Call("list_get", (handle, size(0)), (lent,)),
        Let(x, Load(lent, size(1), F64)),
        Call("list_pop0", (handle,), (back,)),
        Let(y, Load(back, size(1), F64)),
        Call("is_null", (back,), (present,)),
        Free(back),
        Call("list_pop0", (handle,), (null,)),
        Call("is_null", (null,), (absent,)),
        Call("list_free", (handle,)),
        Output(0, x),
        Output(1, y),
        Output(2, present),
        Output(3, absent),
    )
    assert run(entry_program(body, [], [F64, F64, BOOL, BOOL])) == [4.0, 4.0, False, True]


def test_lists_of_lists_are_freed_with_what_they_own() -> None:
    outer, inner, buffer, i, n = (
        Var("o", Pointer(I64, True)),
        Var("in", Pointer(F64, True)),
        Var("b", Pointer(F64)),
        Var("i", I64),
        Var("n", I64),
    )
    body: tuple[Stmt, ...] = (
        Call("list_new", (size(LISTS),), (outer,)),
        For(
            i,
            size(5),
            (
                Call("list_new", (size(BUFFERS),), (inner,)),
                Alloc(buffer, i),
                Call("list_push", (inner, buffer)),
                Call("list_push", (outer, inner)),
            ),
        ),
        Call("list_len", (outer,), (n,)),
        Call("list_free", (outer,)),
        Output(0, n),
    )
    assert run(entry_program(body, [], [I64])) == [5]


def test_copy_and_zero() -> None:
    a, b = Var("a", Pointer(F32)), Var("b", Pointer(F32))
    n = dim(0)
    body = (
        Alloc(a, n),
        Call("copy", (a, data(0, F32), n)),
        Alloc(b, n),
        Call("zero", (b, n)),
        Output(0, a, (n,)),
        Output(1, b, (n,)),
    )
    x = np.arange(9, dtype=np.float32)
    found = run(entry_program(body, [vector_input(F32)], [(F32, 1), (F32, 1)]), x)
    np.testing.assert_array_equal(found[0], x)
    np.testing.assert_array_equal(found[1], 0 * x)


def test_print_reaches_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    site = PrintSite("x is {0}, {1}, {2}\n", (I64, F64, BOOL))
    body = (Call("print", (size(0), size(-7), k.const(0.5, F64), Const(True, BOOL))), Output(0, size(1)))
    run(entry_program(body, [], [I64], prints=(site,)))
    assert capsys.readouterr().out == "x is -7, 0.5, True\n"


# -- outputs --------------------------------------------------------------------------------


def test_borrowed_memory_is_copied_for_the_caller() -> None:
    x = np.arange(5.0)
    (found,) = run(
        entry_program((Output(0, data(0, F64), (dim(0),), owned=False),), [vector_input(F64)], [(F64, 1)]), x
    )
    x[:] = 0
    np.testing.assert_array_equal(found, np.arange(5.0))


def test_large_results_belong_to_their_arrays() -> None:
    n = 1 << 20
    x = np.arange(n, dtype=np.float64)
    compiled = compile_program(pointwise(lambda k, v: k.add(v, 1.0), [F64], F64))
    kept = [compiled.call([x])[0] for _ in range(4)]
    for found in kept:
        np.testing.assert_array_equal(found, x + 1)


# -- parallel loops --------------------------------------------------------------------------------


def _parallel_sum(n: int, rows: int) -> Program:
    """Row sums of squares and their total, rows in parallel."""
    source, target, i, j = Var("x", Pointer(F32)), Var("out", Pointer(F32)), Var("i", I64), Var("j", I64)
    acc, row, all_acc, total = Var("acc", F32), Var("row", F32), Var("all", F32), Var("total", F32)
    value = k.sin(Load(source, k.add(k.mul(i, n), j), F32))
    inner = For(j, size(n), (), "vector", (Carried(acc, k.const(0.0, F32), k.add(acc, value), row, "add", value),))
    whole = Carried(all_acc, k.const(0.0, F32), k.add(all_acc, row), total, "add", row)
    loop = For(i, size(rows), (inner, Store(target, i, row)), "parallel", (whole,))
    kernel = Kernel("rows", (source, target), frozenset([target]), (loop, Store(target, size(rows), total)))
    made = Var("made", Pointer(F32))
    body = (Alloc(made, size(rows + 1)), Launch("rows", (data(0, F32), made)), Output(0, made, (size(rows + 1),)))
    return entry_program(body, [vector_input(F32)], [(F32, 1)], [kernel])


def test_parallel_results_have_the_same_bits_for_any_number_of_threads() -> None:
    n, rows = 3000, 700
    x = np.random.default_rng(0).normal(size=n * rows).astype(np.float32)
    compiled = compile_program(_parallel_sum(n, rows))
    found = []
    with each_number_of_threads(1, 2, 4) as counts:
        for _ in counts:
            found += [compiled.call([x])[0] for _ in range(3)]
    for other in found[1:]:
        assert found[0].tobytes() == other.tobytes()
    np.testing.assert_allclose(
        found[0][:rows], np.sin(x.astype(np.float64)).reshape(rows, n).sum(1), rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(found[0][rows], found[0][:rows].astype(np.float64).sum(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "folded", "polls", "is_quick"),
    [(F32, False, True, True), (I64, False, True, True), (F32, False, False, False), (I64, True, True, False)],
)
def test_kernels_that_only_share_their_loop_are_compiled_quickly(
    dtype: DType, folded: bool, polls: bool, is_quick: bool
) -> None:
    program = fold("add", dtype, 0, axis="parallel") if folded else _doubled(dtype)
    options = replace(host_options(), polls=polls)
    launching = [module for module in print_program(program, options).kernels if "call i64 @tj_share(" in module.text]
    assert [module.effort for module in launching] == ["quick" if is_quick else "careful"]
    assert (launching[0].text.count("define") == 1) == is_quick  # what is shared is in another module
    for n in (0, 1, 100_000):
        x = np.arange(n).astype(numpy_dtype(dtype))
        np.testing.assert_array_equal(run(program, x, options=options)[0], x.sum() if folded else 2 * x)


def _doubled(dtype: DType) -> Program:
    return pointwise(lambda k, x: k.add(x, x), [dtype], dtype, axis="parallel")


def test_parallel_loops_of_the_entry_see_its_values() -> None:
    buffer, i, scale = Var("b", Pointer(F64)), Var("i", I64), Var("s", F64)
    big = 300_000
    flag, odd = Var("flag", BOOL), Input("scalar", 1, BOOL)
    value = k.select(flag, k.exp(k.mul(scale, k.cast(i, F64))), k.const(0.0, F64))
    body = (
        Let(scale, k.div(Input("scalar", 0, F64), 1e6)),
        Let(flag, k.logical_not(odd)),
        Alloc(buffer, size(big)),
        For(i, size(big), (Store(buffer, i, value),), "parallel"),
        Output(0, buffer, (size(big),)),
    )
    program = entry_program(body, [scalar_input(F64), scalar_input(BOOL)], [(F64, 1)])
    np.testing.assert_allclose(run(program, 2.0, False)[0], np.exp(2e-6 * np.arange(big)), rtol=1e-12)
    assert not run(program, 2.0, True)[0].any()
