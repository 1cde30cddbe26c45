"""Types as values: what `typing` makes of classes, and whether a value is of such a type, with all it contains."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tracejit.eager.hints import are_distinct, holds, is_instance_of, is_leaf, is_scripting, is_tracing
from tracejit.frontend.containers.key_order import certain
from tracejit.frontend.functions.handlers import handles
from tracejit.frontend.instances.class_calls import is_instance
from tracejit.frontend.values import (
    ArrayView,
    DictValue,
    FrontValue,
    GrowingList,
    ListValue,
    Number,
    OptionalValue,
    SharedList,
    Static,
    TupleValue,
    describe,
)

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def is_generic(value: Any) -> bool:
    """Whether an object of `typing` takes other types in brackets."""
    return type(value).__module__ == "typing" and hasattr(type(value), "__getitem__")


def parameterised(c: Calls, generic: Any, index: FrontValue, node: ast.AST) -> FrontValue:
    """`List[int]`, `Union[int, None]`."""
    return Static(generic[_plain(c, index, node)])


def _plain(c: Calls, value: FrontValue, node: ast.AST) -> Any:
    """A type, or several; lists, as those of a Callable, are lists."""
    match value:
        case TupleValue(items):
            return tuple(_plain(c, i, node) for i in items)
        case ListValue(items):
            return [_plain(c, i, node) for i in items]
        case _:
            return c.static(value, node, "a type")


@handles(is_instance_of)
def _is_instance_of(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    form = _plain(c, args[1], node)
    may_be_empty: list[FrontValue] = []

    def items(x: FrontValue) -> Iterable[Any]:
        match x:
            case TupleValue(found) | ListValue(found):
                return found
            case DictValue():
                return [(Static(k), v) for k, v in certain(c.ctx, x, node).items()]
            case Static(tuple(found)):
                return map(Static, found)
            case GrowingList(kind=kind):
                may_be_empty.append(x)
                return [c.lists.placeholder(kind)]
            case SharedList(_, pool):
                return items(pool.contents["data"])
            case _:
                c.ctx.refuse(node, f"what {describe(x)} contains is not known in a script", "isinstance(x, list)")

    def is_of(x: FrontValue) -> bool:
        try:
            found = holds(x, form, lambda value, cls: is_instance(c, value, cls), items)
        except (RuntimeError, TypeError) as error:
            c.met(error, node)
        if may_be_empty and not found:
            c.ctx.refuse(node, f"{describe(may_be_empty[0])} may be empty, and then is of this type", "len(x)")
        return found

    x = args[0]
    if not isinstance(x, OptionalValue):
        return Static(is_of(x))
    found = is_of(x.value)
    if found is is_of(Static(None)):
        return Static(found)
    some = Number(x.some, weak=True)
    return some if found else c.expressions.negated(some, node)


@handles(is_scripting)
def _is_scripting(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return Static(True)


@handles(are_distinct)
def _are_distinct(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    classes = [x.storage for x in c.expressions.known_items(args[0], node) if isinstance(x, ArrayView)]
    return Static(len(set(classes)) == len(classes))


@handles(is_leaf)
def _is_leaf(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    x = args[0]
    if isinstance(x, ArrayView) and x.is_whole and x.storage in c.gradients.leaves:
        return Static(True)
    return c.expressions.negated(c.attribute(x, "requires_grad", node), node)


@handles(is_tracing)
def _is_tracing(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return Static(False)
