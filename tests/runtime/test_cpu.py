"""Native functions: the portable call, the disk cache, threads, forks, matrix products, objects for other programs."""

from __future__ import annotations

import ctypes
import functools
import operator
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "codegen"))

from native_programs import data, dim, entry_program, pointwise, size, vector_input

import tracejit as tj
from tests.threads import each_number_of_threads
from tracejit import config
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.loop_ir import Alloc, Call, Input, InputSpec, Load, Output, Pointer, Program, Store, Var
from tracejit.codegen.scalars import KernelBuilder
from tracejit.codegen.support.allocation import LARGE_ALIGNMENT, LARGE_BYTES, large_start
from tracejit.codegen.support.native import Platform, gemm_module, support_text
from tracejit.ir.types import F32, F64, I64, ScalarType, TensorType
from tracejit.runtime import cache, cpu
from tracejit.runtime.blas import find_blas
from tracejit.runtime.cpu import (
    NativeFunction,
    compile_program,
    emit_object,
    link_support,
    memory_fresh_blocks,
    memory_trim,
)
from tracejit.runtime.engine import assemble, engine
from tracejit.runtime.machines import host_options, target_machine

k = KernelBuilder()


@pytest.fixture
def empty_cache(tmp_path: Path) -> Iterator[None]:
    config.set("cache_dir", tmp_path)
    yield
    config.set("cache_dir", None)


def heavy() -> Program:
    """A pointwise program worth several threads from 10^6 elements on."""
    source, target, n = Var("x", Pointer(F32)), Var("out", Pointer(F32)), Var("n", I64)
    from tracejit.codegen.loop_ir import For, Kernel, Launch

    chunk, i = Var("chunk", I64), Var("i", I64)
    start = k.mul(chunk, 4096)
    index = k.add(start, i)
    inner = For(
        i,
        k.minimum(size(4096), k.sub(n, start)),
        (Store(target, index, k.tanh(k.exp(k.sin(Load(source, index, F32))))),),
        "vector",
    )
    outer = For(chunk, k.quotient(k.add(n, 4095), size(4096)), (inner,), "parallel")
    kernel = Kernel("heavy", (source, target, n), frozenset([target]), (outer,))
    made = Var("made", Pointer(F32))
    body = (Alloc(made, dim(0)), Launch("heavy", (data(0, F32), made, dim(0))), Output(0, made, (dim(0),)))
    return entry_program(body, [vector_input(F32)], [(F32, 1)], [kernel])


# -- calling ----------------------------------------------------------------------------------------------------------


def test_inputs_of_any_layout_are_taken() -> None:
    compiled = compile_program(pointwise(lambda k, x: k.add(x, 1.0), [F64], F64))
    base = np.arange(20.0)
    for view in (base, base[::2], base[::-1], np.asfortranarray(base)):
        np.testing.assert_array_equal(compiled.call([view])[0], view + 1)


def test_wrong_dtypes_and_ranks_are_refused() -> None:
    compiled = compile_program(pointwise(lambda k, x: k.add(x, 1.0), [F64], F64))
    with pytest.raises(TypeError, match="expected f64"):
        compiled.call([np.zeros(3, np.float32)])
    with pytest.raises(TypeError, match="2 axes"):
        compiled.call([np.zeros((3, 3))])


def test_changes_of_an_inout_argument_reach_its_views() -> None:
    spec = InputSpec("x", TensorType(F64, ("n",)), inout=True)
    pointer = Var("p", Pointer(F64))
    from tracejit.codegen.loop_ir import Let

    program = entry_program((Let(pointer, data(0, F64)), Store(pointer, size(1), k.const(9.0, F64))), [spec])
    compiled = compile_program(program)
    base = np.zeros(8)
    compiled.call([base[::2]])
    assert base.tolist() == [0, 0, 9, 0, 0, 0, 0, 0]


def test_the_text_and_assembly_can_be_read() -> None:
    compiled = compile_program(pointwise(lambda k, x: k.add(x, 1.0), [F64], F64))
    assert "define i32 @tj_entry" in compiled.llvm
    assert "tj_entry:" in compiled.asm.replace("_tj_entry", "tj_entry")


