"""Graphs on the eager tape: a call of a compiled graph is one node, its derivative a compiled graph.

The plain backward uses residuals that the forward saved. When the derivative is itself differentiated
(`create_graph`), one graph computes forward and backward together from the inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tracejit.devices import array_module, as_array
from tracejit.eager.alias import write_history
from tracejit.eager.inplace import LEAF_WRITTEN, adopt
from tracejit.eager.modes import MODE, no_grad
from tracejit.eager.tape import Edge, Node, OpNode, attach, next_sequence
from tracejit.eager.tensor import Tensor, version_of, wrap
from tracejit.eager.writes import note_write
from tracejit.errors import Span
from tracejit.frontend.boundary.results import History
from tracejit.ir.aliasing import updated, updates
from tracejit.ir.core import Graph, Value, walk
from tracejit.ir.opdef import REGISTRY
from tracejit.ir.reached import telling_paths
from tracejit.ir.types import Order, is_differentiable, rows_first
from tracejit.locks import cached_property
from tracejit.runtime.dispatch import make_ahead
from tracejit.runtime.failure import thrown_at
from tracejit.scripted.compiler import Compiled, compile_graph, simplify
from tracejit.scripted.kept import Kept
from tracejit.transforms.derivatives.vjp import Derivative, derive, pullback_graph

#: Numbers of residuals and of truth values of a forward, `written` and `leads` of a `DifferentiableGraph`.
Facts: TypeAlias = tuple[int, int, frozenset[int], Mapping[int, Sequence[int]]]


class DifferentiableGraph:
    """A graph with its derivative with respect to some parameters, compiled when first needed."""

    def __init__(
        self,
        source: Graph,
        wanted: Sequence[int],
        layouts: Sequence[Order] | None = None,
        kept: Kept | None = None,
    ) -> None:
        self.source = source
        self.wanted = tuple(wanted)
        self.layouts = tuple(layouts) if layouts is not None else rows_first(len(source.params))
        self.n_user = len(source.result_types) - len(source.inout)
        self._kept = kept

    @cached_property
    def graph(self) -> Graph:
        """The graph, simplified."""
        return simplify(self.source)[0]

    @cached_property
    def derivative(self) -> Derivative:
        return derive(self.graph, self.wanted, lists=False)

    @cached_property
    def _telling(self) -> tuple[Graph, int, tuple[tuple[int, ...], ...]]:
        """The forward that also tells which inputs its results asked for gradients by, on the path it took."""
        n, more = self.n_user, self.derivative.n_residuals
        places = [i if i < n else i + more for i in self.cotangent_results]
        return telling_paths(self.derivative.forward, self.wanted, places)

    @cached_property
    def facts(self) -> Facts:
        """What is known about the derivative without it."""
        return (
            self._found_facts() if self._kept is None else self._kept.value(f"facts {self.wanted}", self._found_facts)
        )

    def _found_facts(self) -> Facts:
        finals = zip(self.source.inout, self.source.results[self.n_user :], strict=True)
        written = frozenset(k for k, v in finals if is_recorded_write(self.source, v))
        _, n_told, leads = self._telling
        return self.derivative.n_residuals, n_told, written, dict(zip(self.cotangent_results, leads, strict=True))

    @property
    def n_residuals(self) -> int:
        """How many values the forward hands to the backward."""
        return self.facts[0]

    @property
    def n_told(self) -> int:
        """How many truth values the forward hands to a node: whether paths were taken."""
        return self.facts[1]

    @property
    def n_saved(self) -> int:
        """How many values the forward hands to a node: the residuals, then whether paths were taken."""
        return self.facts[0] + self.facts[1]

    @property
    def written(self) -> frozenset[int]:
        """The `inout` parameters that are written where that is recorded."""
        return self.facts[2]

    @property
    def leads(self) -> Mapping[int, Sequence[int]]:
        """For each result that has a cotangent, whether it asks for gradients by each wanted parameter: a place among
        False, True and the truth values that the forward hands to the node. An array that is written under `no_grad`
        does by what it was before."""
        return self.facts[3]

    @cached_property
    def plain(self) -> Compiled:
        """The forward alone."""
        return compile_graph(self.graph, self.layouts, runs=True)

    @cached_property
    def forward(self) -> Compiled:
        """The forward that also gives what a node saves."""

        def make() -> Compiled:
            return compile_graph(self._telling[0], self.layouts, runs=True)

        return make() if self._kept is None else self._kept.compiled(f"forward {self.wanted}", make)

    @cached_property
    def backward(self) -> Compiled:
        def make() -> Compiled:
            return compile_graph(self.derivative.backward, runs=True)

        return make() if self._kept is None else self._kept.compiled(f"backward {self.wanted}", make)

    @cached_property
    def joint(self) -> DifferentiableGraph:
        """Forward and backward in one graph: parameters and cotangents to the cotangents of the wanted parameters."""
        graph = pullback_graph(self.graph, self.wanted, self.cotangent_results)
        inexact = [i for i, p in enumerate(graph.params) if is_differentiable(p.type)]
        layouts = (*self.layouts, *rows_first(len(self.cotangent_results)))
        return DifferentiableGraph(graph, inexact, layouts)

    @property
    def cotangent_results(self) -> tuple[int, ...]:
        """Results (final versions of `inout` parameters included) that have cotangents."""
        return tuple(i for i, t in enumerate(self.source.result_types) if is_differentiable(t))


class GraphNode(Node):
    """One recorded call of a graph; edges lead to the wanted inputs."""

    __slots__ = ("function", "inputs", "saved", "versions", "shapes")
    gives_zero = False

    def __init__(
        self, function: DifferentiableGraph, inputs: Sequence[Any], saved: Sequence[Any], shapes: list[Any]
    ) -> None:
        super().__init__([inputs[i] for i in function.wanted], len(shapes))
        self.function = function
        self.inputs = inputs
        self.saved = saved
        self.versions = [version_of(x) if isinstance(x, Tensor) else 0 for x in inputs]
        self.shapes = shapes

    @classmethod
    def of_call(
        cls, function: DifferentiableGraph, inputs: Sequence[Any], saved: Sequence[Any], shapes: list[Any]
    ) -> GraphNode:
        """The node of a call whose wanted inputs are known to be inexact Tensors that ask for gradients: the same as
        the constructor, without what its checks cost a call of a microsecond."""
        node = cls.__new__(cls)
        node.ports = len(shapes)
        edges: list[Any] = []
        for i in function.wanted:
            x = inputs[i]
            history = x._grad_fn
            edges.append((x, 0) if history is None else (history, x._port))
        node.edges = tuple(edges)
        node.sequence = next_sequence()
        node.hooks = None
        node.released = False
        node.function = function
        node.inputs = inputs
        node.saved = saved
        node.versions = [version_of(x) if isinstance(x, Tensor) else 0 for x in inputs]
        node.shapes = shapes
        return node

    @property
    def name(self) -> str:
        return f"{self.function.source.name} node"

    def input_dtype(self, index: int) -> np.dtype[Any] | None:
        x = self.inputs[self.function.wanted[index]]
        return x.dtype if isinstance(x, Tensor) else None

    def pull(self, cotangents: list[Any], create_graph: bool) -> Sequence[Any]:
        for x, version in zip(self.inputs, self.versions, strict=True):
            if isinstance(x, Tensor) and version_of(x) != version:
                raise RuntimeError(
                    "a tensor needed for the gradient was changed in place since the compiled function was called"
                )
        function = self.function
        chosen = function.cotangent_results
        seeds = [self.seed(i, cotangents[i]) for i in chosen]
        if create_graph:
            found = call_recorded(function.joint, [*self.inputs, *seeds])
        else:
            found = function.backward([*self.saved[: function.n_residuals], *map(raw_value, seeds)])
        make_ahead()
        rows = [self.led_to(i) for i in chosen if cotangents[i] is not None]
        return [x if any(reached) else None for x, *reached in zip(found, *rows, strict=False)]

    def asks(self, result: int) -> bool:
        """Whether a result asks for gradients, on the path that the call took."""
        return 1 in self.function.leads.get(result, ()) or any(self.led_to(result))

    def led_to(self, result: int) -> list[bool]:
        """Whether a result asks for gradients by each wanted input, on the path that the call took."""
        function = self.function
        truths = (False, True, *self.saved[len(self.saved) - function.n_told :])
        return [bool(truths[k]) for k in function.leads.get(result, ())]

    def led_from(self, port: int) -> Sequence[Edge]:
        return [edge for edge, reached in zip(self.edges, self.led_to(port), strict=False) if reached]

    def seed(self, result: int, cotangent: Any) -> Any:
        """A result's cotangent, zeros where none arrived."""
        shape, dtype = self.shapes[result]
        module = array_module(self.function.source.device)
        if cotangent is None:
            return module.zeros(shape, dtype)
        if isinstance(cotangent, Tensor):
            return cotangent
        return module.ascontiguousarray(cotangent, dtype).reshape(shape)

    def release(self) -> None:
        super().release()
        self.inputs, self.saved = (), self.saved[len(self.saved) - self.function.n_told :]  # the paths that it took


