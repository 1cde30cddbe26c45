"""What all transformations share: the function they are about, its arguments and results as graph values."""

from __future__ import annotations

import ast
import functools
import inspect
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tracejit.eager.traceable import is_public
from tracejit.errors import NotDifferentiable
from tracejit.frontend.boundary.signature import (
    PYTHON_DTYPES,
    Access,
    ArraySpec,
    NumberSpec,
    Spec,
    StaticSpec,
    TreeSpec,
    step_kind,
)
from tracejit.frontend.function import (
    ArrayLeaf,
    ConstantLeaf,
    Input,
    InputLeaf,
    Leaf,
    Lowered,
    NumberLeaf,
    ObjectLeaf,
    OptionalLeaf,
    TreeLeaf,
    TurnedLeaf,
    ViewLeaf,
)
from tracejit.frontend.functions.arguments import bound_to
from tracejit.frontend.kinds import ArrayKind, describe_kind
from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Graph, Op, Value
from tracejit.ir.types import BY_NUMPY_NAME, I64, ListType, ScalarType, TensorType, Type, is_differentiable
from tracejit.scripted.decorator import calling
from tracejit.scripted.function import ScriptedFunction

#: Name, access and spec of a parameter, as `ScriptedFunction.lower` takes them.
Parameter = tuple[str, Access, Spec]

_SCRIPTED: OrderedDict[Any, ScriptedFunction] = OrderedDict()
_REMEMBERED = 256


def scripted(fn: Any) -> ScriptedFunction:
    """The scripted function for something callable; the same one for functions that are the same code and closure."""
    if isinstance(fn, ScriptedFunction):
        return fn
    if not isinstance(fn, types.FunctionType) or is_public(fn):
        if not callable(fn):
            raise TypeError(f"a function is needed, not {type(fn).__name__}")
        return scripted(calling(fn))
    key = (fn.__code__, id(fn.__globals__), _captured(fn))
    found = _SCRIPTED.get(key)
    if found is None or _captured(found.__tracejit_function__) != key[2]:  # a cell may have been assigned to since
        found = _SCRIPTED[key] = ScriptedFunction(fn)
        if len(_SCRIPTED) > _REMEMBERED:
            _SCRIPTED.popitem(last=False)
    _SCRIPTED.move_to_end(key)
    return found


def _captured(fn: types.FunctionType) -> tuple[int | None, ...]:
    """The identities of the values in a function's closure and of its defaults."""
    defaults = (*(fn.__defaults__ or ()), *(fn.__kwdefaults__ or {}).values())
    return (*map(_content, fn.__closure__ or ()), *map(id, defaults))


def _content(cell: types.CellType) -> int | None:
    try:
        return id(cell.cell_contents)
    except ValueError:  # not assigned yet
        return None


def inside(lower: Callable[..., Any]) -> Callable[[Any], Any]:
    """Say what a call of a function becomes inside a script: `lower(calls, given, node)`, the arguments by name."""

    def mark(fn: Any) -> Any:
        def lowered(calls: Any, args: list[Any], kwargs: dict[str, Any], node: ast.AST) -> Any:
            return lower(calls, bound_to(calls, fn, args, kwargs, node), node)

        fn.__tracejit_lower__ = lowered
        return fn

    return mark