def test_a_second_compile_comes_from_the_disk(empty_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    program = pointwise(lambda k, x: k.add(x, 41.0), [F64], F64)
    compile_program(program)
    monkeypatch.setattr(cpu, "print_program", lambda *_: pytest.fail("printed again"))
    assert compile_program(program).call([np.ones(3)])[0].tolist() == [42, 42, 42]


def test_an_unknown_symbol_is_an_error_when_linking() -> None:
    with pytest.raises(RuntimeError, match="no_such_function|materialize"):
        link_support(
            "declare void @no_such_function()\ndefine void @f() {\n  call void @no_such_function()\n  ret void\n}",
            ["f"],
            {},
        )


def test_code_may_call_any_function_of_the_c_library() -> None:
    """LLVM makes such calls of its own, as of `sincos`."""
    (address,) = link_support(
        "declare i64 @labs(i64)\ndefine i64 @f(i64 %x) {\n  %y = call i64 @labs(i64 %x)\n  ret i64 %y\n}", ["f"], {}
    )
    assert ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(address)(-7) == 7


def test_code_is_freed_with_its_function() -> None:
    import gc
    import weakref

    compiled = compile_program(pointwise(lambda k, x: k.sub(x, 1.0), [F64], F64))
    alive = weakref.ref(compiled)
    del compiled
    gc.collect()
    assert alive() is None


# -- memory -----------------------------------------------------------------------------------------------------------


def test_large_blocks_are_reused_and_can_be_trimmed() -> None:
    support = engine().support
    allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)(support["tj_alloc"])
    free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(support["tj_free"])
    memory_trim()
    first = allocate(5 << 20)
    assert first % 64 == 0
    free(first)
    assert allocate(5 << 20) == first
    free(first)
    assert memory_trim() >= 5 << 20
    assert memory_trim() == 0


def test_blocks_of_kilobytes_are_reused_and_may_be_freed_by_the_c_library() -> None:
    support = engine().support
    allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)(support["tj_alloc"])
    free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(support["tj_free"])
    memory_trim()
    blocks = [allocate(8 << 10) for _ in range(100)]
    for block in blocks:
        free(block)
    again = [allocate(8 << 10) for _ in range(100)]
    if sys.platform in ("linux", "darwin"):
        assert set(again) == set(blocks)
    libc = ctypes.CDLL(None)
    libc.free.argtypes = [ctypes.c_void_p]
    for block in again:
        libc.free(block)
    assert memory_trim() == 0


def test_long_lists_of_a_call_use_the_memory_of_those_of_the_call_before() -> None:
    def total(n: int) -> float:
        values, doubles = [], []
        for i in range(n):
            values.append(i * 0.5)
            if i % 2:
                doubles.append(values[i // 2] * 2)
        others = list(values)
        return sum(doubles) + others[-1]

    scripted = tj.script(total)
    memory_trim()
    before = memory_fresh_blocks()
    assert scripted(100_000) == total(100_000)
    first = memory_fresh_blocks()
    assert scripted(100_000) == total(100_000)
    assert memory_fresh_blocks() == first > before + 3


@pytest.mark.parametrize("size", [20_000, 50_000, 200_000, 1_000_000])
def test_results_of_a_call_use_the_memory_of_those_of_the_call_before(size: int) -> None:
    several = tj.script(lambda x: (x * 2, x * 3, x - 1))
    x = np.ones(size)
    places: list[set[int]] = []
    for _ in range(3):
        results = several(x)
        assert [r[-1] for r in results] == [2, 3, 0]
        places.append({r.ctypes.data for r in results})
        del results
    before = memory_fresh_blocks()
    several(x)
    assert memory_fresh_blocks() == before
    assert len(places[0]) == 3
    assert places[1] == places[2]


def test_small_blocks_are_where_no_large_one_is() -> None:
    support = engine().support
    allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)(support["tj_alloc"])
    libc = ctypes.CDLL(None)
    libc.free.argtypes = [ctypes.c_void_p]
    memory_trim()
    sizes = [48, (1 << 15) - 16, (1 << 16) - 16, (1 << 14) - 16]
    blocks = [allocate(n) for n in sizes * 500]
    assert all(block % LARGE_ALIGNMENT != _large_start(block) for block in blocks)
    for block in blocks:
        libc.free(block)


def test_large_blocks_start_at_different_lines_of_a_page() -> None:
    support = engine().support
    allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)(support["tj_alloc"])
    free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(support["tj_free"])
    blocks = [allocate(n) for n in (LARGE_BYTES, 400_000, 1 << 20, 5 << 20) for _ in range(16)]
    assert all(block % LARGE_ALIGNMENT == _large_start(block) for block in blocks)
    assert all(block % 64 == 0 for block in blocks)
    assert len({block % 4096 for block in blocks}) > 20
    for block in blocks:
        free(block)


