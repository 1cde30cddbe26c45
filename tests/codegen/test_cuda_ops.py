"""Every op as CUDA C: its samples run on the shim in several thread orders, and NVRTC compiles the kernels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from op_graphs import assert_same, comparable, eager_results, forms, one_op_graph, samples_of

from tests.codegen.cuda_graphs import ORDERS, compiled, place, run
from tests.cuda_shim.shim_device import MISSING, ShimModule
from tracejit.codegen.cuda.printer import OPTIONS, print_kernels
from tracejit.codegen.cuda.schedule import CudaProgram
from tracejit.codegen.loop_ir import Function, Program
from tracejit.ir.opdef import REGISTRY, OpDef, Sample
from tracejit.runtime import nvrtc

#: What only programs for the processor have: the transform `lay-factors` leaves others alone.
NATIVE = {"lay_out", "laid_product"}
OPS = [d for d in REGISTRY if d.samples is not None and d.eager is not None and samples_of(d) and d.name not in NATIVE]


@dataclass(frozen=True)
class Case:
    """One sample of an op as a placed program."""

    defn: OpDef
    sample: Sample
    label: str
    program: CudaProgram
    inputs: list[Any]


@pytest.fixture(scope="module")
def cases() -> dict[str, list[Case]]:
    """A few samples of every op, in every form."""
    found: dict[str, list[Case]] = {}
    for defn in OPS:
        samples = samples_of(defn)
        for number, sample in list(enumerate(samples))[:: 1 + len(samples) // 4]:
            for form in forms(defn):
                made = one_op_graph(defn, sample, form)
                name = f"{defn.name}_{number}_{form}"
                case = Case(defn, sample, name, place(made.graph(name), ["ownership"]), made.inputs)
                found.setdefault(defn.name, []).append(case)
    return found


@pytest.fixture(scope="module")
def module(cases: dict[str, list[Case]], tmp_path_factory: pytest.TempPathFactory) -> ShimModule:
    """All kernels of all cases, compiled for the CPU."""
    if MISSING:
        pytest.skip(MISSING)
    programs = [case.program for group in cases.values() for case in group]
    return compiled(programs, tmp_path_factory.mktemp("shim"))


@pytest.mark.parametrize("defn", OPS, ids=lambda d: d.name)
def test_kernels_of_an_op_equal_its_eager_rule(defn: OpDef, cases: dict[str, list[Case]], module: ShimModule) -> None:
    for case in cases[defn.name]:
        expected = comparable(defn, eager_results(defn, case.sample))
        for order in ORDERS:
            found, _ = run(case.program, module, case.inputs, order)
            for i, (got, wanted) in enumerate(zip(comparable(defn, found), expected, strict=False)):
                assert_same(got, wanted, f"{case.label}, thread order {order}, result {i}")


@pytest.mark.skipif(nvrtc.library() is None, reason="NVRTC is not installed")
def test_nvrtc_compiles_the_kernels_of_every_op(cases: dict[str, list[Case]]) -> None:
    kernels = tuple(k for group in cases.values() for k in group[-1].program.program.kernels)
    source = print_kernels(Program("ops", Function("ops", ()), kernels, (), ()))
    ptx = nvrtc.compile_ptx(source, [*OPTIONS, "--gpu-architecture=compute_80"])
    assert ptx.count(".entry") == len(kernels)
