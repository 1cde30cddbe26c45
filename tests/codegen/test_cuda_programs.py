"""Whole programs on the CUDA shim: control flow, in-place updates, lists, reductions of every shape, gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.codegen.cuda_graphs import LEVEL2, ORDERS, compiled, place, run
from tests.cuda_shim.shim_device import MISSING, Divergence, ShimModule, compile_cpp
from tests.transforms.random_programs import LENGTH, Maker
from tracejit.codegen.cuda.printer import OPTIONS, print_kernels
from tracejit.codegen.cuda.schedule import CudaProgram
from tracejit.codegen.loop_ir import Function, Program
from tracejit.ir import interpreter
from tracejit.ir.core import Graph
from tracejit.ir.parser import parse
from tracejit.runtime import nvrtc
from tracejit.transforms import pipeline
from tracejit.transforms.expand_gradient import value_and_grad_graph

needs_shim = pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")


def numbers(*shape: int, dtype: str = "float64", seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)


@dataclass(frozen=True)
class Example:
    """A graph and inputs for it."""

    graph: Graph
    inputs: tuple[Any, ...]


RELAX = """
graph @relax(%x: f64[n], %w: f64[n], %tol: f64) on cuda {
  %xw = mul(%x, %w) : f64[n]
  %s = sum(%xw) {axes = (0,)} : f64[]
  %err = fetch(%s) : f64
  %go = gt(%err, %tol) : bool
  %max = const() {value = 9223372036854775807, type = !i64} : i64
  %y, %e = loop(%max, %go, %x, %err) : f64[n], f64 {
    body(%i: i64, %x1: f64[n], %err1: f64):
      %m = mul(%x1, %w) : f64[n]
      %t = tanh(%m) : f64[n]
      %n2 = mul(%t, %w) : f64[n]
      %s1 = sum(%n2) {axes = (0,)} : f64[]
      %f = fetch(%s1) : f64
      %g = gt(%f, %tol) : bool
      yield %g, %t, %f
  }
  yield %y, %e
}
"""

SOFTMAX = """
graph @softmax(%x: f32[n, m]) on cuda {
  %n = dim(%x) {axis = 0} : i64
  %m = dim(%x) {axis = 1} : i64
  %one = const() {value = 1, type = !i64} : i64
  %max = max(%x) {axes = (1,)} : f32[n]
  %max1 = reshape(%max, %n, %one) : f32[n, 1]
  %maxb = broadcast(%max1, %n, %m) : f32[n, m]
  %d = sub(%x, %maxb) : f32[n, m]
  %e = exp(%d) : f32[n, m]
  %s = sum(%e) {axes = (1,)} : f32[n]
  %s1 = reshape(%s, %n, %one) : f32[n, 1]
  %sb = broadcast(%s1, %n, %m) : f32[n, m]
  %y = div(%e, %sb) : f32[n, m]
  yield %y
}
"""

NORMALISE = """
graph @normalise(%x: f64[n]) on cuda {
  %n = dim(%x) {axis = 0} : i64
  %s = sum(%x) {axes = (0,)} : f64[]
  %sb = broadcast(%s, %n) : f64[n]
  %y = div(%x, %sb) : f64[n]
  %z = max(%y) {axes = (0,)} : f64[]
  %zb = broadcast(%z, %n) : f64[n]
  %r = sub(%y, %zb) : f64[n]
  yield %r, %s, %z
}
"""

RECURRENCE = """
graph @recurrence(%p: inout f64[n], %w: f64) on cuda {
  %n = dim(%p) {axis = 0} : i64
  %one = const() {value = 1, type = !i64} : i64
  %last = sub(%n, %one) : i64
  %go = const() {value = True, type = !bool} : bool
  %q = loop(%last, %go, %p) : f64[n] {
    body(%i: i64, %a: f64[n]):
      %h = fetch(%a, %i) : f64
      %u = mul(%h, %w) : f64
      %t = tanh(%u) : f64
      %j = add(%i, %one) : i64
      %b = index_update(%a, %t, %j) : f64[n]
      yield %go, %b
  }
  yield %q
}
"""

COLUMNS = """
graph @columns(%x: f32[n, m], %y: f32[m]) on cuda {
  %s = sum(%x) {axes = (0,)} : f32[m]
  %t = mul(%s, %y) : f32[m]
  yield %t
}
"""

PRODUCT = """
graph @product(%a: f32[n, k], %b: f32[k, m], %c: f32[m]) on cuda {
  %p = matmul(%a, %b) : f32[n, m]
  %n = dim(%a) {axis = 0} : i64
  %m = dim(%b) {axis = 1} : i64
  %cb = broadcast(%c, %n, %m) : f32[n, m]
  %s = add(%p, %cb) : f32[n, m]
  %r = relu(%s) : f32[n, m]
  yield %r
}
"""


def random_inputs(seed: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    return (*(float(x) for x in rng.uniform(-1, 1, 2)), rng.uniform(-1, 1, LENGTH), rng.uniform(-1, 1, LENGTH))


def random_program(seed: int, *, gradient: bool) -> Example:
    """A random structured program, or its value and gradient."""
    graph = Maker(seed, named_size=bool(seed % 2)).graph()
    graph = Graph(f"random{seed}{'_gradient' * gradient}", graph.body, "cuda")
    if gradient:
        graph = Graph(graph.name, value_and_grad_graph(graph, (0, 1, 2, 3)).body, "cuda")
    return Example(graph, random_inputs(seed))


def examples() -> dict[str, Example]:
    """All programs, by name."""
    texts = {
        "relax": (RELAX, numbers(5), np.full(5, 0.8), 1e-3),
        "softmax": (SOFTMAX, numbers(7, 300, dtype="float32")),
        "normalise": (NORMALISE, numbers(9001) + 1.5),
        "recurrence": (RECURRENCE, numbers(20), 1.3),
        "columns": (COLUMNS, numbers(40, 33, dtype="float32"), numbers(33, dtype="float32")),
        "product": (PRODUCT, *(numbers(*s, dtype="float32") for s in ((6, 5), (5, 9), (9,)))),
    }
    found = {name: Example(parse(text), tuple(inputs)) for name, (text, *inputs) in texts.items()}
    for seed in range(12):
        for gradient in (False, True):
            example = random_program(seed, gradient=gradient)
            found[example.graph.name] = example
    return found


EXAMPLES = examples()


@pytest.fixture(scope="module")
def placed() -> dict[str, CudaProgram]:
    return {name: place(e.graph, (*pipeline.LEVEL1, *LEVEL2)) for name, e in EXAMPLES.items()}


@pytest.fixture(scope="module")
def module(placed: dict[str, CudaProgram], tmp_path_factory: pytest.TempPathFactory) -> ShimModule:
    return compiled(list(placed.values()), tmp_path_factory.mktemp("shim"))


@needs_shim
@pytest.mark.parametrize("name", EXAMPLES)
def test_program_equals_the_interpreter(name: str, placed: dict[str, CudaProgram], module: ShimModule) -> None:
    example = EXAMPLES[name]
    graph = replace(example.graph, device="cpu")
    expected = interpreter.run(graph, [np.copy(x) if isinstance(x, np.ndarray) else x for x in example.inputs])
    for order in ORDERS:
        found, _ = run(placed[name], module, example.inputs, order)
        for got, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(np.asarray(got), np.asarray(wanted), rtol=2e-6, atol=1e-7)


@pytest.mark.skipif(nvrtc.library() is None, reason="NVRTC is not installed")
def test_nvrtc_compiles_all_programs(placed: dict[str, CudaProgram]) -> None:
    kernels = tuple(k for p in placed.values() for k in p.program.kernels)
    source = print_kernels(Program("all", Function("all", ()), kernels, (), ()))
    ptx = nvrtc.compile_ptx(source, [*OPTIONS, "--gpu-architecture=compute_80"])
    assert ptx.count(".entry") == len(kernels)


def test_softmax_is_one_kernel(placed: dict[str, CudaProgram]) -> None:
    assert len(placed["softmax"].program.kernels) == 1


@needs_shim
def test_a_loop_over_elements_does_not_wait_for_each(placed: dict[str, CudaProgram], module: ShimModule) -> None:
    _, device = run(placed["recurrence"], module, EXAMPLES["recurrence"].inputs)
    assert device.reads <= 1, "a scalar loop runs on the device"


@needs_shim
def test_barrier_divergence_is_detected(tmp_path: Path) -> None:
    source = """
    #include "%s"
    extern "C" __global__ void half(int* x) { if (threadIdx.x < 16) __syncthreads(); x[threadIdx.x] = 1; }
    extern "C" int tj_shim_launch(int, unsigned b, int x, int y, int o, void** a) {
        return shim::launch(half, b, x, y, o, a);
    }
    """
    header = Path(__file__).parents[1] / "cuda_shim" / "cuda_shim.h"
    module = ShimModule.__new__(ShimModule)
    module.kernels = {"half": 0}
    module.library = compile_cpp(source % header, tmp_path)
    x = np.zeros(32, np.int32)
    with pytest.raises(Divergence):
        module.launch("half", 1, (32, 1), 0, [np.uint64(x.ctypes.data)])


@needs_shim
def test_a_missing_barrier_shows_in_some_thread_order(tmp_path: Path) -> None:
    source = """
    #include "%s"
    extern "C" __global__ void race(int* x) {
        __shared__ int slots[32];
        slots[threadIdx.x] = threadIdx.x;
        x[threadIdx.x] = slots[31 - threadIdx.x];
    }
    extern "C" int tj_shim_launch(int, unsigned b, int x, int y, int o, void** a) {
        return shim::launch(race, b, x, y, o, a);
    }
    """
    header = Path(__file__).parents[1] / "cuda_shim" / "cuda_shim.h"
    module = ShimModule.__new__(ShimModule)
    module.kernels = {"race": 0}
    module.library = compile_cpp(source % header, tmp_path)
    results = []
    for order in ORDERS:
        x = np.zeros(32, np.int32)
        module.launch("race", 1, (32, 1), order, [np.uint64(x.ctypes.data)])
        results.append(x)
    assert any(not np.array_equal(results[0], other) for other in results[1:])