def _large_start(address: int) -> int:
    known = {"lshr": operator.rshift, "mul": operator.mul, "and": operator.and_, "add": operator.add}

    def op(operation: str) -> str:
        name, _, a, b = operation.replace(",", "").split()
        return str(known[name](int(a), int(b)) % (1 << 64))

    return int(large_start(op, str(address)))


def test_sizes_around_the_border_between_small_and_large_are_whole() -> None:
    support = engine().support
    allocate = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int64)(support["tj_alloc"])
    free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(support["tj_free"])
    sizes = [
        0,
        1,
        8,
        1023,
        1024,
        1025,
        1 << 12,
        *((1 << 15) * k + d for k in (1, 2, 3, 4, 5) for d in (-64, -16, -8, 0, 8)),
        7 << 17,
        (7 << 17) + 1,
        (1 << 20) - 1,
        1 << 20,
        (1 << 20) + 1,
        (5 << 19) - 64,
        5 << 19,
        (1 << 24) + 7,
    ]
    blocks = [(allocate(n), n) for n in sizes for _ in range(3)]
    for number, (address, n) in enumerate(blocks):
        ctypes.memset(address, number, n)
    for number, (address, n) in enumerate(blocks):
        assert set(ctypes.string_at(address, n)) <= {number}
        free(address)


# -- threads and forks ------------------------------------------------------------------------------------------------


