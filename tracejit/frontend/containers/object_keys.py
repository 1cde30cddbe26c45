"""Instances of the user's classes as keys of dicts and items of sets: by what `__hash__` and `__eq__` of the class say,
or by identity where it has neither. They lie in the pool of their class."""

from __future__ import annotations

import ast
import types
from typing import TYPE_CHECKING, TypeGuard

from tracejit.frontend.values import FrontValue, Number, ObjectValue, SharedObject

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def is_object_key(value: FrontValue) -> TypeGuard[ObjectValue | SharedObject]:
    """Whether a value is an instance of a class of the user's that Python can hash, but not by fields."""
    if not isinstance(value, ObjectValue | SharedObject) or value.cls.__module__.split(".")[0] == "tracejit":
        return False
    own = value.cls.__hash__
    is_users = isinstance(own, types.FunctionType) and own.__code__.co_filename != "<string>"
    return not issubclass(value.cls, BaseException) and (own is object.__hash__ or is_users)


def hash_of(c: Calls, key: ObjectValue | SharedObject, node: ast.AST) -> FrontValue:
    """What `hash` gives of such a key; of one that is a key by identity its number."""
    if isinstance(key, SharedObject) and key.cls.__hash__ is object.__hash__:
        return Number(key.at, weak=True)
    made = c.objects.special(key, "__hash__", [], node)
    assert made is not None
    return made
