"""Products with a matrix that a loop lays out once: all sizes against NumPy, on any number of threads to the same bits,
and random recurrent cells with their gradients against eager code."""

from __future__ import annotations

import ctypes
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest

import tracejit as tj
from tests.threads import each_number_of_threads
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.products.laid import LEAST_BYTES, MOST_ROWS, ROWS, TRIPS
from tracejit.codegen.products.tall import tall_choice_text
from tracejit.codegen.support.native import Platform, gemm_module, part_module, support_text, tiles_module
from tracejit.runtime.engine import assemble, engine
from tracejit.runtime.machines import host_options, target_machine
from tracejit.transforms import pipeline

#: Machines beside this one.
OTHERS = (LlvmOptions("x86-64-v2", "", 128, 0), LlvmOptions("x86-64-v3", "", 256, 32))

#: Rows on both sides of what is laid out for, and of whole tiles.
TALL = (1, 3, 7, 8, 9, 33, MOST_ROWS, MOST_ROWS + 1)


@tj.script
def products(x: Any, w: Any, trips: Any) -> Any:
    """The last of the products of x times 1, 2, ... with w."""
    last = np.zeros((x.shape[0], w.shape[1]), x.dtype)
    for i in range(trips):
        last = (x * (i + 1)) @ w
    return last


@tj.script
def turned(x: Any, w: Any, trips: Any) -> Any:
    last = np.zeros((x.shape[0], w.shape[0]), x.dtype)
    for i in range(trips):
        last = (x * (i + 1)) @ w.T
    return last


@tj.script
def each_trip(x: Any, scales: Any, w: Any) -> Any:
    """The product of a row in each trip."""
    found = np.zeros((scales.shape[0], w.shape[1]), x.dtype)
    for i in range(scales.shape[0]):
        found[i] = ((x * scales[i]) @ w)[0]
    return found


@pytest.mark.parametrize("function", [products, turned])
def test_these_products_are_laid_out(function: Any) -> None:
    x, w = np.ones((9, 100)), np.ones((100, 100))
    function(x, w, 9)
    assert function.ir("after:lay-factors").count("laid_product") == 1


def assert_products(x: Any, w: Any, trips: int, found: Any) -> None:
    scale = np.abs(x).astype(np.float64) @ np.abs(w) * trips
    expected = x.astype(np.float64) @ w * trips
    tolerance = 1e-5 if x.dtype == np.float32 else 1e-13
    assert np.all(np.abs(found - expected) <= tolerance * scale), (x.shape, w.shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("panels", range(1, 8))
def test_a_row_has_the_same_products_whichever_panel_comes_first(panels: int, dtype: str) -> None:
    """In every other trip it is the last one."""
    rng = np.random.default_rng(panels)
    for width in (48 * panels, 48 * panels - 17, 24 * panels + 1):
        x, w = rng.normal(size=(1, 700)).astype(dtype), rng.normal(size=(700, width)).astype(dtype)
        with each_number_of_threads(1, 2) as counts:
            for _ in counts:
                found = each_trip(x, np.ones(ROWS, dtype), w)
                np.testing.assert_array_equal(found, np.broadcast_to(found[:1], found.shape))
                assert_products(x, w, 1, found[:1])


def test_that_row_is_multiplied_by_what_was_laid_out() -> None:
    each_trip(np.ones((1, 700)), np.ones(ROWS), np.ones((700, 96)))
    assert each_trip.ir("after:lay-factors").count("laid_product") == 1


@tj.script
def rows_one_by_one(places: Any, w: Any) -> Any:
    """The rows of w, each as a product with it."""
    found = np.zeros((places.shape[0], w.shape[1]), w.dtype)
    for i in range(places.shape[0]):
        found[i] = ((places == i).astype(np.float32)[None, :] @ w)[0]
    return found


@pytest.mark.parametrize("panels", range(1, 8))
def test_what_is_noted_behind_the_panels_is_in_none_of_them(panels: int) -> None:
    for width in (48 * panels, 48 * panels - 17, 24 * panels + 1):
        w = np.random.default_rng(width).random((700, width)).astype("float32")
        np.testing.assert_array_equal(rows_one_by_one(np.arange(700), w), w)
    assert rows_one_by_one.ir("after:lay-factors").count("laid_product") == 1


@pytest.mark.parametrize(("name", "size"), [("f32", 4), ("f64", 8)])
def test_there_is_room_for_a_note_behind_what_is_laid_out(name: str, size: int) -> None:
    address = engine().products(name)[f"tj_gemm_{name}_room"]
    room = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)(address)
    assert room(1, 96, 700, ROWS) * size >= 96 * 700 * size + 8


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", TALL)
def test_matrices_of_all_sizes(rows: int, dtype: str) -> None:
    rng = np.random.default_rng(rows)
    for depth, width in ((91, 96), (400, 24), (250, 49), (63, 200), (600, 18), (170, 64), (150, 97), (70, 1000)):
        x, w = rng.normal(size=(rows, depth)).astype(dtype), rng.normal(size=(depth, width)).astype(dtype)
        wide = np.full((depth, width + 3), np.nan, dtype)
        wide[:, 1 : width + 1] = w
        for left in (x, np.asfortranarray(x)):
            for right in (w, np.asfortranarray(w), wide[:, 1 : width + 1]):
                assert_products(x, w, 16, products(left, right, 16))
        assert_products(x, w, 16, turned(x, np.ascontiguousarray(w.T), 16))
        if rows == 1:
            assert_products(x, w, ROWS, products(x, w, ROWS))
            assert_products(x, w, ROWS, turned(x, np.ascontiguousarray(w.T), ROWS))


