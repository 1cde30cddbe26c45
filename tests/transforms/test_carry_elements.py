"""Elements that loops add to, carried as numbers: the same bits, in fewer updates of memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.transforms import random_places
from tests.transforms.derivatives import program
from tracejit import script, value_and_grad
from tracejit.ir import interpreter
from tracejit.ir.core import Graph, walk
from tracejit.transforms import pipeline
from tracejit.transforms.expand_gradient import value_and_grad_graph


def without_checks(seed: int) -> Graph:
    """The gradient of a random program, without checks that cannot fail."""
    graph = value_and_grad_graph(program(random_places.program(seed)), [0, 1, 2])
    return pipeline.run(graph, (*pipeline.LEVEL1, "ranges"))


@pytest.mark.parametrize("seed", range(200, 240))
def test_random_places(seed: int) -> None:
    graph, inputs = without_checks(seed), random_places.inputs(seed)
    made = pipeline.run(graph, ("carry-elements", "dce"), verify=True)
    expected = interpreter.run(graph, inputs)
    for one, other in zip(interpreter.run(made, inputs), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_some_random_places_are_carried() -> None:
    graphs = [without_checks(seed) for seed in range(200, 240)]
    assert sum(pipeline.run(graph, ("carry-elements",)) is not graph for graph in graphs) > 0


def eliminated(A: Any) -> Any:
    n = A.shape[0]
    for k in range(n):
        for i in range(k + 1, n):
            A[i, k] /= A[k, k]
            for j in range(k + 1, n):
                A[i, j] -= A[i, k] * A[k, j]
    return (A * A).sum()


def sums_of_rows(A: Any) -> Any:
    n, m = A.shape
    for i in range(n):
        for j in range(1, m):
            A[i, 0] += A[i, j] * A[i, j]
    return (A * A).sum()


def ends_early(A: Any) -> Any:
    n, m = A.shape
    for i in range(n):
        for j in range(1, m):
            A[i, 0] += A[i, j] * 0.5
            if A[i, j] > 1.0:
                break
    return (A * A).sum()


@pytest.mark.compiled
@pytest.mark.parametrize("f", [eliminated, sums_of_rows, ends_early], ids=lambda f: f.__name__)
@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 4), (5, 1), (5, 5)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_compiled(f: Any, shape: tuple[int, int], dtype: str) -> None:
    if f is eliminated and shape[0] != shape[1]:
        shape = (shape[0], shape[0])
    A = np.random.default_rng(1).normal(size=shape).astype(dtype)
    A[: min(shape), : min(shape)] += 4 * np.eye(min(shape), dtype=dtype)
    plain, compiled, third = A.copy(), A.copy(), A.copy()
    expected = f(plain)
    np.testing.assert_allclose(script(f)(compiled), expected, rtol=1e-5)
    np.testing.assert_array_equal(compiled, plain)
    _, slope = value_and_grad(script(f))(third)
    step = np.random.default_rng(2).normal(size=shape)
    moved = [f(A.astype("float64") + sign * 1e-6 * step) for sign in (1, -1)]
    np.testing.assert_allclose(
        (slope * step).sum(), (moved[0] - moved[1]) / 2e-6, rtol=2e-3 if dtype == "float32" else 1e-6
    )


def test_what_is_left_of_the_loop_of_an_elimination() -> None:
    text = value_and_grad(script(eliminated))
    text(np.eye(3) + 0.1)
    after = text.ir("after:carry-elements")
    assert after.count("element = fetch") == 1


def test_a_loop_that_accesses_one_element_only_is_left() -> None:
    graph = program(
        """
        graph @f(%g: inout f64[n], %x: f64[n]) on cpu {
          %true = const() {value = True, type = !bool} : bool
          %zero = const() {value = 0, type = !i64} : i64
          %n = dim(%g) {axis = 0} : i64
          %g1 = loop(%n, %true, %g) : f64[n] {
            body(%i: i64, %g2: f64[n]):
              %y = fetch(%x, %i) : f64
              %g3 = index_add(%g2, %y, %zero) : f64[n]
              yield %true, %g3
          }
          yield %g1
        }
        """
    )
    assert pipeline.run(graph, ("carry-elements",)) is graph
    assert any(op.name == "index_add" for op in walk(graph.body))
