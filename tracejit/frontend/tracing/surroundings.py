"""What a traced function may read from outside without being seen: guarded, so that a change is traced anew.

Guarded are the closure cells and global names that its code mentions, and the plain attributes, parameters, buffers
and submodules of the modules and objects among them. Tensors and arrays count by identity (their content is an input).
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tracejit.eager.tensor import Tensor
from tracejit.frontend.boundary.signature import Access, StaticSpec, TreeSpec, constant_access, tree_children
from tracejit.frontend.boundary.statics import Statics

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


def guard_surroundings(statics: Statics, fn: Any, arguments: Sequence[Any]) -> None:
    """Guard what `fn`, and modules and functions among its arguments, may have read."""
    guards = _Guards(statics)
    for thing in (fn, *arguments):
        guards.object(thing)


class _Guards:
    def __init__(self, statics: Statics) -> None:
        self.statics = statics
        self.seen: set[int] = set()

    def value(self, value: Any, access: Access) -> None:
        """A value found at a place."""
        if isinstance(value, types.ModuleType):
            return
        if isinstance(value, list | dict | tuple):
            keys, children = tree_children(value)
            self.statics.guards[access] = TreeSpec(type(value), keys, ())
            step = "item" if isinstance(value, dict) else "tuple" if isinstance(value, tuple) else "list"
            if self.is_new(value):
                for key, child in zip(keys, children, strict=True):
                    self.value(child, access.step(step, key))
            return
        self.statics.guards[access] = StaticSpec(value)
        self.statics.keep.append(value)
        if not isinstance(value, (*_PLAIN, Tensor, np.ndarray, type)):
            self.object(value)

    def is_new(self, thing: Any) -> bool:
        """Whether it is met for the first time; kept alive, so that its id stays its own."""
        found = id(thing) not in self.seen
        self.seen.add(id(thing))
        self.statics.keep.append(thing)
        return found

    def object(self, thing: Any) -> None:
        """What a function, method, module or plain object leads to."""
        if not self.is_new(thing) or _is_librarys(thing):
            return
        match thing:
            case types.MethodType():
                self.object(thing.__self__)
                self.object(thing.__func__)
            case functools.partial():
                for part in (thing.func, *thing.args, *thing.keywords.values()):
                    self.object(part)
            case types.FunctionType():
                self.function(thing)
            case _:
                inner = getattr(thing, "__tracejit_function__", None)
                if isinstance(inner, types.FunctionType):
                    self.object(inner)
                else:
                    self.attributes(thing)

    def function(self, fn: types.FunctionType) -> None:
        """The closure cells and globals that the code mentions."""
        if _is_ours(fn):
            return
        for cell in fn.__closure__ or ():
            try:
                self.value(cell.cell_contents, constant_access(cell).step("cell"))
            except ValueError:  # not bound yet
                continue
        for name in sorted(set(_names(fn.__code__))):
            if name in fn.__globals__:
                self.value(fn.__globals__[name], constant_access(fn.__globals__).step("item", name))

    def attributes(self, thing: Any) -> None:
        """Plain attributes of an object; parameters, buffers and submodules of a module."""
        if isinstance(thing, (*_PLAIN, Tensor, np.ndarray, np.generic, type)) or not hasattr(thing, "__dict__"):
            return
        own = constant_access(thing)
        for name, value in vars(thing).items():
            if not name.startswith("_") and isinstance(value, (*_PLAIN, Tensor, np.ndarray)):
                self.value(value, own.step("attribute", name))
        if hasattr(thing, "state_dict"):
            for table in ("_parameters", "_buffers", "_modules"):
                for name, value in getattr(thing, table, {}).items():
                    self.value(value, own.step("attribute", name))
        elif callable(thing):
            self.object(inspect.getattr_static(type(thing), "__call__"))


def _is_ours(fn: types.FunctionType) -> bool:
    return fn.__module__ is not None and str(fn.__module__).split(".")[0] in ("tracejit", "numpy", "math")


def _is_librarys(thing: Any) -> bool:
    module = str(getattr(thing, "__module__", "") or "").split(".")[0]
    return module in ("numpy", "math", "builtins") and not hasattr(thing, "state_dict")


def _names(code: types.CodeType) -> Iterator[str]:
    """Names that code and the code inside it may look up."""
    yield from code.co_names
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from _names(const)