def test_calls_from_many_threads_at_once_agree() -> None:
    compiled = compile_program(heavy())
    x = np.random.default_rng(0).normal(size=300_000).astype(np.float32)
    expected = compiled.call([x])[0]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(5):
            if compiled.call([x])[0].tobytes() != expected.tobytes():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_parallel_loops_work_in_a_forked_child() -> None:
    compiled = compile_program(heavy())
    x = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)
    expected = compiled.call([x])[0].tobytes()
    child = os.fork()
    if child == 0:
        same = all(compiled.call([x])[0].tobytes() == expected for _ in range(3))
        os._exit(0 if same else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    assert compiled.call([x])[0].tobytes() == expected


# -- matrix products --------------------------------------------------------------------------------------------------

Product = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
_ARGUMENTS = (
    (ctypes.c_int64,) * 3 + (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64) * 2 + (ctypes.c_void_p, ctypes.c_int64)
)


def _product(address: int) -> Product:
    function = ctypes.CFUNCTYPE(None, *_ARGUMENTS)(address)

    def call(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
        def layout(x: np.ndarray) -> tuple[int, int, int]:
            return x.ctypes.data, x.strides[0] // x.itemsize, x.strides[1] // x.itemsize

        function(a.shape[0], b.shape[1], a.shape[1], *layout(a), *layout(b), c.ctypes.data, c.strides[0] // c.itemsize)

    return call


@functools.cache
def _own_products(options: LlvmOptions) -> Any:
    """The products for a CPU with a support of their own. They are kept: threads of their pool sleep in that code."""
    texts = [support_text(Platform.of_triple(llvm.get_process_triple())), gemm_module(options)]
    machine = target_machine(options)
    code = bytes(machine.emit_object(assemble(texts, machine, optimised=True)))
    return engine().link([code], ["tj_gemm_f32", "tj_gemm_f64"], {})


#: Machines for own products, beside this one.
OTHERS = {"narrow": LlvmOptions("x86-64-v2", "", 128, 0), "middle": LlvmOptions("x86-64-v3", "", 256, 32)}


@pytest.fixture(scope="module", params=["library", "own", *OTHERS])
def products(request: pytest.FixtureRequest) -> Iterator[dict[str, Product]]:
    if request.param == "library":
        if find_blas() is None:
            pytest.skip("NumPy has no BLAS of its own here")
        library = {f"tj_gemm_{name}": engine().products(name)[f"tj_gemm_{name}"] for name in ("f32", "f64")}
    else:
        if request.param == "middle" and "+avx2" not in host_options().features:
            pytest.skip("this machine has no AVX2")
        library = _own_products(OTHERS.get(request.param, host_options()))
    yield {name: _product(library[f"tj_gemm_{name}"]) for name in ("f32", "f64")}


SHAPES = [
    (0, 3, 3),
    (3, 0, 2),
    (3, 4, 0),
    (1, 1, 1),
    (1, 5, 7),
    (7, 1, 9),
    (2, 3, 40),
    (14, 32, 10),
    (15, 33, 385),
    (100, 70, 30),
    (3, 2100, 5),
    (5, 3, 700),  # few rows and columns, and many products to sum
    (8, 16, 1),  # register tiles without packing: one, some that reach back, many
    (31, 67, 40),
    (64, 300, 90),
    (520, 100, 90),
    (1, 64, 256),  # one row, one column: tiles that fit, that reach back, and none
    (1, 300, 33),
    (1, 70, 5),
    (1, 9, 100),
    (90, 1, 40),
    (130, 7, 600),
    (300, 290, 110),  # large enough to be shared by threads
    (512, 40, 500),
    (40, 700, 330),
    (1, 3000, 2900),
    (3000, 1, 2900),
    (
        130,
        100,
        1100,
    ),  # packed panels: several chains of sums, B read where it lies, more panels than are packed at once
    (60, 400, 700),
    (70, 900, 600),
    (131, 464, 130),  # panels of a B that would fit the caches: line by line, some lines at a time, in several lots
    (141, 330, 300),
    (150, 1000, 260),
    (260, 10, 4200),
    (9, 12, 5700),  # slices of long sums: B packed, read where it lies, and both
    (70, 30, 5465),
    (33, 130, 1400),
    (3, 3, 3),  # a few numbers
    (4, 8, 60),
    (3, 1, 3),
    (1, 4, 50),
]


@pytest.mark.parametrize("name", ["f32", "f64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_products_of_every_layout(shape: tuple[int, int, int], name: str, products: dict[str, Product]) -> None:
    m, n, depth = shape
    rng = np.random.default_rng(0)
    dtype = np.float32 if name == "f32" else np.float64

    def layouts(rows: int, columns: int) -> list[np.ndarray]:
        x = rng.normal(size=(rows, columns)).astype(dtype)
        spread = np.zeros((2 * rows, 3 * columns), dtype)
        spread[::2, ::3] = x
        backward = np.ascontiguousarray(x[::-1])[::-1]
        return [x, np.asfortranarray(x), spread[::2, ::3], backward, np.broadcast_to(x[:1], (rows, columns))]

    left, right = layouts(m, depth), layouts(depth, n)
    wide = [[x.astype(np.float64) for x in (side[0], side[-1])] for side in (left, right)]
    expected = [[a @ b for b in wide[1]] for a in wide[0]]
    for a in left:
        for b in right:
            border = np.full((m, n + 3), 7, dtype)
            products[name](a, b, border[:, :n])
            of_rows = expected[a is left[-1]][b is right[-1]]
            np.testing.assert_allclose(border[:, :n], of_rows, rtol=1e-4, atol=1e-3 if name == "f32" else 1e-11)
            assert (border[:, n:] == 7).all()


def test_products_shared_by_threads_that_are_awake_have_the_same_bits() -> None:
    """One large enough to wake them, then many that are shared only while they are awake."""
    product = _product(engine().products("f32")["tj_gemm_f32"])
    rng = np.random.default_rng(0)
    large, small, b = (rng.normal(size=shape).astype(np.float32) for shape in ((256, 64), (37, 64), (64, 256)))
    first, second = np.empty((256, 256), np.float32), np.empty((37, 256), np.float32)
    found: list[bytes] = []
    with each_number_of_threads(1, 2, 4) as counts:
        for _ in counts:
            product(large, b, first)
            for _ in range(50):
                second[:] = np.nan
                product(small, b, second)
                found.append(first.tobytes() + second.tobytes())
    assert len(set(found)) == 1
    np.testing.assert_allclose(second, small.astype(np.float64) @ b, rtol=1e-4, atol=1e-4)


def test_lines_shared_by_threads_that_are_awake_have_the_same_bits() -> None:
    product = _product(engine().products("f32")["tj_gemm_f32"])
    rng = np.random.default_rng(0)
    large, b, x = (rng.normal(size=shape).astype(np.float32) for shape in ((300, 300), (250, 500), (1, 250)))
    wide, y = np.empty((300, 300), np.float32), rng.normal(size=(500, 1)).astype(np.float32)
    found: list[bytes] = []
    with each_number_of_threads(1, 2, 4) as counts:
        for _ in counts:
            product(large, large, wide)
            for _ in range(20):
                row, column = np.full((1, 500), np.nan, np.float32), np.full((250, 1), np.nan, np.float32)
                product(x, b, row)
                product(b, y, column)
                found.append(row.tobytes() + column.tobytes())
    assert len(set(found)) == 1
    np.testing.assert_allclose(np.frombuffer(found[0][:2000], np.float32), (x.astype(np.float64) @ b)[0], atol=1e-3)
    np.testing.assert_allclose(np.frombuffer(found[0][2000:], np.float32), (b.astype(np.float64) @ y)[:, 0], atol=1e-3)


@pytest.mark.parametrize("shape", [(300, 200, 700), (40, 500, 900), (7, 900, 640), (90, 70, 6000)])
def test_packed_products_have_the_same_bits_for_any_number_of_threads(shape: tuple[int, int, int]) -> None:
    m, n, depth = shape
    product = _product(engine().products("f32")["tj_gemm_f32"])
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(n, m)).astype(np.float32).T for m, n in ((m, depth), (depth, n)))
    found: list[bytes] = []
    with each_number_of_threads(1, 2, 3) as counts:
        for _ in counts:
            c = np.full((m, n), np.nan, np.float32)
            product(a, b, c)
            found.append(c.tobytes())
    assert len(set(found)) == 1
    np.testing.assert_allclose(np.frombuffer(found[0], np.float32).reshape(m, n), a.astype(np.float64) @ b, atol=1e-3)


def test_products_inside_programs() -> None:
    a, b, c = data(0, F64), data(1, F64), Var("c", Pointer(F64))
    m, depth, n = dim(0, 0), dim(0, 1), dim(1, 1)
    arguments = (m, n, depth, a, depth, size(1), b, n, size(1), c, n)
    body = (Alloc(c, k.mul(m, n)), Call("gemm_f64", arguments), Output(0, c, (m, n)))
    specs = [InputSpec(x, TensorType(F64, ("p", "q"))) for x in "ab"]
    program = entry_program(body, specs, [(F64, 2)])
    x, y = np.random.default_rng(0).normal(size=(2, 20, 20))
    np.testing.assert_allclose(compile_program(program).call([x, y])[0], x @ y, rtol=1e-12)


@pytest.mark.parametrize("rows", [1, 9])
def test_products_inside_parallel_loops(rows: int) -> None:
    """What threads of the pool need of the products is linked before they run."""
    from tracejit.codegen.loop_ir import For, Kernel, Launch, Offset

    a, b, c, i = data(0, F64), data(1, F64), Var("c", Pointer(F64)), Var("i", I64)
    x, y, trips, depth, n = Var("x", Pointer(F64)), Var("y", Pointer(F64)), Var("t", I64), Var("k", I64), Var("n", I64)
    kind = Pointer(F64)
    place = Offset(x, k.mul(i, k.mul(depth, rows)), kind), Offset(c, k.mul(i, k.mul(n, rows)), kind)
    arguments = (size(rows), n, depth, place[0], size(1), size(rows), y, n, size(1), place[1], n)
    loop = For(i, trips, (Call("gemm_f64", arguments),), "parallel")
    kernel = Kernel("products", (x, y, c, trips, depth, n), frozenset([c]), (loop,))
    count, total = k.quotient(dim(0, 0), size(rows)), k.mul(dim(0, 0), dim(1, 1))
    launch = Launch("products", (a, b, c, count, dim(1, 0), dim(1, 1)))
    body = (Alloc(c, total), launch, Output(0, c, (dim(0, 0), dim(1, 1))))
    specs = [InputSpec(name, TensorType(F64, ("p", "q"))) for name in "ab"]
    compiled = compile_program(entry_program(body, specs, [(F64, 2)], [kernel]))
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(40, rows, 200)), rng.normal(size=(200, 300))
    turned = np.ascontiguousarray(left.transpose(0, 2, 1)).reshape(40 * rows, 200)  # k by rows, trip after trip
    with each_number_of_threads(1, 2, 4) as counts:
        for _ in counts:
            found = compiled.call([turned, right])[0].reshape(40, rows, 300)
            np.testing.assert_allclose(found, left @ right, rtol=1e-10, atol=1e-10)


# -- objects for other programs ---------------------------------------------------------------------------------------


def _wide_and_deep() -> Program:
    """tanh(a @ b) of f32, row sums of nothing: uses memory, products and mathematics."""
    from tracejit.codegen.loop_ir import For, Kernel, Launch

    c, x, i, count = Var("c", Pointer(F32)), Var("x", Pointer(F32)), Var("i", I64), Var("n", I64)
    kernel = Kernel(
        "tanh", (x, count), frozenset([x]), (For(i, count, (Store(x, i, k.tanh(Load(x, i, F32))),), "vector"),)
    )
    m, depth, n = dim(0, 0), dim(0, 1), dim(1, 1)
    arguments = (m, n, depth, data(0, F32), depth, size(1), data(1, F32), n, size(1), c, n)
    total = k.mul(m, n)
    body = (Alloc(c, total), Call("gemm_f32", arguments), Launch("tanh", (c, total)), Output(0, c, (m, n)))
    specs = [InputSpec(x, TensorType(F32, ("p", "q"))) for x in "ab"]
    return entry_program(body, specs, [(F32, 2)], [kernel])


@pytest.mark.skipif(shutil.which("cc") is None or not sys.platform.startswith("linux"), reason="needs a C linker")
@pytest.mark.parametrize("level", ["x86-64-v2", "x86-64-v3", "host"])
def test_an_object_links_into_a_library_that_needs_libc_only(level: str, tmp_path: Path) -> None:
    options = host_options()
    if level != "host" and "x86_64" not in llvm.get_process_triple():
        pytest.skip("x86-64 only")
    features = options.features if level == "host" else "+avx2,+f16c" if level.endswith("v3") else ""
    code = emit_object(
        _wide_and_deep(), cpu=options.cpu if level == "host" else level, features=features, export_name="forward"
    )
    (tmp_path / "f.o").write_bytes(code)
    library = tmp_path / "f.so"
    subprocess.run(
        ["cc", "-shared", "-o", library, tmp_path / "f.o", "-Wl,--no-undefined", "-Wl,-z,text", "-lm"], check=True
    )
    forward = ctypes.CDLL(str(library)).forward
    a, b = np.random.default_rng(0).normal(size=(2, 30, 30)).astype(np.float32)
    out = np.zeros((30, 30), np.float32)
    sizes = (ctypes.c_int64 * 2)(30, 30)
    records = [cpu.TensorRecord(x.ctypes.data, 2, ctypes.addressof(sizes), None, 0) for x in (a, b, out)]
    inputs, outputs, context = (
        (cpu.TensorRecord * 2)(*records[:2]),
        (cpu.TensorRecord * 1)(records[2]),
        cpu.NativeContext(),
    )
    assert forward(inputs, outputs, ctypes.byref(context)) == 0
    np.testing.assert_allclose(out, np.tanh(a @ b), rtol=1e-4, atol=1e-5)


def test_unused_support_is_left_out_of_objects() -> None:
    options = host_options()
    small = emit_object(
        pointwise(lambda k, x: k.add(x, 1.0), [F32], F32), cpu=options.cpu, features=options.features, export_name="f"
    )
    large = emit_object(_wide_and_deep(), cpu=options.cpu, features=options.features, export_name="f")
    assert len(small) < 0.5 * len(large)
    assert b"tj_list_grow" not in small


def test_the_cache_key_depends_on_the_machine(empty_cache: None) -> None:
    program = pointwise(lambda k, x: k.add(x, 17.0), [F64], F64)
    compile_program(program)
    before = cache.usage()[0]
    if "x86_64" in llvm.get_process_triple():
        found = compile_program(program, options=LlvmOptions("x86-64-v2", "", 128, 0))
        assert isinstance(found, NativeFunction)
        assert cache.usage()[0] == before + 1
    assert ScalarType(F64) != Input("scalar", 0, F64)
