"""Functions that are chosen by the class of their first argument: `functools.singledispatch`."""

from __future__ import annotations

import ast
import functools
import types
from typing import TYPE_CHECKING, Any, TypeGuard

from tracejit.frontend.control.choices import each
from tracejit.frontend.instances import class_calls, variants
from tracejit.frontend.values import ChoiceValue, FrontValue, OptionalValue, SharedVariant, Static, describe

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def _nothing(value: object) -> None:
    """Is there to see what `singledispatch` makes of a function."""


#: What runs where any such function is called.
_CALLED = functools.singledispatch(_nothing).__code__  # type: ignore[attr-defined]


def is_dispatching(fn: Any) -> TypeGuard[types.FunctionType]:
    """Whether `functools.singledispatch` made a function."""
    return isinstance(fn, types.FunctionType) and fn.__code__ is _CALLED


def dispatched(c: Calls, fn: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """A call of such a function: of what is registered for the class of the first argument, for each that it may be."""
    if not args:
        return c.arith.mismatch(TypeError(f"{fn.__name__} requires at least 1 positional argument"), node)
    first, *others = args

    def for_one(value: FrontValue) -> FrontValue:
        return dispatched(c, fn, [value, *others], kwargs, node)

    match first:
        case SharedVariant():
            return variants.each(c, first, for_one, node)
        case ChoiceValue():
            return each(c.expressions, first, for_one, node)
        case OptionalValue(some, inner):
            return c.expressions.choose(node, some, lambda: for_one(inner), lambda: for_one(Static(None)))
        case _:
            pass
    cls = class_calls.class_of(c, first)
    if cls is None:
        c.ctx.refuse(node, f"of which class {describe(first)} is, is not known in a script", "call what it stands for")
    c.attribute(Static(fn), "registry", node)  # what is registered later compiles again
    return c.call_object(fn.dispatch(cls), args, kwargs, node)  # type: ignore[attr-defined]
