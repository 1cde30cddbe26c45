"""The generic tests of the vocabulary: defining an op with samples is all it takes to be tested here.

Eager rules are the reference. Each check runs on every sample: the type rule, the interpreter, text round trip,
vjp against finite differences, and the compiled forms together with their vjp rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.gpu import has_gpu
from tests.ops import op_graphs
from tests.ops.op_graphs import EAGER, assert_same, eager_results, forms, one_op_graph, samples_of
from tracejit import devices
from tracejit.codegen.evaluate import evaluate
from tracejit.codegen.loop_ir import Program
from tracejit.codegen.lowering.entry import lower
from tracejit.ir import interpreter, parser, verifier
from tracejit.ir.core import Graph
from tracejit.ir.opdef import OpDef, Sample, flatten
from tracejit.ir.types import ScalarType, TensorType
from tracejit.ops import REGISTRY
from tracejit.runtime import cuda
from tracejit.runtime.cpu import compile_program
from tracejit.transforms import pipeline

OPS = [defn for defn in REGISTRY if defn.samples is not None and defn.eager is not None]

every_op = pytest.mark.parametrize("defn", OPS, ids=lambda d: d.name)


def cases(defn: OpDef) -> list[tuple[str, Sample, str]]:
    return [
        (f"{defn.name} {form} sample {number}", sample, form)
        for form in forms(defn)
        for number, sample in enumerate(samples_of(defn))
    ]


@every_op
def test_inferred_type_is_that_of_the_eager_result(defn: OpDef) -> None:
    for what, sample, form in cases(defn):
        made = one_op_graph(defn, sample, form)
        verifier.verify(made.graph(defn.name))
        for value, found in zip(made.results, eager_results(defn, sample), strict=True):
            assert isinstance(value.type, ScalarType | TensorType)
            assert np.asarray(found).dtype.name == value.type.dtype.numpy_name, what
            assert np.ndim(found) == value.type.rank, what
            for size, dim in zip(np.shape(found), value.type.shape, strict=True):
                assert dim == size if isinstance(dim, int) else True, what


@every_op
def test_interpreter_agrees_with_eager(defn: OpDef) -> None:
    for what, sample, form in cases(defn):
        made = one_op_graph(defn, sample, form)
        results = interpreter.run(made.graph(defn.name), made.inputs, np)
        for found, expected in zip(results, eager_results(defn, sample), strict=True):
            assert_same(found, expected, what)


@every_op
def test_text_of_the_one_op_graph_reads_back(defn: OpDef) -> None:
    for what, sample, form in cases(defn):
        text = str(one_op_graph(defn, sample, form).graph(defn.name))
        read = parser.parse(text)
        verifier.verify(read)
        assert str(read) == text, what


@every_op
def test_vjp_agrees_with_finite_differences(defn: OpDef) -> None:
    for number, sample in enumerate(samples_of(defn)):
        values = [*flatten(sample.operands), *eager_results(defn, sample)]
        coarse = any(x.dtype.name not in ("float64", "complex128") for x in values if op_graphs.is_active(x))
        if coarse or not op_graphs.differentiable(defn, sample):
            continue
        check_against_differences(defn, sample, f"{defn.name} sample {number}")


def check_against_differences(defn: OpDef, sample: Sample, what: str) -> None:
    """Along a random direction of each operand, with a random cotangent."""
    results = eager_results(defn, sample)
    g = op_graphs.cotangents(defn, op_graphs.weights_of(defn, results), results)
    found = op_graphs.pullback(EAGER, defn, sample.operands, results, g, sample.attrs)
    for place, x in enumerate(flatten(sample.operands)):
        if not op_graphs.is_active(x):
            continue
        (direction,) = op_graphs.cotangents_of([x], seed=11 + place)
        slope = difference(defn, sample, place, direction, g)
        given = 0.0 if found[place] is None else product(found[place], direction)
        size = 1.0 + np.sum(np.abs(direction))
        np.testing.assert_allclose(given, slope, rtol=2e-6, atol=2e-7 * size, err_msg=f"operand {place} of {what}")


def product(g: Any, direction: Any) -> float:
    """The real inner product of a cotangent and a change."""
    return float(np.sum(np.real(np.conj(g) * direction)))


def difference(defn: OpDef, sample: Sample, place: int, direction: Any, g: Sequence[Any]) -> float:
    """The central difference of the sum of results weighted by g."""
    step = 1e-6

    def moved(amount: float) -> list[Any]:
        operands = list(flatten(sample.operands))
        there = operands[place] + amount * direction
        operands[place] = np.asarray(there) if isinstance(operands[place], np.ndarray) else there
        return list(eager_results(defn, Sample(defn.group(operands), sample.attrs)))

    pairs = zip(g, moved(step), moved(-step), strict=True)
    return sum(product(c, (up - down) / (2 * step)) for c, up, down in pairs if c is not None)


@every_op
def test_vjp_rule_builds_a_graph_that_agrees_with_eager(defn: OpDef) -> None:
    def run(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
        verifier.verify(graph)
        return interpreter.run(graph, inputs, np)

    op_graphs.check_all_samples(defn, run, scale=4.0)


# -- compiled forms -------------------------------------------------------------------------------------------


def program_of(graph: Graph) -> Program:
    """The graph lowered for the CPU, without the simplifications that would hide an op."""
    return lower(pipeline.run(graph, ["dce", "ownership"]))


def arranged(inputs: Sequence[Any]) -> list[Any]:
    """Inputs as the entry takes them: C order."""
    return [np.ascontiguousarray(x) if isinstance(x, np.ndarray) and x.ndim else x for x in inputs]


@every_op
def test_loop_program_and_its_vjp_agree_with_eager(defn: OpDef) -> None:
    op_graphs.check_all_samples(defn, lambda graph, inputs: evaluate(program_of(graph), arranged(inputs)), scale=8.0)


@every_op
def test_native_code_and_its_vjp_agree_with_eager(defn: OpDef) -> None:
    def run(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
        return compile_program(program_of(graph)).call(arranged(inputs))

    op_graphs.check_all_samples(defn, run, scale=8.0)


@pytest.mark.gpu
@pytest.mark.skipif(not has_gpu(), reason="needs CuPy and a GPU")
@every_op
def test_gpu_code_and_its_vjp_agree_with_eager(defn: OpDef) -> None:
    cupy = devices.cupy()

    def run(graph: Graph, inputs: Sequence[Any]) -> list[Any]:
        program = lower(pipeline.run(graph, ["dce", "ownership"]), "cuda")
        given = [cupy.asarray(x) if isinstance(x, np.ndarray) else x for x in arranged(inputs)]
        results = cuda.compile_program(program).call(given)
        return [cupy.asnumpy(x) if isinstance(x, cupy.ndarray) else x for x in results]

    op_graphs.check_all_samples(defn, run, scale=8.0)
