"""Names from outside the function: closures, globals, attributes of objects; hidden inputs and guards.

An array found there is a hidden input, fetched anew at every call. Any other value is compiled in and guarded: a
call that finds it changed compiles again.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import types
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from tracejit.eager.tensor import Tensor
from tracejit.frontend.context import Context
from tracejit.frontend.signature import (
    MISSING,
    Access,
    Spec,
    StaticSpec,
    TreeSpec,
    constant_access,
    spec_of,
    tree_children,
)
from tracejit.frontend.values import ArrayView, DictValue, FrontValue, ListValue, Static, TupleValue

_FIXED_MODULES = ("numpy", "math", "tracejit", "builtins", "cmath", "operator")


class Statics:
    """Resolves outer names; collects guards. `add_input(access, spec)` makes a hidden input of an array."""

    def __init__(self, ctx: Context, add_input: Callable[[Access, Any], ArrayView]) -> None:
        self.ctx = ctx
        self.add_input = add_input
        self.guards: dict[Access, Spec] = {}
        self.arrays: dict[int, ArrayView] = {}
        self.keep: list[Any] = []
        self.written: dict[tuple[int, str], tuple[Any, FrontValue]] = {}  #: attributes set by the script

    def outer_name(self, node: ast.AST, name: str) -> FrontValue:
        """A name that is not local: closure cell, global or builtin."""
        source = self.ctx.frame.source
        cell = source.closure.get(name)
        if cell is not None:
            try:
                value = cell.cell_contents
            except ValueError:
                text = (
                    f"cannot access free variable {name!r} where it is not associated with a value in enclosing scope"
                )
                self.missing(constant_access(cell).step("cell"), "NameError", text)
            return self.guarded(value, constant_access(cell).step("cell"))
        if name in source.globals and source.is_library:
            return Static(source.globals[name])
        if name in source.globals:
            return self.guarded(source.globals[name], constant_access(source.globals).step("item", name))
        if hasattr(builtins, name):
            return Static(getattr(builtins, name))
        self.missing(constant_access(source.globals).step("item", name), "NameError", f"name {name!r} is not defined")

    def missing(self, access: Access, kind: str, message: str) -> NoReturn:
        """What is not there raises where it is read, for as long as it is not there."""
        self.guards[access] = StaticSpec(MISSING)
        self.ctx.check_false(kind, message)

    def guarded(self, value: Any, access: Access) -> FrontValue:
        """An outer value: arrays become hidden inputs, others are guarded."""
        if isinstance(value, Tensor | np.ndarray):
            return self.hidden(value, access)
        if isinstance(value, types.ModuleType):
            return Static(value)
        if isinstance(value, list | dict) or (isinstance(value, tuple) and self.holds_arrays(value)):
            return self.container(value, access)
        self.guards[access] = StaticSpec(value)
        self.keep.append(value)
        return Static(value)

    def hidden(self, value: Any, access: Access) -> ArrayView:
        """An array as an input of the graph; one array reached by two ways is one input."""
        found = self.arrays.get(id(value))
        if found is None:
            spec = spec_of(value)
            if (
                self.ctx.any_size or self.ctx.exact_sizes
            ):  # an exported program embeds the array, a trace relies on them
                spec = dataclasses.replace(spec, dims=tuple(value.shape))  # type: ignore[type-var]
            found = self.arrays[id(value)] = self.add_input(access, spec)
            self.keep.append(value)
        return found

    def holds_arrays(self, value: Any) -> bool:
        if isinstance(value, Tensor | np.ndarray):
            return True
        if isinstance(value, list | dict | tuple):
            return any(self.holds_arrays(v) for v in tree_children(value)[1])
        return False

    def container(self, value: Any, access: Access) -> FrontValue:
        """A list, dict or tuple from outside: its parts, each guarded or a hidden input."""
        keys, children = tree_children(value)
        self.guards[access] = TreeSpec(type(value), keys, ())
        kind = "item" if isinstance(value, dict) else "tuple" if isinstance(value, tuple) else "list"
        items = [self.guarded(c, access.step(kind, k)) for k, c in zip(keys, children, strict=True)]
        if isinstance(value, dict):
            return DictValue(dict(zip(keys, items, strict=True)), level=-1)
        if isinstance(value, tuple):
            return TupleValue(tuple(items), type(value) if hasattr(value, "_fields") else None)
        return ListValue(items, level=-1)

    def items(self, owner: Any) -> tuple[Any, ...]:
        """The items of a compile-time container (a `ModuleList`, an Enum class), guarded as a whole."""
        found = tuple(owner)
        self.guards[constant_access(owner).step("iterate")] = StaticSpec(found)
        self.keep.append(found)
        return found

    def attribute(self, owner: Any, name: str, node: ast.AST) -> FrontValue:
        """An attribute of a compile-time object."""
        written = self.written.get((id(owner), name))
        if written is not None:
            return written[1]
        if isinstance(owner, types.ModuleType) and owner.__name__.split(".")[0] in _FIXED_MODULES:
            return self.of_object(self.get(owner, name, node))
        if isinstance(owner, type | np.dtype | np.generic | np.ufunc | types.BuiltinFunctionType):
            return self.of_object(self.get(owner, name, node))
        value = self.get(owner, name, node)
        if isinstance(value, types.MethodType) and value.__self__ is owner:
            return Static(value)
        return self.guarded(value, constant_access(owner).step("attribute", name))

    def get(self, owner: Any, name: str, node: ast.AST) -> Any:
        try:
            return getattr(owner, name)
        except AttributeError as error:
            self.ctx.at(node)
            text = str(error).replace("{", "{{").replace("}", "}}")
            self.missing(constant_access(owner).step("attribute", name), "AttributeError", text)

    @staticmethod
    def of_object(value: Any) -> FrontValue:
        """A compile-time object that needs no guard."""
        return Static(value)
