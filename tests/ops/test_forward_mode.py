"""Forward mode of every op sample: the transpose of the op's rule agrees with the rule, complex operands included."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.ops import op_graphs
from tests.ops.op_graphs import EAGER, eager_results, one_op_graph, samples_of
from tests.ops.test_every_op import OPS, product
from tracejit.ir import interpreter
from tracejit.ir.opdef import OpDef, flatten
from tracejit.ir.verifier import verify
from tracejit.transforms.derivatives.jvp import jvp_graph

RULED = [defn for defn in OPS if callable(defn.vjp)]


@pytest.mark.parametrize("defn", RULED, ids=lambda d: d.name)
def test_forward_mode_is_the_transpose_of_reverse_mode(defn: OpDef) -> None:
    for number, sample in enumerate(samples_of(defn)):
        results = eager_results(defn, sample)
        operands = [x for x in flatten(sample.operands) if not isinstance(x, tuple)]
        wide = all(x.dtype.name in ("float64", "complex128") for x in (*operands, *results) if op_graphs.is_active(x))
        if not wide or not op_graphs.differentiable(defn, sample):
            continue
        made = one_op_graph(defn, sample, "named")
        graph = made.graph(defn.name)
        wanted = [i for i, x in enumerate(made.inputs) if op_graphs.is_active(x)]
        pushed = jvp_graph(graph, wanted)
        verify(pushed, "jvp")
        along = op_graphs.cotangents_of([made.inputs[i] for i in wanted], seed=5)
        with np.errstate(all="ignore"):
            found = interpreter.run(pushed, [*made.inputs, *along], np)[len(results) :]
            check(defn, sample, results, found, along, f"{defn.name} sample {number}")


def check(defn: OpDef, sample: Any, results: Any, tangents: list[Any], along: Any, what: str) -> None:
    """<cotangent, tangent> is <pulled back cotangent, direction>."""
    g = op_graphs.cotangents(defn, op_graphs.weights_of(defn, results), results)
    pulled = op_graphs.pullback(EAGER, defn, sample.operands, results, g, sample.attrs)
    places = [i for i, x in enumerate(flatten(sample.operands)) if op_graphs.is_active(x)]
    backward = sum(product(pulled[i], t) for i, t in zip(places, along, strict=True) if pulled[i] is not None)
    given = [c for c, r in zip(g, results, strict=True) if op_graphs.is_active(r)]
    forward = sum(product(c, t) for c, t in zip(given, tangents, strict=True) if c is not None)
    np.testing.assert_allclose(forward, backward, rtol=1e-9, atol=1e-11, err_msg=what)