def remembered(fn: Any, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """What `make` gives for a function, made once for each key: what is asked for again has been compiled."""
    found: dict[Any, Any] = scripted(fn).__dict__.setdefault("__tracejit_made__", {})
    if key not in found:
        found[key] = make()
    return found[key]


class Transformation(ScriptedFunction):
    """A function made of `inner`, with the same parameters. Subclasses make its graph in `lower`.

    It is compiled also where `TRACEJIT_DISABLE=1` runs scripts as plain Python: it has no plain form.
    """

    runs_plain = False
    takes_numbers = False  # each number is a leaf

    def __init__(self, fn: Any) -> None:
        self.inner = scripted(fn)

        @functools.wraps(self.inner.__tracejit_function__)
        def call(*args: Any, **kwargs: Any) -> Any:
            return self(*args, **kwargs)

        call.__signature__ = self.inner.signature  # type: ignore[attr-defined]
        super().__init__(call, self.inner.options)
        self._varying = self.inner._varying

    @property
    def source(self) -> Any:  # type: ignore[override]
        """The source of the function all this is about."""
        return self.inner.source

    @property
    def signature(self) -> inspect.Signature:  # type: ignore[override]
        """The parameters of that function."""
        return self.inner.signature

    def places(self, argnums: int | tuple[int, ...], parameters: Sequence[Parameter]) -> list[Access]:
        """Where the arguments `argnums` are found in a call; negative ones count from the last."""
        kinds = {name: p.kind for name, p in self.signature.parameters.items()}
        count = sum(
            len(s.keys) if kinds[n] is inspect.Parameter.VAR_POSITIONAL else 1  # type: ignore[union-attr]
            for n, _, s in parameters
            if kinds[n] not in _BY_NAME
        )
        numbers = argnums if isinstance(argnums, tuple) else (argnums,)
        return [argument_access(self.signature, n + count if n < 0 else n) for n in numbers]


_BY_NAME = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)


def argument_access(signature: inspect.Signature, number: int) -> Access:
    """Where positional argument `number` is found in a call."""
    parameters = list(signature.parameters.values())
    first_extra = next((i for i, p in enumerate(parameters) if p.kind is inspect.Parameter.VAR_POSITIONAL), None)
    if first_extra is not None and number >= first_extra:
        return Access(first_extra, (("tuple", number - first_extra),))
    if not 0 <= number < len(parameters):
        raise ValueError(f"there is no argument {number}")
    return Access(number)


# -- arguments ----------------------------------------------------------------------------------------------------


def spec_at(parameters: Sequence[Parameter], access: Access) -> Spec:
    """The spec of (a part of) a parameter."""
    spec = next(s for _, a, s in parameters if a.root == access.root and not a.steps)
    for _, key in access.steps:
        assert isinstance(spec, TreeSpec)
        spec = spec.children[spec.keys.index(key)]
    return spec


def leaves_of(spec: Spec, access: Access) -> Iterator[tuple[Access, Spec]]:
    """The arrays, numbers and objects in an argument."""
    if isinstance(spec, TreeSpec):
        step = step_kind(spec.type)
        for key, child in zip(spec.keys, spec.children, strict=True):
            yield from leaves_of(child, access.step(step, key))
    else:
        yield access, spec


def named_type(type: Type) -> str:
    """A type in the words of messages."""
    match type:
        case ListType():
            return "a list"
        case TensorType(dtype, shape) if shape:
            return describe_kind(ArrayKind(dtype, (None,) * len(shape)))
        case _:
            return f"a number of {type.dtype.numpy_name}"


def variables_of(lowered: Lowered, spec: Spec, access: Access, name: str) -> list[int]:
    """The graph parameters of the floats in an argument. Raises `NotDifferentiable` where a leaf is no float."""
    places = {i.access: k for k, i in enumerate(lowered.inputs)}
    found: list[int] = []
    for leaf, kind in leaves_of(spec, access):
        if isinstance(kind, StaticSpec) and not isinstance(kind.value, bool | int | float):
            continue
        if leaf not in places or not is_differentiable(lowered.graph.params[places[leaf]].type):
            held = kind.value if isinstance(kind, StaticSpec) else named_type(lowered.graph.params[places[leaf]].type)
            raise NotDifferentiable("grad", f"{name} holds {held}, not a float: only floats can be varied")
        found.append(places[leaf])
    return found


def tree_of(spec: Spec, leaf: Callable[[ArraySpec | NumberSpec], Leaf]) -> Leaf:
    """A result in the structure of an argument; what is no array or number becomes None."""
    match spec:
        case TreeSpec(kind, keys, children):
            return TreeLeaf(kind, keys, tuple(tree_of(c, leaf) for c in children))
        case ArraySpec() | NumberSpec():
            return leaf(spec)
        case _:
            return ConstantLeaf(None)


