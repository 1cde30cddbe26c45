"""Where loops run on a GPU: axes, split reductions, launch sizes, and what of the entry becomes kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

import tracejit.ops  # noqa: F401
from tests.codegen.cuda_graphs import launch_size, place
from tests.codegen.test_cuda_programs import COLUMNS, NORMALISE, RECURRENCE, RELAX, SOFTMAX
from tracejit.codegen import kernel_walk as facts
from tracejit.codegen.cuda.outline import resolve
from tracejit.codegen.cuda.schedule import SPREAD, CudaProgram, schedule
from tracejit.codegen.cuda.split_folds import COLUMN_PARTIALS, PARTIALS
from tracejit.codegen.loop_ir import (
    Alloc,
    Carried,
    Const,
    Expr,
    For,
    Function,
    If,
    Input,
    Kernel,
    Launch,
    Let,
    Load,
    Pointer,
    Program,
    Stmt,
    Store,
    Var,
)
from tracejit.codegen.numeric import Evaluation
from tracejit.codegen.scalars import KernelBuilder
from tracejit.ir.types import F64, I64

K = KernelBuilder()
N = Var("n", I64)
X, Y = Var("x", Pointer(F64)), Var("y", Pointer(F64))


def index(name: str = "i") -> Var:
    return Var(name, I64)


def number(value: int) -> Const:
    return Const(value, I64)


def scheduled(*body: Stmt) -> CudaProgram:
    """A program with one kernel over (n, x, y) that writes y."""
    kernel = Kernel("k", (N, X, Y), frozenset((Y,)), body)
    return schedule(Program("p", Function("p", (Launch("k", (N, X, Y)),)), (kernel,), (), ()))


def axes(stmts: Sequence[Stmt]) -> list[str]:
    return [s.axis for s in facts.walk(stmts) if isinstance(s, For)]


def sizes(program: CudaProgram, n: int, kernel: int = 0) -> tuple[int, tuple[int, int]]:
    """Blocks, and threads and rows of a block, for n; scratch arguments do not matter."""
    name = program.program.kernels[kernel].name
    geometry = program.geometries[name]
    return launch_size(geometry, [np.int64(n), *[None] * (len(geometry.params) - 1)])


def test_a_flat_loop_has_a_thread_per_element() -> None:
    i = index()
    program = scheduled(For(i, N, (Store(Y, i, Load(X, i, F64)),), "vector"))
    assert axes(program.program.kernels[0].body) == ["thread.x"]
    assert sizes(program, 1000) == (4, (256, 1))
    assert sizes(program, 10) == (1, (32, 1))
    assert sizes(program, 0) == (1, (32, 1))
    assert sizes(program, 10**10) == (SPREAD, (256, 1))


def test_blocks_of_a_vector_loop_become_one_flat_loop() -> None:
    program = place(
        "graph @f(%x: f64[n]) on cuda {\n  %y = exp(%x) : f64[n]\n  yield %y\n}", ("fuse", "dce", "ownership")
    )
    (kernel,) = program.program.kernels
    assert axes(kernel.body) == ["thread.x"]
    assert [s.extent for s in kernel.body if isinstance(s, For)][0] in kernel.params


CENTRED = """
graph @centred(%x: f32[n, m, k], %y: f32[n, 1, k]) on cuda {
  %n = dim(%x) {axis = 0} : i64
  %m = dim(%x) {axis = 1} : i64
  %k = dim(%x) {axis = 2} : i64
  %b = broadcast(%y, %n, %m, %k) : f32[n, m, k]
  %z = sub(%x, %b) : f32[n, m, k]
  yield %z
}
"""


def test_nested_parallel_loops_are_one_loop_over_rows_of_threads() -> None:
    program = place(CENTRED)
    (kernel,) = program.program.kernels
    assert axes(kernel.body) == ["thread.y", "thread.x"]
    (loop,) = [s for s in kernel.body if isinstance(s, For)]
    assert loop.extent == K.mul(*(p for p in kernel.params if p.name in "nm"))


@pytest.mark.parametrize(("k", "threads", "rows"), [(3, 4, 64), (1, 1, 256), (64, 64, 4), (65, 128, 2), (5000, 256, 1)])
def test_rows_of_threads_fit_the_inner_loop(k: int, threads: int, rows: int) -> None:
    program = place(CENTRED)
    geometry = program.geometries[program.program.kernels[0].name]
    bound = {"n": np.int64(10), "m": np.int64(100), "k": np.int64(k)}
    blocks, shape = launch_size(geometry, [bound.get(p.name) for p in geometry.params])
    assert shape == (threads, rows)
    assert blocks == -(-1000 // rows)


def test_rows_that_fold_have_a_block_each() -> None:
    (kernel,) = place(SOFTMAX).program.kernels
    assert axes(kernel.body) == ["grid.x", "thread.x", "thread.x", "thread.x"]
    geometry = place(SOFTMAX).geometries[kernel.name]
    bound = {"n": np.int64(70), "m": np.int64(100)}
    assert launch_size(geometry, [bound.get(p.name) for p in geometry.params]) == (70, (128, 1))


def test_columns_are_folded_in_parts() -> None:
    first, second = place(COLUMNS).program.kernels
    assert axes(first.body) == ["thread.y", "thread.x", "serial"]
    assert axes(second.body) == ["thread.x", "serial"]
    partial = first.params[-1]
    assert partial in first.outputs and partial not in second.outputs


@pytest.mark.parametrize(
    ("n", "m", "groups"), [(10, 5, 1), (1000, 5, 16), (10**6, 5, 512), (10**6, 10**5, 2), (10**6, 10**6, 1)]
)
def test_partial_folds_of_columns_fit_their_memory(n: int, m: int, groups: int) -> None:
    program = place(COLUMNS).program
    alloc = next(s for s in program.entry.body if isinstance(s, Alloc) and s.var.name.endswith("_part"))
    sizes = {s.var: s.expr.axis for s in program.entry.body if isinstance(s, Let) and isinstance(s.expr, Input)}
    bound = {v: np.int64((n, m)[axis]) for v, axis in sizes.items()}
    count = int(Evaluation(bound)(alloc.count))
    assert count == groups * m
    assert count <= max(COLUMN_PARTIALS, m)


def test_a_full_reduction_leaves_partial_folds_for_a_second_kernel() -> None:
    kernels = place(NORMALISE).program.kernels
    first, second = kernels[0], kernels[1]
    assert axes(first.body) == ["grid.x", "serial", "thread.x"]
    assert axes(second.body) == ["thread.x"]
    partial = first.params[-1]
    assert partial in first.outputs and partial not in second.outputs


def test_partial_folds_are_bounded() -> None:
    i, block = index(), index("block")
    acc, total = Var("acc", F64), Var("total", F64)
    inner = Var("acc", F64), Var("total", F64)
    element = Load(X, K.add(K.mul(block, 8), i), F64)
    row = Carried(inner[0], Const(0.0, F64), K.add(inner[0], element), inner[1], "add", element)
    whole = Carried(acc, Const(0.0, F64), K.add(acc, inner[1]), total, "add", inner[1])
    body = (For(i, number(8), (), "vector", (row,)),)
    program = scheduled(For(block, N, body, "parallel", (whole,)), Store(Y, number(0), total))
    assert sizes(program, 10**6)[0] == PARTIALS
    assert sizes(program, 3)[0] == 3
    assert sizes(program, 10**6, kernel=1) == (1, (256, 1))


def test_statements_that_need_each_others_stores_stay_in_one_block() -> None:
    i, j = index("i"), index("j")
    first = For(i, N, (Store(Y, i, Load(X, i, F64)),), "vector")
    second = For(j, N, (Store(Y, j, Load(Y, K.sub(K.sub(N, 1), j), F64)),), "vector")
    program = scheduled(first, second)
    (whole,) = program.program.kernels[0].body
    assert isinstance(whole, For) and whole.axis == "grid.x" and whole.extent == number(1)
    assert axes(whole.body) == ["thread.x", "thread.x"]


def test_serial_code_runs_in_one_thread() -> None:
    i = index()
    program = scheduled(For(i, N, (Store(Y, i, Load(Y, K.sub(i, 1), F64)),)))
    assert axes(program.program.kernels[0].body) == ["thread.x", "serial"]
    assert sizes(program, 500) == (1, (32, 1))


def test_a_scalar_loop_of_the_entry_becomes_a_kernel() -> None:
    program = place(RECURRENCE).program
    assert [k.name for k in program.kernels] == ["recurrence.entry.0"]
    assert not any(isinstance(s, For) for s in program.entry.body)


def test_a_loop_that_launches_stays_with_the_host() -> None:
    program = place(RELAX).program
    (loop,) = [s for s in program.entry.body if isinstance(s, For)]
    assert any(isinstance(s, Launch) for s in loop.body)


# -- pointers -------------------------------------------------------------------------------------------------------


def carried_pointer(name: str, init: Expr, following: Expr | None = None) -> Carried:
    var = Var(name, Pointer(F64))
    return Carried(var, init, following or var, Var(name, Pointer(F64)))


def test_a_pointer_that_a_loop_carries_unchanged_stands_for_itself() -> None:
    p = carried_pointer("p", X)
    i = index()
    loop = For(i, N, (Store(p.var, i, Const(1.0, F64)),), "serial", (p,))
    made = resolve((loop, Store(p.result, number(0), Const(2.0, F64))), {})
    assert isinstance(made[0], For) and not made[0].carried
    assert facts.stored(made) == {X}


def test_pointers_that_a_loop_swaps_are_carried() -> None:
    p, q = Var("p", Pointer(F64)), Var("q", Pointer(F64))
    results = Var("p", Pointer(F64)), Var("q", Pointer(F64))
    carried = (Carried(p, X, q, results[0]), Carried(q, Y, p, results[1]))
    made = resolve((For(index(), N, (), "serial", carried),), {})
    assert isinstance(made[0], For) and len(made[0].carried) == 2


def test_a_pointer_both_branches_agree_on_stands_for_itself() -> None:
    result, flag = Var("r", Pointer(F64)), Let(Var("f", I64), N)
    branch = If(K.gt(N, 0), (flag,), (), (result,), (X,), (X,))
    made = resolve((branch, Store(result, number(0), Const(1.0, F64))), {})
    assert isinstance(made[0], If) and not made[0].results
    assert facts.stored(made) == {X}


@pytest.mark.parametrize("n", [0, 1, 7])
def test_extents_inside_loops_do_not_decide_launch_sizes(n: int) -> None:
    i, j = index("i"), index("j")
    size = Var("size", I64)
    inner = For(j, size, (Store(Y, j, Const(1.0, F64)),), "vector")
    program = scheduled(For(i, N, (Let(size, K.mul(i, 2)), inner), "parallel"))
    assert sizes(program, n) == (max(n, 1), (256, 1))
