"""Text: f-strings, `%`, `str.format`, `str()`, and methods of strings.

Text without run-time values is a compile-time string. With them it is a `MessageValue`: a template (`messages.py`), the
numbers it shows, and the contents of the arrays it shows. It can be printed, raised, asserted, joined to other text and
returned.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import string
import sys
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tracejit.eager.tensor import Tensor
from tracejit.frontend.containers import list_calls, pooled_tables
from tracejit.frontend.containers.key_order import in_order
from tracejit.frontend.control.choices import each
from tracejit.frontend.functions.builtin_arguments import require_arguments
from tracejit.frontend.functions.pure import has_same_text
from tracejit.frontend.instances import variants
from tracejit.frontend.instances.objects import class_of, is_users
from tracejit.frontend.syntax.source import PROCESS, function_source, note_read
from tracejit.frontend.texts import made_texts, open_texts, shown_arrays
from tracejit.frontend.values import (
    STANDS_FOR,
    ArrayView,
    ChoiceValue,
    DictValue,
    DictView,
    FrontValue,
    GrowingList,
    ListValue,
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
    type_name,
)
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, real_dtype
from tracejit.messages import escape, hidden
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: An error or a print shows at most so many run-time values.
MAX_VALUES = 8


@record
class Field:
    """A field of a template: the name it has where `values` and `arrays` are all there is, and its suffix."""

    name: str
    values: tuple[Value, ...]
    arrays: tuple[Value, ...] = ()
    suffix: str = ""  #: conversion and format spec


class Text:
    """Text being put together."""

    def __init__(self, calls: Calls, node: ast.AST) -> None:
        self.c = calls
        self.node = node
        self.pieces: list[str | Field] = []

    # -- pieces -------------------------------------------------------------------------------------------------

    def literal(self, text: str) -> Text:
        """Append text as it is."""
        self.pieces.append(text)
        return self

    def show(self, value: FrontValue, conversion: str = "", spec: str = "") -> Text:
        """Append a value as `str.format` shows it with that conversion (`!r`) and format spec."""
        match value:
            case Static(obj):
                own = self.own_text(value, conversion)
                if own is not None:
                    return self.show(own, "", spec)
                try:
                    self.literal(_known(obj, conversion, spec))
                except (ValueError, TypeError, OverflowError) as error:
                    self.c.arith.mismatch(error, self.node)
            case Number() if value.dtype.is_complex:
                parts = tuple(self.c.ctx.b.emit(part, (value.value,))[0] for part in ("real", "imag"))
                kind = "complex" if value.weak else value.dtype.numpy_name
                self.field(f"{kind}(v0,v1)", parts, (), conversion, spec)
            case Number() if conversion == "!r" and not value.weak and not spec:
                self.scalar(value)
            case Number():
                self.field("0", (value.value,), (), conversion, spec)
            case ChoiceValue(_, options) if any(self.c.objects.has(options[0], n) for n in _own_names(conversion)):
                c, node = self.c, self.node
                self.show(each(c.expressions, value, lambda o: Text(c, node).show(o, conversion, spec).value(), node))
            case ChoiceValue(index, options):
                texts = (repr(hidden(_known(o.value, conversion, spec))) for o in options)
                self.field(f"text(v0,{','.join(texts)})", (index,), (), "!s")
            case MessageValue() if not spec:
                self.pieces += pieces_of(value) if conversion != "!r" else _quoted(pieces_of(value))
            case MessageValue() if conversion in ("", "!s"):
                if open_texts.has_known_letters(value):
                    self.show(made_texts.stored(self.c, value, self.node), conversion, spec)
                else:
                    self.field(*open_texts.by_format(value, spec), "!s")
            case SharedText():
                self.field(*made_texts.field(self.c, value, self.node), conversion or "!s", spec)
            case OptionalValue(some, inner) if not spec:
                c, node = self.c, self.node
                nothing = Static("None")
                self.show(
                    c.expressions.choose(node, some, lambda: text_of(c, inner, node, conversion), lambda: nothing)
                )
            case ArrayView() if value.rank == 0:
                self.show(self.c.ctx.element(value, ()), conversion, spec)
            case ArrayView() if spec:
                text = f"unsupported format string passed to {type_name(value)}.__format__"
                self.c.arith.mismatch(TypeError(text), self.node)
            case ArrayView() | GrowingList() | SharedList() if not spec:
                self.field(*shown_arrays.field(self.c, value, self.node), conversion)
            case SharedObject(cls=cls) if hasattr(cls, STANDS_FOR) and not spec:
                self.show(pooled_tables.own_copy(self.c, value, self.node), conversion)
            case ObjectValue(cls) if hasattr(cls, STANDS_FOR) and not spec:
                self.table(value, conversion)
            case SharedVariant() if not spec:
                c, node = self.c, self.node
                self.show(variants.each(c, value, lambda o: Text(c, node).show(o, conversion).value(), node))
            case TupleValue() | ListValue() | DictValue() | GrowingList() | SharedList() if spec and not conversion:
                kind = type_name(value)
                text = f"unsupported format string passed to {kind}.__format__"
                self.c.arith.mismatch(TypeError(text), self.node)
            case _ if spec and conversion:
                self.show(text_of(self.c, value, self.node, "" if conversion == "!s" else conversion), "", spec)
            case TupleValue() | ListValue() | DictValue() | ObjectValue() | SharedObject() if not spec:
                own = self.own_text(value, conversion)
                if own is not None:
                    self.show(own)
                elif isinstance(value, ObjectValue) and issubclass(value.cls, BaseException):
                    self.exception(value, conversion)
                else:
                    self.container(value)
            case _:
                self.c.ctx.refuse(
                    self.node, f"{describe(value)} cannot be shown in a message", "show its elements or its sum"
                )
        return self

    def exception(self, value: ObjectValue, conversion: str) -> None:
        """An exception: its argument, or its arguments; its repr with the name of its class."""
        args = value.fields["args"]
        assert isinstance(args, TupleValue)
        if conversion == "!r":
            self.literal(f"{value.cls.__name__}(").listed(args.items).literal(")")
        elif len(args.items) == 1:
            is_key = issubclass(value.cls, KeyError)
            self.show(args.items[0], "!r") if is_key else self.show_str(args.items[0])
        elif args.items:
            self.container(args)

    def field(
        self, name: str, values: tuple[Value, ...], arrays: tuple[Value, ...], conversion: str, spec: str = ""
    ) -> None:
        self.pieces.append(Field(name, values, arrays, conversion + (":" + spec if spec else "")))

    def table(self, value: ObjectValue, conversion: str) -> None:
        name, arrays = shown_arrays.table_field(self.c, value, self.node)
        self.field(name, (), arrays, conversion or "!s")

    def scalar(self, value: Number) -> None:
        """The repr of a NumPy scalar, or of a 0-d tensor."""
        name = value.dtype.numpy_name
        if self.c.ctx.tensors:
            self.scalar_tensor(value)
            return
        is_bool = value.dtype == BOOL
        narrow = value.dtype.is_float and value.dtype.bits < 64
        self.literal("np." if is_bool else f"np.{name}(")
        self.field("0", (value.value,), (), "!s" if narrow else "!r")
        self.literal("_" if is_bool else ")")

    def scalar_tensor(self, value: Number, array: ArrayView | None = None) -> None:
        """A 0-d tensor, the element of an array if it is one."""
        content = value.value if array is None else self.c.ctx.load(array)
        asks = shown_arrays.asks(self.c, array or value, content)
        shown = f"scalar_tensor('{value.dtype.numpy_name}',v0,{asks if isinstance(asks, bool) else 'v1'})"
        self.field(shown, (value.value,) if isinstance(asks, bool) else (value.value, asks), (), "!s")

    def show_str(self, value: FrontValue) -> Text:
        """Append `str(value)`, which shows fewer digits of a narrow NumPy float than a format does, and says of a 0-d
        tensor that it is one."""
        array = value if isinstance(value, ArrayView) and value.rank == 0 else None
        value = value if array is None else self.c.ctx.element(array, ())
        if self.c.ctx.tensors and isinstance(value, Number) and not value.weak and not value.dtype.is_complex:
            self.scalar_tensor(value, array)
            return self
        narrow = isinstance(value, Number | ArrayView) and value.dtype.is_inexact and real_dtype(value.dtype).bits < 64
        return self.show(value, "!s" if narrow else "")

    def show_formatted(self, value: FrontValue, conversion: str, spec: str) -> Text:
        """Append a value as `format` shows it, about which the user's class may have its say."""
        cls = class_of(value)
        own = None if conversion or cls is None else self.c.objects.find(cls, "__format__")
        if own is None or not is_users(own) or cls is Tensor or not function_source(own).is_users:
            return self.show(value, conversion, spec)
        return self.show(self.c.call_object(own, [value, Static(spec)], {}, self.node))

    def own_text(self, value: FrontValue, conversion: str) -> FrontValue | None:
        """What `__str__` or `__repr__` of the user's class gives."""
        if class_of(value) is None:
            return None
        found = (self.c.objects.special(value, name, [], self.node) for name in _own_names(conversion))
        return next((made for made in found if made is not None), None)

    def show_key(self, key: ObjectValue | SharedObject) -> Text:
        """A key as a KeyError names it; an object whose class has no `__repr__` without its address."""
        if is_users(self.c.objects.find(key.cls, "__repr__")) or hasattr(key.cls, STANDS_FOR):
            return self.show(key, "!r")
        return self.literal(f"<{key.cls.__module__}.{key.cls.__qualname__} object>")

    def container(self, value: TupleValue | ListValue | DictValue | ObjectValue | SharedObject) -> None:
        """The repr of a container."""
        if isinstance(value, DictValue):
            in_order(self.c.ctx, value, self.node)
        match value:
            case DictView(items, kind=kind):
                self.literal(f"{kind}([").listed(items).literal("])")
            case TupleValue(items, cls) if cls is not None:
                names = getattr(cls, "_fields", ())
                self.named(cls.__name__, dict(zip(names, items, strict=True)))
            case TupleValue(items):
                self.literal("(").listed(items).literal(",)" if len(items) == 1 else ")")
            case ListValue(items):
                self.literal("[").listed(items).literal("]")
            case DictValue(items, cls=kind) if kind is not dict:
                self.literal(f"{kind.__name__}(")
                if isinstance(value.factory, Static):
                    self.literal(f"{value.factory.value!r}, ")
                if items and kind is OrderedDict and sys.version_info < (3, 12):
                    self.container(ListValue([TupleValue((Static(k), v)) for k, v in items.items()]))
                elif items or kind is not OrderedDict:
                    self.container(DictValue(items))
                self.literal(")")
            case DictValue(items):
                self.literal("{")
                for i, (key, item) in enumerate(items.items()):
                    self.literal(", " if i else "").show(Static(key), "!r").literal(": ").show(item, "!r")
                self.literal("}")
            case ObjectValue(cls=cls) | SharedObject(cls=cls) if dataclasses.is_dataclass(cls):
                shown = [f.name for f in dataclasses.fields(cls) if f.repr]
                with self.c.objects.taken_apart(value, self.node):
                    self.named(cls.__qualname__, {n: self.c.objects.attribute(value, n, self.node) for n in shown})
            case _:
                self.c.ctx.refuse(
                    self.node, f"{describe(value)} cannot be shown in a message", "give its class a __str__"
                )

    def listed(self, items: Sequence[FrontValue]) -> Text:
        for i, item in enumerate(items):
            self.literal(", " if i else "").show(item, "!r")
        return self

    def named(self, title: str, items: Mapping[str, FrontValue]) -> None:
        self.literal(f"{title}(")
        for i, (name, item) in enumerate(items.items()):
            self.literal((", " if i else "") + f"{name}=").show(item, "!r")
        self.literal(")")

    # -- results ------------------------------------------------------------------------------------------------

    def value(self) -> FrontValue:
        """The text as a front-end value."""
        made = _joined(self.pieces)
        return made if made.values or made.arrays else Static(made.template.format())

    def message(self) -> MessageValue:
        """The text of an error."""
        made = _joined(self.pieces)
        if len(made.values) > MAX_VALUES:
            self.c.ctx.refuse(self.node, f"a message can show at most {MAX_VALUES} run-time values", "show fewer")
        return made

    def printed(self) -> None:
        """Print the text, so many values at a time."""
        chunk: list[str | Field] = []
        for piece in self.pieces:
            if len({v for p in (*chunk, piece) if isinstance(p, Field) for v in p.values}) > MAX_VALUES:
                self.print_chunk(chunk)
                chunk = []
            chunk.append(piece)
        self.print_chunk(chunk)

    def warned(self, category: type[Warning]) -> None:
        """Warn with the text, at the line of the call."""
        made, span = self.message(), self.c.ctx.frame.source.span(self.node)
        shown_arrays.put_together(self.c, made.arrays, self.node)
        self.c.ctx.at(self.node)
        parts = [repr(x) for x in (hidden(made.template), category.__name__, hidden(span.filename), span.line)]
        parts += [f"v{i}" for i in range(len(made.values))]
        self.c.ctx.b.emit("print", made.values, {"template": f"{{warn({','.join(parts)})}}"})

    def print_chunk(self, pieces: Sequence[str | Field]) -> None:
        made = _joined(pieces)
        shown_arrays.put_together(self.c, made.arrays, self.node)
        self.c.ctx.at(self.node)
        self.c.ctx.b.emit("print", made.values, {"template": made.template})


