"""`vmap`: a function over batches of its arguments."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from tracejit.errors import ScriptError
from tracejit.frontend.boundary.signature import Access, ArraySpec, NumberSpec, Spec, TreeSpec, step_kind
from tracejit.frontend.function import (
    ArrayLeaf,
    ConstantLeaf,
    Input,
    InputLeaf,
    Leaf,
    Lowered,
    NumberLeaf,
    ObjectLeaf,
    TreeLeaf,
)
from tracejit.frontend.restarts import NeedsSizes
from tracejit.frontend.values import Static
from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Graph
from tracejit.ir.types import Dim
from tracejit.scripted.compiler import simplify
from tracejit.transformations.base import (
    Parameter,
    Transformation,
    argument_access,
    constant_value,
    inside,
    leaves_of,
    remembered,
    spec_at,
    value_of,
    without_views,
)
from tracejit.transformations.inside import Batched, lower_vmap
from tracejit.transforms.derivatives.batch import batched_graph


@inside(lower_vmap)
def vmap(fn: Any, in_axes: Any = 0, out_axes: Any = 0) -> Any:
    """The function that calls `fn` on every slice of its arguments and stacks the results.

    `in_axes`: the batch axis of the arrays of every argument, or a tuple with one entry per argument, None for one that
    is not sliced. `out_axes`: where the batch axis of the results goes, None for one that is the same for all. An
    entry of either may be a container of axes in the structure of the argument or result. One axis for all does not
    count for numbers that have a default. Every slice takes its own way
    through the program; the slices of a vector are numbers. The calls raise `ValueError` for axes that do not fit.
    """
    axes = tuple(in_axes) if isinstance(in_axes, tuple | list) else in_axes
    key = ("vmap", _hashable(axes), _hashable(out_axes))
    return remembered(fn, key, lambda: BatchedFunction(fn, axes, out_axes))


def _hashable(axes: Any) -> Any:
    match axes:
        case dict():
            return (dict, *((key, _hashable(x)) for key, x in axes.items()))
        case tuple() | list():
            return (tuple, *map(_hashable, axes))
        case _:
            return axes


class BatchedFunction(Transformation):
    """What `vmap` gives."""

    def __init__(self, fn: Any, in_axes: Any, out_axes: Any) -> None:
        self.fn = fn
        self.in_axes = in_axes
        self.out_axes = out_axes
        super().__init__(fn)

    def __tracejit_lower__(self, calls: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
        """A call inside a script."""
        made = Batched(Static(self.fn), self.in_axes, self.out_axes)
        return made.__tracejit_lower__(calls, args, kwargs, node)

    def lower(self, parameters: Sequence[Parameter], aliases: dict[Access, Access]) -> Lowered:
        """The inner function for the slices, in a loop over the batch."""
        axes = self._axes(parameters)
        sliced = [(n, a, self._sliced(s, a, axes)) for n, a, s in parameters]
        try:
            lowered = self.inner.lower(sliced, {})
        except NeedsSizes as request:  # axes of a slice, counted in the whole
            whole_axes = ((a, n + (a in axes and n >= axes[a])) for a, n in request.sizes)
            raise NeedsSizes(whole_axes) from None
        if lowered.changes or lowered.gradients:
            what = "vmap of a function that changes objects, lists, dicts or .grad of its caller"
            raise ScriptError(what, instead="return what it sets")
        lowered = without_views(lowered)
        graph, result = _returning_values(lowered, simplify(lowered.graph)[0])
        whole = {a: s for _, access, spec in parameters for a, s in leaves_of(spec, access)}
        names = self._free_names(graph)
        in_axes: list[int | None] = []
        sizes: list[Dim] = []
        inputs: list[Input] = []
        for i in lowered.inputs:
            spec = whole.get(i.access, i.spec)
            axis = axes.get(i.access)
            assert isinstance(spec, ArraySpec | NumberSpec)
            in_axes.append(axis)
            inputs.append(Input(i.access, spec, i.hidden))
            if axis is not None:
                assert isinstance(spec, ArraySpec)
                known = spec.dims[axis]
                sizes.append(next(names) if known is None else known)
        if not sizes:
            raise ValueError("vmap: no argument has a batch axis")
        out_axes = [
            _axis_out(axis, len(r.type.shape))  # type: ignore[union-attr]
            for axis, r in zip(_out_axes(result, self.out_axes), graph.results, strict=not graph.inout)
        ]
        made = batched_graph(graph, in_axes, out_axes, sizes)
        return Lowered(made, tuple(inputs), result, lowered.guards, (), (), lowered.keep)

    def _axes(self, parameters: Sequence[Parameter]) -> dict[Access, int]:
        """The batch axis of every array that has one."""
        given: Sequence[Any] = self._one_for_all(parameters)
        if isinstance(self.in_axes, tuple):
            if len(self.in_axes) > len(given) or any(axis is not None for axis in given[len(self.in_axes) :]):
                raise ValueError(f"vmap: in_axes {self.in_axes!r} for {len(given)} arguments")
            given = self.in_axes
        found: dict[Access, int] = {}
        for number, axis in enumerate(given):
            if axis is not None:
                place = argument_access(self.signature, number)
                _enter_axes(found, spec_at(parameters, place), place, axis, number)
        return found

    def _one_for_all(self, parameters: Sequence[Parameter]) -> Sequence[Any]:
        """The same axes for every argument but those with a default that hold no array."""
        axes: list[Any] = []
        for name, access, spec in parameters:
            if self.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                if any(isinstance(s, ArraySpec) for _, s in leaves_of(spec, access)):
                    raise ValueError(f"vmap: arrays in **{name} have no axes: give them by position")
                continue
            has_default = self.signature.parameters[name].default is not inspect.Parameter.empty
            is_whole = has_default and not any(isinstance(s, ArraySpec) for _, s in leaves_of(spec, access))
            count = len(spec.keys) if isinstance(spec, TreeSpec) and self._is_variadic(name) else 1
            axes += [None if is_whole else self.in_axes] * count
        return axes

    def _is_variadic(self, name: str) -> bool:
        return self.signature.parameters[name].kind is self.signature.parameters[name].VAR_POSITIONAL

    def _sliced(self, spec: Spec, access: Access, axes: dict[Access, int]) -> Spec:
        """What one slice of an argument looks like."""
        match spec:
            case TreeSpec():
                parts = dict(leaves_of(spec, access))
                return _with_children(spec, access, lambda a: self._sliced(parts[a], a, axes))
            case ArraySpec() if access in axes:
                dims = spec.dims[: axes[access]] + spec.dims[axes[access] + 1 :]
                return dataclasses.replace(spec, dims=dims, order="C") if dims else NumberSpec(spec.dtype, weak=False)
            case _:
                return spec

    @staticmethod
    def _free_names(graph: Graph) -> Iterator[str]:
        taken = {dim for p in graph.params for dim in p.type.shape if isinstance(dim, str)}  # type: ignore[union-attr]
        return (name for name in (f"batch{i or ''}" for i in itertools.count()) if name not in taken)


def _with_children(spec: TreeSpec, access: Access, leaf: Any) -> TreeSpec:
    step = step_kind(spec.type)
    children: list[Spec] = []
    for key, child in zip(spec.keys, spec.children, strict=True):
        at = access.step(step, key)
        children.append(_with_children(child, at, leaf) if isinstance(child, TreeSpec) else leaf(at))
    return TreeSpec(spec.type, spec.keys, tuple(children))


def _enter_axes(found: dict[Access, int], spec: Spec, access: Access, axes: Any, number: int) -> None:
    """Note the batch axis of every array in an argument; `axes` is one for all, or a container of its structure."""
    if isinstance(axes, int):
        for leaf, kind in leaves_of(spec, access):
            found[leaf] = _axis_in(kind, axes, number)
        return
    if axes is None:
        return
    if not isinstance(spec, TreeSpec) or (parts := _parts_of(axes)).keys() != set(spec.keys):
        raise ValueError(f"vmap: in_axes {axes!r} does not have the structure of argument {number}")
    step = step_kind(spec.type)
    for key, child in zip(spec.keys, spec.children, strict=True):
        _enter_axes(found, child, access.step(step, key), parts[key], number)


def _parts_of(axes: Any) -> dict[Any, Any]:
    if isinstance(axes, dict):
        return axes
    return dict(enumerate(axes)) if isinstance(axes, tuple | list) else {}


def _out_axes(leaf: Leaf, axes: Any) -> list[int | None]:
    """The axis of every array in a result, in order."""
    if not isinstance(leaf, TreeLeaf):
        if axes is not None and not isinstance(axes, int):
            raise ValueError(f"vmap: out_axes {axes!r} does not have the structure of the result")
        return [] if isinstance(leaf, ConstantLeaf) else [axes]
    if axes is None or isinstance(axes, int):
        parts = dict.fromkeys(leaf.keys, axes)
    elif (parts := _parts_of(axes)).keys() != set(leaf.keys):
        raise ValueError(f"vmap: out_axes {axes!r} does not have the structure of the result")
    return [a for key, child in zip(leaf.keys, leaf.children, strict=True) for a in _out_axes(child, parts[key])]


def _axis_out(axis: int | None, rank: int) -> int | None:
    if axis is None:
        return None
    if not -rank - 1 <= axis <= rank:
        raise ValueError(f"vmap: out_axes {axis} is out of bounds for a result of rank {rank}")
    return axis % (rank + 1)


def _axis_in(spec: Spec, axis: int, number: int) -> int:
    if not isinstance(spec, ArraySpec):
        raise ValueError(f"vmap: argument {number} has a part that is no array; give it None in in_axes")
    rank = len(spec.dims)
    if not -rank <= axis < rank:
        raise ValueError(f"vmap: in_axes {axis} is out of bounds for argument {number} of rank {rank}")
    return axis % rank


def _returning_values(lowered: Lowered, graph: Graph) -> tuple[Graph, Leaf]:
    """The graph with every returned array and number as a user result of its own."""
    source = Lowered(graph, lowered.inputs, lowered.result, lowered.guards)
    results: list[Any] = []
    constants = Builder()

    def visit(leaf: Leaf) -> Leaf:
        match leaf:
            case TreeLeaf(kind, keys, children):
                return TreeLeaf(kind, keys, tuple(visit(c) for c in children))
            case ObjectLeaf(_, tree):
                return visit(tree)
            case NumberLeaf() | ArrayLeaf() | InputLeaf():
                results.append(value_of(source, leaf))
                return ArrayLeaf(len(results) - 1)
            case ConstantLeaf(value):
                if (number := constant_value(constants, value)) is None:
                    return leaf
                results.append(number)
                return ArrayLeaf(len(results) - 1)
            case _:
                raise ScriptError("vmap: a function that returns a grown list or a range", instead="return arrays")

    result = visit(lowered.result)
    body = Block(
        graph.params,
        (*graph.body.ops, *constants.ops),
        (*results, *graph.results[len(graph.results) - len(graph.inout) :]),
    )
    return Graph(graph.name, body, graph.device, graph.inout, graph.policy), result
