"""A Python function and example arguments as a graph whose inputs and outputs are arrays and numbers only.

Arguments that are arrays and numbers become inputs, of any size; containers are taken apart; everything else is
compiled in. Arrays from outside the function (globals, closures, a module's parameters) are embedded as constants, but
those the function changes become inputs, because an embedded constant cannot change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tracejit.errors import ExportError
from tracejit.frontend.boundary.leaves import MadeTextLeaf
from tracejit.frontend.boundary.signature import Access, ArraySpec, refined, spec_of
from tracejit.frontend.function import (
    ArrayLeaf,
    ChoiceLeaf,
    ChosenLeaf,
    ConstantLeaf,
    InputLeaf,
    InstanceLeaf,
    ItemsLeaf,
    Leaf,
    ListLeaf,
    Lowered,
    NumberLeaf,
    ObjectLeaf,
    OptionalLeaf,
    SharedLeaf,
    SliceLeaf,
    TableLeaf,
    TextLeaf,
    TreeLeaf,
    TurnedLeaf,
    ViewLeaf,
    any_sizes,
)
from tracejit.frontend.restarts import NeedsSizes, NeedsStatic
from tracejit.ir.builder import Builder
from tracejit.ir.core import Block, Graph, Value
from tracejit.records import record
from tracejit.scripted import ScriptedFunction, ScriptedModule, script
from tracejit.scripted.function import BoundScript
from tracejit.transformations.base import constant_value, latest, view_value


@record
class Captured:
    """A graph to be exported. `constants` are arrays for its parameters at their keys; `outputs` are names."""

    graph: Graph
    constants: Mapping[int, np.ndarray[Any, Any]]
    outputs: tuple[str, ...]


def require_arguments(examples: Any) -> None:
    """TypeError for what is no sequence of arguments: the rows of an array would be taken for them."""
    if not isinstance(examples, Sequence) or isinstance(examples, str | bytes):
        raise TypeError(f"example_args is a tuple of arguments, as in (x,), not {type(examples).__name__}")


def capture(fn: Callable[..., Any], example_args: Sequence[Any]) -> Captured:
    """Lower a function for export. Raises `ScriptError` for what is outside the language, `ExportError` for a result
    that is no array or number."""
    scripted, first = _scripted(fn)
    require_arguments(example_args)
    values = scripted.bind((*first, *example_args), {})
    names = list(scripted.signature.parameters)
    lowered = _lowered(scripted, names, values)
    graph, outputs = _flattened(lowered, names)
    return Captured(graph, _constants(lowered, values, owned=bool(first)), outputs)


def _lowered(scripted: ScriptedFunction, names: Sequence[str], values: Sequence[Any]) -> Lowered:
    """The function for arrays of any size; numbers and sizes that decide what the program is are compiled in."""
    static: set[Access] = {Access(i) for i, name in enumerate(names) if name in scripted.options.static}
    sizes: set[tuple[Access, int]] = set()
    while True:
        parameters = [
            (name, Access(i), _contiguous(refined(spec_of(value, any_size=True), Access(i), value, static, sizes)))
            for i, (name, value) in enumerate(zip(names, values, strict=True))
        ]
        try:
            with any_sizes():
                return scripted.lower(parameters, {})
        except NeedsStatic as request:
            static.add(request.access)
        except NeedsSizes as request:
            sizes |= request.sizes


def _scripted(fn: Any) -> tuple[ScriptedFunction, list[Any]]:
    """The scripted function, and the arguments that are bound to it."""
    if isinstance(fn, BoundScript):
        return fn.script, [fn.__tracejit_self__]
    if isinstance(fn, ScriptedModule):
        return fn.__dict__["script"], [fn.__dict__["module"]]
    if isinstance(fn, ScriptedFunction):
        return fn, []
    made = script(fn)
    if made is fn:
        raise ExportError(f"cannot export {fn!r}: it is no function, method or module")
    return _scripted(made)


def _contiguous(spec: Any) -> Any:
    """The library makes strided inputs contiguous before the program sees them."""
    if isinstance(spec, ArraySpec):
        return ArraySpec(spec.dtype, spec.dims, "C", spec.tensor, spec.requires_grad, True, spec.device)
    return spec


def _constants(lowered: Lowered, values: Sequence[Any], owned: bool) -> dict[int, np.ndarray[Any, Any]]:
    """Arrays that are not arguments, unless the function changes them."""
    found: dict[int, np.ndarray[Any, Any]] = {}
    for i, x in enumerate(lowered.inputs):
        is_outer = x.access.root < 0 or (owned and x.access.root == 0)
        if is_outer and i not in lowered.graph.inout:
            value = x.access.fetch(values)
            array = np.asarray(getattr(value, "_data", value))
            found[i] = np.ascontiguousarray(array).reshape(array.shape)
    return found


# -- results ----------------------------------------------------------------------------------------------------


def _flattened(lowered: Lowered, names: Sequence[str]) -> tuple[Graph, tuple[str, ...]]:
    """The graph with every returned array and number, every `.grad` and every attribute as a result of its own."""
    b = Builder()
    graph = lowered.graph
    flat: list[tuple[str, Value]] = list(_values(lowered, b, lowered.result, "result"))
    for left in lowered.gradients:
        if left.result >= 0:
            flat.append((f"{_name(lowered.inputs[left.input].access, names)}_grad", graph.results[left.result]))
    for change in lowered.changes:
        if change.value is not None:
            name = _name(change.access, names) if change.kind in ("list", "dict") else str(change.key)
            flat += _values(lowered, b, change.value, name)
    finals = graph.results[len(graph.results) - len(graph.inout) :]
    results = (*(value for _, value in flat), *finals)
    body = Block(graph.params, (*graph.body.ops, *b.ops), results)
    return Graph(graph.name, body, graph.device, graph.inout, graph.policy), tuple(name for name, _ in flat)


def _name(access: Access, names: Sequence[str]) -> str:
    return access.text(names).replace(".", "_").replace("[", "_").replace("]", "").replace("'", "")


def _values(lowered: Lowered, b: Builder, leaf: Leaf, name: str) -> Iterator[tuple[str, Value]]:
    """The graph values of a result, each with a name."""
    graph = lowered.graph
    match leaf:
        case ArrayLeaf(index) | NumberLeaf(index):
            yield name, graph.results[index]
        case InputLeaf(index):
            yield name, latest(graph, index)
        case ViewLeaf() | TurnedLeaf():
            yield name, view_value(graph, b, leaf)
        case TreeLeaf(_, keys, children):
            for key, child in zip(keys, children, strict=True):
                yield from _values(lowered, b, child, _part(name, key))
        case ObjectLeaf(_, tree):
            yield from _values(lowered, b, tree, name)
        case SliceLeaf(parts):
            for key, part in zip(("start", "stop", "step"), parts, strict=True):
                yield from _values(lowered, b, part, _part(name, key))
        case ListLeaf(length, items):
            yield from _items(graph, items, name, length)
        case TableLeaf(length=length, keys=keys, values=values, live=live):
            yield from _items(graph, keys, name if values is None else _part(name, "keys"), length)
            if values is not None:
                yield from _items(graph, values, _part(name, "values"), length)
            if live is not None:
                yield from _items(graph, live, _part(name, "is_there"), length)
        case ConstantLeaf(None):
            return
        case ConstantLeaf(value):
            if (number := constant_value(b, value)) is None:
                raise _refused(repr(value))
            yield name, number
        case _:
            raise _refused(_WORDS[type(leaf)])


#: What is no array and no number, nor made of such.
_WORDS: Mapping[type, str] = {
    ChoiceLeaf: "one of several objects",
    ChosenLeaf: "an object that was chosen at run time",
    InstanceLeaf: "an object of a list",
    OptionalLeaf: "what may be None",
    SharedLeaf: "one of several lists",
    MadeTextLeaf: "text",
    TextLeaf: "text",
}


def _refused(what: str) -> ExportError:
    return ExportError(f"cannot export a function that returns {what}: results are arrays and numbers")


def _part(name: str, key: Any) -> str:
    return f"{name}_{key}" if isinstance(key, str) else f"{name}{key}"


def _items(graph: Graph, leaf: Leaf, name: str, length: int) -> Iterator[tuple[str, Value]]:
    """The graph values of a list's items: an array of numbers, arrays of one size along its first axis, those of
    varying sizes as all elements one after the other and the sizes of each; of constants how many there are."""
    match leaf:
        case ItemsLeaf(index, _, sizes):
            yield name, graph.results[index]
            for axis, size in enumerate(sizes or ()):
                if isinstance(size, tuple):
                    yield _part(name, f"size{axis}"), graph.results[size[1]]
        case TreeLeaf(_, keys, children):
            for key, child in zip(keys, children, strict=True):
                yield from _items(graph, child, _part(name, key), length)
        case ConstantLeaf():
            yield _part(name, "length"), graph.results[length]
        case _:
            raise _refused(_WORDS[type(leaf)] + " in a list")
