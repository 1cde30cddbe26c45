"""The reference evaluator is strict: it reports what a native run would corrupt silently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from native_programs import entry_program

from tracejit.codegen.evaluate import Statistics, evaluate
from tracejit.codegen.loop_ir import (
    Alloc,
    Call,
    Carried,
    Const,
    Fail,
    For,
    Free,
    If,
    Input,
    InputSpec,
    Let,
    Load,
    Output,
    Pointer,
    Stmt,
    Store,
    Var,
)
from tracejit.codegen.scalars import KernelBuilder
from tracejit.codegen.walk import ProgramFailure
from tracejit.ir.types import BOOL, F32, F64, I64, TensorType

K = KernelBuilder()
P = Var("p", Pointer(F64))
ZERO, ONE, TWO = (Const(i, I64) for i in range(3))
HALF = Const(0.5, F64)


def run(*body: Stmt, inputs: Sequence[object] = (), specs: Sequence[InputSpec] = ()) -> list[object]:
    return evaluate(entry_program(body, specs), list(inputs))


def test_a_place_outside_its_buffer_is_reported() -> None:
    with pytest.raises(AssertionError, match=r"p\[2\] is outside its 2 elements"):
        run(Alloc(P, TWO), Store(P, TWO, HALF))


def test_memory_is_accounted_for() -> None:
    with pytest.raises(AssertionError, match=r"\['p'\] are never freed"):
        run(Alloc(P, ONE))
    with pytest.raises(AssertionError, match="p is freed twice"):
        run(Alloc(P, ONE), Free(P), Free(P))
    with pytest.raises(AssertionError, match="p is used after it was freed"):
        run(Alloc(P, ONE), Free(P), Store(P, ZERO, HALF))
    run(Alloc(P, ONE, stack=True), Store(P, ZERO, HALF))


def test_the_callers_memory_is_not_freed() -> None:
    spec = InputSpec("x", TensorType(F64, ("n",)))
    with pytest.raises(AssertionError, match="p is freed but belongs to the caller"):
        run(Let(P, Input("data", 0, P.type)), Free(P), inputs=[np.zeros(2)], specs=[spec])


def test_dtypes_are_exact() -> None:
    with pytest.raises(AssertionError, match=r"a float32 is stored to p: f64\*"):
        run(Alloc(P, ONE), Store(P, ZERO, Const(0.5, F32)))
    with pytest.raises(AssertionError, match="x: f64 is bound to a float32"):
        run(Let(Var("x", F64), Const(0.5, F32)))


def test_a_failure_carries_the_error_and_its_payload() -> None:
    with pytest.raises(ProgramFailure) as caught:
        run(If(Const(True, BOOL), (Fail(3, (TWO,)),)))
    assert (caught.value.error, caught.value.payload) == (3, (2,))


def test_a_loop_carries_values_and_stops_early() -> None:
    i, total, result, go = Var("i", I64), Var("total", I64), Var("result", I64), Var("go", BOOL)
    following = K.add(total, i)
    loop = For(
        i,
        Const(10, I64),
        (),
        carried=(Carried(total, ZERO, following, result),),
        go=(go, Const(True, BOOL), K.lt(following, 6)),
    )
    program = entry_program((loop, Output(0, result)), outputs=[I64])
    assert evaluate(program, []) == [6]


def test_pointers_reach_strided_memory() -> None:
    x = np.arange(12.0).reshape(3, 4)[::-1, ::2]
    spec = InputSpec("x", TensorType(F64, ("n", "m")), order="any")
    step, value = Var("step", I64), Var("value", F64)
    body = (
        Let(P, Input("data", 0, P.type)),
        Let(step, Input("stride", 0, I64, 0)),
        Let(value, Load(P, K.add(step, 2), F64)),
        Output(0, value),
    )
    assert evaluate(entry_program(body, [spec], [F64]), [x]) == [x[1, 1]]


def test_lists_own_the_buffers_in_them() -> None:
    handle = Var("list", Pointer(F64, is_list=True))
    statistics: list[Statistics] = []
    body = (
        Call("list_new", (ONE,), (handle,)),
        Alloc(P, ONE),
        Call("list_push", (handle, P)),
        Call("list_free", (handle,)),
    )
    evaluate(entry_program(body), [], statistics)
    assert statistics[0].allocations == 1
    with pytest.raises(AssertionError, match="a list is used after it was freed"):
        run(*body, Call("list_len", (handle,), (Var("n", I64),)))


def test_what_replaces_a_slot_belongs_to_the_list_and_the_old_content_ends() -> None:
    outer, first, second = (Var(name, Pointer(F64, is_list=True)) for name in ("outer", "first", "second"))
    made = (
        Call("list_new", (TWO,), (outer,)),
        Call("list_new", (ZERO,), (first,)),
        Call("list_new", (ZERO,), (second,)),
        Call("list_push", (outer, first)),
        Call("list_set", (outer, ZERO, second)),
    )
    run(*made, Call("list_free", (outer,)))
    with pytest.raises(AssertionError, match="a list is used after it was freed"):
        run(*made, Call("list_len", (first,), (Var("n", I64),)), Call("list_free", (outer,)))


def test_copies_and_cleared_slots_of_lists() -> None:
    handle, copied = (Var(name, Pointer(F64, is_list=True)) for name in ("list", "copied"))
    n, m, gone = Var("n", I64), Var("m", I64), Var("gone", BOOL)
    program = entry_program(
        (
            Call("list_new", (ZERO,), (handle,)),
            Call("list_push", (handle, HALF)),
            Call("list_copy", (handle,), (copied,)),
            Call("list_push_null", (copied,)),
            Call("list_clear", (copied, ZERO)),
            Call("list_get0", (copied, ZERO), (P,)),
            Call("is_null", (P,), (gone,)),
            Call("list_len", (handle,), (n,)),
            Call("list_len", (copied,), (m,)),
            Call("list_free", (handle,)),
            Call("list_free", (copied,)),
            *(Output(i, v) for i, v in enumerate((n, m, gone))),
        ),
        outputs=[I64, I64, BOOL],
    )
    assert evaluate(program, []) == [1, 2, True]