class SpentNode(Node):
    """The history of what a script returned or left in what it was given, that ran `backward()` itself, or set
    `.grad`: nothing is kept for another one."""

    __slots__ = ("graph",)

    def __init__(self, graph: Graph) -> None:
        super().__init__((), len(graph.results))
        self.graph = graph

    @property
    def name(self) -> str:
        return f"{self.graph.name} node"

    def check_alive(self) -> None:
        raise RuntimeError(
            f"backward through the graph a second time: the script {self.graph.name!r} took derivatives itself, and "
            "what another backward() needs has been freed; call it in the script, or outside only"
        )


class Spent:
    """Lets what a call leaves ask for gradients, which it cannot give any more, where `histories` say so."""

    def __init__(self, graph: Graph, histories: Iterable[History]) -> None:
        self.graph = graph
        first = len(graph.results) - len(graph.inout)
        self.results = [h for h in histories if h.result < first]
        self.arguments = [(graph.inout[h.result - first], h) for h in histories if h.result >= first]

    def node(self) -> SpentNode | None:
        """The node of one call; None where it records nothing."""
        return SpentNode(self.graph) if MODE.enabled and (self.results or self.arguments) else None

    def in_results(self, node: SpentNode | None, outputs: Sequence[Any]) -> list[Any]:
        """The graph's results with those that ask for gradients as Tensors that do."""
        made = list(outputs)
        if node is None:
            return made
        for h in self.results:
            if h.holds is None or outputs[h.holds]:
                made[h.result] = attach(wrap(as_array(made[h.result], self.graph.device)), node, h.result)
        return made

    def in_arguments(self, node: SpentNode | None, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        """The same of arguments that were written, after their gradients have gone on to what they were made of."""
        if node is None:
            return
        for i, h in self.arguments:
            if (h.holds is None or outputs[h.holds]) and isinstance(inputs[i], Tensor):
                spend(inputs[i], node, h.result)


def spend(x: Tensor, node: SpentNode, port: int) -> None:
    """Let a Tensor have the history of a spent call; a leaf stays one."""
    if not _is_leaf(x):
        write_history(x, attach(wrap(x._data), node, port))


def raw_value(x: Any) -> Any:
    """A Tensor's array; others as they are."""
    return x._data if isinstance(x, Tensor) else x


def is_recorded(function: DifferentiableGraph, inputs: Sequence[Any]) -> bool:
    """Whether a call goes on the tape."""
    return MODE.enabled and any(isinstance(inputs[i], Tensor) and inputs[i]._requires_grad for i in function.wanted)


def is_recorded_write(graph: Graph, final: Value) -> bool:
    """Whether the final version of a parameter came about by writes other than those under `no_grad`."""
    bodies = [op.block("body") for op in walk(graph.body) if op.name == "loop"]
    makers = {r: (op, i) for op in walk(graph.body) for i, r in enumerate(op.results)}
    params = {p for body in bodies for p in body.params}
    queue, seen = [final], set(graph.params) | params
    while queue:
        value = queue.pop()
        if value in seen:
            continue
        seen.add(value)
        op, i = makers[value]
        if op.name == "if":
            queue += (b.results[i] for b in op.blocks)
        elif op.name == "loop":
            queue += (op.operands[2 + i], op.block("body").results[1 + i])
        elif op.name == "rewritten" or op.defn.stands_for is None:
            return True
        else:
            queue.append(op.operands[-1])
    return False


def write_of(graph: Graph, param: int) -> Span | None:
    """Where an `inout` parameter is written first, as far as the graph tells."""
    makers = {r: (op, i) for op in walk(graph.body) for i, r in enumerate(op.results)}
    value: Value = graph.results[len(graph.results) - len(graph.inout) + graph.inout.index(param)]
    span: Span | None = None
    while value in makers:
        op, i = makers[value]
        if op.name == "if":
            inner = [b.results[i] for b in op.blocks if b.results[i] in makers]
            if not inner:
                break
            value = inner[0]
            continue
        if op.name == "loop":
            value = op.block("body").results[1 + i]
            continue
        if op.defn.stands_for is not None:
            value = op.operands[op.defn.stands_for]
            continue
        span = op.span or span
        if not updates(op):
            break
        value = op.operands[updated(op)]
    return span


def call_recorded(function: DifferentiableGraph, inputs: list[Any]) -> list[Any]:
    """Call a graph on Tensors, arrays and numbers; results that depend on a Tensor that asks for gradients are
    Tensors on the tape. `inout` Tensors get the node as their history."""
    graph = function.source
    if not is_recorded(function, inputs):
        outputs = function.plain([raw_value(x) for x in inputs])
        return outputs[: function.n_user]
    written = [inputs[i] for i in graph.inout]
    for k, x in enumerate(written):
        may_ask = any(function.leads.get(function.n_user + k, ()))
        if _is_leaf(x) and may_ask and graph.inout[k] in function.written:
            span = write_of(function.graph, graph.inout[k])
            raise RuntimeError(LEAF_WRITTEN) if span is None else thrown_at(RuntimeError(LEAF_WRITTEN), span)
    arrays = [raw_value(x) for x in inputs]
    kept = [_copy_of(x) if i in graph.inout else x for i, x in enumerate(inputs)]
    with no_grad():
        found = function.forward(arrays)
    outputs = found[: function.n_user]
    saved = found[function.n_user : function.n_user + function.n_saved]
    results = [*outputs, *written]
    shapes = [
        (np.shape(raw_value(r)), raw_value(r).dtype if hasattr(r, "dtype") else np.dtype(type(r))) for r in results
    ]
    node = GraphNode(function, kept, saved, shapes)
    made: list[Any] = []
    for i, result in enumerate(outputs):
        if node.asks(i):
            made.append(attach(wrap(as_array(result, graph.device)), node, i))
        else:
            made.append(result)
    for k, x in enumerate(written):
        if isinstance(x, Tensor) and node.asks(function.n_user + k) and not _is_leaf(x):
            adopt(x, attach(wrap(x._data), node, function.n_user + k))
        elif isinstance(x, Tensor):
            note_write(x, x._data)
    return made


def _is_leaf(x: Any) -> bool:
    return isinstance(x, Tensor) and x._grad_fn is None and x._requires_grad


def _copy_of(x: Any) -> Any:
    """An input that the call overwrites, kept as it was, with its history."""
    if not isinstance(x, Tensor):
        return x.copy()
    copied = wrap(x._data.copy())
    if _is_leaf(x):
        return attach(copied, OpNode(REGISTRY["leaf"], (x,), {}, (copied._data,)))
    copied._requires_grad = x._requires_grad
    copied._grad_fn, copied._port = x._grad_fn, x._port
    return copied
