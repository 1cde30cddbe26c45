"""Calls with arrays of a GPU at the price of a dictionary look-up.

The native call path (`runtime/dispatch.py`) serves arrays of the CPU. A call with arrays of a GPU is found by a key of
its arguments, which says as much of them as their specs do and takes a tenth of the time. Whatever has no key, is new,
or no longer fits what was compiled in is a call like the first.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tracejit.devices import as_array
from tracejit.eager.tensor import Tensor, wrap
from tracejit.frontend.boundary.signature import (
    Access,
    Spec,
    StaticSpec,
    is_data_object,
    matches,
    tree_children,
)
from tracejit.frontend.function import ArrayLeaf, Input, Leaf, NumberLeaf, TreeLeaf

if TYPE_CHECKING:
    from tracejit.scripted.function import ScriptedFunction, Specialisation

#: Stands for no value.
MISS: Any = object()
#: Keys that are remembered for one function at most: some have sizes and numbers in them.
MOST = 256

_Key: TypeAlias = Hashable
_KeyOf: TypeAlias = Callable[[Any], _Key]


class NoKey(Exception):
    """The spec of a value says more than a key."""


class Keys:
    """Keys of values. Equal keys mean equal specs; with `exact`, sizes and numbers are part of them."""

    def __init__(self, exact: bool = False) -> None:
        self.exact = exact
        self.array_type: type = sys.modules["cupy"].ndarray
        self._of: dict[type, _KeyOf] = {
            self.array_type: self.array,
            **dict.fromkeys((bool, str, bytes, types.NoneType), _by_value),
            **dict.fromkeys((int, float, complex), _by_value if exact else type),
            tuple: self.sequence,
            list: self.sequence,
            dict: self.mapping,
        }

    def __call__(self, value: Any) -> _Key:
        """The key of a value. Raises `NoKey`."""
        kind = type(value)
        of = self._of.get(kind)
        if of is None:
            of = self._of[kind] = self.made_for(kind)
        return of(value)

    def made_for(self, kind: type) -> _KeyOf:
        """How values of a type get their keys."""
        if issubclass(kind, Tensor):
            return self.tensor
        if issubclass(kind, np.generic):
            return _by_value if self.exact else type
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            return self.sequence
        if dataclasses.is_dataclass(kind) and not issubclass(kind, _WITH_PARTS):
            return self.fields
        if issubclass(kind, _WITHOUT_KEY) or hasattr(kind, "__cuda_array_interface__"):
            return _none
        return id

    def array(self, x: Any) -> _Key:
        """An array of the GPU."""
        if self.exact:
            return (self.array_type, x.dtype, x._c_contiguous, x.shape)
        return (x.dtype, x._c_contiguous, *[n if n < 2 else None for n in x.shape])

    def tensor(self, x: Tensor) -> _Key:
        """A Tensor of the GPU."""
        data = x._data
        if type(data) is not self.array_type:
            raise NoKey
        return (Tensor, x._requires_grad, self.array(data))

    def sequence(self, x: Any) -> _Key:
        return (type(x), *[self(part) for part in x])

    def fields(self, x: Any) -> _Key:
        return (type(x), *[self(getattr(x, f.name)) for f in dataclasses.fields(x)])

    def mapping(self, x: dict[Any, Any]) -> _Key:
        return (dict, *x.keys(), *[self(part) for part in x.values()])


def _by_value(x: Any) -> _Key:
    return (type(x), x)


def _none(x: Any) -> _Key:
    raise NoKey


#: What is compiled in by its value, as it is in an exact key.
_VALUES = (bool, int, float, complex, str, bytes, types.NoneType)
#: Containers, whose subclasses may hold more than their items; what compares by value; what is made anew when read.
_WITH_PARTS = (tuple, list, set, Mapping)
_WITHOUT_KEY = (
    *_WITH_PARTS,
    *(np.ndarray, np.dtype, int, float, complex, str, bytes),
    *(types.MethodType, types.BuiltinMethodType),
)


@dataclass(eq=False)
class Served:
    """Calls of one key: the specialisation, and what its guards compare. `kept` keeps objects whose identity is part of
    the key."""

    specialisation: Specialisation
    guards: tuple[tuple[Access, Spec, Any], ...]  #: with the value itself, if it is compiled in
    keys: tuple[tuple[Access, _Key], ...]  #: arrays and numbers from outside
    kept: tuple[Any, ...]
    run: Callable[[Sequence[Any]], Any]  #: runs the specialisation on arguments

    def holds(self, arguments: Sequence[Any], key: Keys) -> bool:
        """Whether outer values are what was compiled in. False also where only the slow path can tell."""
        for access, spec, expected in self.guards:
            value = access.fetch(arguments)
            if value is not expected and not matches(spec, value):
                return False
        return all(key(access.fetch(arguments)) == expected for access, expected in self.keys)


class DeviceCalls:
    """The calls of a scripted function that were served before."""

    def __init__(self, function: ScriptedFunction) -> None:
        parameters = function.signature.parameters.values()
        self.plain = all(p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters)
        self.defaults = tuple(p.default for p in parameters)
        self.static = [i for i, name in enumerate(function.signature.parameters) if name in function.options.static]
        self.bind = function.bind
        self.run = function.run_chosen
        self.keys = Keys(exact=bool(self.static))
        self.served: dict[_Key, Served] = {}

    def exactly(self) -> None:
        """From now on sizes and numbers may be compiled in."""
        if not self.keys.exact:
            self.keys = Keys(exact=True)
            self.served = {}

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[Any]:
        """The arguments in parameter order."""
        if self.plain and not kwargs and len(args) <= len(self.defaults):
            filled = (*args, *self.defaults[len(args) :]) if len(args) < len(self.defaults) else args
            if inspect.Parameter.empty not in filled[len(args) :]:
                return filled
        return self.bind(args, kwargs)

    def key(self, arguments: Sequence[Any]) -> _Key:
        """The key of a call. Raises `NoKey`, also for arrays that are, or may be, one memory."""
        key = self.keys
        made = tuple([key(x) for x in arguments])
        arrays = [x for x in (getattr(a, "_data", a) for a in arguments) if type(x) is key.array_type]
        if len(arrays) > 1 and len({x.data.ptr for x in arrays}) < len(arrays):
            raise NoKey
        return made

    def find(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Served, Sequence[Any]] | None:
        """What serves a call, and its arguments; None where the specialisation is to be found the long way."""
        try:
            arguments = self.arguments(args, kwargs)
            served = self.served.get(self.key(arguments))
            if served is None or not served.holds(arguments, self.keys):
                return None
        except (NoKey, TypeError):  # TypeError: a part of a key is not hashable, or the call is wrong
            return None
        return served, arguments

    def remember(self, made: Specialisation, arguments: Sequence[Any]) -> None:
        """Serve such calls from now on, where a key can tell them from others."""
        if made.aliased or not all(isinstance(arguments[i], _VALUES) for i in self.static):
            return
        try:
            key = self.key(arguments)
            found = self._served(made, arguments)
            hash(key)
        except (NoKey, TypeError):
            return
        if len(self.served) >= MOST:
            self.served.clear()
        self.served[key] = found

    def _served(self, made: Specialisation, arguments: Sequence[Any]) -> Served:
        lowered = made.lowered
        guards = tuple((a, s, s.value if isinstance(s, StaticSpec) else MISS) for a, s in lowered.guards.items())
        outer = [i.access for i in lowered.inputs if i.hidden or i.access.root < 0]
        keys = tuple((access, self.keys(access.fetch(arguments))) for access in outer)
        run = quick_run(made) or partial(self.run, made)
        return Served(made, guards, keys, tuple(_objects(arguments)), run)


# -- running ----------------------------------------------------------------------------------------------------------


def quick_run(made: Specialisation) -> Callable[[Sequence[Any]], Any] | None:
    """What runs a specialisation that changes nothing of its arguments, records nothing, and returns arrays and numbers
    of its graph, alone or in tuples; None for others."""
    lowered = made.lowered
    has_more = lowered.changes or lowered.reports or lowered.gradients or lowered.graph.inout
    build = None if has_more or made.wanted else _built(lowered.result, made.tensors)
    if build is None:
        return None
    compiled, fetches = made.compiled, tuple(_fetch_of(i) for i in lowered.inputs)
    return lambda arguments: build(compiled([fetch(arguments) for fetch in fetches]))


def _fetch_of(given: Input) -> Callable[[Sequence[Any]], Any]:
    """What an input passes to the graph."""
    access, is_tensor = given.access, given.is_tensor
    fetch = access.fetch if access.steps or access.root < 0 else itemgetter(access.root)
    return (lambda arguments: fetch(arguments)._data) if is_tensor else fetch


def _built(leaf: Leaf, tensors: bool) -> Callable[[list[Any]], Any] | None:
    """What makes a result of the graph's outputs; None where that takes more than to pick them."""
    match leaf:
        case ArrayLeaf(index, (), False):
            return (lambda outputs: _wrapped(outputs[index])) if tensors else (lambda outputs: _array(outputs[index]))
        case NumberLeaf(index, True):
            return lambda outputs: outputs[index].item()
        case NumberLeaf(index) if not tensors:
            return itemgetter(index)
        case TreeLeaf(kind, _, children) if kind is tuple:
            parts = [_built(child, tensors) for child in children]
            if all(parts):
                return lambda outputs: tuple([part(outputs) for part in parts if part is not None])
        case _:
            pass
    return None


def _array(output: Any) -> Any:
    return as_array(output, "cuda") if isinstance(output, np.generic) else output


def _wrapped(output: Any) -> Tensor:
    return wrap(_array(output))


def _objects(arguments: Sequence[Any]) -> list[Any]:
    """Everything in arguments that is no array."""
    found: list[Any] = []
    waiting = list(arguments)
    while waiting:
        x = waiting.pop()
        if isinstance(x, tuple | list | dict) or is_data_object(x):
            waiting += tree_children(x)[1]
        elif not isinstance(x, Tensor) and not hasattr(x, "__cuda_array_interface__"):
            found.append(x)
    return found
