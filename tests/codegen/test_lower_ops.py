"""Every op, from its samples: lowered, evaluated, equal to its eager rule; nothing leaks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import tracejit.ops  # noqa: F401
from tracejit.codegen.evaluate import evaluate
from tracejit.codegen.lowering.entry import lower
from tracejit.ir.opdef import REGISTRY, OpDef
from tracejit.transforms import pipeline

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
from op_graphs import assert_same, comparable, eager_results, forms, one_op_graph, samples_of  # noqa: E402

OPS = [d for d in REGISTRY if d.samples is not None and d.eager is not None]


@pytest.mark.parametrize("defn", OPS, ids=lambda d: d.name)
def test_lowered_op_equals_its_eager_rule(defn: OpDef) -> None:
    samples = samples_of(defn)
    for number, sample in enumerate(samples[:: 1 + len(samples) // 12]):
        for form in forms(defn):
            made = one_op_graph(defn, sample, form)
            graph = pipeline.run(made.graph("f"), ["ownership"])
            inputs = [np.ascontiguousarray(x) if isinstance(x, np.ndarray) else x for x in made.inputs]
            found = evaluate(lower(graph), inputs)
            pairs = zip(comparable(defn, found), comparable(defn, eager_results(defn, sample)), strict=True)
            for i, (got, expected) in enumerate(pairs):
                assert_same(got, expected, f"{defn.name} sample {number} ({form}), result {i}")
