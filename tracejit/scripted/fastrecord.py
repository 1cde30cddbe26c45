"""Calls that go on the eager tape, for the native call path: the forward that also gives what a node saves.

What writes to its arguments, or returns a Python number that has a derivative, stays with `node.call_recorded`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from tracejit.eager.tape import attach, next_sequence
from tracejit.frontend.function import ArrayLeaf, Leaf, NumberLeaf
from tracejit.ir.types import ScalarType, TensorType, is_differentiable
from tracejit.runtime import guards as g
from tracejit.runtime.specialisation import Specialisation as NativeSpecialisation
from tracejit.scripted.fastpath import Inexpressible, Plan
from tracejit.scripted.node import GraphNode

if TYPE_CHECKING:
    from tracejit.scripted.compiler import Compiled


class RecordedPlan(Plan):
    """A specialisation whose calls become nodes."""

    recorded = True

    def __init__(self, *of: Any) -> None:
        super().__init__(*of)
        self.function = self.made.with_gradients(self.made.wanted)
        self.results_of = self.function.source.result_types
        self.place_of: dict[int, int] = {}

    def build(self) -> NativeSpecialisation:
        if self.lowered.graph.inout:
            raise Inexpressible
        return super().build()

    @property
    def compiled(self) -> Compiled:
        return self.function.forward

    def leaf(self, leaf: Leaf) -> g.Leaf:
        if isinstance(leaf, NumberLeaf) and leaf.weak and is_differentiable(self.results_of[leaf.index]):
            raise Inexpressible
        return super().leaf(leaf)

    def flatten(self, leaf: Leaf, leaves: list[g.Leaf]) -> Any:
        if isinstance(leaf, NumberLeaf) or (isinstance(leaf, ArrayLeaf) and leaf == ArrayLeaf(leaf.index)):
            known = self.place_of.setdefault(leaf.index, len(leaves))
            if known < len(leaves):
                leaves.append(g.SameResult(known))
                return len(leaves) - 1
        return super().flatten(leaf, leaves)

    def results(self, leaf: Leaf, leaves: list[g.Leaf]) -> tuple[str, Any]:
        """The user's leaves, then the inputs, then what the node saves; `finish` ties them together."""
        if any(i.is_list for i in self.lowered.inputs):  # the node keeps its inputs as arrays
            raise Inexpressible
        tree = self.flatten(leaf, leaves)
        n_leaves, n_inputs = len(leaves), len(self.lowered.inputs)
        leaves.extend(g.ArgumentResult(self.at[i.access]) for i in self.lowered.inputs)
        first = self.function.n_user
        for k in range(self.function.n_saved):
            leaves.append(self.saved(first + k))
        ports = [(i, self.place_of.get(i)) for i, t in enumerate(self.results_of) if is_differentiable(t)]
        if any(place is None for _, place in ports):
            raise Inexpressible
        return "finish", self.finish(tree, n_leaves, n_inputs, [(i, p) for i, p in ports if p is not None])

    def saved(self, output: int) -> g.Leaf:
        match self.compiled.interface.outputs[output].type:
            case ScalarType():
                return g.NumberResult(output, boxed=True)
            case TensorType():
                return g.ArrayResult(output)

    def finish(self, tree: Any, n_leaves: int, n_inputs: int, ports: list[tuple[int, int]]) -> Callable[..., Any]:
        """What makes the node, with (result, leaf) in `ports` as its ports, and the call's result."""
        function, n_results, end = self.function, len(self.results_of), n_leaves + n_inputs
        always = [i for i, row in function.leads.items() if 1 in row]
        single = isinstance(tree, int) and ports == [(0, tree)] and n_results == 1 and always == [0]

        def several(*values: Any) -> Any:
            shapes: list[Any] = [None] * n_results
            for result, place in ports:
                array = values[place]._data
                shapes[result] = array.shape, array.dtype
            node = GraphNode.of_call(function, values[n_leaves:end], values[end:], shapes)
            for result, place in ports:
                if node.asks(result):
                    attach(values[place], node, result)
            return values[tree] if isinstance(tree, int) else self.assemble(tree, values)

        if single and n_leaves == 1:
            tensors = tuple(i for i, x in enumerate(self.lowered.inputs) if x.is_tensor)
            return _single(n_inputs, function.wanted, tensors)(function, GraphNode, next_sequence)
        return several


@cache
def _single(n_inputs: int, wanted: tuple[int, ...], tensors: tuple[int, ...]) -> Callable[..., Callable[..., Any]]:
    """What makes, for a graph, the function that turns one Tensor, the inputs and the residuals into a recorded Tensor.

    It does what `GraphNode.of_call` does, written out for these inputs: loops over a few of them cost a call of a
    microsecond half of its time.
    """
    inputs = "".join(f"x{i}, " for i in range(n_inputs))
    edges = "".join(f"((x{i}, 0) if x{i}._grad_fn is None else (x{i}._grad_fn, x{i}._port)), " for i in wanted)
    versions = "".join(
        f"(x{i}._version if x{i}._owner is None else x{i}._owner._version), " if i in tensors else "0, "
        for i in range(n_inputs)
    )
    made: dict[str, Any] = {}
    exec(_SINGLE.format(inputs=inputs, edges=edges, versions=versions), made)
    return made["make"]


_SINGLE = """
def make(function, GraphNode, next_sequence, new=object.__new__):
    def finish(result, {inputs}*saved):
        node = new(GraphNode)
        node.ports = 1
        node.edges = ({edges})
        node.sequence = next_sequence()
        node.hooks = None
        node.released = False
        node.function = function
        node.inputs = ({inputs})
        node.saved = saved
        node.versions = ({versions})
        array = result._data
        node.shapes = ((array.shape, array.dtype),)
        result._grad_fn = node
        result._requires_grad = True
        return result
    return finish
"""
