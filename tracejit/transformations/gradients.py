"""`grad` and `value_and_grad`: the derivative of one number by chosen arguments."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tracejit.errors import NotDifferentiable
from tracejit.frontend.boundary.signature import Access, NumberSpec
from tracejit.frontend.function import ArrayLeaf, ConstantLeaf, Leaf, Lowered, NumberLeaf, TreeLeaf
from tracejit.frontend.functions.arguments import argument_numbers
from tracejit.ir.builder import Builder
from tracejit.ir.core import Graph, Value
from tracejit.ir.types import F64, ScalarType, is_differentiable
from tracejit.transformations.base import (
    Parameter,
    Transformation,
    inside,
    is_number,
    n_user,
    named_type,
    relabelled,
    remembered,
    spec_at,
    tree_of,
    value_of,
    variables_of,
    with_results,
    without_views,
)
from tracejit.transformations.inside import lower_gradient, require_unused


@inside(lower_gradient("grad"))
def grad(fn: Any, argnums: int | Sequence[int] = 0, has_aux: bool = False, *, unused: str = "zero") -> Any:
    """The function that gives the derivative of `fn`'s result (one float) by the arguments `argnums`.

    Arguments may be floats, arrays, Tensors and containers of these; the gradient has their structure. `has_aux`: `fn`
    gives `(result, aux)`, and the gradient comes as `(gradient, aux)`. `unused="error"` refuses an argument that does
    not matter, whose gradient is zero otherwise. The calls raise `NotDifferentiable`.
    """
    return _made("grad", fn, argnums, has_aux, unused)


@inside(lower_gradient("value_and_grad"))
def value_and_grad(fn: Any, argnums: int | Sequence[int] = 0, has_aux: bool = False, *, unused: str = "zero") -> Any:
    """The function that gives `(result, gradient)`, or `((result, aux), gradient)`; see `grad`."""
    return _made("value_and_grad", fn, argnums, has_aux, unused)


def _made(kind: str, fn: Any, argnums: int | Sequence[int], has_aux: bool, unused: str) -> GradientFunction:
    numbers = argument_numbers(argnums)
    return remembered(
        fn, (kind, numbers, has_aux, unused), lambda: GradientFunction(fn, kind, numbers, has_aux, unused)
    )


class GradientFunction(Transformation):
    """What `grad` and `value_and_grad` give."""

    def __init__(self, fn: Any, kind: str, argnums: int | tuple[int, ...], has_aux: bool, unused: str) -> None:
        require_unused(unused)
        self.fn = fn
        self.kind = kind
        self.argnums = argnums
        self.has_aux = has_aux
        self.unused = unused
        super().__init__(fn)

    @property
    def kept_parts(self) -> tuple[Any, ...] | None:
        inner = self.inner.kept_parts
        return inner and (*inner, self.kind, self.argnums, self.has_aux, self.unused)

    def lower(self, parameters: Sequence[Parameter], aliases: dict[Access, Access]) -> Lowered:
        """The inner function with the gradients of its result as further results."""
        lowered = without_views(self.inner.lower(parameters, {}))
        if _always_raises(lowered.graph):  # there is nothing to differentiate: the call raises what the function does
            return lowered
        leaf, aux = self._split(lowered.result)
        b = Builder()
        places = self.places(self.argnums, parameters)
        specs = [spec_at(parameters, a) for a in places]
        wanted = [
            variables_of(lowered, s, a, f"argument {n}") for n, (s, a) in enumerate(zip(specs, places, strict=True))
        ]
        xs = [lowered.graph.params[k] for group in wanted for k in group]
        if not xs:
            numbers = argument_numbers(self.argnums)
            which = numbers if isinstance(numbers, int) else " and ".join(map(str, numbers))
            raise NotDifferentiable("grad", f"argument {which} of {self.__name__} holds no float")
        y = self._differentiated(b, lowered, leaf)
        why = [f"{x.name!r} does not matter to the result of {self.__name__}" for x in xs]
        attrs = {"unused": tuple(why)} if self.unused == "error" else {}
        found = b.emit("gradient", (y, b.constant(1, y.type), *xs), attrs, names=[f"d{x.name}" for x in xs])
        graph = lowered.graph
        if self.kind == "grad" and _is_all(leaf, lowered):
            graph = replace(graph, body=replace(graph.body, results=graph.results[1:]))
        index = iter(range(n_user(graph), n_user(graph) + len(found)))
        trees = [tree_of(s, lambda k: self._leaf(k, next(index))) for s in specs]
        gradient = (
            trees[0] if isinstance(self.argnums, int) else TreeLeaf(tuple, tuple(range(len(trees))), tuple(trees))
        )
        return relabelled(lowered, with_results(graph, b.ops, found), self._result(leaf, aux, gradient))

    def _split(self, result: Leaf) -> tuple[Leaf, Leaf | None]:
        if not self.has_aux:
            return result, None
        match result:
            case TreeLeaf(type() as kind, _, (value, aux)) if issubclass(kind, tuple):
                return value, aux
            case _:
                raise TypeError(f"with has_aux=True, {self.__name__} must return a pair (result, aux)")

    def _differentiated(self, b: Builder, lowered: Lowered, leaf: Leaf) -> Value:
        """The one number that is differentiated."""
        if isinstance(leaf, ConstantLeaf) and isinstance(leaf.value, float):
            return b.constant(leaf.value, ScalarType(F64))
        y = value_of(lowered, leaf)
        if y is None or not is_differentiable(y.type):
            if isinstance(leaf, TreeLeaf):
                raise self._refusal(lowered, y, "returns several results: has_aux=True differentiates the first of two")
            held = leaf.value if isinstance(leaf, ConstantLeaf) else "no number" if y is None else named_type(y.type)
            raise self._refusal(lowered, y, f"returns {held}, not a float")
        if not is_number(y):
            raise self._refusal(lowered, y, f"returns {named_type(y.type)}, not one number (see jacobian and vjp)")
        if y.type.dtype.is_complex:  # type: ignore[union-attr]
            raise self._refusal(lowered, y, "returns a complex number: take its real part or abs")
        return y

    def _refusal(self, lowered: Lowered, y: Value | None, reason: str) -> NotDifferentiable:
        """The error for a result without a derivative, at the line that computes it."""
        made = next((op.span for op in lowered.graph.body.ops if y in op.results), None)
        return NotDifferentiable("grad", f"{self.__name__} {reason}", made or self.source.span(self.source.node))

    @staticmethod
    def _leaf(spec: Any, index: int) -> Leaf:
        return NumberLeaf(index, spec.weak) if isinstance(spec, NumberSpec) else ArrayLeaf(index)

    def _result(self, value: Leaf, aux: Leaf | None, gradient: Leaf) -> Leaf:
        if self.kind == "grad":
            return gradient if aux is None else TreeLeaf(tuple, (0, 1), (gradient, aux))
        if aux is not None:
            value = TreeLeaf(tuple, (0, 1), (value, aux))
        return TreeLeaf(tuple, (0, 1), (value, gradient))

    def __tracejit_lower__(self, calls: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        """A call inside a script: the gradient of the function where it is called."""
        from tracejit.frontend.values import Static, Transformed

        made = Transformed(self.kind, Static(self.fn), self.argnums, self.has_aux, self.unused)
        return calls.gradients.call(made, args, kwargs, node)


def _is_all(leaf: Leaf, lowered: Lowered) -> bool:
    """Whether a number is all that a function gives to its caller, so that it is not computed for a gradient alone."""
    is_first = isinstance(leaf, NumberLeaf | ArrayLeaf) and leaf.index == 0
    return is_first and n_user(lowered.graph) == 1 and not lowered.changes and not lowered.gradients


def _always_raises(graph: Graph) -> bool:
    """Whether a check at the top level can never pass."""
    never = {op.results[0] for op in graph.body.ops if op.name == "const" and op.attrs["value"] is False}
    return any(op.name == "check" and op.operands[0] in never for op in graph.body.ops)
