"""`vjp`, `jvp` and `hvp`: derivatives at given arguments, along given directions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from tracejit import pytree
from tracejit.devices import array_module, as_array, module_of
from tracejit.eager.tape import is_recording
from tracejit.eager.tensor import Tensor, memory_owner, wrap
from tracejit.eager.traceable import traceable
from tracejit.eager.writes import changed_since
from tracejit.errors import NotDifferentiable
from tracejit.frontend.boundary.signature import Access, step_kind, tree_children
from tracejit.frontend.function import (
    ArrayLeaf,
    ConstantLeaf,
    InputLeaf,
    InstanceLeaf,
    ItemsLeaf,
    Leaf,
    ListLeaf,
    NumberLeaf,
    ObjectLeaf,
    OptionalLeaf,
    SharedLeaf,
    TableLeaf,
    TreeLeaf,
)
from tracejit.ir.types import is_differentiable, rows_first
from tracejit.scripted.compiler import Compiled, compile_graph, simplify
from tracejit.scripted.function import ScriptedFunction, Specialisation
from tracejit.scripted.node import raw_value
from tracejit.scripted.results import ResultBuilder, item_shapes, make_tree
from tracejit.transformations.base import argument_access, inside, n_user, remembered, scripted, without_views
from tracejit.transformations.gradients import grad
from tracejit.transformations.inside import lower_hvp, lower_jvp, lower_vjp
from tracejit.transforms.derivatives.jvp import jvp_graph


@inside(lower_vjp)
@traceable
def vjp(fn: Any, *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """`fn(*primals)` and its pullback: `pullback(g)`, for g in the structure of the result, gives a tuple with the
    cotangent of every argument (None for parts that are no floats). Raises `NotDifferentiable`. On the eager tape the
    results and the cotangents depend on the arguments."""
    if is_recording(pytree.leaves(primals)):
        return _recorded_vjp(fn, primals)
    call = _Call(scripted(fn), primals)
    function = call.found.with_gradients(tuple(call.variables))
    found = function.forward([raw_value(x) for x in call.inputs])
    outputs = found[: function.n_user]
    residuals = found[function.n_user : function.n_user + function.derivative.n_residuals]
    finals = [call.inputs[k] for k in call.graph.inout]
    results = [call.array(r) for r in (*outputs, *finals)]
    chosen = function.derivative.cotangents
    leaves, structure = pytree.flatten(primals)
    given = structure.unflatten(leaves)  # the function may change lists, dicts and objects

    def pullback(g: Any) -> tuple[Any, ...]:
        """The cotangents of the arguments for the cotangent of the result."""
        if is_recording(pytree.leaves(g)):
            return _PULLED(fn, g, *given)
        seeds = {i: array_module(call.graph.device).zeros_like(results[i]) for i in chosen}
        direct: dict[int, Any] = {}
        for leaf, value in _paired(call.result, g, outputs):
            place = call.place(leaf)
            if place in seeds:
                seeds[place] = seeds[place] + _fitting(value, results[place], "cotangent")
            elif isinstance(leaf, InputLeaf) and leaf.input in call.variables:
                like = call.array(call.inputs[leaf.input])
                direct[leaf.input] = direct.get(leaf.input, 0) + _fitting(value, like, "cotangent")
        slopes = function.backward([*residuals, *(seeds[i] for i in chosen)])
        totals = {k: s + direct.get(k, 0) for k, s in zip(call.variables, slopes, strict=True)}
        return tuple(call.like_argument(x, a, totals) for x, a in zip(given, call.places, strict=True))

    return call.build(outputs), pullback


@inside(lower_jvp)
@traceable
def jvp(fn: Any, primals: Any, tangents: Any) -> tuple[Any, Any]:
    """`fn(*primals)` and its derivative along `tangents`, which are in the structure of `primals`.

    Both are tuples; a single argument may stand for itself. Parts of the result that are no floats have tangent None.
    Raises `NotDifferentiable`. On the eager tape both results depend on the primals and the tangents.
    """
    primals, tangents = _tupled(primals, tangents)
    if is_recording(pytree.leaves((primals, tangents))):
        return _PUSHED(fn, tuple(primals), tuple(tangents))
    call = _Call(scripted(fn), primals)
    given: dict[int, Any] = {}
    for argument, access, tangent in zip(primals, call.places, tangents, strict=True):
        call.note_tangents(argument, access, tangent, given)
    moved = list(given)
    found = _forward(call.found, tuple(moved))([*(raw_value(x) for x in call.inputs), *given.values()])
    n = n_user(call.graph)
    inexact = [i for i, r in enumerate(call.graph.results) if is_differentiable(r.type)]
    slopes = dict(zip(inexact, found[n : n + len(inexact)], strict=True))
    outputs = found[:n]
    return call.build(outputs), call.tangent(call.result, outputs, slopes, given)


def _recorded_vjp(fn: Any, primals: Sequence[Any]) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    versions = [(x, memory_owner(x)._version) for x in pytree.leaves(primals) if isinstance(x, Tensor)]

    def pullback(g: Any) -> tuple[Any, ...]:
        if any(changed_since(x, version) for x, version in versions):
            raise RuntimeError("an argument of vjp was changed in place before its pullback was called")
        return _PULLED(fn, g, *primals)

    return scripted(fn)(*primals), pullback


def _pulled(fn: Any, g: Any, *primals: Any) -> Any:
    return vjp(fn, *primals)[1](g)


def _pushed(fn: Any, primals: Any, tangents: Any) -> Any:
    return jvp(fn, primals, tangents)


class _Recorded(ScriptedFunction):
    """A derivative as a script, which is one node of the eager tape. It has no plain form: that would call it again."""

    runs_plain = False


_PULLED, _PUSHED = _Recorded(_pulled), _Recorded(_pushed)


@inside(lower_hvp)
@traceable
def hvp(fn: Any, primals: Any, tangents: Any) -> Any:
    """The second derivative of `fn` (one float) times `tangents`: the derivative of its gradient along them.

    `primals` and `tangents` as for `jvp`; the product has the structure of `primals`.
    """
    single = not isinstance(primals, tuple | list)
    primals, tangents = _tupled(primals, tangents)
    argnums = 0 if single or len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(fn, argnums), primals, tangents)[1]


def _tupled(primals: Any, tangents: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    if not isinstance(primals, tuple | list):
        primals, tangents = (primals,), (tangents,)
    if not isinstance(tangents, tuple | list) or len(tangents) != len(primals):
        raise ValueError(f"{len(primals)} primals need as many tangents, in a tuple")
    return primals, tangents


_VALUED: WeakKeyDictionary[Specialisation, Specialisation | None] = WeakKeyDictionary()
_FORWARD: WeakKeyDictionary[Specialisation, dict[tuple[int, ...], Compiled]] = WeakKeyDictionary()


def _forward(found: Specialisation, wanted: tuple[int, ...]) -> Compiled:
    """The compiled forward mode of a specialisation."""
    made = _FORWARD.setdefault(found, {})
    if wanted not in made:
        graph = jvp_graph(simplify(found.lowered.graph)[0], wanted)
        made[wanted] = compile_graph(graph, (*found.layouts, *rows_first(len(wanted))), runs=True)
    return made[wanted]


def _valued(found: Specialisation) -> Specialisation:
    """The specialisation with returned views of arguments as results of the graph, which have derivatives."""
    if found not in _VALUED:
        lowered = without_views(found.lowered)
        _VALUED[found] = None if lowered is found.lowered else Specialisation(lowered, found.parameters, found.aliased)
    return _VALUED[found] or found


class _Call:
    """A function at given arguments: its graph, its inputs, the floats among them."""

    def __init__(self, function: ScriptedFunction, primals: Sequence[Any]) -> None:
        self.arguments = function.bind(_distinct(primals), {})
        self.places = [argument_access(function.signature, n) for n in range(len(primals))]
        specialised = function.specialise(self.arguments)
        if _takes_floats_together(specialised):
            told = remembered(function, (_OfItems,), lambda: _OfItems(function.__tracejit_function__, function.options))
            specialised = told.specialise(self.arguments)
        self.returned = specialised.lowered.result
        self.found = _valued(specialised)
        lowered = self.found.lowered
        if lowered.gradients:
            raise NotDifferentiable(function.__name__, "it calls backward(): let it return what it differentiates")
        self.graph = lowered.graph
        self.result = lowered.result
        self.inputs = [i.access.fetch(self.arguments) for i in lowered.inputs]
        self.index_of = {i.access: k for k, i in enumerate(lowered.inputs)}
        params = zip(lowered.inputs, self.graph.params, strict=True)
        self.variables = [k for k, (i, p) in enumerate(params) if i.access.root >= 0 and is_differentiable(p.type)]
        if not self.variables:
            raise NotDifferentiable(function.__name__, "its arguments hold no float")

    def array(self, x: Any) -> Any:
        """A value as an array of the function's device."""
        return as_array(raw_value(x), self.graph.device)

    def build(self, outputs: Sequence[Any]) -> Any:
        """What the function returns, once it has changed what it changes."""
        return self.builder(outputs).finish(self.returned, self.found.lowered.changes)

    def builder(self, outputs: Sequence[Any]) -> ResultBuilder:
        """What makes returned values of the graph's results."""
        return ResultBuilder(self.found.lowered, self.arguments, outputs, self.found.tensors)

    def place(self, leaf: Leaf) -> int | None:
        """The graph result that a returned array or number is."""
        match leaf:
            case NumberLeaf(index) | ArrayLeaf(index):
                return index
            case InputLeaf(k) if k in self.graph.inout:
                return n_user(self.graph) + self.graph.inout.index(k)
            case _:
                return None

    def like_argument(self, argument: Any, access: Access, slopes: Mapping[int, Any]) -> Any:
        """Cotangents in the structure of an argument."""
        children = _children(argument)
        if children is not None:
            step = step_kind(type(argument))
            pairs = zip(*children, strict=True)
            return make_tree(
                type(argument), children[0], [self.like_argument(p, access.step(step, k), slopes) for k, p in pairs]
            )
        k = self.index_of.get(access)
        return None if k is None or k not in slopes else self.like(argument, slopes[k])

    def like(self, x: Any, slope: Any) -> Any:
        """A derivative as x is: a number, an array or a Tensor."""
        if self.found.tensors and hasattr(x, "shape"):
            return wrap(self.array(slope))
        return slope.item() if type(x) in (float, complex) else slope

    def note_tangents(self, argument: Any, access: Access, tangent: Any, given: dict[int, Any]) -> None:
        """Enter the tangents of an argument's floats."""
        children = _children(argument)
        if children is not None:
            found = _children(tangent)
            if found is None or found[0] != children[0]:
                raise ValueError("tangents must have the structure of the primals")
            step = step_kind(type(argument))
            for key, part, along in zip(*children, found[1], strict=True):
                self.note_tangents(part, access.step(step, key), along, given)
            return
        k = self.index_of.get(access)
        if k in self.variables and tangent is not None:
            given[k] = _fitting(tangent, self.array(argument), "tangent")

    def tangent(self, leaf: Leaf, outputs: Sequence[Any], slopes: Mapping[int, Any], given: Mapping[int, Any]) -> Any:
        """Tangents in the structure of the result."""
        match leaf:
            case TreeLeaf(kind, keys, children):
                return make_tree(kind, keys, [self.tangent(c, outputs, slopes, given) for c in children])
            case ObjectLeaf(_, tree):
                return self.tangent(tree, outputs, slopes, given)
            case OptionalLeaf(some, value):
                return self.tangent(value, outputs, slopes, given) if outputs[some] else None
            case ListLeaf(length, items):
                moved = [slopes.get(i, x) for i, x in enumerate(outputs)]
                return self.builder(moved).items(_varying(items, slopes), int(outputs[length]))
            case SharedLeaf() | InstanceLeaf() | TableLeaf():
                _require_no_floats(leaf, slopes)
                leaves, structure = pytree.flatten(self.builder(outputs).build(leaf))
                return structure.unflatten([None] * len(leaves))
            case ConstantLeaf(value):
                leaves, structure = pytree.flatten(value)
                return structure.unflatten(type(x)(0) if isinstance(x, float | complex) else None for x in leaves)
            case _:
                return self._tangent_of(leaf, slopes, given)

    def _tangent_of(self, leaf: Leaf, slopes: Mapping[int, Any], given: Mapping[int, Any]) -> Any:
        """The tangent of one array or number."""
        place = self.place(leaf)
        found = slopes.get(place) if place is not None else None
        if isinstance(leaf, InputLeaf) and place is None:
            found = given.get(leaf.input)
        if found is None:
            return None
        if isinstance(leaf, NumberLeaf) and leaf.weak:
            return found.item() if hasattr(found, "item") else found
        return wrap(self.array(found)) if self.found.tensors else found


