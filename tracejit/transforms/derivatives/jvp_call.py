"""Forward mode of `call`: a called graph gets a graph that carries tangents along.

Its parameters are those of the graph and then the tangents of those that vary or are changed in place; its results are
the user results, the tangents of the differentiable ones, the final versions, and the tangents of these. Tangents of
what is changed in place are changed in place too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tracejit.ir.aliasing import finals
from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Graph, Op, Value
from tracejit.ir.linking import relinked
from tracejit.ir.types import is_differentiable
from tracejit.transforms.derivatives.activity import active
from tracejit.transforms.derivatives.cotangents import zero

#: Appends ops with their tangents: (builder, parameters of the graph, active values, ops, tangents by value).
Walk = Callable[[Builder, Sequence[Value], set[Value], Sequence[Op], dict[Value, Value]], None]


class CallTangents:
    """The graphs with tangents of called graphs, by graph and parameters with tangents."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.known: dict[tuple[Graph, tuple[int, ...]], Graph] = {}
        self.made: dict[Graph, Graph] = {}  #: what stands for a graph in the making, with the graph
        self.depth = 0

    def call(self, b: Builder, op: Op, tangents: dict[Value, Value]) -> None:
        """Append a call with tangents."""
        graph: Graph = op.attrs["callee"]
        moving = tuple(
            i for i, v in enumerate(op.operands) if is_differentiable(v.type) and (v in tangents or i in graph.inout)
        )
        operands = (
            *op.operands,
            *(tangents[v] if v in tangents else zero(b, v) for v in (op.operands[i] for i in moving)),
        )
        changed = [(old, new) for old, new in finals(op)]
        users = op.results[: len(op.results) - len(changed)]
        found = {r: Value(r.type, f"t{r.name}") for r in op.results if is_differentiable(r.type)}
        given = [found[r] for r in users if r in found]
        last = [found[new] for _, new in changed if new in found]
        results = (*users, *given, *(new for _, new in changed), *last)
        attrs = {"callee": self.find(graph, moving)}
        b.ops.append(Op(op.defn, operands, attrs, results, (), op.span))
        tangents.update(found)

    def find(self, graph: Graph, moving: tuple[int, ...]) -> Graph:
        """The graph with tangents of the parameters `moving`."""
        key = (graph, moving)
        if key in self.known:
            return self.known[key]
        places = {i: len(graph.params) + k for k, i in enumerate(moving)}
        inout = (*graph.inout, *(places[i] for i in graph.inout if i in places))
        stub = self.known[key] = Graph(f"{graph.name}.tangent", Block((), (), ()), graph.device, inout, graph.policy)
        self.depth += 1
        self.made[stub] = self.make(stub, graph, moving)
        self.depth -= 1
        if not self.depth:
            linked = relinked(self.made)
            self.known = {k: linked.get(g, g) for k, g in self.known.items()}
            self.made = {}
        return self.known[key]

    def make(self, stub: Graph, graph: Graph, moving: tuple[int, ...]) -> Graph:
        inputs = [graph.params[i] for i in moving]
        seeds = [Value(v.type, f"t{v.name}") for v in inputs]
        outputs = [v for v in graph.results if is_differentiable(v.type)]
        tangents = dict(zip(inputs, seeds, strict=True))
        b = Builder()
        self.walk(b, graph.params, active(graph.body.ops, inputs, outputs), graph.body.ops, tangents)

        def moved(values: Sequence[Value]) -> list[Value]:
            differentiable = (v for v in values if is_differentiable(v.type))
            return [tangents[v] if v in tangents else zero(b, v) for v in differentiable]

        n = len(graph.results) - len(graph.inout)
        given, last = moved(graph.results[:n]), moved(graph.results[n:])
        body = b.block((*graph.params, *seeds), (*graph.results[:n], *given, *graph.results[n:], *last))
        return Graph(stub.name, body, graph.device, stub.inout, graph.policy)
