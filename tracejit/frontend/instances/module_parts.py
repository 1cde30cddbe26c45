"""Calls of an `nn.Module`, and its parts by the methods that list them: known when the function is compiled, and
guarded."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tracejit.eager.hooks import BACKWARD_TABLES, FORWARD_TABLES, MODULE_HOOKS
from tracejit.frontend.boundary.signature import TreeSpec, constant_access
from tracejit.frontend.values import DictValue, FrontValue, ListValue, Static, TupleValue
from tracejit.frontend.written.hooks import load_state, with_hooks
from tracejit.weights import IncompatibleKeys

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

_KINDS = ("children", "modules", "parameters", "buffers")
_STATES = ("state_dict", "load_state_dict")
_TABLES = ("_modules", "_parameters", "_buffers")
#: Modules of this package whose classes have settings, but no parameters and no parts; PReLU is the exception.
_SETTINGS = frozenset("activation more_activations loss pooling padding distance".split())


def lists_parts(fn: Any) -> bool:
    """Whether a function is a module's own method that lists its parts, or gives or takes what they hold."""
    if not isinstance(fn, types.MethodType) or not hasattr(fn.__self__, "state_dict"):
        return False
    name = fn.__name__.removeprefix("named_")
    return name in (*_KINDS, *_STATES) and str(fn.__func__.__module__).startswith("tracejit.nn")


def parts(c: Calls, fn: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """The parts that such a method lists, each as the attribute that it is."""
    module, kind = fn.__self__, fn.__name__.removeprefix("named_")
    if kind in _STATES:
        return _states(c, fn, args, kwargs, node)
    given = [c.static(a, node, "an argument") for a in args]
    options = {name: c.static(v, node, f"'{name}'") for name, v in kwargs.items()}
    if fn.__name__ == kind and given:
        options["recurse"] = given.pop(0)
    if given or options.keys() - {"recurse"}:
        c.ctx.refuse(node, f"{fn.__name__}() takes 'recurse' only in a script", "leave the rest out")
    found: list[FrontValue] = []
    for name, part in _by_name(c, module, [name for name, _ in getattr(module, f"named_{kind}")(**options)], node):
        found.append(part if fn.__name__ == kind else TupleValue((Static(name), part)))
    return TupleValue(tuple(found))


def _by_name(c: Calls, module: Any, names: Iterable[str], node: ast.AST) -> Iterator[tuple[str, FrontValue]]:
    """The parts with these dotted names."""
    for _, inner in module.named_modules():
        _guard_tables(c, inner)
    for name in names:
        part: FrontValue = Static(module)
        for step in name.split(".") if name else ():
            part = c.attribute(part, step, node)
        yield name, part


def _states(c: Calls, fn: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """`state_dict()` and `load_state_dict(state)` of a dict whose keys are known."""
    own = dict(_by_name(c, fn.__self__, fn.__self__.state_dict(), node))
    if fn.__name__ == "state_dict" and not args and not kwargs:
        return DictValue({name: c.gradients.detach(part) for name, part in own.items()})
    state = args[0] if len(args) == 1 and not kwargs and fn.__name__ != "state_dict" else None
    if not isinstance(state, DictValue) or state.items.keys() != own.keys():
        instead = "module.load_state_dict(other.state_dict()), of modules with the same names"
        c.ctx.refuse(node, f"{fn.__name__}() of these arguments is outside the language", instead)
    trios = [TupleValue((Static(name), part, state.items[name])) for name, part in own.items()]
    c.call_object(load_state, [Static(type(fn.__self__).__name__), TupleValue(tuple(trios))], {}, node)
    return TupleValue((ListValue([], c.ctx.level), ListValue([], c.ctx.level)), IncompatibleKeys)


def _guard_tables(c: Calls, module: Any) -> None:
    """Which parts a module has is compiled in."""
    for table in _TABLES:
        _guard_keys(c, module, table)


def _guard_keys(c: Calls, module: Any, table: str) -> None:
    if hasattr(module, table):
        access = constant_access(module).step("attribute", table)
        c.statics.guards[access] = TreeSpec(dict, tuple(getattr(module, table)), ())
        c.statics.keep.append(module)


def parameters(c: Calls, value: FrontValue, node: ast.AST) -> dict[str, FrontValue] | None:
    """What a `ParameterList` or a `ParameterDict` holds, by name; None for other values."""
    if not isinstance(value, Static) or not getattr(type(value.value), "__tracejit_parameters__", False):
        return None
    _guard_tables(c, value.value)
    return {name: c.attribute(value, name, node) for name in value.value._parameters}


def items(c: Calls, value: Static, node: ast.AST) -> list[FrontValue]:
    """What a loop over a compile-time object runs over."""
    held = parameters(c, value, node)
    if held is None:
        return [c.of_object(item) for item in c.statics.items(value.value)]
    return list(held.values()) if hasattr(value.value, "append") else [Static(name) for name in held]


def parameter(c: Calls, value: Static, index: FrontValue, node: ast.AST) -> FrontValue | None:
    """`value[index]` of such; None for other values."""
    found = parameters(c, value, node)
    if found is None:
        return None
    key = c.static(index, node, "this index")
    items = list(found.values())
    if isinstance(key, slice):
        is_list = hasattr(value.value, "append")
        return c.lists.made(items[key], node) if is_list else c.arith.mismatch(KeyError(key), node)
    at = range(len(items))
    if key not in (found if isinstance(key, str) else (*at, *(i - len(items) for i in at))):
        error = KeyError(key) if isinstance(key, str) else IndexError("list index out of range")
        return c.arith.mismatch(error, node)
    return found[key] if isinstance(key, str) else items[key]


def is_settings(cls: type) -> bool:
    """Whether modules of a class are nothing but their settings: a script may make one, which then stays as it is."""
    package, _, file = cls.__module__.rpartition(".")
    return package == "tracejit.nn" and file in _SETTINGS and cls.__name__ != "PReLU"


def forward(
    c: Calls, fn: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue | None:
    """A call of a module, plain or scripted; None for other objects."""
    if hasattr(type(fn), "__tracejit_module__"):
        fn = fn.__tracejit_module__
    if not hasattr(fn, "forward") or not hasattr(fn, "state_dict"):
        return None
    own = c.attribute(Static(fn), "forward", node)
    before, after = _hooks(c, fn, node)
    if before or after:
        given = DictValue(kwargs)
        hooks = (TupleValue(tuple(before)), TupleValue(tuple(after)))
        return c.call_object(with_hooks, [Static(fn), own, *hooks, TupleValue(tuple(args)), given], {}, node)
    return c.call_value(own, args, kwargs, node)


def _hooks(c: Calls, module: Any, node: ast.AST) -> list[list[FrontValue]]:
    """A module's hooks before and after `forward`, guarded, with whether each takes the keyword arguments. Those of the
    backward pass are refused: they would be skipped. As long as no module had hooks, one guard says so for all."""
    if MODULE_HOOKS.count:
        for name in (*FORWARD_TABLES, *BACKWARD_TABLES):
            _guard_keys(c, module, name)
    else:
        c.statics.guarded(0, constant_access(MODULE_HOOKS).step("attribute", "count"))
    if any(getattr(module, name, None) for name in BACKWARD_TABLES):
        c.ctx.refuse(
            node,
            f"{type(module).__name__} has backward hooks, which a script cannot run",
            "remove the hooks, or call it outside",
        )
    found: list[list[FrontValue]] = []
    for name in FORWARD_TABLES:
        table = getattr(module, name, {})
        found.append([TupleValue((Static(hook), Static(takes_kwargs))) for hook, takes_kwargs in table.values()])
    return found