class _OfItems(ScriptedFunction):
    """A function to which each number of a list is a value of its own, so that it can be varied."""

    takes_numbers = False


def _takes_floats_together(found: Specialisation) -> bool:
    """Whether a list of many floats is one input."""
    inputs = zip(found.lowered.inputs, found.lowered.graph.params, strict=True)
    return any(is_differentiable(p.type) and any(kind == "numbers" for kind, _ in i.access.steps) for i, p in inputs)


def _distinct(primals: Sequence[Any]) -> tuple[Any, ...]:
    """The primals with copies of arrays that come a second time: each argument is a variable of its own."""
    seen: set[int] = set()
    made: list[Any] = []
    for x in primals:
        again = hasattr(x, "shape") and id(raw_value(x)) in seen
        seen.add(id(raw_value(x)))
        made.append(x if not again else wrap(x._data.copy()) if hasattr(x, "_data") else x.copy())
    return tuple(made)


def _children(x: Any) -> tuple[tuple[Any, ...], list[Any]] | None:
    return tree_children(x) if isinstance(x, tuple | list | dict) or hasattr(x, "__dataclass_fields__") else None


def _varying(items: Leaf, slopes: Mapping[int, Any]) -> Leaf:
    """The items of a list with None for those that are no floats."""
    match items:
        case TreeLeaf(kind, keys, children):
            return TreeLeaf(kind, keys, tuple(_varying(c, slopes) for c in children))
        case ItemsLeaf(index) if index in slopes:
            return items
        case _:
            _require_no_floats(items, slopes)
            return ConstantLeaf(None)


