"""Operators of instances of NamedTuples, whose classes may say what they are."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tracejit.frontend.instances.objects import class_of
from tracejit.frontend.values import FrontValue, Static

if TYPE_CHECKING:
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
    return None
