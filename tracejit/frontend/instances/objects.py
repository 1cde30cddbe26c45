"""Instances of classes: making them, their attributes, methods and operators.

A class is the user's Python class: `__init__`, methods, properties and special methods are inlined like functions.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import functools
import inspect
import reprlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tracejit.errors import error_kind
from tracejit.frontend.boundary.signature import MISSING, constant_access
from tracejit.frontend.containers import pooled_tables
from tracejit.frontend.containers.shared_lists import in_pool, shared_class
from tracejit.frontend.containers.tables import is_iterator
from tracejit.frontend.control import choices
from tracejit.frontend.control.optionals import as_bool, as_index, there_to_run_over
from tracejit.frontend.functions.binding import bound_fields
from tracejit.frontend.functions.names import is_numpys
from tracejit.frontend.instances import lengths, pooled_objects, variants
from tracejit.frontend.instances.class_values import of_instance
from tracejit.frontend.texts import made_texts
from tracejit.frontend.values import (
    ArrayView,
    BoundFunction,
    BoundMethod,
    DictValue,
    FrontValue,
    GrowingList,
    ListValue,
    MaybeUnbound,
    MessageValue,
    Number,
    ObjectValue,
    OptionalValue,
    Shared,
    SharedList,
    SharedObject,
    SharedText,
    SharedVariant,
    Static,
    SuperValue,
    TupleValue,
    describe,
    shown_class,
    type_name,
)
from tracejit.frontend.written.iterators import indexed, stepped
from tracejit.ir.types import BOOL, ScalarType
from tracejit.signatures import signature_of

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: Operator -> the special method of the left operand, and of the right one.
OPERATORS = {
    "add": ("__add__", "__radd__"),
    "sub": ("__sub__", "__rsub__"),
    "mul": ("__mul__", "__rmul__"),
    "div": ("__truediv__", "__rtruediv__"),
    "floordiv": ("__floordiv__", "__rfloordiv__"),
    "mod": ("__mod__", "__rmod__"),
    "pow": ("__pow__", "__rpow__"),
    "matmul": ("__matmul__", "__rmatmul__"),
    "bitand": ("__and__", "__rand__"),
    "bitor": ("__or__", "__ror__"),
    "bitxor": ("__xor__", "__rxor__"),
    "shl": ("__lshift__", "__rlshift__"),
    "shr": ("__rshift__", "__rrshift__"),
    "eq": ("__eq__", "__eq__"),
    "ne": ("__ne__", "__ne__"),
    "lt": ("__lt__", "__gt__"),
    "le": ("__le__", "__ge__"),
    "gt": ("__gt__", "__lt__"),
    "ge": ("__ge__", "__le__"),
}
UNARY = {"neg": "__neg__", "pos": "__pos__", "bitnot": "__invert__", "abs": "__abs__"}

#: Where the code is from of what `dataclass` writes.
_GENERATED = ("<string>", dataclasses.__file__, reprlib.__file__)


def is_users(fn: Any) -> bool:
    """Whether a class attribute is a Python function, plain or scripted, and not one that `dataclass` wrote."""
    if isinstance(fn, types.FunctionType):
        return fn.__code__.co_filename not in _GENERATED and not is_numpys(fn)
    return hasattr(fn, "__tracejit_function__")


def class_of(value: FrontValue) -> type | None:
    """The class that a value is an instance of, where that may have methods of its own."""
    match value:
        case ObjectValue(cls) | TupleValue(_, cls) if cls is not None:
            return cls
        case SharedList() | SharedText():
            return shared_class(value)
        case SharedObject():
            return value.cls
        case Static(obj) if not isinstance(obj, type | types.ModuleType | types.FunctionType | str | int | float):
            return type(obj)
        case _:
            return None


def is_object(value: FrontValue) -> bool:
    """Whether a value is a thing of its own that may change: no number, text, function or class."""
    if isinstance(value, Static):
        plain = (type, types.ModuleType, types.FunctionType, enum.Enum)
        return hasattr(value.value, "__dict__") and not isinstance(value.value, plain)
    return isinstance(value, ObjectValue | SharedObject | DictValue)


class Objects:
    """Lowers what scripts do with instances of classes."""

    def __init__(self, calls: Calls) -> None:
        self.c = calls
        self.ctx = calls.ctx
        self.apart: frozenset[type] = frozenset()  #: classes of pooled objects that are being taken apart

    def find(self, cls: type, name: str) -> Any:
        """A class attribute as it stands in the class, guarded; `MISSING` if there is none."""
        return self.c.statics.member(cls, name)

    # -- making -------------------------------------------------------------------------------------------------

    def construct(
        self, cls: type, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> FrontValue | None:
        """`cls(...)`; None for classes that scripts cannot make instances of."""
        if issubclass(cls, enum.Enum):
            if len(args) == 1 and isinstance(args[0], Number):
                return choices.member(self.c, cls, args[0], node)
            if not all(isinstance(a, Static) for a in args):
                self.ctx.refuse(node, f"{cls.__name__}() looks up a number or a known text", "a dict")
            return self.c.call_now(cls, args, kwargs, node)
        if issubclass(cls, functools.partial) and args:
            return BoundFunction(args[0], tuple(args[1:]), tuple(kwargs.items()))
        if issubclass(cls, tuple) and (fields := getattr(cls, "_fields", None)) is not None:
            from tracejit.frontend.instances.named_tuples import require_tuples_loop

            require_tuples_loop(self.ctx, cls, node)
            bound = bound_fields(self.c, cls, list(fields), getattr(cls, "_field_defaults", {}), args, kwargs, node)
            return TupleValue(tuple(bound.values()), cls)
        if issubclass(cls, BaseException) and not is_users(self.find(cls, "__init__")):
            return self.ctx.new_object(ObjectValue(cls, {"args": TupleValue(tuple(args))}), node)
        if not self.is_plain(cls):
            return None
        if inspect.isabstract(cls):
            try:
                object.__new__(cls)
            except TypeError as error:
                self.c.arith.mismatch(error, node)
        cls, place = pooled_tables.class_at(self.ctx, node, cls), self.ctx.place(node)
        made: ObjectValue = self.ctx.new_object(
            ObjectValue(cls, of_instance(self.c, cls), keys=frozenset((place,))), node
        )
        if issubclass(cls, BaseException):
            made.fields = {**made.fields, "args": TupleValue(tuple(args))}
        init = self.find(cls, "__init__")
        if dataclasses.is_dataclass(cls) and not is_users(init):
            self.fill_dataclass(made, args, kwargs, node)
        elif is_users(init):
            self.c.call_object(init, [made, *args], kwargs, node)
        elif args or kwargs:
            self.c.arith.mismatch(TypeError(f"{cls.__name__}() takes no arguments"), node)
        return pooled_objects.in_pool(self.c, made, node)

    def is_plain(self, cls: type) -> bool:
        """Whether instances are what `__init__` makes of an empty object."""
        is_exception = issubclass(cls, BaseException)
        foreign = [b for b in cls.__mro__ if b.__module__ == "builtins" and not (is_exception or b is object)]
        if (
            foreign
            or cls.__module__.split(".")[0] in ("builtins", "numpy")
            or (hasattr(cls, "state_dict") and not getattr(cls, "made_in_scripts", False))
        ):
            return False
        if any(is_users(self.find(c, n)) for c, n in ((cls, "__getattribute__"), (type(cls), "__call__"))):
            return False
        own_setattr = self.find(cls, "__setattr__")
        is_own = own_setattr in (object.__setattr__, BaseException.__setattr__)
        kept = is_own or is_users(own_setattr) or _is_frozen(cls)
        own_new = self.find(cls, "__new__")
        return kept and (not isinstance(own_new, staticmethod) if is_exception else own_new is object.__new__)

    def fill_dataclass(
        self, made: ObjectValue, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
    ) -> None:
        """What the `__init__` of a dataclass does."""
        fields = {f.name: f for f in dataclasses.fields(made.cls)}  # type: ignore[arg-type]
        _, *parameters = signature_of(made.cls.__init__).parameters.values()
        every = [p.name for p in parameters]
        names = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
        given = {*names[: len(args)], *kwargs}
        for f in fields.values():
            if f.default_factory is not dataclasses.MISSING and f.name not in given:
                with pooled_tables.at_part(self.ctx, f.name):
                    made_now = self.c.call_value(Static(f.default_factory), [], {}, node)
                is_list = isinstance(made_now, ListValue | GrowingList)
                kwargs = {**kwargs, f.name: in_pool(self.c, made_now, node) if is_list else made_now}
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        bound = bound_fields(self.c, made.cls, every, defaults, args, kwargs, node, len(names))
        passed_on = [bound.pop(n) for n in every if n not in fields]  # an InitVar is no attribute
        for f in fields.values():
            if not f.init and f.default is not dataclasses.MISSING:
                bound[f.name] = Static(f.default)
        made.fields = {**made.fields, **{n: bound[n] for n in fields if n in bound}}
        after = self.find(made.cls, "__post_init__")
        if is_users(after):
            self.c.call_object(after, [made, *passed_on], {}, node)

    # -- attributes ---------------------------------------------------------------------------------------------

    def descriptor(self, member: Any, name: str) -> Any:
        """A method of a class attribute of the user's that says what that of an instance is; None where it has none."""
        cls: type = type(member)
        module = cls.__module__.partition(".")[0]
        if module in sys.stdlib_module_names or module in ("numpy", "tracejit"):
            return None
        found = self.find(cls, name)
        return found if is_users(found) else None

    def described(self, receiver: FrontValue, cls: type, name: str, node: ast.AST) -> FrontValue | None:
        """An attribute that a descriptor with `__set__` gives; None where there is none."""
        member = self.find(cls, name)
        getter = self.descriptor(member, "__get__") if self.descriptor(member, "__set__") is not None else None
        return None if getter is None else self.c.call_object(getter, [Static(member), receiver, Static(cls)], {}, node)

    def attribute(self, o: ObjectValue | SharedObject, name: str, node: ast.AST) -> FrontValue:
        """`o.name`."""
        member = self.find(o.cls, name)
        if isinstance(member, property):
            return self.c.call_value(Static(member.fget), [o], {}, node)
        if (made := self.described(o, o.cls, name, node)) is not None:
            return made
        if isinstance(o, SharedObject):
            own = pooled_objects.attribute(self.c, o, name, node)
            if own is not None:
                return own
        elif name in o.fields:
            return self.present(o, name, node)
        if isinstance(member, functools.cached_property):
            made = self.c.call_value(Static(member.func), [o], {}, node)
            self.set_raw(o, name, made, node)
            return made
        if name == "__dict__":
            self.ctx.refuse(node, "the __dict__ of an object made in a script is out of reach", "setattr(o, name, v)")
        return self.member(o, o.cls, name, node)

    def present(self, o: ObjectValue, name: str, node: ast.AST) -> FrontValue:
        """An attribute that the object has, on this path or perhaps: AttributeError at run time where it has not."""
        found = o.fields[name]
        if not isinstance(found, MaybeUnbound):
            return found
        self.ctx.at(node)
        self.ctx.check(found.bound, "AttributeError", f"'{o.cls.__name__}' object has no attribute '{name}'")
        return found.value

    def member(self, receiver: FrontValue, cls: type, name: str, node: ast.AST) -> FrontValue:
        """An attribute that the class has."""
        if self.c.statics.varying_of(cls, name) is not None:
            return self.c.statics.attribute(cls, name, node)
        member = self.c.statics.member(cls, name, self.c.statics.lacking(receiver, name))
        return self.bound(member, receiver, cls, name, node)

    def bound(self, member: Any, receiver: FrontValue, cls: type, name: str, node: ast.AST) -> FrontValue:
        """A class attribute, seen through an instance."""
        match member:
            case property():
                return self.c.call_value(Static(member.fget), [receiver], {}, node)
            case _ if isinstance(receiver, TupleValue) and name in ("_replace", "_asdict"):
                return BoundMethod(receiver, name)
            case staticmethod():
                return Static(member.__func__)
            case classmethod():
                return BoundFunction(Static(member.__func__), (Static(cls),))
            case _ if is_users(member):
                return BoundFunction(Static(member), (receiver,))
            case _ if member is MISSING:
                getter = self.find(cls, "__getattr__")
                if is_users(getter):
                    return self.c.call_object(getter, [receiver, Static(name)], {}, node)
                self.c.statics.guard_has(receiver, name)
                text = f"'{shown_class(cls).__name__}' object has no attribute '{name}'"
                self.ctx.check_false("AttributeError", text)
            case functools.partialmethod() if is_users(member.func):
                first = tuple(map(self.c.of_object, member.args))
                named = tuple((k, self.c.of_object(v)) for k, v in member.keywords.items())
                return BoundFunction(Static(member.func), (receiver, *first), named)
            case types.WrapperDescriptorType() | types.MethodDescriptorType() | types.BuiltinFunctionType():
                return BoundMethod(receiver, name)
            case _ if (getter := self.descriptor(member, "__get__")) is not None:
                return self.c.call_object(getter, [Static(member), receiver, Static(cls)], {}, node)
            case _:
                return self.c.statics.guarded(member, constant_access(cls).step("attribute", name))

    def super_attribute(self, value: SuperValue, name: str, node: ast.AST) -> FrontValue:
        """`super().name`."""
        receiver = value.receiver
        cls = receiver.value if isinstance(receiver, Static) and isinstance(receiver.value, type) else None
        cls = cls or class_of(receiver)
        assert cls is not None
        behind = cls.__mro__[cls.__mro__.index(value.cls) + 1 :]
        home = next((c for c in behind if name in vars(c)), object)
        member = self.find(home, name)
        if name == "__init__" and isinstance(member, types.WrapperDescriptorType):
            return BoundMethod(value, name)
        return self.bound(member, receiver, cls, name, node)

    def super_init(self, value: SuperValue, args: list[FrontValue], node: ast.AST) -> FrontValue:
        """`super().__init__(...)` where the next class is `object` or a built-in exception."""
        if isinstance(value.receiver, ObjectValue) and issubclass(value.receiver.cls, BaseException):
            self.ctx.set_part(value.receiver, "args", TupleValue(tuple(args)), node)
        elif args:
            self.c.arith.mismatch(TypeError("object.__init__() takes exactly one argument"), node)
        return Static(None)

    def set_attribute(self, o: ObjectValue | SharedObject, name: str, value: FrontValue, node: ast.AST) -> None:
        """`o.name = value`."""
        member = self.find(o.cls, name)
        if isinstance(member, property):
            if member.fset is None:
                text = f"property '{name}' of '{o.cls.__name__}' object has no setter"
                self.ctx.check_false("AttributeError", text)
            self.c.call_value(Static(member.fset), [o, value], {}, node)
            return
        if (setter := self.descriptor(member, "__set__")) is not None:
            self.c.call_object(setter, [Static(member), o, value], {}, node)
            return
        if _is_frozen(o.cls):
            frozen = error_kind(dataclasses.FrozenInstanceError)
            self.ctx.check_false(frozen, f"cannot assign to field '{name}'")
        own = self.find(o.cls, "__setattr__")
        if is_users(own):
            self.c.call_object(own, [o, Static(name), value], {}, node)
            return
        self.set_raw(o, name, value, node)

    def set_raw(self, o: ObjectValue | SharedObject, name: str, value: FrontValue, node: ast.AST) -> None:
        """`object.__setattr__(o, name, value)`."""
        if not hasattr(o.cls, "__dict__") or not _accepts(o.cls, name):
            text = f"'{o.cls.__name__}' object has no attribute '{name}'"
            self.ctx.check_false("AttributeError", text)
        if isinstance(o, SharedObject):
            pooled_objects.set_attribute(self.c, o, name, value, node)
        else:
            self.ctx.set_part(o, name, value, node)
            pooled_objects.note_cycle(self.ctx, o, value)

    def delete_attribute(self, o: ObjectValue, name: str, node: ast.AST) -> None:
        """`del o.name`."""
        own = self.find(o.cls, "__delattr__")
        if is_users(own):
            self.c.call_object(own, [o, Static(name)], {}, node)
            return
        member = self.find(o.cls, name)
        if isinstance(member, property):
            if member.fdel is None:
                self.ctx.check_false("AttributeError", f"property '{name}' of '{o.cls.__name__}' object has no deleter")
            self.c.call_value(Static(member.fdel), [o], {}, node)
            return
        if (deleter := self.descriptor(member, "__delete__")) is not None:
            self.c.call_object(deleter, [Static(member), o], {}, node)
            return
        if name not in o.fields:
            self.ctx.check_false("AttributeError", name)
        self.present(o, name, node)
        self.ctx.write_object(o, {k: v for k, v in o.fields.items() if k != name}, node)

    def set_outer(self, owner: Any, name: str, value: FrontValue, node: ast.AST) -> None:
        """`owner.name = value` for an object from outside."""
        member = self.find(type(owner), name)
        if isinstance(member, property) and isinstance(member.fset, types.FunctionType):
            self.c.call_value(Static(member.fset), [Static(owner), value], {}, node)
            return
        if (setter := self.descriptor(member, "__set__")) is not None:
            self.c.call_object(setter, [Static(member), Static(owner), value], {}, node)
            return
        self.c.statics.set_attribute(owner, name, value, node)

    def same(self, x: FrontValue, y: FrontValue) -> FrontValue | None:
        """`x is y` where one is an object of a pool, or may be; None where neither is."""
        b = self.ctx.b
        one, other = (v.value if isinstance(v, OptionalValue) else v for v in (x, y))
        if not isinstance(one, SharedObject | SharedVariant) and not isinstance(other, SharedObject | SharedVariant):
            are_objects = isinstance(one, ObjectValue) and isinstance(other, ObjectValue)
            if are_objects and one is not other and not self.ctx.heap.merged.keys().isdisjoint((one, other)):
                pooled_objects.pool_if_possible(self.ctx, (one, other))
            return None
        some = [v.some if isinstance(v, OptionalValue) else b.constant(True, ScalarType(BOOL)) for v in (x, y)]
        made = b.constant(False, ScalarType(BOOL))
        if variants.are_relatives(one, other):
            one, other = variants.widened(self.ctx, one), variants.widened(self.ctx, other)
        if isinstance(one, Shared) and isinstance(other, Shared) and one.pool is other.pool:
            made = b.emit("logical_and", (b.emit("eq", (one.at, other.at))[0], b.emit("logical_and", some)[0]))[0]
        neither = b.emit("logical_not", (b.emit("logical_or", some)[0],))[0]
        return Number(b.emit("logical_or", (made, neither))[0], weak=True)

    def special(self, value: FrontValue, name: str, args: list[FrontValue], node: ast.AST) -> FrontValue | None:
        """Call a special method; None where the class has no Python function of that name."""
        if isinstance(value, SharedVariant):
            return variants.special(self, value, name, args, node)
        cls = class_of(value)
        member = MISSING if cls is None else self.find(cls, name)
        if not is_users(member):
            return None
        if isinstance(value, SharedList) and name in ("__getitem__", "__setitem__"):
            args = [as_index(self.ctx, args[0], "list"), *args[1:]]
        made = self.c.call_object(member, [value, *(made_texts.kept(self.c, a, node) for a in args)], {}, node)
        return lengths.checked(self.c, made, node) if name == "__len__" and shown_class(cls) is cls else made  # type: ignore[arg-type]

    def has(self, value: FrontValue, name: str) -> bool:
        """Whether the class of a value has a special method in Python, a module's one that is not `tj.nn`'s."""
        if isinstance(value, SharedVariant):
            return any(self.has(o, name) for o in variants.alternatives(self.ctx, value))
        cls = class_of(value)
        member = MISSING if cls is None else self.find(cls, name)
        return is_users(member) and not (hasattr(cls, "state_dict") and member.__module__.startswith("tracejit."))

    def call(
        self,
        o: ObjectValue | SharedObject | TupleValue,
        args: list[FrontValue],
        kwargs: dict[str, FrontValue],
        node: ast.AST,
    ) -> FrontValue:
        """`o(...)`."""
        member = self.find(o.cls or tuple, "__call__")
        if not is_users(member):
            return self.c.arith.mismatch(TypeError(f"'{type_name(o)}' object is not callable"), node)
        return self.c.call_object(member, [o, *args], kwargs, node)

    def has_operator(self, x: FrontValue, op: str = "") -> bool:
        """Whether operators of a value may be methods of its class. Of a NamedTuple, of which `op` is not, they are
        those of tuples."""
        if isinstance(x, ObjectValue | SharedObject | SharedVariant):
            return True
        cls = class_of(x)
        is_known = op in OPERATORS and cls is not None and issubclass(cls, tuple)
        names = (n for pair in ((OPERATORS[op],) if is_known else OPERATORS.values()) for n in pair)
        return cls is not None and (_compares_fields(cls) or any(is_users(self.find(cls, n)) for n in names))

    def binary(self, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
        """`x op y` where one is an instance of a class."""
        if isinstance(x, SharedVariant):
            return variants.each(self.c, x, lambda o: self.binary(op, o, y, node), node)
        if isinstance(y, SharedVariant):
            return variants.each(self.c, y, lambda o: self.binary(op, x, o, node), node)
        for value, name, other in self.tried(op, x, y):
            made = self.special(value, name, [other], node)
            if made is not None and not (isinstance(made, Static) and made.value is NotImplemented):
                return made
        if op in ("eq", "ne"):
            return self.equal(op, x, y, node)
        if _is_ordered(class_of(x)) and class_of(x) is class_of(y):
            return self.by_fields(op, x, y, node)
        return self.c.arith.unsupported(op, x, y, node)

    def tried(self, op: str, x: FrontValue, y: FrontValue) -> list[tuple[FrontValue, str, FrontValue]]:
        """The methods that an operator asks, in Python's order: the right side first where its class is a subclass of
        the other's and has one of its own; of two of one class, the left side only, except to compare."""
        (left, right), first, second = OPERATORS[op], class_of(x), class_of(y)
        found = [(x, left, y), (y, right, x)]
        if first is None or second is None:
            return found
        compares = op in ("eq", "ne", "lt", "le", "gt", "ge")
        if first is second:
            return found if compares else found[:1]
        is_own = compares or self.find(second, right) is not self.find(first, right)
        return found[::-1] if issubclass(second, first) and is_own else found

    def equal(self, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
        """`==` and `!=` where neither class says what they mean: of dataclasses the fields, else identity."""
        if op == "ne":
            for value, _, other in self.tried("eq", x, y):
                made = self.special(value, "__eq__", [other], node)
                if made is not None and not (isinstance(made, Static) and made.value is NotImplemented):
                    return self.c.expressions.negated(made, node)
        if _compares_fields(class_of(x)) and class_of(x) is class_of(y):
            return self.by_fields(op, x, y, node)
        if isinstance(x, Static) and isinstance(y, Static):
            return Static((x.value == y.value) is (op == "eq"))
        if any(class_of(v) is None and not isinstance(v, ArrayView) for v in (x, y)):
            return Static(op == "ne")
        same = self.c.expressions.identical(x, y, node)
        return same if op == "eq" else self.c.expressions.negated(same, node)

    def by_fields(self, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
        """`x op y` of instances of one dataclass."""
        with self.taken_apart(x, node):
            return self.c.expressions.binary(op, self.as_tuple(x, node), self.as_tuple(y, node), node)

    @contextmanager
    def taken_apart(self, o: FrontValue, node: ast.AST) -> Iterator[None]:
        """What is lowered inside looks at the fields of an object. One of a pool may hold others like it, and these
        others: there is no end to that."""
        before = self.apart
        if isinstance(o, SharedObject):
            if o.cls in before:
                text = f"a {o.cls.__name__} may hold others, which are compared or shown by their fields in turn"
                self.ctx.refuse(node, text, "give the class __eq__, or __repr__, which say what matters")
            self.apart = before | {o.cls}
        try:
            yield
        finally:
            self.apart = before

    def as_tuple(self, o: FrontValue, node: ast.AST) -> TupleValue:
        """What an instance of a dataclass is compared by."""
        names = [f.name for f in dataclasses.fields(class_of(o)) if f.compare]  # type: ignore[arg-type]
        return TupleValue(tuple(self.c.attribute(o, n, node) for n in names))

    def unary(self, op: str, x: FrontValue, node: ast.AST) -> FrontValue | None:
        """`-x` and the like."""
        return self.special(x, UNARY[op], [], node) if op in UNARY else None

    def truth(self, o: FrontValue, node: ast.AST) -> FrontValue:
        """`bool(o)` as a value."""
        if isinstance(o, SharedVariant):
            return variants.each(self.c, o, lambda one: as_bool(self.c.expressions, self.truth(one, node), node), node)
        if isinstance(o, MessageValue) and made_texts.is_never_empty(o):
            return Static(True)
        o = made_texts.kept(self.c, o, node)
        for name in ("__bool__", "__len__"):
            if (made := self.special(o, name, [], node)) is not None:
                if name == "__bool__" and (kind := type_name(made)) != "bool":
                    return self.c.arith.mismatch(TypeError(f"__bool__ should return bool, returned {kind}"), node)
                return made
        return Static(True)

    def says_truth(self, value: FrontValue) -> bool:
        """Whether a class says what an object from outside, a NamedTuple or text made at run time is as a condition."""
        cls = class_of(value)
        says = cls is not None and any(is_users(self.find(cls, n)) for n in ("__bool__", "__len__"))
        return says or isinstance(value, MessageValue)

    def items(self, o: FrontValue, node: ast.AST) -> FrontValue:
        """What a loop over the object runs over."""
        if isinstance(o, SharedVariant):
            self.ctx.refuse(node, f"a loop runs over {describe(o)}", "ask isinstance first: what each is runs alone")
        from tracejit.frontend.containers.iterators import run_over

        if (made := run_over(self.c, o, node)) is not None:
            has_next = self.has(made, "__next__") and not is_iterator(made)
            return self.c.call_object(stepped, [made], {}, node) if has_next else made
        length, item = self.special(o, "__len__", [], node), self.find(class_of(o) or object, "__getitem__")
        if isinstance(length, Static) and is_users(item):
            return TupleValue(tuple(self.c.call_object(item, [o, Static(i)], {}, node) for i in range(length.value)))
        if is_users(item):
            return self.c.call_object(indexed, [o], {}, node)
        return self.c.arith.mismatch(TypeError(f"'{type_name(o)}' object is not iterable"), node)

    def is_looped(self, value: FrontValue) -> bool:
        """Whether the class of a compile-time object says what a loop over it runs over."""
        name = "__iter__" if isinstance(value, Static) and hasattr(type(value.value), "__iter__") else "__getitem__"
        return isinstance(value, Static) and self.has(value, name)

    def iterated(self, value: FrontValue, node: ast.AST) -> FrontValue:
        """What a loop over a value runs over, where its class says so; else the value."""
        value = there_to_run_over(self.ctx, value)
        is_own = isinstance(value, ObjectValue | SharedObject | SharedVariant) or self.is_looped(value)
        return self.items(value, node) if is_own and not is_iterator(value) else value


def _parameters(cls: type | None) -> Any:
    return getattr(cls, "__dataclass_params__", None)


def _is_frozen(cls: type) -> bool:
    return bool(getattr(_parameters(cls), "frozen", False))


def _compares_fields(cls: type | None) -> bool:
    return bool(getattr(_parameters(cls), "eq", False))


def _is_ordered(cls: type | None) -> bool:
    return bool(getattr(_parameters(cls), "order", False))


def _accepts(cls: type, name: str) -> bool:
    """Whether instances may have an attribute of that name (`__slots__`)."""
    if any("__slots__" not in vars(base) for base in cls.__mro__[:-1]):
        return True
    return any(name in _slots(base) for base in cls.__mro__[:-1])


def _slots(cls: type) -> tuple[str, ...]:
    slots = vars(cls).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
