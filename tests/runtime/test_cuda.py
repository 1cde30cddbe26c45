"""Calls of programs for a GPU: on the shim everywhere, and on a GPU where there is one."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit.ops  # noqa: F401
from tests.cuda_shim.shim_device import MISSING, ShimDevice, module_of
from tests.gpu import has_gpu
from tracejit import devices
from tracejit.codegen.lowering.entry import lower
from tracejit.ir.parser import parse
from tracejit.runtime.cpu import NativeFailure
from tracejit.runtime.cuda import CudaFunction
from tracejit.transforms import pipeline

SCALED = """
graph @scaled(%x: inout f32[n], %y: f32[n], %a: f32) on cuda {
  %n = dim(%x) {axis = 0} : i64
  %ab = broadcast(%a, %n) : f32[n]
  %p = mul(%y, %ab) : f32[n]
  %z = add(%x, %p) : f32[n]
  %s = sum(%z) {axes = (0,)} : f32[]
  %total = fetch(%s) : f32
  print(%total) {template = "total {0}\\n"}
  yield %total, %z
}
"""

GUARDED = """
graph @guarded(%x: f64[n], %limit: i64) on cuda {
  %go = const() {value = True, type = !bool} : bool
  %zero = const() {value = 0.0, type = !f64} : f64
  %n = dim(%x) {axis = 0} : i64
  %s = loop(%limit, %go, %zero) : f64 {
    body(%i: i64, %t: f64):
      %inside = lt(%i, %n) : bool
      check(%inside, %i, %n) {kind = "IndexError", message = "index {0} of {1}"}
      %e = fetch(%x, %i) : f64
      %u = add(%t, %e) : f64
      yield %go, %u
  }
  yield %s
}
"""


class ShimGpu(ShimDevice):
    """The shim with what `CudaFunction` asks of a GPU."""

    array_type = np.ndarray

    def is_dense(self, x: Any) -> bool:
        return x.flags.c_contiguous

    def current(self) -> Any:
        return contextlib.nullcontext()

    def prepared(self, x: Any, spec: Any) -> Any:
        return np.ascontiguousarray(x) if spec.contiguous else x

    def begin(self) -> ShimGpu:
        return self

    def end(self, frame: ShimGpu) -> None:
        assert frame is self


def compiled(text: str) -> CudaFunction:
    """A graph's text as a function of the GPU."""
    return CudaFunction(lower(pipeline.run(parse(text), ("fuse", "dce", "ownership")), "cuda"))


@pytest.fixture
def on_shim(tmp_path: Path) -> Any:
    """Makes a compiled graph run on the shim."""
    if MISSING:
        pytest.skip(MISSING)

    def make(text: str) -> CudaFunction:
        fn = compiled(text)
        gpu: Any = ShimGpu(module_of([fn.scheduled.program], tmp_path))
        gpu.run = fn.host.on(gpu.launcher)
        fn.__dict__["gpu"] = lambda inputs: gpu
        return fn

    return make


def test_results_writes_and_prints(on_shim: Any, capsys: pytest.CaptureFixture[str]) -> None:
    x, y = np.arange(6, dtype=np.float32)[::2], np.ones(3, np.float32)
    (total,) = on_shim(SCALED).call([x, y, 2.0])
    assert total == np.float32(12)
    np.testing.assert_array_equal(x, [2, 4, 6])
    assert capsys.readouterr().out == "total 12.0\n"


def test_a_check_in_a_device_loop_fails_with_its_payload(on_shim: Any) -> None:
    fn = on_shim(GUARDED)
    assert fn.call([np.arange(4.0), 4]) == [6.0]
    with pytest.raises(NativeFailure, match="index 4 of 4"):
        fn.call([np.arange(4.0), 9])
    assert fn.gpu([]).launches == ["guarded.entry.0"] * 2, "the loop runs on the device"
    assert not fn.gpu([]).blocks, "a failed call gives its memory back"


def test_the_source_names_no_header() -> None:
    assert "#include" not in compiled(SCALED).source


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu(), reason="needs CuPy and a GPU")
def test_on_a_gpu() -> None:
    cupy = devices.cupy()
    x, y = cupy.arange(5, dtype=np.float32), cupy.ones(5, np.float32)
    (total,) = compiled(SCALED).call([x, y, 2.0])
    assert total == np.float32(20)
    np.testing.assert_array_equal(x.get(), np.arange(5) + 2)
    with pytest.raises(NativeFailure, match="index 4 of 4"):
        compiled(GUARDED).call([cupy.arange(4.0), 9])
