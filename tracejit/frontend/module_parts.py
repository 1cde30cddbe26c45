"""The parts of an `nn.Module`, by the methods that list them: known when the function is compiled, and guarded."""

from __future__ import annotations

import ast
import types
from typing import TYPE_CHECKING, Any

from tracejit.frontend.signature import TreeSpec, constant_access
from tracejit.frontend.values import FrontValue, Static, TupleValue

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_KINDS = ("children", "modules", "parameters", "buffers")
_TABLES = ("_modules", "_parameters", "_buffers")


def lists_parts(fn: Any) -> bool:
    """Whether a function is a module's own method that lists its parts."""
    if not isinstance(fn, types.MethodType) or not hasattr(fn.__self__, "state_dict"):
        return False
    name = fn.__name__.removeprefix("named_")
    return name in _KINDS and str(fn.__func__.__module__).startswith("tracejit.nn")


def parts(c: Calls, fn: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """The parts that such a method lists, each as the attribute that it is."""
    module, kind = fn.__self__, fn.__name__.removeprefix("named_")
    given = [c.static(a, node, "an argument") for a in args]
    options = {name: c.static(v, node, f"'{name}'") for name, v in kwargs.items()}
    if fn.__name__ == kind and given:
        options["recurse"] = given.pop(0)
    if given or options.keys() - {"recurse"}:
        c.ctx.refuse(node, f"{fn.__name__}() takes 'recurse' only in a script", "leave the rest out")
    for _, inner in module.named_modules():
        for table in _TABLES:
            access = constant_access(inner).step("attribute", table)
            c.statics.guards[access] = TreeSpec(dict, tuple(getattr(inner, table)), ())
            c.statics.keep.append(inner)
    found: list[FrontValue] = []
    for name, _ in getattr(module, f"named_{kind}")(**options):
        part: FrontValue = Static(module)
        for step in name.split(".") if name else ():
            part = c.attribute(part, step, node)
        found.append(part if fn.__name__ == kind else TupleValue((Static(name), part)))
    return TupleValue(tuple(found))
