"""Whole Jacobians as graphs: a derivative per element, in a loop that fills the matrix.

By forward mode, one loop over the elements of each input; where an output has fewer axes than the input, by reverse
mode, one loop over the elements of the output. What does not depend on the direction is hoisted by level 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tracejit.ir.builder import Builder, Rebuilder
from tracejit.ir.core import Block, Graph, Value
from tracejit.ir.types import BOOL, I64, ScalarType, TensorType
from tracejit.transforms.derivatives.jvp import jvp_graph
from tracejit.transforms.strides import c_strides, product, size_value

SIZE = ScalarType(I64)


def jacobian_graph(graph: Graph, outputs: Sequence[Value], wanted: Sequence[int]) -> Graph:
    """The graph with, as further user results, the derivative of each of `outputs` (results of the graph) by each
    of the parameters `wanted`, output by output: arrays of the output's shape followed by the parameter's.

    The graph has no `gradient` ops; the result may have.
    """
    b = Builder()
    xs = [graph.params[i] for i in wanted]
    found = [_derivative(b, graph, y, x, i) for y in outputs for x, i in zip(xs, wanted, strict=True)]
    n_user = len(graph.results) - len(graph.inout)
    results = (*graph.results[:n_user], *found, *graph.results[n_user:])
    body = Block(graph.params, (*graph.body.ops, *b.ops), results)
    return Graph(f"{graph.name}_jacobian", body, graph.device, graph.inout, graph.policy)


def _derivative(b: Builder, graph: Graph, y: Value, x: Value, wanted: int) -> Value:
    if not y.type.shape:  # type: ignore[union-attr]
        return b.emit("gradient", (y, b.constant(1, y.type), x))[0]
    if not x.type.shape:  # type: ignore[union-attr]
        return _along(Rebuilder(None, {}), b, graph, y, wanted, b.constant(1, x.type))
    if len(y.type.shape) < len(x.type.shape):  # type: ignore[union-attr]
        return _fill(b, y, x, y, lambda inner, seed: _pulled(inner, graph, y, x, seed), by_rows=True)
    return _fill(b, y, x, x, lambda inner, seed: _along(inner, inner, graph, y, wanted, seed), by_rows=False)


def _along(inner: Rebuilder, b: Builder, graph: Graph, y: Value, wanted: int, tangent: Value) -> Value:
    """The derivative of y along a tangent of one parameter."""
    moved = jvp_graph(graph, [wanted])
    n_user = len(graph.results) - len(graph.inout)
    inexact = [v for v in graph.results if v.type.dtype.is_inexact]  # type: ignore[union-attr]
    results = inner.inline(moved.body, (*graph.params, tangent))
    if inner is not b:
        b.ops.extend(inner.ops)
    return results[n_user + inexact.index(y)]


def _pulled(inner: Rebuilder, graph: Graph, y: Value, x: Value, seed: Value) -> Value:
    """The cotangent of one parameter for a cotangent of y."""
    variable = inner.emit("leaf", (x,), names=(x.name,))[0]
    results = inner.inline(graph.body, [variable if p is x else p for p in graph.params])
    return inner.emit("gradient", (results[graph.results.index(y)], seed, variable))[0]


def _fill(
    b: Builder, y: Value, x: Value, over: Value, derive: Callable[[Rebuilder, Value], Value], by_rows: bool
) -> Value:
    """A matrix filled by a loop over the elements of `over`, y (its rows) or x (its columns)."""
    rows, columns = b.shape(b.wrap(y)), b.shape(b.wrap(x))
    type = TensorType(y.type.dtype, (None,) * (len(rows) + len(columns)))  # type: ignore[union-attr]
    sizes = [size_value(b, s) for s in (*rows, *columns)]
    empty = b.emit("undef", sizes, {"type": type})[0]
    width = product(b, columns)
    count = product(b, rows) if by_rows else width
    index, filled = Value(SIZE, "i"), Value(empty.type, "jacobian")
    inner = Rebuilder(None, {})
    i, one = inner.wrap(index), inner.wrap(inner.constant(1, ScalarType(over.type.dtype)))  # type: ignore[union-attr]
    zeros = inner.zeros_like(inner.wrap(over))
    seed = inner.vwrite(zeros, inner.broadcast(one, ()), i, ())
    part = inner.wrap(derive(inner, seed.value))
    if by_rows:
        place, strides = i * inner.wrap(width), c_strides(inner, columns)
    else:
        place, strides = i, tuple(s * inner.wrap(width) for s in c_strides(inner, rows))
    written = inner.vwrite(inner.wrap(filled), part, place, strides)
    go = b.constant(True, ScalarType(BOOL))
    body = inner.block((index, filled), (go, written.value), "body")
    return b.emit("loop", (count, go, empty), blocks=[body], types=[empty.type], names=("jacobian",))[0]
