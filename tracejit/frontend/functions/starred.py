"""`f(*items)` where it is known at run time only how many items there are: what the parameters of a function get."""

from __future__ import annotations

import ast
import dataclasses
import types
from typing import TYPE_CHECKING, Any

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
)
from tracejit.frontend.written.starred import largest, print_items, smallest
from tracejit.ir.core import Value
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def spread(c: Calls, fn: FrontValue, call: ast.Call) -> tuple[FrontValue, list[FrontValue]] | None:
    """What is called, and with which arguments, where the last ones are such items; None for other calls."""
    nodes = call.args
    if not nodes or not isinstance(nodes[-1], ast.Starred) or any(isinstance(n, ast.Starred) for n in nodes[:-1]):
        return None
    builtin, parameters = _builtin(fn, call), _parameters(c, fn, call)
    if builtin is None and parameters is None:
        return None
    node = nodes[-1]
    args = c.expressions.elements(nodes[:-1])
    items = generators.all_items(c, c.expressions.value(node.value), node)
    is_other = isinstance(c.as_operand(items), ArrayView | SharedText | MessageValue)
    if is_other or not list_calls.is_unknown(c, items):
        return fn, [*args, *c.expressions.unpackable(items, None, node)]
    if not isinstance(items, GrowingList):
        items = c.lists.copied(c.expressions.iterable(items, node), node)
    if builtin is not None:
        return Static(builtin), [items]
    assert parameters is not None
    count = parameters.bound + len(args)
    wanted = parameters.names[count:]
    _require_count(c, items, parameters, count, len(call.keywords))
    args += [c.lists.get(items, i) for i in range(len(wanted))]
    if parameters.has_rest:
        rest = SliceValue(Static(len(wanted)), None, None)
        behind = c.lists.item(items, rest, node) if wanted else items
        args.append(Rest(tables.new_table(c, tuple, [behind], node)))
    return fn, args


def _builtin(fn: FrontValue, call: ast.Call) -> Any:
    """What does with a list what a builtin does with its items; None for other functions."""
    keywords = {k.arg for k in call.keywords}
    if not isinstance(fn, Static) or len(call.args) > 1:
        return None
    if fn.value is print and keywords <= {"sep", "end"}:
        return print_items
    by_name = {"max": largest, "min": smallest}
    return by_name[fn.value.__name__] if (fn.value is max or fn.value is min) and not keywords else None


def _require_count(c: Calls, items: GrowingList, parameters: Parameters, count: int, named: int) -> None:
    """The TypeError of a call with too few items, or too many, behind `count` other arguments and beside `named` ones
    that are given by name."""
    names, b = parameters.names, c.ctx.b
    length, wanted = c.ctx.size_value(c.ctx.list_length(items)), len(names) - count

    def check(op: str, n: int, text: str, *shown: Value) -> None:
        ok = b.emit(op, (length, c.ctx.size_value(n)))[0]
        c.ctx.check(ok, "TypeError", f"{parameters.title}() {text}", *shown)

    for i in range(wanted):
        check("ne", i, missing_arguments("positional", names[count + i :]))
    if not parameters.has_rest:
        if not names:
            check("ne", 1, too_many_arguments(0, 0, 1, named))
        given = b.emit("add", (length, c.ctx.size_value(count)))[0]
        check("le", max(wanted, 0), too_many_arguments(len(names), len(names), "{0}", named), given)


@record
class Parameters:
    """What a function takes by position."""

    names: list[str]
    bound: int  #: so many of them are given already
    has_rest: bool  #: whether it takes more
    title: str


def _parameters(c: Calls, fn: FrontValue, call: ast.Call) -> Parameters | None:
    """The parameters of a function of the user's; None for other functions, and where some have defaults or are given
    by name."""
    match fn:
        case BoundFunction(inner, first, kwargs):
            found = None if kwargs else _parameters(c, inner, call)
            return None if found is None else dataclasses.replace(found, bound=found.bound + len(first))
        case Closure(source):
            pass
        case Static(types.FunctionType() as function) if not is_numpys(function) and function not in HANDLERS:
            if is_public(function) or getattr(function, "__tracejit_lower__", None) is not None:
                return None
            source = c.source_of(function, c.ctx.frame.source.node)
        case Static(type() as cls) if c.objects.is_plain(cls) and is_users(init := c.objects.find(cls, "__init__")):
            found = _parameters(c, Static(init), call)
            return None if found is None else dataclasses.replace(found, bound=1)
        case _:
            return None
    taken = source.node.args
    names = [p.arg for p in [*taken.posonlyargs, *taken.args]]
    if taken.defaults or any(k.arg is None or k.arg in names for k in call.keywords):
        return None
    return Parameters(names, 0, taken.vararg is not None, source.qualname)