def _require_no_floats(leaf: Leaf, slopes: Mapping[int, Any]) -> None:
    """Lists in lists, objects and what may be None in lists, and containers with keys known at run time only, have no
    derivative as results: raise `NotDifferentiable` where there are floats in them."""
    kinds = SharedLeaf | InstanceLeaf | TableLeaf | OptionalLeaf
    if isinstance(leaf, kinds) and not slopes.keys().isdisjoint(_indices(leaf)):
        raise _no_derivative()


def _no_derivative() -> NotDifferentiable:
    return NotDifferentiable("a list of lists, or of keys known at run time only", "return an array or a flat list")


def _indices(leaf: Any) -> Iterator[int]:
    """The graph results that a leaf takes its items from."""
    if isinstance(leaf, ItemsLeaf):
        yield leaf.index
    for f in dataclasses.fields(leaf):
        value = getattr(leaf, f.name)
        for part in value if isinstance(value, tuple) else (value,):
            if dataclasses.is_dataclass(part) and not isinstance(part, type):
                yield from _indices(part)


def _paired(leaf: Leaf, g: Any, outputs: Sequence[Any]) -> Iterator[tuple[Leaf, Any]]:
    """The arrays and numbers of a result with the parts of a value of that structure; all items of a list, which are
    one array of the graph, with all parts that belong to them."""
    if g is None:
        return
    match leaf:
        case TreeLeaf(_, keys, children):
            for child, part in zip(children, _parts(g, keys), strict=True):
                yield from _paired(child, part, outputs)
        case ObjectLeaf(_, tree):
            yield from _paired(tree, g, outputs)
        case OptionalLeaf(some, value):
            if outputs[some]:
                yield from _paired(value, g, outputs)
        case ListLeaf(length, items):
            yield from _paired_items(items, _parts(g, tuple(range(int(outputs[length])))), outputs)
        case SharedLeaf() | InstanceLeaf() | TableLeaf():
            _require_none(g)
        case _:
            yield leaf, g


