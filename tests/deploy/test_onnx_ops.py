"""Every op that has a form in ONNX, on every sample: onnxruntime computes what the eager rule does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.ops.op_graphs import assert_same, eager_results, forms, one_op_graph, samples_of
from tracejit.deploy.onnx.write import onnx_model
from tracejit.errors import ExportError
from tracejit.ir.opdef import OpDef, Sample
from tracejit.ops import REGISTRY

onnx = pytest.importorskip("onnx", reason="needs the package onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")

OPS = [d for d in REGISTRY if d.samples is not None and d.eager is not None and samples_of(d)]


def run(model: Any, inputs: list[Any]) -> list[np.ndarray[Any, Any]]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {i.name: np.asarray(x) for i, x in zip(session.get_inputs(), inputs, strict=True)})


#: What ONNX, or onnxruntime for these dtypes, does not have.
REFUSED = {
    "attempt_cholesky", "attempt_eigh", "attempt_pinv", "attempt_solve", "attempt_solve_triangular", "attempt_svd",
    "bitcast", "checked_pow", "cholesky", "cofactors", "det", "eigh", "erf", "erfc", "erfinv", "fft", "irfft",
    "laid_product", "lay_out", "lgamma", "nextafter", "only_if_equal", "pinv", "qr", "regroup_bits", "rfft",
    "slogdet", "solve", "solve_triangular", "svd", "tgamma",
}  # fmt: skip


def can_be_given(x: Any) -> bool:
    """Whether onnxruntime's Python package takes such an array."""
    return np.asarray(x).dtype.name != "bfloat16"


@pytest.mark.parametrize("defn", OPS, ids=lambda d: d.name)
def test_onnxruntime_agrees_with_eager(defn: OpDef) -> None:
    compared, complex_ones = 0, 0
    for form in forms(defn):
        for number, sample in enumerate(samples_of(defn)):
            what = f"{defn.name} {form} sample {number}"
            made, expected = one_op_graph(defn, sample, form), eager_results(defn, sample)
            if not all(map(can_be_given, made.inputs)):
                continue
            try:
                model = onnx_model(made.graph(defn.name), {})
            except ExportError as error:
                is_complex = any(np.asarray(x).dtype.kind == "c" for x in (*made.inputs, *expected))
                assert is_complex or defn.name in REFUSED, f"{what}: {error}"
                complex_ones += is_complex
                continue
            for found, wanted in zip(run(model, made.inputs), expected, strict=True):
                assert_same(found, wanted, what, scale=16.0)
            compared += 1
    assert compared or complex_ones or defn.name in REFUSED


EXTREMES = np.array([0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-40, 0.5, 2.5, -2.5])


@pytest.mark.parametrize(
    "name", "minimum maximum sign floor ceil trunc round abs relu isnan isinf copysign mod floordiv fmod".split()
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zeros_infinities_and_nans(name: str, dtype: str) -> None:
    defn = REGISTRY[name]
    left, right = (g.reshape(-1).astype(dtype) for g in np.meshgrid(EXTREMES, EXTREMES))
    sample = Sample((left, right)[: len(defn.signature)])
    (found,) = run(onnx_model(one_op_graph(defn, sample, "named").graph(name), {}), list(sample.operands))
    (expected,) = eager_results(defn, sample)
    np.testing.assert_array_equal(found, expected)  # but for the sign of zeros, which onnxruntime's `Where` loses


@pytest.mark.parametrize("name", ["min", "max", "sum", "argmax", "argmin", "argsort"])
def test_nans_in_folds(name: str) -> None:
    x = np.array([[1.0, np.nan, 3.0, np.inf], [np.inf, 2.0, -np.inf, 0.0], [np.nan, np.inf, np.nan, -1.0]])
    sample = Sample((x,), {"axes": (1,)} if name in ("min", "max", "sum") else {"axis": 1})
    defn = REGISTRY[name]
    (found,) = run(onnx_model(one_op_graph(defn, sample, "named").graph(name), {}), [x])
    np.testing.assert_array_equal(found, eager_results(defn, sample)[0])


LARGE = np.array([[1 << 63, 3, (1 << 53) + 1], [7, (1 << 64) - 1, 5]], np.uint64)
WHOLE = ["uint64", "int64", "int32", "uint16", "int16", "int8"]
FOLDS = [
    *((name, dtype) for name in ("sum", "prod", "min", "max") for dtype in WHOLE),
    ("all", "bool"),
    ("any", "bool"),
]


@pytest.mark.parametrize(("name", "dtype"), FOLDS)
def test_folds_of_integers_wrap_around_and_keep_their_order(name: str, dtype: str) -> None:
    x, defn = LARGE.astype(dtype), REGISTRY[name]
    for axes in ((0, 1), (0,), (1,)):
        for part in (x, x[:, :0] if 1 in axes else x[:0]):
            sample = Sample((part,), {"axes": axes})
            (found,) = run(onnx_model(one_op_graph(defn, sample, "named").graph(name), {}), [part])
            (expected,) = eager_results(defn, sample)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
