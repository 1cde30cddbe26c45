"""`jacobian` and `hessian`: all derivatives of all elements of the result."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tracejit.errors import NotDifferentiable
from tracejit.frontend.boundary.signature import Access
from tracejit.frontend.function import ConstantLeaf, Leaf, ListLeaf, Lowered, OptionalLeaf, TreeLeaf
from tracejit.frontend.functions.arguments import argument_numbers
from tracejit.frontend.values import Static
from tracejit.ir.core import Value
from tracejit.ir.types import is_differentiable
from tracejit.scripted.compiler import simplify
from tracejit.transformations.base import (
    Parameter,
    Transformation,
    inside,
    leaf_like,
    n_user,
    relabelled,
    remembered,
    spec_at,
    tree_of,
    value_of,
    variables_of,
    with_results,
    without_views,
)
from tracejit.transformations.gradients import grad
from tracejit.transformations.inside import Jacobian, lower_hessian, lower_jacobian
from tracejit.transforms.derivatives.jacobian import jacobian_graph


@inside(lower_jacobian)
def jacobian(fn: Any, argnums: int | Sequence[int] = 0) -> Any:
    """The function that gives the derivative of every element of `fn`'s result by every element of an argument: an
    array of the result's shape followed by the argument's (in the structure of the result, then of the argument)."""
    numbers = argument_numbers(argnums)
    return remembered(fn, ("jacobian", numbers), lambda: JacobianFunction(fn, numbers))


@inside(lower_hessian)
def hessian(fn: Any, argnums: int | Sequence[int] = 0) -> Any:
    """The function that gives the second derivatives of `fn` (one float): the Jacobian of its gradient."""
    return jacobian(grad(fn, argnums), argnums)


class JacobianFunction(Transformation):
    """What `jacobian` gives."""

    def __init__(self, fn: Any, argnums: int | tuple[int, ...]) -> None:
        self.fn = fn
        self.argnums = argnums
        super().__init__(fn)

    def __tracejit_lower__(self, calls: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        """A call inside a script."""
        return Jacobian(Static(self.fn), self.argnums).__tracejit_lower__(calls, args, kwargs, node)

    def lower(self, parameters: Sequence[Parameter], aliases: dict[Access, Access]) -> Lowered:
        """The inner function with the derivatives of its results as further results."""
        lowered = without_views(self.inner.lower(parameters, {}))
        lowered = relabelled(lowered, simplify(lowered.graph)[0], lowered.result)
        places = self.places(self.argnums, parameters)
        specs = [spec_at(parameters, a) for a in places]
        wanted = [k for s, a in zip(specs, places, strict=True) for k in variables_of(lowered, s, a, "an argument")]
        outputs: list[Value] = []
        self._note_outputs(lowered, lowered.result, outputs)
        if not outputs:
            raise NotDifferentiable("jacobian", f"{self.__name__} returns no float")
        own = n_user(lowered.graph)
        returned = [y for y in outputs if y not in lowered.graph.results]  # parameters, which are no results otherwise
        graph = jacobian_graph(with_results(lowered.graph, [], returned), outputs, wanted)
        results = (*graph.results[:own], *graph.results[own + len(returned) :])
        graph = replace(graph, body=replace(graph.body, results=results))
        index = iter(range(own, n_user(graph)))

        def by_arguments() -> Leaf:
            trees = [
                tree_of(s, lambda k: leaf_like(graph.results[at := next(index)], at, getattr(k, "weak", False)))
                for s in specs
            ]
            return (
                trees[0] if isinstance(self.argnums, int) else TreeLeaf(tuple, tuple(range(len(trees))), tuple(trees))
            )

        return relabelled(lowered, graph, self._like_result(lowered, lowered.result, by_arguments))

    def _note_outputs(self, lowered: Lowered, leaf: Leaf, outputs: list[Value]) -> None:
        if isinstance(leaf, TreeLeaf):
            for child in leaf.children:
                self._note_outputs(lowered, child, outputs)
        elif isinstance(leaf, ListLeaf | OptionalLeaf):
            kind = "a grown list" if isinstance(leaf, ListLeaf) else "what may be None"
            raise NotDifferentiable("jacobian", f"{self.__name__} returns {kind}: return arrays")
        elif (y := value_of(lowered, leaf)) is not None and is_differentiable(y.type):
            outputs.append(y)

    def _like_result(self, lowered: Lowered, leaf: Leaf, made: Any) -> Leaf:
        if isinstance(leaf, TreeLeaf):
            children = tuple(self._like_result(lowered, c, made) for c in leaf.children)
            return TreeLeaf(leaf.type, leaf.keys, children)
        y = value_of(lowered, leaf)
        return made() if y is not None and is_differentiable(y.type) else ConstantLeaf(None)
