"""`copy.copy`, `copy.deepcopy`, and what `dataclasses` makes of the fields of an instance."""

from __future__ import annotations

import ast
import copy
import dataclasses
import enum
import types
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tracejit.frontend.containers.key_order import in_order
from tracejit.frontend.containers.shared_lists import in_pool
from tracejit.frontend.containers.tables import is_table, made_dict
from tracejit.frontend.functions.handlers import handles
from tracejit.frontend.instances import pooled_objects, variants
from tracejit.frontend.instances.objects import is_users
from tracejit.frontend.kinds import ChoiceKind, ConstantKind, NumberKind
from tracejit.frontend.tensors import arrays
from tracejit.frontend.texts.shown_arrays import asks
from tracejit.frontend.values import (
    ArrayView,
    ChoiceValue,
    Closure,
    DictValue,
    FrontValue,
    GrowingList,
    ListValue,
    MaybeUnbound,
    MessageValue,
    Number,
    ObjectValue,
    OptionalValue,
    SharedList,
    SharedObject,
    SharedText,
    SharedVariant,
    Static,
    TupleValue,
    describe,
    shown_class,
)
from tracejit.ir.types import DType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: What a copy is the original of.
_ATOMS = (
    *(
        type(None),
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        range,
        slice,
        type,
        frozenset,
        enum.Enum,
        np.generic,
        np.dtype,
        DType,
    ),
    *(types.FunctionType, types.BuiltinFunctionType, types.EllipsisType, types.NotImplementedType),
)
#: How classes say that copies are made otherwise.
_OWN_WAYS = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")
_COPIES = "_tracejit_copies"


def _deep_items(items: Any) -> Any:
    return [copy.deepcopy(item) for item in items]


def _deep_values(table: Any) -> Any:
    made = table.copy()
    for key in table:
        made[key] = copy.deepcopy(table[key])
    return made


def _deep_queue(items: Any) -> Any:
    made = items.copy()
    for i in range(len(made)):
        made[i] = copy.deepcopy(made[i])
    return made


class _Copier:
    """One call that copies: what is met twice is copied once."""

    def __init__(self, c: Calls, node: ast.AST) -> None:
        self.c, self.node = c, node
        self.memo: dict[int, tuple[FrontValue, FrontValue]] = {}
        self.path: tuple[object, ...] = ()  #: which part of the value is at hand

    def place(self) -> ast.AST:
        """A node of its own for each part: a place in the program that makes a container."""
        known: dict[object, ast.AST] = self.node.__dict__.setdefault(_COPIES, {})
        if self.path not in known:
            known[self.path] = ast.copy_location(ast.Constant(None), self.node)  # type: ignore[type-var]
        return known[self.path]

    def parts(self, items: Iterable[tuple[object, FrontValue]], of: Callable[[FrontValue], FrontValue]) -> list[Any]:
        """Copies of the parts of a value."""
        path, made = self.path, list[FrontValue]()
        for key, item in items:
            self.path = (*path, key)
            made.append(of(item))
        self.path = path
        return made

    def named(self, items: Mapping[Any, FrontValue], of: Callable[[FrontValue], FrontValue]) -> dict[Any, FrontValue]:
        return dict(zip(items, self.parts(items.items(), of), strict=True))

    def refuse(self, value: FrontValue) -> NoReturn:
        self.c.ctx.refuse(
            self.node, f"a copy of {describe(value)} is outside the language", "make a new one of its parts"
        )

    def deep(self, value: FrontValue) -> FrontValue:
        """`copy.deepcopy(value)`."""
        if id(value) not in self.memo:
            self.memo[id(value)] = value, self.deeply(value)
        return self.memo[id(value)][1]

    def deeply(self, value: FrontValue) -> FrontValue:
        c = self.c
        match value:
            case ArrayView():
                return self.array(value)
            case TupleValue(items, cls):
                return TupleValue(tuple(self.parts(enumerate(items), self.deep)), cls)
            case ListValue(items):
                return in_pool(c, c.lists.made(self.parts(enumerate(items), self.deep), self.place()), self.place())
            case GrowingList(kind=NumberKind() | ConstantKind() | ChoiceKind()):
                return self.by_method(value)
            case GrowingList() | SharedList():
                return c.call_object(_deep_items, [value], {}, self.place())
            case DictValue(items, cls=cls, factory=factory):
                in_order(c.ctx, value, self.place())
                return made_dict(c, self.named(items, self.deep), self.place(), cls, factory)
            case ObjectValue() if is_table(value):
                kind = shown_class(value.cls)
                if issubclass(kind, set | frozenset):
                    return self.shallow(value)
                return c.call_object(_deep_queue if kind is deque else _deep_values, [value], {}, self.place())
            case ObjectValue(cls, fields):
                own = self.own_way(value, "__deepcopy__", Static(None))
                if own is not None:
                    return own
                made: ObjectValue = c.ctx.new_object(ObjectValue(cls, {}), self.place())
                self.memo[id(value)] = value, made
                made.fields = self.named(fields, self.deep)
                return made
            case SharedObject() | SharedVariant():
                self.refuse(value)
            case OptionalValue() | MaybeUnbound():
                return dataclasses.replace(value, value=self.deep(value.value))  # type: ignore[type-var]
            case _:
                return self.shallow(value)

    def shallow(self, value: FrontValue) -> FrontValue:
        """`copy.copy(value)`."""
        c = self.c
        match value:
            case Static(set()):
                return self.by_method(value)
            case Static(known) if isinstance(known, _ATOMS):
                return value
            case Number() | MessageValue() | SharedText() | ChoiceValue() | Closure() | TupleValue():
                return value
            case ArrayView():
                return value if c.ctx.tensors and not self.asks(value) else self.array(value)
            case ListValue() | GrowingList() | SharedList() | DictValue():
                return self.by_method(value)
            case ObjectValue() if is_table(value):
                return self.by_method(value)
            case SharedVariant():
                return variants.each(c, value, self.shallow, self.place())
            case SharedObject():
                own = self.own_way(value, "__copy__")
                return pooled_objects.copied(c, value, self.place()) if own is None else own
            case ObjectValue(cls, fields):
                own = self.own_way(value, "__copy__")
                return c.ctx.new_object(ObjectValue(cls, dict(fields)), self.place()) if own is None else own
            case _:
                self.refuse(value)

    def by_method(self, value: FrontValue) -> FrontValue:
        made = self.c.call_value(self.c.attribute(value, "copy", self.node), [], {}, self.place())
        return in_pool(self.c, made, self.place()) if isinstance(made, ListValue | GrowingList) else made

    def own_way(self, value: ObjectValue | SharedObject, name: str, *args: FrontValue) -> FrontValue | None:
        """What the class makes of a copy of its instance itself."""
        find = self.c.objects.find
        own = getattr(value.cls, name, None)
        if own is not None and is_users(find(value.cls, name)):
            memo = [self.c.ctx.new_object(DictValue({}), self.place()) for _ in args]
            return self.c.call_object(own, [value, *memo], {}, self.node)
        written = [getattr(value.cls, n, None) for n in _OWN_WAYS]
        if any(w is not getattr(object, n, None) for w, n in zip(written, _OWN_WAYS, strict=True)):
            self.refuse(value)
        if issubclass(value.cls, BaseException) or not self.c.objects.is_plain(value.cls):
            self.refuse(value)
        return None

    def asks(self, value: ArrayView) -> bool:
        return asks(self.c, value, self.c.ctx.load(value)) is not False

    def array(self, value: ArrayView) -> FrontValue:
        """A new array of that content; of a Tensor that asks for gradients it would be a leaf."""
        if self.c.ctx.tensors and self.asks(value):
            text = "a copy of a tensor that asks for gradients is a leaf, which a script cannot make"
            self.c.ctx.refuse(self.node, text, "x.clone(), or x.detach().clone()")
        return arrays.METHODS["copy"](self.c, value, [], {}, self.node)


