"""`f(*items)` where it is known at run time only how many items there are: what the parameters of a function get."""

from __future__ import annotations

import ast
import dataclasses
import types
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from tracejit.eager.traceable import is_public
from tracejit.frontend.containers import generators, list_calls, tables
from tracejit.frontend.functions.builtin_arguments import missing_arguments, too_many_arguments
from tracejit.frontend.functions.handlers import HANDLERS
from tracejit.frontend.functions.names import is_numpys
from tracejit.frontend.instances.objects import is_users
from tracejit.frontend.values import (
    ArrayView,
    BoundFunction,
    Closure,
    FrontValue,
    GrowingList,
    MessageValue,
    Rest,
    SharedText,
    SliceValue,
    Static,
    TupleValue,
)
from tracejit.frontend.written.starred import largest, print_parts, smallest
from tracejit.ir.core import Value
from tracejit.records import record
from tracejit.signatures import signature_of

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


@record
class Spread:
    """A call whose last arguments are such items: `args` come before them."""

    fn: FrontValue
    args: tuple[FrontValue, ...]
    items: GrowingList | None  #: None where `args` are all
    parameters: Parameters | None = None  #: of functions and classes


def spread(c: Calls, fn: FrontValue, call: ast.Call) -> Spread | None:
    """What is called, and with which arguments, where some are such items; None for other calls."""
    nodes = call.args
    if not any(isinstance(n, ast.Starred) for n in nodes):
        return None
    if (builtin := _builtin(fn, call)) is not None:
        return _of_builtin(c, fn, builtin, call)
    parameters = _parameters(c, fn, call)
    if parameters is None:
        return None
    first = next(i for i, n in enumerate(nodes) if isinstance(n, ast.Starred))
    args, rest = tuple(c.expressions.elements(nodes[:first])), nodes[first:]
    node = rest[0]
    if len(rest) > 1:
        items = list_calls.display(c.expressions, rest, node)
    else:
        items = generators.all_items(c, c.expressions.value(node.value), node)  # type: ignore[attr-defined]
    if not _is_unknown(c, items):
        return Spread(fn, (*args, *c.expressions.unpackable(items, None, node)), None)
    if not isinstance(items, GrowingList):
        items = c.lists.copied(c.expressions.iterable(items, node), node)
    return Spread(fn, args, items, parameters)


def _is_unknown(c: Calls, items: FrontValue) -> bool:
    return not isinstance(c.as_operand(items), ArrayView | SharedText | MessageValue) and list_calls.is_unknown(
        c, items
    )


def _of_builtin(c: Calls, fn: FrontValue, builtin: Callable[..., Any], call: ast.Call) -> Spread:
    """A call of a builtin, or of what does with tuples and lists what it does with their items."""
    parts: list[FrontValue] = []
    is_unknown = False
    for n in call.args:
        if not isinstance(n, ast.Starred):
            parts.append(TupleValue((c.expressions.value(n),)))
            continue
        items = generators.all_items(c, c.expressions.value(n.value), n)
        if _is_unknown(c, items):
            is_unknown = True
            parts.append(items)
        else:
            parts.append(TupleValue(tuple(c.expressions.unpackable(items, None, n))))
    if is_unknown:
        return Spread(Static(builtin), (TupleValue(tuple(parts)),), None)
    return Spread(fn, tuple(item for part in parts for item in part.items), None)  # type: ignore[union-attr]


def arguments(c: Calls, call: Spread, named: Collection[str], node: ast.Call) -> list[FrontValue]:
    """The arguments of a call beside those that are given by name."""
    items, parameters = call.items, call.parameters
    if items is None or parameters is None:
        return [*call.args]
    names, count = parameters.names, parameters.bound + len(call.args)
    first_named = next((i for i, name in enumerate(names) if name in named and i >= count), len(names))
    wanted = names[count:first_named]
    _require_count(c, items, parameters, count, first_named, named)
    made = [*call.args]
    for i, name in enumerate(wanted):
        made.append(_item(c, items, i, parameters.defaults.get(name), node))
    if parameters.has_rest and first_named == len(names):
        rest = SliceValue(Static(len(wanted)), None, None)
        behind = c.lists.item(items, rest, node) if wanted else items
        made.append(Rest(tables.new_table(c, tuple, [behind], node)))
    return made


def _item(c: Calls, items: GrowingList, i: int, default: Default | None, node: ast.AST) -> FrontValue:
    """An item, or the default where there are not so many."""
    if default is None:
        return c.lists.get(items, i)
    given = c.ctx.b.emit("gt", (c.ctx.size_value(c.ctx.list_length(items)), c.ctx.size_value(i)))[0]
    return c.expressions.choose(node, given, lambda: c.lists.get(items, i), default)


def _builtin(fn: FrontValue, call: ast.Call) -> Callable[..., Any] | None:
    """What does with tuples and lists what a builtin does with their items; None for other functions."""
    keywords = {k.arg for k in call.keywords}
    if not isinstance(fn, Static):
        return None
    if fn.value is print and keywords <= {"sep", "end"}:
        return print_parts
    by_name = {"max": largest, "min": smallest}
    return by_name[fn.value.__name__] if (fn.value is max or fn.value is min) and not keywords else None


