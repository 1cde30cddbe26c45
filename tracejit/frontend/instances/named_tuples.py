"""NamedTuples whose classes say what operators, loops and keys are."""

from __future__ import annotations

import ast
import collections
from typing import TYPE_CHECKING, Any

from tracejit.frontend.arith import COMPARISONS
from tracejit.frontend.functions.handlers import handles
from tracejit.frontend.instances.objects import class_of, is_users
from tracejit.frontend.values import FrontValue, ListValue, Static, TupleValue, spread

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.context import Context
    from tracejit.frontend.instances.objects import Objects


def is_named(value: FrontValue) -> bool:
    """Whether a value is an instance of a subclass of `tuple`."""
    return issubclass(class_of(value) or object, tuple)


def operated(objects: Objects, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue | None:
    """`x op y` where the class of a NamedTuple says what it is; None where it is what it is of tuples, or what other
    objects say."""
    if not any(map(is_named, (x, y))) or any(not is_named(v) and objects.has_operator(v) for v in (x, y)):
        return None
    for value, name, other in objects.tried(op, x, y):
        made = objects.special(value, name, [other], node) if is_named(value) else None
        if made is not None and not (isinstance(made, Static) and made.value is NotImplemented):
            return made
        a, b = spread(x), spread(y)
        if made is None and op in COMPARISONS and isinstance(a, TupleValue) and isinstance(b, TupleValue):
            # `tuple` itself says how its instances compare, so that the other side is not asked
            return objects.c.expressions.binary(op, TupleValue(a.items), TupleValue(b.items), node)
    return None


def require_tuples_loop(ctx: Context, cls: type, node: ast.AST) -> None:
    """Refuse instances of a NamedTuple that runs over something else than its fields."""
    if is_users(getattr(cls, "__iter__", None)):
        ctx.refuse(
            node, f"the NamedTuple {cls.__name__} has an __iter__ of its own", "give it a method of another name"
        )


def require_tuples_key(ctx: Context, key: FrontValue, node: ast.AST) -> None:
    """Refuse a key whose class says itself which ones are the same."""
    cls = class_of(key)
    if cls is not None and issubclass(cls, tuple) and any(is_users(getattr(cls, n)) for n in ("__eq__", "__hash__")):
        text = f"a key is a {cls.__name__}, a NamedTuple with an __eq__ or a __hash__ of its own"
        ctx.refuse(node, text, "a tuple of what matters")


_MAKE: Any = collections.namedtuple


@handles(collections.namedtuple)
def _namedtuple(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """A class of tuples, made once for each call that is written."""

    def known(value: FrontValue) -> Any:
        if isinstance(value, ListValue | TupleValue):
            return tuple(map(known, value.items))
        return c.static(value, node, "what a namedtuple is made of")

    given, named = [known(a) for a in args], {k: known(v) for k, v in kwargs.items()}
    made: dict[str, type] = node.__dict__.setdefault("_tracejit_namedtuples", {})
    key = repr((given, named))
    if key not in made:
        named.setdefault("module", c.ctx.frame.source.globals.get("__name__"))
        try:
            made[key] = _MAKE(*given, **named)
        except (TypeError, ValueError) as error:
            c.arith.mismatch(error, node)
    return Static(made[key])
