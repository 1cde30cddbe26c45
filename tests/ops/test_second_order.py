"""Derivative rules are made of ops, so they can be differentiated again: second derivatives against differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.ops import op_graphs
from tracejit.eager.apply import apply
from tracejit.ir.opdef import OpDef, Sample, flatten
from tracejit.ops import REGISTRY

OPS = [d for d in REGISTRY if d.samples is not None and d.eager is not None and callable(d.vjp)]


def real_samples(defn: OpDef) -> list[Sample]:
    """Samples all of whose active values are f64 arrays that are not empty."""

    def suits(sample: Sample) -> bool:
        values = [*flatten(sample.operands), *op_graphs.eager_results(defn, sample)]
        active = [x for x in values if op_graphs.is_active(x)]
        arrays = all(isinstance(x, np.ndarray) and x.size for x in active)
        return arrays and all(x.dtype == np.float64 for x in active) and op_graphs.differentiable(defn, sample)

    return [s for s in op_graphs.samples_of(defn) if suits(s)][:4]


def gradient_along(defn: OpDef, sample: Sample, seed: int) -> tuple[Callable[[list[Any]], Any], list[np.ndarray]]:
    """The function `inputs -> sum of gradients weighted with random directions`, and the inputs."""
    flat = list(flatten(sample.operands))
    active = [i for i, x in enumerate(flat) if op_graphs.is_active(x)]
    results = op_graphs.eager_results(defn, sample)
    g = op_graphs.cotangents(defn, op_graphs.weights_of(defn, results), results)
    directions = [op_graphs.cotangents_of([flat[i]], seed + i)[0] for i in active]

    def function(inputs: list[Any]) -> Any:
        operands = list(flat)
        for i, x in zip(active, inputs, strict=True):
            operands[i] = x
        outs = apply(defn, defn.group(operands), sample.attrs)
        outs = outs if isinstance(outs, tuple) else (outs,)
        pairs = [(o, tj.from_numpy(np.asarray(c))) for o, c in zip(outs, g, strict=True) if c is not None]
        total = sum((o * c).sum() for o, c in pairs)
        grads = tj.autograd.grad(total, inputs, create_graph=True, allow_unused=True)
        parts = [
            (q * tj.from_numpy(np.asarray(v))).sum() for q, v in zip(grads, directions, strict=True) if q is not None
        ]
        return sum(parts) if parts else None

    return function, [flat[i] for i in active]


@pytest.mark.parametrize("defn", OPS, ids=lambda d: d.name)
def test_second_derivatives_agree_with_differences(defn: OpDef) -> None:
    for number, sample in enumerate(real_samples(defn)):
        function, inputs = gradient_along(defn, sample, seed=5)

        def at(arrays: list[np.ndarray]) -> tuple[Any, list[Any]]:
            tensors = [tj.tensor(a, requires_grad=True) for a in arrays]
            return function(tensors), tensors

        value, tensors = at(inputs)
        if value is None:
            continue
        found = tj.autograd.grad(value, tensors, allow_unused=True) if value.requires_grad else [None] * len(inputs)
        for place, x in enumerate(inputs):
            (direction,) = op_graphs.cotangents_of([x], seed=21 + place)
            step = 1e-6

            def moved(amount: float) -> float:
                shifted = list(inputs)
                shifted[place] = np.asarray(x + amount * direction)
                return float(at(shifted)[0].item())

            slope = (moved(step) - moved(-step)) / (2 * step)
            given = 0.0 if found[place] is None else float(np.sum(found[place].numpy() * direction))
            np.testing.assert_allclose(given, slope, rtol=5e-5, atol=5e-6, err_msg=f"{defn.name} sample {number}")