def _require_count(
    c: Calls, items: GrowingList, parameters: Parameters, count: int, first_named: int, named: Collection[str]
) -> None:
    """The TypeError of a call with too few items, or too many, behind `count` other arguments and beside those that
    are `named`, the first of which is parameter `first_named`."""
    names, b, title = parameters.names, c.ctx.b, parameters.title
    length = c.ctx.size_value(c.ctx.list_length(items))

    def check(op: str, n: int, text: str, *shown: Value) -> None:
        ok = b.emit(op, (length, c.ctx.size_value(n)))[0]
        c.ctx.check(ok, "TypeError", f"{title}() {text}", *shown)

    for i in range(max(first_named, count), len(names)):
        if names[i] in named:
            check("le", i - count, f"got multiple values for argument '{names[i]}'")
    if not parameters.has_rest and first_named == len(names):
        only = sum(name in parameters.keyword_only for name in named)
        least = len(names) - len(parameters.defaults)
        if not names:
            check("ne", 1, too_many_arguments(0, 0, 1, only))
        given = b.emit("add", (length, c.ctx.size_value(count)))[0]
        check("le", max(len(names) - count, 0), too_many_arguments(least, len(names), "{0}", only), given)
    required = [n for n in names[count:] if n not in named and n not in parameters.defaults]
    for i in range(len(required)):
        if count + i < first_named:
            check("ne", i, missing_arguments("positional", required[i:]))


#: What makes the value that a parameter has where none is given.
Default: TypeAlias = Callable[[], FrontValue]


@record
class Parameters:
    """What a function takes by position."""

    names: list[str]
    defaults: Mapping[str, Default]
    keyword_only: frozenset[str]
    bound: int  #: so many of them are given already
    has_rest: bool  #: whether it takes more
    title: str


def _parameters(c: Calls, fn: FrontValue, call: ast.Call) -> Parameters | None:
    """The parameters of a function or class of the user's; None for other functions."""
    match fn:
        case BoundFunction(inner, first, kwargs):
            found = None if kwargs else _parameters(c, inner, call)
            return None if found is None else dataclasses.replace(found, bound=found.bound + len(first))
        case Closure(source):
            defaults = [*fn.defaults]
        case Static(types.FunctionType() as function) if not is_numpys(function) and function not in HANDLERS:
            if is_public(function) or getattr(function, "__tracejit_lower__", None) is not None:
                return None
            source = c.source_of(function, c.ctx.frame.source.node)
            defaults = c.statics.defaults(function)[0]
        case Static(types.MethodType() as method):
            found = _parameters(c, Static(method.__func__), call)
            return None if found is None else dataclasses.replace(found, bound=1)
        case Static(type() as cls) if issubclass(cls, tuple) and hasattr(cls, "_fields"):
            names, values = list(getattr(cls, "_fields", ())), getattr(cls, "_field_defaults", {})
            of_fields = {n: partial(c.of_object, v) for n, v in values.items()}
            return Parameters(["cls", *names], of_fields, frozenset(), 1, False, f"{cls.__name__}.__new__")
        case Static(type() as cls) if c.objects.is_plain(cls) and is_users(init := c.objects.find(cls, "__init__")):
            found = _parameters(c, Static(init), call)
            return None if found is None else dataclasses.replace(found, bound=1)
        case Static(type() as cls) if c.objects.is_plain(cls) and dataclasses.is_dataclass(cls):
            return _fields(c, cls, call)
        case Static(script) if (function := getattr(script, "__tracejit_function__", None)) is not None:
            own = getattr(script, "__tracejit_self__", None)
            return None if own is not None else _parameters(c, Static(function), call)
        case _:
            return None
    taken = source.node.args
    names = [p.arg for p in [*taken.posonlyargs, *taken.args]]
    with_default = names[len(names) - len(defaults) :]
    given = {name: partial(_same, value) for name, value in zip(with_default, defaults, strict=True)}
    only = frozenset(p.arg for p in taken.kwonlyargs)
    return Parameters(names, given, only, 0, taken.vararg is not None, source.qualname)


def _fields(c: Calls, cls: type, node: ast.AST) -> Parameters:
    """The parameters of the `__init__` of a dataclass."""
    parameters = list(signature_of(cls.__init__).parameters.values())
    factories = {
        f.name: f.default_factory for f in dataclasses.fields(cls) if f.default_factory is not dataclasses.MISSING
    }
    defaults: dict[str, Default] = {}
    for p in parameters:
        if p.name in factories:
            defaults[p.name] = partial(c.call_value, Static(factories[p.name]), [], {}, node)
        elif p.default is not p.empty:
            defaults[p.name] = partial(c.of_object, p.default)
    names = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    only = frozenset(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    own = {name: default for name, default in defaults.items() if name in names}
    return Parameters(names, own, only, 1, False, f"{cls.__qualname__}.__init__")


def _same(value: FrontValue) -> FrontValue:
    return value