# -- results ------------------------------------------------------------------------------------------------------


def value_of(lowered: Lowered, leaf: Leaf) -> Value | None:
    """The graph value of an array or number that is returned; None of anything else."""
    graph = lowered.graph
    match leaf:
        case NumberLeaf(index) | ArrayLeaf(index):
            return graph.results[index]
        case InputLeaf(k):
            return latest(graph, k)
        case _:
            return None


def latest(graph: Graph, k: int) -> Value:
    """Parameter `k` as the graph leaves it."""
    return graph.results[n_user(graph) + graph.inout.index(k)] if k in graph.inout else graph.params[k]


def constant_value(b: Builder, value: Any) -> Value | None:
    """A number that is known at compile time; None for what is no number of Python's or NumPy's."""
    dtype = BY_NUMPY_NAME.get(value.dtype.name) if isinstance(value, np.generic) else PYTHON_DTYPES.get(type(value))
    if dtype is None:
        return None
    return b.constant(value.item() if isinstance(value, np.generic) else value, ScalarType(dtype))


def view_value(graph: Graph, b: Builder, leaf: ViewLeaf | TurnedLeaf) -> Value:
    """A returned view of an argument or of a graph's result, as an array of its own."""
    if isinstance(leaf, TurnedLeaf):
        return b.emit("transpose", (graph.results[leaf.index],), {"perm": leaf.axes})[0]

    def size(part: Any) -> Value:
        return graph.results[part[1]] if isinstance(part, tuple) else b.constant(int(part), ScalarType(I64))

    strides, lengths = [size(s) for s in leaf.strides], [size(n) for n in leaf.lengths]
    return b.emit("vread", (latest(graph, leaf.input), size(leaf.offset), *strides, *lengths))[0]


def without_views(lowered: Lowered) -> Lowered:
    """The same lowering, with returned views of arguments as results of their own."""
    b = Builder()
    made: list[Value] = []

    def visit(leaf: Leaf) -> Leaf:
        match leaf:
            case ViewLeaf() | TurnedLeaf():
                made.append(view_value(lowered.graph, b, leaf))
                return ArrayLeaf(n_user(lowered.graph) + len(made) - 1)
            case TreeLeaf(kind, keys, children):
                return TreeLeaf(kind, keys, tuple(visit(c) for c in children))
            case ObjectLeaf(access, tree):
                return ObjectLeaf(access, visit(tree))
            case OptionalLeaf(some, value):
                return OptionalLeaf(some, visit(value))
            case _:
                return leaf

    result = visit(lowered.result)
    return relabelled(lowered, with_results(lowered.graph, b.ops, made), result) if made else lowered


def n_user(graph: Graph) -> int:
    """How many results go to the caller."""
    return len(graph.results) - len(graph.inout)


def with_results(graph: Graph, ops: Sequence[Op], more: Sequence[Value], params: Sequence[Value] = ()) -> Graph:
    """The graph with more ops, more user results (after its own), and more parameters."""
    n = n_user(graph)
    results = (*graph.results[:n], *more, *graph.results[n:])
    body = Block((*graph.params, *params), (*graph.body.ops, *ops), results, graph.body.label)
    return Graph(graph.name, body, graph.device, graph.inout, graph.policy)


def leaf_like(value: Value, index: int, weak: bool) -> Leaf:
    """The leaf that returns graph result `index`."""
    return NumberLeaf(index, weak) if isinstance(value.type, ScalarType) else ArrayLeaf(index)


def is_number(value: Value) -> bool:
    """Whether a value is one number: a host scalar or a rank-0 array."""
    return isinstance(value.type, ScalarType) or (isinstance(value.type, TensorType) and not value.type.shape)


def relabelled(lowered: Lowered, graph: Graph, result: Leaf, inputs: Sequence[Input] = ()) -> Lowered:
    """The same lowering with another graph and result, and more inputs."""
    return Lowered(
        graph,
        (*lowered.inputs, *inputs),
        result,
        lowered.guards,
        lowered.gradients,
        lowered.changes,
        lowered.keep,
        lowered.reports,
    )
