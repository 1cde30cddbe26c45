"""`python -m tests.transforms.fuzz_derivatives --count N --seed S`: derivatives of random graphs, interpreted.

Of each graph the gradient by reverse mode is compared with central differences along a direction and with forward
mode; of some also with forward and backward as two graphs, and with itself under a memory budget; of some the second
derivative, reverse over reverse with forward over reverse. Seeds that disagree are printed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.transforms.derivatives import combined_gradients
from tests.transforms.random_programs import LENGTH, Maker
from tracejit.ir import interpreter
from tracejit.ir.core import Graph
from tracejit.ir.verifier import verify
from tracejit.transforms import pipeline
from tracejit.transforms.derivatives.jvp import jvp_graph
from tracejit.transforms.derivatives.vjp import derive
from tracejit.transforms.expand_gradient import value_and_grad_graph

WANTED = (0, 1, 2, 3)
EVERY = 8  #: one in so many programs goes through each of the slower comparisons


class Disagreement(AssertionError):
    """Two ways to a derivative give different numbers."""


def inputs(seed: int) -> list[Any]:
    """Arguments of a random graph."""
    rng = np.random.default_rng(seed)
    return [*map(float, rng.uniform(-1, 1, 2)), rng.uniform(-1, 1, LENGTH), rng.uniform(-1, 1, LENGTH)]


def dot(slopes: Sequence[Any], along: Sequence[Any]) -> float:
    """The derivative along a direction."""
    return sum(float(np.sum(np.asarray(s) * t)) for s, t in zip(slopes, along, strict=True))


def judge(seed: int, every: int | None = None, *, rich: bool = False) -> bool:
    """Compare the ways for one graph; whether its differences could be judged. Raises `Disagreement`.

    `every` chooses the slower comparison, by default by the seed; `rich`: of a graph with more ops.
    """
    graph = Maker(seed, named_size=bool(seed % 2), rich=rich).graph()
    given = inputs(seed)
    rng = np.random.default_rng(seed + 1)
    along = [rng.normal(size=np.shape(x)) if np.shape(x) else float(rng.normal()) for x in given]
    gradient = value_and_grad_graph(graph, WANTED)
    verify(gradient, "gradient")
    slopes = interpreter.run(gradient, given)[-len(WANTED) :]
    slope = dot(slopes, along)
    judged = against_differences(graph, given, along, slope)
    pushed = jvp_graph(graph, WANTED)
    verify(pushed, "jvp")
    agree("forward mode", slope, float(interpreter.run(pushed, [*given, *along])[len(graph.results)]))
    match seed % EVERY if every is None else every:
        case 0:
            second_order(gradient, given, along)
        case 1 | 4:
            two_graphs(graph, given, slopes)
        case 2 | 5:
            under_budget(graph, given, slopes)
        case _:
            pass
    return judged


def under_budget(graph: Graph, given: list[Any], slopes: Sequence[Any]) -> None:
    """The gradient with loops that recompute."""
    frugal = Graph(graph.name, graph.body, graph.device, graph.inout, {"memory": 200})
    checkpointed = pipeline.run(_with_gradient(frugal), ("checkpoint-loops", "expand-gradient"), verify=True)
    for x, y in zip(slopes, interpreter.run(checkpointed, given)[-len(WANTED) :], strict=True):
        agree("under a memory budget", x, y)


def _with_gradient(graph: Graph) -> Graph:
    """The graph with `gradient` ops that are not expanded."""
    from tracejit.ir.builder import Builder
    from tracejit.ir.core import Block

    b = Builder()
    found = b.emit("gradient", (graph.results[0], b.constant(1, graph.results[0].type), *graph.params))
    body = Block(graph.params, (*graph.body.ops, *b.ops), (*graph.results, *found))
    return Graph(graph.name, body, graph.device, (), graph.policy)


def against_differences(graph: Graph, given: list[Any], along: list[Any], slope: float) -> bool:
    """Central differences along the direction, where they are smooth."""
    values = [
        float(interpreter.run(graph, [x + h * t for x, t in zip(given, along, strict=True)])[0])
        for h in (-2e-5, -1e-5, 1e-5, 2e-5)
    ]
    narrow, wide = (values[2] - values[1]) / 2e-5, (values[3] - values[0]) / 4e-5
    if not np.isclose(narrow, wide, rtol=1e-5, atol=1e-6):
        return False
    agree("central differences", narrow, slope, 1e-4, 1e-5)
    return True


def two_graphs(graph: Graph, given: list[Any], slopes: Sequence[Any]) -> None:
    """Forward and backward apart, lists as arrays between them."""
    derivative = derive(graph, WANTED, [0], lists=False)
    verify(derivative.backward, "backward")
    found = interpreter.run(derivative.forward, given)
    residuals = found[len(graph.results) : len(graph.results) + derivative.n_residuals]
    for x, y in zip(slopes, interpreter.run(derivative.backward, [*residuals, 1.0]), strict=True):
        agree("forward and backward apart", x, y)


def second_order(gradient: Graph, given: list[Any], along: list[Any]) -> None:
    """Reverse over reverse and forward over reverse of a combination of the gradients."""
    combined = combined_gradients(pipeline.run(gradient, pipeline.LEVEL1, verify=True), len(WANTED))
    twice = interpreter.run(value_and_grad_graph(combined, WANTED), given)[-len(WANTED) :]
    pushed = interpreter.run(jvp_graph(combined, WANTED), [*given, *along])[1]
    agree("second order", dot(twice, along), float(pushed))


def agree(what: str, x: Any, y: Any, rtol: float = 1e-8, atol: float = 1e-10) -> None:
    """Raise where two results differ."""
    if not np.allclose(x, y, rtol=rtol, atol=atol, equal_nan=True):
        raise Disagreement(f"{what}: {x!r} and {y!r}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many graphs")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    started, judged = time.perf_counter(), 0
    found: Counter[str] = Counter()
    with np.errstate(all="ignore"):
        for seed in range(options.seed, options.seed + options.count):
            try:
                judged += judge(seed, rich=seed // 2 % 2 == 1)
            except Exception as error:
                key = f"{type(error).__name__}: {str(error).split(':')[0][:60]}"
                found[key] += 1
                print(f"seed {seed}: {type(error).__name__}: {str(error)[:300]}", flush=True)
            if (seed + 1 - options.seed) % 1000 == 0:
                print(f"{seed + 1 - options.seed} graphs in {time.perf_counter() - started:.0f} s", flush=True)
    print(f"{options.count} graphs, {judged} judged by differences, in {time.perf_counter() - started:.0f} s")
    for key, count in found.most_common():
        print(f"{count:5d}  {key}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
