"""Checks of derivatives by central differences, and the programs they run on.

A program is a graph's text whose first result is differentiated; the graphs made from it are verified and
interpreted. Inputs that are floats or float arrays are the variables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tracejit.ops  # noqa: F401
from tracejit.ir import interpreter
from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Graph, Value
from tracejit.ir.opdef import Opaque
from tracejit.ir.parser import parse
from tracejit.ir.types import ListType, ScalarType
from tracejit.ir.verifier import verify
from tracejit.transforms import pipeline
from tracejit.transforms.derivatives.vjp import derive
from tracejit.transforms.expand_gradient import value_and_grad_graph


def program(text: str) -> Graph:
    """A verified graph from its text."""
    graph = parse(text)
    verify(graph)
    return graph


def variables(inputs: Sequence[Any]) -> list[int]:
    """Which inputs are floats."""
    return [i for i, x in enumerate(inputs) if np.asarray(x).dtype.kind == "f"]


def differences(f: Callable[[list[Any]], float], inputs: Sequence[Any], place: int, step: float = 1e-5) -> Any:
    """The central differences of f by one input."""
    x = np.array(inputs[place], dtype="float64")
    slopes = np.zeros(x.shape)
    for at in np.ndindex(*x.shape):
        values: list[float] = []
        for move in (step, -step):
            moved = x.copy()
            moved[at] += move
            values.append(f([*inputs[:place], moved if x.shape else float(moved), *inputs[place + 1 :]]))
        slopes[at] = (values[0] - values[1]) / (2 * step)
    return slopes


def check_derive(text: str, *inputs: Any, results: Sequence[int] | None = None) -> None:
    """`derive`: the forward gives what the graph gives, the backward agrees with differences of a random combination
    of the results; with and without lists among the residuals."""
    for lists in (True, False):
        _check_derive(program(text), inputs, results, lists)


def _check_derive(graph: Graph, inputs: Sequence[Any], results: Sequence[int] | None, lists: bool) -> None:
    wanted = variables(inputs)
    derivative = derive(graph, wanted, results, lists=lists)
    assert lists or not any(isinstance(p.type, ListType) for p in derivative.backward.params)
    verify(derivative.forward, "derive")
    verify(derivative.backward, "derive")
    expected = interpreter.run(graph, inputs)
    n_user = len(expected) - len(graph.inout)
    found = interpreter.run(derivative.forward, inputs)
    residuals = found[n_user : n_user + derivative.n_residuals]
    del found[n_user : n_user + derivative.n_residuals]
    for x, y in zip(expected, found, strict=True):
        np.testing.assert_array_equal(x, y)
    rng = np.random.default_rng(0)
    seeds = [rng.normal(size=np.shape(expected[i])) for i in derivative.cotangents]
    slopes = interpreter.run(derivative.backward, [*residuals, *seeds])

    def combined(values: list[Any]) -> float:
        outcome = interpreter.run(graph, values)
        return sum(float(np.sum(s * outcome[i])) for s, i in zip(seeds, derivative.cotangents, strict=True))

    for place, slope in zip(wanted, slopes, strict=True):
        np.testing.assert_allclose(slope, differences(combined, inputs, place), rtol=1e-6, atol=1e-7)


def check_orders(text: str, *inputs: Any, order: int = 2, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    """Gradients of the first result, then of a combination of the gradients, up to `order`."""
    graph = program(text)
    wanted = variables(inputs)
    for _ in range(order):
        both = gradient_graph(graph, wanted)
        slopes = interpreter.run(both, inputs)[-len(wanted) :]
        current = graph

        def value(values: list[Any], current: Graph = current) -> float:
            return float(interpreter.run(current, values)[0])

        for place, slope in zip(wanted, slopes, strict=True):
            np.testing.assert_allclose(slope, differences(value, inputs, place), rtol=rtol, atol=atol)
        graph = combined_gradients(both, len(wanted))


def gradient_graph(graph: Graph, wanted: Sequence[int]) -> Graph:
    """Value and gradients, simplified and verified after every transform."""
    both = value_and_grad_graph(graph, wanted)
    verify(both, "value_and_grad_graph")
    return pipeline.run(both, pipeline.LEVEL1, verify=True)


def combined_gradients(graph: Graph, count: int) -> Graph:
    """The graph whose one result is a weighted sum of all elements of the last `count` results."""
    b = Builder()
    total: Any = b.wrap(b.constant(0, ScalarType(graph.results[-1].type.dtype)))  # type: ignore[union-attr]
    for weight, slope in enumerate(graph.results[-count:], 1):
        total = total + _sum(b, slope) * (weight + 0.5)
    return Graph("combined", Block(graph.params, (*graph.body.ops, *b.ops), (total.value,)))


def _sum(b: Builder, x: Value) -> Any:
    if isinstance(x.type, ScalarType):
        return b.wrap(x)
    axes = tuple(range(len(x.type.shape)))  # type: ignore[union-attr]
    return b.fetch(b.sum(b.wrap(x), axes=axes) if axes else b.wrap(x), ())


def element_operations(graph: Graph, inputs: Sequence[Any], monkeypatch: Any) -> int:
    """How many elements all ops together make; an update in place counts as one."""
    total = 0
    evaluate = interpreter.evaluate

    def counting(op: Any, operands: Sequence[Any], xp: Any) -> tuple[Any, ...]:
        nonlocal total
        results = evaluate(op, operands, xp)
        in_place = isinstance(op.defn.lower, Opaque) and op.defn.lower.updates
        total += 1 if in_place else sum(np.size(x) for x in results if not isinstance(x, list))
        return results

    with monkeypatch.context() as patch:
        patch.setattr(interpreter, "evaluate", counting)
        interpreter.run(graph, inputs)
    return total
