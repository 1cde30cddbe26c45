"""Bytes and 16-bit numbers that loops store under conditions: what is stored, what is left alone, and with what."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from native_programs import data, dim, entry_program, vector_input

from tests.programs.compare import check
from tracejit import script
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.printer import print_program
from tracejit.codegen.loop_ir import (
    Const,
    ErrorSite,
    Fail,
    For,
    If,
    Let,
    Load,
    Pointer,
    Program,
    Scalar,
    Stmt,
    Store,
    Var,
)
from tracejit.ir.types import BOOL, F64, I16, I32, I64, U8, DType
from tracejit.runtime.machines import host_options

WIDE = LlvmOptions("x86-64-v4", "", 512, 8)
SIZES = (0, 1, 3, 7, 8, 15, 16, 17, 31, 33, 63, 65, 100, 257)


def closure(m: Any) -> Any:
    n = m.shape[0]
    for k in range(n):
        for i in range(n):
            if m[i, k]:
                for j in range(n):
                    if m[k, j]:
                        m[i, j] = 1
    return m


def marked(a: Any, x: Any) -> Any:
    for i in range(len(x)):
        if x[i] > 0.5:
            a[i] = 7
        elif x[i] < -0.5:
            a[i + 1] = a[i]
    return a


def spread(a: Any, x: Any, y: Any, b: Any, c: Any) -> Any:
    """Many masks at once, more than there are registers for them."""
    for i in range(len(x)):
        p, q = x[i] > 0, y[i] > 0
        if p:
            a[i] = 1
        if q:
            b[i] = 2
        if p and x[i] > 1:
            a[i] = 3
            c[i] = b[i]
        if q and y[i] > 1:
            b[i] = 4
            if x[i] < -1:
                c[i] = 5
        if p or q:
            if x[i] > y[i]:
                c[i] = a[i] + b[i]
            elif x[i] + y[i] > 0.25:
                c[i] = 9
    return a, b, c


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", "i4"])
def test_closures_of_relations(dtype: str) -> None:
    rng = np.random.default_rng(0)
    for n in (0, 1, 2, 17, 40):
        check(closure, (rng.random((n, n)) < 0.08).astype(dtype))


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "f2"])
@pytest.mark.parametrize("real", ["f4", "f8"])
def test_only_what_a_condition_holds_for_is_written(dtype: str, real: str) -> None:
    rng = np.random.default_rng(1)
    for n in SIZES:
        check(marked, rng.integers(0, 5, n + 1).astype(dtype), rng.normal(size=n).astype(real))
        made = rng.integers(0, 5, (3, n)).astype(dtype)
        check(spread, made[0], *rng.normal(size=(2, n)).astype(real), made[1], made[2])


@pytest.mark.compiled
def test_parts_of_arrays_that_begin_anywhere() -> None:
    compiled = script(marked)
    rng = np.random.default_rng(2)
    for step in (1, 2):
        for begin in range(9):
            memory = rng.integers(0, 5, 400).astype(np.uint8)
            expected, x = memory.copy(), rng.normal(size=100)
            marked(expected[begin : begin + 101 * step : step], x)
            compiled(memory[begin : begin + 101 * step : step], x)
            np.testing.assert_array_equal(memory, expected)


def _program(dtype: DType, *, index: str = "beside", condition: bool = True, fails: bool = False) -> Program:
    """A loop that stores to its second input where the first is not 0."""
    i, given, buffer, places = (
        Var(name, kind)
        for name, kind in (("i", I64), ("x", Pointer(F64)), ("out", Pointer(dtype)), ("at", Pointer(I64)))
    )
    at = {
        "beside": Scalar("add", (i, Const(3, I64)), I64),
        "apart": Scalar("mul", (i, Const(2, I64)), I64),
        "by data": Scalar("add", (i, Load(places, i, I64)), I64),
    }
    body: tuple[Stmt, ...] = (Store(buffer, at[index], Const(1, dtype)),)
    if condition:
        body = (If(Scalar("ne", (Load(given, i, F64), Const(0.0, F64)), BOOL), body),)
    if fails:
        body = (*body, If(Scalar("lt", (Load(given, i, F64), Const(0.0, F64)), BOOL), (Fail(0),)))
    lets = (Let(given, data(0, F64)), Let(buffer, data(1, dtype)), Let(places, data(2, I64)))
    inputs = [vector_input(d, f"x{n}") for n, d in enumerate((F64, dtype, I64))]
    return entry_program([*lets, For(i, dim(0), body)], inputs, errors=(ErrorSite("ValueError", "negative", (), None),))


def _is_with_masks(program: Program) -> bool:
    """Whether the entry is compiled with the masks of AVX-512, and without its moves of 8-bit masks."""
    text = str(print_program(program, WIDE).entry)
    assert ("-avx512f" in text) != ("-avx512dq" in text)
    return "-avx512dq" in text


def test_masks_are_for_narrow_elements_stored_side_by_side_in_branches() -> None:
    assert all(_is_with_masks(_program(dtype)) for dtype in (U8, BOOL, I16))
    assert not any(_is_with_masks(_program(dtype)) for dtype in (I32, F64))
    assert not any(_is_with_masks(_program(U8, index=index)) for index in ("apart", "by data"))
    assert not _is_with_masks(_program(U8, condition=False))
    assert not _is_with_masks(_program(U8, fails=True))
    assert "target-features" not in str(print_program(_program(U8), LlvmOptions("x86-64-v3", "", 256, 32)).entry)


@pytest.mark.compiled
@pytest.mark.skipif(host_options().vector_bits < 512, reason="needs AVX-512")
def test_bytes_are_stored_in_vectors_and_no_mask_is_moved_as_eight_bits() -> None:
    compiled = script(spread)
    compiled(*(np.zeros(9, kind) for kind in ("u1", "f4", "f4", "u1", "u1")))
    assert re.search(r"vmovdqu8.*\{%k", compiled.asm) and "kmovb" not in compiled.asm
