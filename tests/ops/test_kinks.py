"""Derivatives where a function has a kink, a singularity or a side that is not taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.ops import op_graphs
from tests.ops.op_graphs import EAGER, OpGraph
from tracejit.ir import interpreter, verifier
from tracejit.ir.builder import Handle
from tracejit.ir.opdef import Sample
from tracejit.ir.types import F32, F64
from tracejit.ops import REGISTRY

INF, NAN = float("inf"), float("nan")


def slopes(name: str, *operands: Any, g: Any = None, **attrs: Any) -> list[Any]:
    """Cotangents of all operands for the cotangent g (ones by default), eagerly; a graph must give the same."""
    defn = REGISTRY[name]
    arrays = tuple(np.asarray(x) for x in operands)
    sample = Sample(arrays, attrs)
    results = op_graphs.eager_results(defn, sample)
    seeds = [np.ones_like(results[0]) if g is None else np.asarray(g, results[0].dtype)]
    found = op_graphs.pullback(EAGER, defn, arrays, results, seeds, attrs)
    made = OpGraph()
    handles, outs = made.apply(defn, sample)
    grads = op_graphs.pullback(made.b, defn, handles, outs, [made.operand(s) for s in seeds], attrs)
    made.results.extend(h.value for h in grads if isinstance(h, Handle))
    graph = made.graph(name)
    verifier.verify(graph)
    through_graph = interpreter.run(graph, made.inputs, np)[1:]
    for x, y in zip([f for f in found if f is not None], through_graph, strict=True):
        np.testing.assert_array_equal(x, y)
    return found


def test_slope_is_0_at_the_kink_of_relu_and_abs() -> None:
    assert slopes("relu", [0.0, -1.0, 2.0])[0].tolist() == [0, 0, 1]
    assert slopes("abs", [0.0, -1.0, 2.0])[0].tolist() == [0, -1, 1]
    assert slopes("sign", [0.0, 3.0]) == [None]


def test_clamp_passes_1_on_its_bounds() -> None:
    x, low, high = slopes("clamp", [-1.0, 0.0, 1.0, 2.0, 3.0], [0.0] * 5, [2.0] * 5)
    assert x.tolist() == [0, 1, 1, 1, 0]
    assert low.tolist() == [1, 0, 0, 0, 0]
    assert high.tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("name", ["minimum", "maximum"])
def test_equal_operands_share_evenly(name: str) -> None:
    for found in slopes(name, [1.0], [1.0]):
        assert found.tolist() == [0.5]


@pytest.mark.parametrize("name", ["min", "max"])
def test_equal_extrema_share_evenly(name: str) -> None:
    (found,) = slopes(name, [2.0, 2.0, 2.0], axes=(0,))
    np.testing.assert_allclose(found, [1 / 3] * 3)
    (found,) = slopes(name, [[1.0, 1.0], [3.0, 3.0]], axes=(0, 1))
    assert found.sum() == 1
    assert sorted(found.reshape(-1).tolist()) == [0, 0, 0.5, 0.5]


def test_nan_takes_the_slope_of_an_extremum() -> None:
    assert slopes("max", [1.0, NAN, 3.0], axes=(0,))[0].tolist() == [0, 1, 0]


def test_square_root_at_0() -> None:
    assert slopes("sqrt", [0.0])[0].tolist() == [INF]
    assert slopes("sqrt", [0.0], g=[0.0])[0].tolist() == [0]


@pytest.mark.parametrize(
    ("name", "operands"),
    [
        ("log", [0.0]),
        ("log", [-1.0]),
        ("reciprocal", [0.0]),
        ("rsqrt", [0.0]),
        ("asin", [1.0]),
        ("acosh", [1.0]),
        ("atanh", [1.0]),
        ("log1p", [-1.0]),
        ("cbrt", [0.0]),
        ("exp", [1e9]),
        ("tan", [NAN]),
    ],
)
def test_a_zero_cotangent_stays_zero_at_singular_points(name: str, operands: list[float]) -> None:
    assert slopes(name, operands, g=[0.0])[0].tolist() == [0]


@pytest.mark.parametrize("name", ["div", "pow", "mul", "atan2", "hypot", "mod"])
def test_a_zero_cotangent_stays_zero_for_two_operands(name: str) -> None:
    for x, y in ((0.0, 0.0), (1.0, 0.0), (INF, 0.0), (NAN, INF), (-1.0, 0.5)):
        for found in slopes(name, [x], [y], g=[0.0]):
            assert found is None or found.tolist() == [0], (x, y)


def test_powers_at_0() -> None:
    base, exponent = slopes("pow", [0.0, 0.0, 0.0, 2.0], [0.0, 1.0, 2.0, 0.0])
    assert base.tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(exponent, [0, 0, 0, np.log(2)])


def test_the_side_that_is_not_taken_gets_exactly_0() -> None:
    _, taken, other = slopes("select", [True, False], [1.0, 2.0], [3.0, 4.0], g=[INF, NAN])
    assert taken[1] == 0
    assert other[0] == 0


def test_hypot_and_norm_at_the_origin() -> None:
    for found in slopes("hypot", [0.0], [0.0]):
        assert found.tolist() == [0]


def test_products_with_zeros() -> None:
    assert slopes("prod", [2.0, 0.0, 3.0], axes=(0,))[0].tolist() == [0, 6, 0]
    assert slopes("prod", [0.0, 0.0, 3.0], axes=(0,))[0].tolist() == [0, 0, 0]
    assert slopes("cumprod", [2.0, 0.0, 3.0], axis=0)[0].tolist() == [1, 8, 0]


def test_the_last_of_several_writes_to_one_place_counts() -> None:
    x, index, value = np.zeros(3), np.array([1, 1, 2]), np.array([5.0, 6.0, 7.0])
    found = slopes("scatter_set", x, index, value, g=[1.0, 2.0, 3.0], axis=0)
    assert found[0].tolist() == [1, 0, 0]
    assert found[2].tolist() == [0, 2, 3]


def test_derivatives_stop_at_integers_and_detach() -> None:
    assert slopes("detach", [1.0]) == [None]
    assert REGISTRY["argmax"].vjp == "its result is an integer"
    assert slopes("cast", np.array([1.5], "float32"), dtype=F64)[0].dtype == np.float32
    assert slopes("cast", [1.5], dtype=F32)[0].dtype == np.float64


def test_norm_is_smooth_enough_at_0_for_a_gradient_of_0() -> None:
    x = tj.tensor([0.0, 0.0], requires_grad=True)
    for name in ("norm", "std"):
        (g,) = tj.autograd.grad(getattr(tj, name)(x), [x])
        assert g.tolist() == [0, 0]