def _known(value: object, conversion: str, spec: str) -> str:
    """The text of a compile-time object."""
    if not has_same_text(value):
        note_read(PROCESS)
    return ("{" + conversion + (":" + spec if spec else "") + "}").format(value)


def is_text(x: FrontValue) -> bool:
    """Whether a value is a string."""
    return isinstance(x, MessageValue | SharedText) or (isinstance(x, Static) and isinstance(x.value, str))


def is_operated(op: str, x: FrontValue, y: FrontValue) -> bool:
    """Whether `x op y` is about text made of run-time values, or repeats text a run-time number of times."""
    match op:
        case "mul" if isinstance(x, Number):
            return is_text(y)
        case "mul":
            return isinstance(x, MessageValue) or (is_text(x) and isinstance(y, Number))
        case "add":
            return (isinstance(x, MessageValue) or isinstance(y, MessageValue)) and is_text(x)
        case _:
            return op in ("mod", "lt", "le", "gt", "ge") and isinstance(x, MessageValue)


def operated(c: Calls, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue:
    """`x op y` of text."""
    match op, x, y:
        case "add", _, _ if is_text(y):
            return Text(c, node).show(x).show(y).value()
        case "add", _, _:
            return c.arith.mismatch(TypeError(f'can only concatenate str (not "{type_name(y)}") to str'), node)
        case "mul", Number(), _:
            return operated(c, op, y, x, node)
        case "mul", _, Number() if y.dtype.is_integer:
            if made_texts.is_unknown(c.ctx, y) and not c.ctx.loops_to_unroll():
                return made_texts.times(c, x, y, node)
            count = Static(c.static(y, node, "how often text is repeated"))
            return operated(c, op, x, count, node)
        case "mul", MessageValue(), Static(int(n)):
            return _joined(pieces_of(x) * n)
        case "mul", Static(str(known)), Static(int(n)):
            return Static(known * n)
        case "mod", _, _:
            reason = "the text before % has run-time values in it"
            c.ctx.refuse(node, reason, "put all values in at once, or add the texts")
        case _ if is_text(y):
            c.ctx.refuse(node, "the order of text made of run-time values", "compare what it is made of")
        case _:
            return c.arith.binary(op, x, y, node)


def _own_names(conversion: str) -> tuple[str, ...]:
    """The methods of a class that may give the text of its instances, the first one before the others."""
    return ("__str__", "__repr__") if conversion in ("", "!s") else ("__repr__",)


def _joined(pieces: Sequence[str | Field]) -> MessageValue:
    """A template, and its values and arrays, each once."""
    fields = [p for p in pieces if isinstance(p, Field)]
    values = list(dict.fromkeys(v for f in fields for v in f.values))
    arrays = list(dict.fromkeys(a for f in fields for a in f.arrays))
    made = ""
    for piece in pieces:
        if isinstance(piece, str):
            made += escape(piece)
            continue
        numbers = {f"v{i}": f"v{values.index(v)}" for i, v in enumerate(piece.values)}
        numbers |= {f"a{i}": f"a{arrays.index(a)}" for i, a in enumerate(piece.arrays)}
        made += "{" + _renamed(piece.name, numbers) + piece.suffix + "}"
    return MessageValue(made, tuple(values), tuple(arrays))


def _renamed(name: str, numbers: Mapping[str, str]) -> str:
    """A field with its values and arrays named anew."""
    if name.isdigit():
        return numbers[f"v{name}"][1:]
    return re.sub(r"\b[va]\d+\b", lambda m: numbers[m[0]], name)


def pieces_of(text: MessageValue) -> list[str | Field]:
    """What a text is put together of."""
    found: list[str | Field] = []
    for literal, name, spec, conversion in string.Formatter().parse(text.template):
        found.append(literal)
        if name is not None:
            suffix = (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            names = [f"v{name}"] if name.isdigit() else list(dict.fromkeys(re.findall(r"\b[va]\d+\b", name)))
            own = {kind: [n for n in names if n[0] == kind] for kind in "va"}
            numbers = {n: f"{kind}{i}" for kind, group in own.items() for i, n in enumerate(group)}
            values = tuple(text.values[int(n[1:])] for n in own["v"])
            arrays = tuple(text.arrays[int(n[1:])] for n in own["a"])
            found.append(Field(_renamed(name, numbers), values, arrays, suffix))
    return found


def _quoted(pieces: list[str | Field]) -> list[str | Field]:
    """Pieces of a text as pieces of its repr; what a run puts in has no quotes."""
    literal = "".join(p for p in pieces if isinstance(p, str))
    quote = '"' if "'" in literal and '"' not in literal else "'"
    shown: list[str | Field] = [quote]
    for piece in pieces:
        if isinstance(piece, str):
            inner = repr(piece)
            piece = inner[1:-1] if inner[0] == quote or quote == '"' else inner[1:-1].replace("'", "\\'")
        shown.append(piece)
    return [*shown, quote]


def text_of(c: Calls, value: FrontValue, node: ast.AST, conversion: str = "") -> FrontValue:
    """`str(value)`, `repr(value)`."""
    if isinstance(value, ChoiceValue):
        return each(c.expressions, value, lambda o: text_of(c, o, node, conversion), node)
    made = Text(c, node)
    return (made.show(value, conversion) if conversion else made.show_str(value)).value()


def method(
    c: Calls, receiver: FrontValue, name: str, args: list[FrontValue], kwargs: dict[str, FrontValue], node: ast.AST
) -> FrontValue:
    """A method of a string."""
    if isinstance(receiver, Static) and name == "format":
        from tracejit.frontend.texts.formats import formatted

        return formatted(c, receiver.value, args, kwargs, node)
    if isinstance(receiver, Static) and name == "join":
        require_arguments(c, str.join, args, kwargs, node, receiver.value)
        if c.objects.has(args[0], "__next__"):
            args = [c.call_object(list, args, {}, node)]
        if list_calls.is_unknown(c, args[0]):
            return c.call_value(c.attribute(made_texts.stored(c, receiver, node), name, node), args, {}, node)
        items = c.expressions.known_items(args[0], node)
        made = Text(c, node)
        for i, item in enumerate(items):
            if type_name(item) != "str":
                text = f"sequence item {i}: expected str instance, {type_name(item)} found"
                return c.arith.mismatch(TypeError(text), node)
            made.literal(receiver.value if i else "").show(item)
        return made.value()
    for i, arg in enumerate(args):
        if isinstance(arg, ChoiceValue):
            rest = lambda o, i=i: method(c, receiver, name, [*args[:i], o, *args[i + 1 :]], kwargs, node)  # noqa: E731
            return each(c.expressions, arg, rest, node)
    if isinstance(receiver, Static) and all(isinstance(a, Static | TupleValue) for a in [*args, *kwargs.values()]):
        values: list[FrontValue] = [Static(c.static(a, node, "an argument")) for a in args]
        made = c.call_now(getattr(receiver.value, name), values, kwargs, node)
        if isinstance(made, Static) and isinstance(made.value, list):
            return c.lists.made([Static(v) for v in made.value], node)
        return made
    if isinstance(receiver, MessageValue) and (bits := _bits(receiver)) and (name, args) == ("count", [Static("1")]):
        return c.method(bits, "bit_count", [], {}, node)
    made = None if kwargs else open_texts.by_method(receiver, name, args)
    if made is not None:
        return made
    return c.call_value(c.attribute(made_texts.stored(c, receiver, node), name, node), args, kwargs, node)


def _bits(text: MessageValue) -> Number | None:
    """The number of which a text has the bits: `bin(n)`, `f"{n:b}"`."""
    return Number(text.values[0], weak=True) if text.template in ("{0:#b}", "{0:b}") else None
