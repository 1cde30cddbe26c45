"""`raise`: exceptions with any number of arguments, and of the user's classes with what their `__init__` sets."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from tracejit.errors import error_factory, error_kind, key_error
from tracejit.frontend.containers.object_keys import is_object_key
from tracejit.frontend.containers.tables import hashes_fields, is_long_tuple
from tracejit.frontend.control.unreachable import Unreachable
from tracejit.frontend.instances.objects import is_users
from tracejit.frontend.texts import shown_arrays
from tracejit.frontend.texts.text import MAX_VALUES, Text
from tracejit.frontend.values import (
    ChoiceValue,
    FrontValue,
    ListValue,
    MessageValue,
    Number,
    ObjectValue,
    SharedObject,
    SharedText,
    Static,
    TupleValue,
    describe,
)
from tracejit.ir.core import Value
from tracejit.ir.reached import value_of
from tracejit.messages import FORMS, filled
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls


def raise_(c: Calls, s: ast.Raise) -> NoReturn:
    """Lower a `raise` statement."""
    if s.exc is None:
        c.ctx.refuse(s, "a bare 'raise' is outside the language", "raise an exception by name")
    value = c.expressions.value(s.exc)
    tries = c.ctx.tries
    assert tries is not None
    if isinstance(value, Static) and isinstance(value.value, type) and issubclass(value.value, BaseException):
        value = c.construct(value.value, [], {}, s)
    if isinstance(value, Static) and isinstance(value.value, BaseException):
        value = ObjectValue(type(value.value), {"args": TupleValue(tuple(map(Static, value.value.args)))})
    if not (isinstance(value, ObjectValue) and issubclass(value.cls, BaseException)):
        c.arith.mismatch(TypeError("exceptions must derive from BaseException"), s)
        raise Unreachable
    tries.raise_(value, s)


def described(c: Calls, o: ObjectValue, node: ast.AST) -> tuple[str, MessageValue]:
    """An exception as an error kind and a message, or what else its values are for."""
    args = o.fields["args"]
    assert isinstance(args, TupleValue)
    text = Text(c, node)
    if o.cls is KeyError and len(args.items) == 1 and (is_long_tuple(args.items[0]) or is_object_key(args.items[0])):
        message = text.show_key(args.items[0]).message()
        return key_error(message.template), message
    if len(args.items) == 1:
        text.show_str(args.items[0])
    elif args.items:
        text.container(args)
    message = text.message()
    kind = error_kind(o.cls)
    is_text = all(
        isinstance(a, MessageValue | SharedText) or (isinstance(a, Static) and isinstance(a.value, str))
        for a in args.items
    )
    if (
        bool(args.items) is bool(message.template)
        and len(args.items) <= 1
        and is_text
        and len(o.fields) == 1
        and not is_users(c.statics.member(o.cls, "__init__"))
    ):
        return kind, message
    parts = _Parts(c, node, list(message.values))
    plans = {name: parts.plan(value) for name, value in o.fields.items()}
    if len(parts.payload) > MAX_VALUES:
        c.ctx.refuse(node, f"an exception can hold at most {MAX_VALUES} run-time values", "pass fewer")
    name = f"{kind}({', '.join(f'{n}={p.shown}' for n, p in plans.items())})"
    return error_factory(name, _maker(o.cls, plans)), MessageValue(message.template, tuple(parts.payload))


@record
class _Plan:
    """How a part of an exception is made of the values that an error reports."""

    shown: str
    make: Callable[[Sequence[Any]], Any]


@dataclass(slots=True)
class _Parts:
    c: Calls
    node: ast.AST
    payload: list[Value] = field(default_factory=list[Value])

    def plan(self, value: FrontValue) -> _Plan:
        """The plan of one part; its values are added to the payload."""
        at = len(self.payload)
        match value:
            case Static(obj):
                return _Plan(repr(obj), lambda _: obj)
            case Number() if self.c.ctx.tensors and not value.weak and not value.dtype.is_complex:
                asks = value_of(self.c.ctx.b, shown_arrays.asks(self.c, value, value.value))
                self.payload.extend((value.value, asks))
                name = value.dtype.numpy_name
                make = FORMS["scalar_tensor"]
                return _Plan(f"{name}#{at}", lambda given: make(name, *given[at : at + 2]))
            case Number() if not value.dtype.is_complex:
                self.payload.append(value.value)
                return _Plan(f"#{at}", lambda values: values[at])
            case Number():
                self.payload.extend(self.c.ctx.b.emit(part, (value.value,))[0] for part in ("real", "imag"))
                make = FORMS["complex" if value.weak else value.dtype.numpy_name]
                return _Plan(f"complex#{at}", lambda given: make(*given[at : at + 2]))
            case ChoiceValue(index, options):
                self.payload.append(index)
                objects = [o.value for o in options]
                return _Plan(f"{objects!r}#{at}", lambda given: objects[int(given[at])])
            case MessageValue(template, values, ()):
                self.payload.extend(values)
                end = len(self.payload)
                return _Plan(f"{template!r}#{at}", lambda given: filled(template, given[at:end]))
            case TupleValue(items) | ListValue(items):
                plans = [self.plan(i) for i in items]
                kind = tuple if isinstance(value, TupleValue) else list
                shown = f"{kind.__name__}({', '.join(p.shown for p in plans)})"
                return _Plan(shown, lambda given: kind(p.make(given) for p in plans))
            case ObjectValue(cls) | SharedObject(cls=cls) if hashes_fields(value):
                names = [f.name for f in dataclasses.fields(cls)]
                parts = [self.plan(self.c.attribute(value, n, self.node)) for n in names]
                shown = f"{cls.__module__}.{cls.__qualname__}({', '.join(p.shown for p in parts)})"
                return _Plan(shown, lambda given: _instance(cls, names, [p.make(given) for p in parts]))
            case _:
                self.c.ctx.refuse(
                    self.node, f"{describe(value)} cannot be part of an exception", "pass numbers and text"
                )


def _instance(cls: type, names: Sequence[str], parts: Sequence[Any]) -> Any:
    made = object.__new__(cls)
    for name, part in zip(names, parts, strict=True):
        object.__setattr__(made, name, part)
    return made


def _maker(cls: type[BaseException], plans: dict[str, _Plan]) -> Callable[[Sequence[Any]], BaseException]:
    def make(values: Sequence[Any]) -> BaseException:
        made = {name: plan.make(values) for name, plan in plans.items()}
        error = cls.__new__(cls)
        error.args = made.pop("args")
        for name, value in made.items():
            setattr(error, name, value)
        return error

    return make