@handles(copy.copy)
def _copy(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return _Copier(c, node).shallow(*args, *kwargs.values())


@handles(copy.deepcopy)
def _deepcopy(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    if len(args) + len(kwargs) != 1:
        c.ctx.refuse(node, "deepcopy() with a memo is outside the language", "copy.deepcopy(x)")
    return _Copier(c, node).deep(*args, *kwargs.values())


def _fields(
    c: Calls, name: str, factory: str, plain: Any, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """The fields of an instance, those of the instances in it too."""
    maker = args[1] if len(args) > 1 else kwargs.get(factory, Static(plain))
    copier = _Copier(c, node)

    def inner(value: FrontValue) -> FrontValue:
        match value:
            case ObjectValue(cls) if dataclasses.is_dataclass(cls):
                names = [f.name for f in dataclasses.fields(cls)]
                parts = copier.named({n: c.objects.attribute(value, n, node) for n in names}, inner)
                if plain is dict:
                    if isinstance(maker, Static) and maker.value is dict:
                        return made_dict(c, parts, copier.place())
                    given: list[FrontValue] = [TupleValue((Static(n), v)) for n, v in parts.items()]
                else:
                    given = list(parts.values())
                    if isinstance(maker, Static) and maker.value is tuple:
                        return TupleValue(tuple(given))
                return c.call_value(maker, [c.lists.made(given, copier.place())], {}, copier.place())
            case TupleValue(items, cls):
                return TupleValue(tuple(copier.parts(enumerate(items), inner)), cls)
            case ListValue(items):
                return in_pool(c, c.lists.made(copier.parts(enumerate(items), inner), copier.place()), copier.place())
            case DictValue(items, cls=cls, factory=made):
                in_order(c.ctx, value, copier.place())
                return made_dict(c, copier.named(items, inner), copier.place(), cls, made)
            case _:
                return copier.deep(value)

    value = args[0] if args else kwargs["obj"]
    if isinstance(value, Static) and dataclasses.is_dataclass(value.value):
        copier.refuse(value)
    if not (isinstance(value, ObjectValue) and dataclasses.is_dataclass(value.cls)):
        return c.arith.mismatch(TypeError(f"{name}() should be called on dataclass instances"), node)
    return inner(value)


@handles(dataclasses.asdict)
def _asdict(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return _fields(c, "asdict", "dict_factory", dict, args, kwargs, node)


@handles(dataclasses.astuple)
def _astuple(c: Calls, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST) -> FrontValue:
    return _fields(c, "astuple", "tuple_factory", tuple, args, kwargs, node)