@pytest.mark.parametrize("trips", [0, 1, TRIPS - 1, TRIPS, ROWS])
def test_few_trips(trips: int) -> None:
    rng = np.random.default_rng(0)
    for rows in (0, 8, ROWS):
        x, w = rng.normal(size=(rows, 100)), rng.normal(size=(100, 120))
        assert_products(x, w, trips, products(x, w, trips))


@pytest.mark.parametrize(
    "sizes",
    [
        (9, 96, 97),
        (32, 300, 512),
        (100, 130, 50),
        (1, 300, 512),
        (1, 500, 97),
        (33, 64, 256),
        (70, 200, 97),
        (48, 300, 800),
    ],
)
def test_the_same_bits_on_any_number_of_threads(sizes: tuple[int, ...]) -> None:
    rows, depth, width = sizes
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=size).astype("float32") for size in ((rows, depth), (depth, width)))
    with each_number_of_threads(1, 2, 3) as counts:
        found = [products(x, w, max(9, ROWS // rows)) for _ in counts]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_rows_and_columns_do_not_see_each_other() -> None:
    x, w = np.ones((13, 100)), np.ones((100, 131))
    x[5, 3], w[7, 2], w[8, 130] = np.nan, np.inf, -np.inf
    found = products(x, w, 8)
    assert np.isnan(found[5]).all()
    rest = np.delete(found, 5, axis=0)
    assert (rest[:, 2] == np.inf).all() and (rest[:, 130] == -np.inf).all()
    assert (np.delete(rest, [2, 130], axis=1) == 800.0).all()


@pytest.mark.parametrize("options", OTHERS, ids=lambda o: f"{o.vector_bits} bits")
@pytest.mark.parametrize("name", ["f32", "f64"])
def test_products_of_other_machines(name: str, options: LlvmOptions) -> None:
    if options.vector_bits > host_options().vector_bits:
        pytest.skip("this machine has no such vectors")
    machine = target_machine(options)
    support = support_text(Platform.of_triple(llvm.get_process_triple()))
    parts = (part_module(part, name, options) for part in ("laid", "turn", "tall"))
    texts = [support, tiles_module(name, options), tall_choice_text(name, options, is_lazy=False), *parts]
    code = bytes(machine.emit_object(assemble(texts, machine, optimised=False)))
    library = engine().link([code], [f"tj_laid_{name}"])
    word, place = ctypes.c_int64, ctypes.c_void_p
    kinds = (*[word] * 3, place, word, word, place, word, word, place, word, place, ctypes.c_bool)
    function = ctypes.CFUNCTYPE(None, *kinds)(library[f"tj_laid_{name}"])
    rng = np.random.default_rng(0)
    sizes = ((8, 3, 48), (9, 1, 49), (17, 70, 100), (40, 33, 71), (13, 20, 95), (1, 5, 49), (1, 60, 180), (9, 700, 100))
    for m, k, n in sizes:
        x, w = (rng.normal(size=size).astype("float32" if name == "f32" else "float64") for size in ((m, k), (k, n)))
        for b in (w, np.asfortranarray(w)):
            laid, c = np.full(k * (n + 48), np.nan, x.dtype), np.full((m, n + 5), 7.0, x.dtype)
            steps = (s // w.itemsize for s in b.strides)
            given = m, n, k, x.ctypes.data, k, 1, b.ctypes.data, *steps, c.ctypes.data, n + 5, laid.ctypes.data
            function(*given, True)
            function(*given, False)
            np.testing.assert_allclose(c[:, :n], x @ w, rtol=1e-4, atol=1e-4)
            assert (c[:, n:] == 7.0).all()


def test_there_is_room_where_it_pays() -> None:
    """Asks the native function: rows, columns, terms, trips."""
    room = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)(engine().products("f32")["tj_gemm_f32_room"])
    side = int((LEAST_BYTES / 4) ** 0.5) + 48
    assert room(32, side, side, 100) >= side * side
    assert room(32, side, side, 2**62) >= side * side
    assert room(1, side, side, 100) >= side * side
    for few in (
        (1, side, side, ROWS - 1),
        (2, side, side, 100),
        (MOST_ROWS + 1, side, side, 100),
        (32, 8, side, 100),
        (32, 48, 48, 100),
    ):
        assert room(*few) == 0, few
    assert room(32, side, side, TRIPS - 1) == room(32, side, side, -5) == room(8, side, side, 5) == 0


def test_a_library_of_its_own_lays_nothing_out() -> None:
    text = gemm_module(LlvmOptions("x86-64-v3", "", 256, 8), ["f32"])
    assert "@tj_gemm_f32_room(" in text and "@tj_laid_f32(" not in text


def test_matrices_are_laid_out_for_cpus_only() -> None:
    assert "lay-factors" in pipeline.level2("cpu") and "lay-factors" not in pipeline.level2("cuda")


# -- recurrent cells --------------------------------------------------------------------------------------------------


def plain(x: Any, h: Any, w: Any, u: Any, b: Any) -> Any:
    for t in range(x.shape[0]):
        h = np.tanh(x[t] @ u + h @ w + b)
    return (h * h).sum()


def gated(x: Any, h: Any, w: Any, u: Any, b: Any) -> Any:
    for t in range(x.shape[0]):
        z = tj.sigmoid(h @ w + b)
        h = z * h + (1.0 - z) * np.tanh(x[t] @ u - (z * h) @ w)
    return (h * np.cos(h)).sum()


def ended(x: Any, h: Any, w: Any, u: Any, b: Any) -> Any:
    """The number of trips is found as it goes."""
    t = 0
    while t < x.shape[0] and (h * h).sum() < 1e6:
        h = np.sin(h @ w) + x[t] @ u + b
        t += 1
    return h.sum() * t


def stepped(x: Any, h: Any, w: Any, u: Any, b: Any) -> Any:
    """The matrix changes between loops."""
    total = 0.0
    for i in range(3):
        g = h
        for item in x:
            g = np.tanh(g @ w + item)
        w = w * (0.9 + 0.1 * i)
        total = total + (g * b).sum() + (g @ u).sum()
    return total


def shrinking(x: Any, h: Any, w: Any, u: Any, b: Any) -> Any:
    """Fewer rows from trip to trip, down to one."""
    total = 0.0
    for item in x:
        h = np.tanh(h @ w + b)
        total = total + (h[0] @ u).sum() * item[0, 0]
        if h.shape[0] > 1:
            h = h[1:]
    return total


@pytest.mark.parametrize("cell", [plain, gated, ended, stepped, shrinking], ids=lambda f: f.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_random_recurrent_cells_and_their_gradients(cell: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps, rows = int(rng.integers(4, 12)), int(rng.choice([1, 2, 7, 8, 12, 31]))
    hidden = int(rng.integers(64, 130))
    dtype = rng.choice(["float32", "float64"])
    x, h, b = (rng.normal(size=s) for s in ((steps, rows, hidden), (rows, hidden), (hidden,)))
    w, u = (rng.normal(size=(hidden, hidden)) / hidden**0.5 for _ in range(2))
    leaves = [tj.tensor(v).requires_grad_() for v in (h, w, u, b)]
    value = cell(tj.tensor(x), *leaves)
    expected = [np.asarray(v.detach()) for v in (value, *tj.autograd.grad(value, leaves)) if v is not None]
    with each_number_of_threads(1, 2) as counts:
        found = [
            tj.value_and_grad(cell, argnums=(1, 2, 3, 4))(*(v.astype(dtype) for v in (x, h, w, u, b))) for _ in counts
        ]
    tolerance = 2e-3 if dtype == "float32" else 1e-9
    for value, gradients in found:
        for one, other in zip((value, *gradients), expected, strict=True):
            np.testing.assert_allclose(np.asarray(one), other, rtol=tolerance, atol=tolerance)
    for one, other in zip((found[0][0], *found[0][1]), (found[1][0], *found[1][1]), strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