def _require_none(g: Any) -> None:
    """Raise `NotDifferentiable` for a cotangent of what has no derivative."""
    if any(x is not None for x in pytree.leaves(g)):
        raise _no_derivative()


def _paired_items(leaf: Leaf, parts: Sequence[Any], outputs: Sequence[Any]) -> Iterator[tuple[Leaf, Any]]:
    match leaf:
        case TreeLeaf(_, keys, children):
            rows = [(None,) * len(keys) if p is None else _parts(p, keys) for p in parts]
            for i, child in enumerate(children):
                yield from _paired_items(child, [row[i] for row in rows], outputs)
        case ItemsLeaf(index, _, sizes) if any(p is not None for p in parts):
            held = raw_value(outputs[index])
            whole = module_of(held).zeros_like(held)
            for place, part in zip(_places(outputs, sizes, len(parts)), parts, strict=True):
                if part is not None:
                    whole[place] = module_of(held).asarray(raw_value(part)).reshape(whole[place].shape)
            yield ArrayLeaf(index), whole
        case SharedLeaf() | InstanceLeaf() | TableLeaf() | OptionalLeaf():
            _require_none(list(parts))
        case _:
            return


def _places(outputs: Sequence[Any], sizes: Sequence[Any] | None, length: int) -> Iterator[Any]:
    """Where each item lies in the array of them all."""
    if sizes is None:
        yield from range(length)
        return
    stop = 0
    for shape in item_shapes(outputs, sizes, length):
        start, stop = stop, stop + math.prod(shape)
        yield slice(start, stop)


def _parts(g: Any, keys: tuple[Any, ...]) -> list[Any]:
    """The parts of a cotangent that has to have these keys."""
    found = _children(g)
    if found is None or found[0] != keys:
        raise ValueError("the cotangent must have the structure of the result")
    return found[1]


def _fitting(x: Any, like: Any, what: str) -> Any:
    """x as an array of the shape and dtype of `like`, on its device."""
    given = module_of(like).asarray(raw_value(x), like.dtype)
    found = module_of(like).ascontiguousarray(given).reshape(given.shape)
    if found.shape != like.shape:
        raise ValueError(f"the {what} has shape {found.shape}, the value it belongs to {like.shape}")
    return found
