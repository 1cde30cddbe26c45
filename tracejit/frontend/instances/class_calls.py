"""Python's builtins about classes and attributes: `isinstance`, `type`, `getattr`, `super` and their like."""

from __future__ import annotations

import ast
import functools
import types
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from tracejit.eager.tensor import Tensor
from tracejit.errors import ScriptError
from tracejit.frontend.boundary.signature import MISSING
from tracejit.frontend.functions.handlers import handles
from tracejit.frontend.instances import variants
from tracejit.frontend.instances.objects import is_users
from tracejit.frontend.instances.pooled_objects import has_attribute
from tracejit.frontend.values import (
    VIEWS,
    ArrayView,
    BoundFunction,
    BoundMethod,
    ChoiceValue,
    Closure,
    DictValue,
    DictView,
    FrontValue,
    GrowingList,
    ListValue,
    MaybeUnbound,
    MessageValue,
    Number,
    ObjectValue,
    OptionalValue,
    SequenceValue,
    SharedList,
    SharedObject,
    SharedText,
    SharedVariant,
    SliceValue,
    Static,
    SuperValue,
    Transformed,
    TupleValue,
    describe,
    shown_class,
)
from tracejit.frontend.written import attributes

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


@handles(isinstance)
def _isinstance(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    cls = c.static(args[1], node, "the class")
    if isinstance(args[0], OptionalValue):
        if isinstance(inner := args[0].value, SharedVariant):
            is_inner = variants.asked(c, inner, lambda o: is_instance(c, o, cls))
            is_none = Static(is_instance(c, Static(None), cls))
            return c.expressions.choose(node, args[0].some, lambda: is_inner, lambda: is_none)
        found = [is_instance(c, x, cls) for x in (args[0].value, Static(None))]
        if found[0] is found[1]:
            return Static(found[0])
        some = Number(args[0].some, weak=True)
        return some if found[0] else c.expressions.negated(some, node)
    try:
        if isinstance(args[0], SharedVariant):
            return variants.asked(c, args[0], lambda o: is_instance(c, o, cls))
        return Static(is_instance(c, args[0], cls))
    except TypeError:
        text = "isinstance() arg 2 must be a type, a tuple of types, or a union"
        return c.arith.mismatch(TypeError(text), node)  # type: ignore[return-value]


def is_instance(c: Calls, x: FrontValue, cls: Any) -> bool:
    """`isinstance(x, cls)`."""
    if isinstance(x, ChoiceValue):
        x = x.options[0]
    if isinstance(x, Static):
        c.statics.guard_class(x.value)
        return isinstance(x.value, cls)
    kind = class_of(c, x)
    is_bound = isinstance(x, BoundFunction)  # a method, or what `functools.partial` made
    unknown = _may_be_of_iterators if kind is None else {types.MethodType, functools.partial}.__contains__
    if (kind is None or is_bound) and any(map(unknown, _parts(cls))):
        reason = "of which class iterators and bound methods are is not known in a script"
        raise ScriptError(reason, c.ctx.b.span, instead="ask for lists, tuples and arrays")
    return kind is not None and issubclass(kind, cls)


def _parts(cls: Any) -> Iterator[Any]:
    """The classes of the second argument of `isinstance`."""
    for part in cls if isinstance(cls, tuple) else get_args(cls) if isinstance(cls, types.UnionType) else (None,):
        yield from (cls,) if part is None else _parts(part)


def _may_be_of_iterators(cls: Any) -> bool:
    """Whether iterators, generators, views of dicts or bound methods may be instances of a class."""
    named = (object, zip, map, filter, enumerate, reversed, types.GeneratorType, types.FunctionType, types.MethodType)
    is_abstract = getattr(cls, "__module__", "") in ("collections.abc", "typing") or getattr(cls, "_is_protocol", False)
    return is_abstract or cls in named


def class_of(c: Calls, x: FrontValue) -> type | None:
    """The Python class of a value."""
    match x:
        case Static(value):
            c.statics.guard_class(value)
            return type(value)
        case ArrayView():
            return Tensor if c.ctx.tensors else np.ndarray
        case Number(_, True):
            return {"b": bool, "i": int, "f": float, "c": complex}[x.dtype.kind]
        case Number():
            return Tensor if c.ctx.tensors else np.dtype(x.dtype.numpy_name).type
        case DictView(kind=kind):
            return VIEWS[kind]
        case TupleValue(_, named):
            return named or tuple
        case ListValue() | GrowingList() | SharedList():
            return list
        case DictValue(cls=kind):
            return kind
        case ObjectValue(kind) | SharedObject(cls=kind):
            return shown_class(kind)
        case SequenceValue() if x.range is not None:
            return range
        case MessageValue() | SharedText():
            return str
        case Closure():
            return types.FunctionType
        case BoundFunction():
            return types.MethodType
        case SliceValue():
            return slice
        case _:
            return None


@handles(getattr)
def _getattr(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    name = c.static(args[1], node, "the attribute name")
    if isinstance(args[0], SharedVariant):
        return variants.each(c, args[0], lambda o: _getattr(c, [o, *args[1:]], kwargs, node), node)
    if len(args) == 3 and _may_raise(c, args[0], name):
        return c.call_object(attributes.attribute_or, args, {}, node)
    if len(args) == 3 and not _has(c, args[0], name, node):
        c.statics.guard_has(args[0], name)
        return args[2]
    perhaps = _perhaps(args[0], name)
    if len(args) == 3 and perhaps is not None:
        return c.expressions.choose(node, perhaps.bound, lambda: perhaps.value, lambda: args[2])
    return c.attribute(args[0], name, node)


@handles(hasattr)
def _hasattr(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    name = c.static(args[1], node, "the attribute name")
    if _may_raise(c, args[0], name):
        return c.call_object(attributes.has_attribute, args, {}, node)
    if isinstance(args[0], SharedVariant):
        return variants.asked(c, args[0], lambda o: _has(c, o, name, node))
    perhaps = _perhaps(args[0], name)
    c.statics.guard_has(args[0], name)
    return Static(_has(c, args[0], name, node)) if perhaps is None else Number(perhaps.bound, weak=True)


def _may_raise(c: Calls, x: FrontValue, name: str) -> bool:
    """Whether it takes a function of the user's to tell if an object has an attribute."""
    if isinstance(x, Static) and not isinstance(x.value, type | types.ModuleType):
        return c.statics.is_made_up(x.value, name) or c.statics.getter(x.value, name) is not None
    if not isinstance(x, ObjectValue | SharedObject):
        return False
    member = c.objects.find(x.cls, name)
    if isinstance(member, property):
        return True
    own = x.fields if isinstance(x, ObjectValue) else ()
    is_there = member is not MISSING or name in own or (isinstance(x, SharedObject) and has_attribute(x, name))
    return not is_there and is_users(c.objects.find(x.cls, "__getattr__"))


def _perhaps(x: FrontValue, name: str) -> MaybeUnbound | None:
    """An attribute that an object has on one path only."""
    found = x.fields.get(name) if isinstance(x, ObjectValue) else None
    return found if isinstance(found, MaybeUnbound) else None


@handles(vars)
def _vars(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if len(args) != 1:
        c.ctx.refuse(node, "vars() of the function itself is outside the language", "vars(x), or the names")
    return c.attribute(args[0], "__dict__", node)


@handles(super)
def _super(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    """`super()` of the method being lowered, and `super(cls, self)`."""
    if args:
        return SuperValue(c.static(args[0], node, "the class"), args[1])
    frame = c.ctx.frame
    cell, parameters = frame.source.closure.get("__class__"), frame.source.node.args
    first = next(iter([*parameters.posonlyargs, *parameters.args]), None)
    if cell is None or first is None:
        return c.arith.mismatch(RuntimeError("super(): no arguments"), node)
    return SuperValue(cell.cell_contents, frame.env[first.arg])


@handles(object.__setattr__)
def _set_raw(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    owner, name, value = args
    attribute = c.static(name, node, "the attribute name")
    if isinstance(owner, ObjectValue | SharedObject):
        c.objects.set_raw(owner, attribute, value, node)
    else:
        c.set_attribute(owner, attribute, value, node)
    return Static(None)


@handles(setattr)
def _setattr(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    c.set_attribute(args[0], c.static(args[1], node, "the attribute name"), args[2], node)
    return Static(None)


@handles(callable)
def _callable(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    match args[0]:
        case Static(value):
            return Static(callable(value))
        case ObjectValue() | SharedObject():
            return Static(c.objects.has(args[0], "__call__"))
        case SharedVariant():
            return variants.asked(c, args[0], lambda o: c.objects.has(o, "__call__"))
        case x:
            return Static(isinstance(x, Closure | BoundMethod | BoundFunction | Transformed))


def _has(c: Calls, x: FrontValue, name: str, node: ast.AST) -> bool:
    """Whether a value has an attribute, as its class in Python says."""
    match x:
        case Static(value):
            return hasattr(value, name)
        case SharedObject():
            return has_attribute(x, name) or hasattr(x.cls, name)
        case ObjectValue(cls, fields):
            return name in fields or (hasattr(cls, name) and name not in getattr(cls, "__slots__", ()))
        case TupleValue(_, cls) if cls is not None:
            return hasattr(cls, name)
        case ArrayView():
            return hasattr(Tensor if c.ctx.tensors else np.ndarray, name)
        case ChoiceValue(_, options):
            found = {_has(c, option, name, node) for option in options}
            if len(found) == 2:
                c.ctx.refuse(node, f"some of {describe(x)} have {name!r}, others not", "ask before one is chosen")
            return found.pop()
        case _:
            kind = None if isinstance(x, Closure | BoundFunction) else class_of(c, x)
            if kind is None:
                c.ctx.refuse(node, f"the attributes of {describe(x)} are not known in a script", "read what it has")
            return hasattr(kind, name)


@handles(type)
def _type(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if len(args) == 1 and isinstance(args[0], SharedVariant):
        return variants.class_of(c, args[0])
    if len(args) == 1 and (found := class_of(c, args[0])) is not None:
        return Static(found)
    c.ctx.refuse(node, "type() of this value is outside the language", "use isinstance")
