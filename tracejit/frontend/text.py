"""Text: f-strings, `%`, `str.format`, `str()`, and methods of strings.

Text without run-time values is a compile-time string. With them it is a `MessageValue`: a `str.format` template and
the numbers it shows. It can be printed, raised, asserted, joined to other text and returned.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import string
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tracejit.frontend.choices import each
from tracejit.frontend.objects import class_of
from tracejit.frontend.values import (
    ArrayView,
    ChoiceValue,
    DictValue,
    FrontValue,
    ListValue,
    MessageValue,
    Number,
    ObjectValue,
    Static,
    TupleValue,
    describe,
)
from tracejit.ir.core import Value
from tracejit.ir.types import F64, I64

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

#: An error or a print shows at most so many run-time values.
MAX_VALUES = 8

_PERCENT = re.compile(
    r"%(?:\((?P<key>[^)]*)\))?(?P<flags>[#0\- +]*)(?P<width>\d+)?(?:\.(?P<precision>\d+))?(?P<type>[diuoxXeEfFgGcrsa%])"
)


class Text:
    """Text being put together."""

    def __init__(self, calls: Calls, node: ast.AST) -> None:
        self.c = calls
        self.node = node
        self.pieces: list[str | tuple[Value, str]] = []  #: literal text, and values with conversion and format spec

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
                field = "{" + conversion + (":" + spec if spec else "") + "}"
                return self.show(own, "", spec) if own is not None else self.literal(field.format(obj))
            case Number() if value.dtype.is_complex:
                self.c.ctx.refuse(
                    self.node, "a complex number cannot be shown in a message", "show its real and its imaginary part"
                )
            case Number() if conversion == "!r" and not value.weak and not spec and value.dtype in (F64, I64):
                self.literal(f"np.{value.dtype.numpy_name}(")
                self.pieces.append((value.value, conversion))
                self.literal(")")
            case Number():
                self.pieces.append((value.value, conversion + (":" + spec if spec else "")))
            case MessageValue(template, values) if not spec and conversion != "!r":
                self.pieces += _pieces(template, values)
            case ArrayView() if value.rank == 0:
                self.show(self.c.ctx.element(value, ()), conversion, spec)
            case TupleValue() | ListValue() | DictValue() | ObjectValue() if not spec:
                own = self.own_text(value, conversion)
                self.container(value) if own is None else self.show(own)
            case _:
                self.c.ctx.refuse(
                    self.node, f"{describe(value)} cannot be shown in a message", "show its elements or its sum"
                )
        return self

    def show_str(self, value: FrontValue) -> Text:
        """Append `str(value)`, which shows fewer digits of a narrow NumPy float than a format does."""
        narrow = isinstance(value, Number | ArrayView) and value.dtype.is_float and value.dtype.bits < 64
        return self.show(value, "!s" if narrow else "")

    def own_text(self, value: FrontValue, conversion: str) -> FrontValue | None:
        """What `__str__` or `__repr__` of the user's class gives."""
        if class_of(value) is None:
            return None
        names = ("__repr__",) if conversion == "!r" else ("__str__", "__repr__")
        found = (self.c.objects.special(value, name, [], self.node) for name in names)
        return next((made for made in found if made is not None), None)

    def container(self, value: TupleValue | ListValue | DictValue | ObjectValue) -> None:
        """The repr of a container."""
        match value:
            case TupleValue(items, cls) if cls is not None:
                names = getattr(cls, "_fields", ())
                self.named(cls.__name__, dict(zip(names, items, strict=True)))
            case TupleValue(items):
                self.literal("(").listed(items).literal(",)" if len(items) == 1 else ")")
            case ListValue(items):
                self.literal("[").listed(items).literal("]")
            case DictValue(items):
                self.literal("{")
                for i, (key, item) in enumerate(items.items()):
                    self.literal((", " if i else "") + f"{key!r}: ").show(item, "!r")
                self.literal("}")
            case ObjectValue(cls, fields) if dataclasses.is_dataclass(cls):
                shown = [f.name for f in dataclasses.fields(cls) if f.repr]
                self.named(cls.__qualname__, {name: fields[name] for name in shown})
            case ObjectValue():
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
        template, values = _joined(self.pieces)
        return MessageValue(template, values) if values else Static(template.format())

    def message(self) -> tuple[str, tuple[Value, ...]]:
        """A `str.format` template and its values, for an error."""
        template, values = _joined(self.pieces)
        if len(values) > MAX_VALUES:
            self.c.ctx.refuse(self.node, f"a message can show at most {MAX_VALUES} run-time values", "show fewer")
        return template, values

    def printed(self) -> None:
        """Print the text, so many values at a time."""
        self.c.ctx.at(self.node)
        chunk: list[str | tuple[Value, str]] = []
        for piece in (*self.pieces, None):
            full = piece is None or (
                isinstance(piece, tuple) and sum(isinstance(p, tuple) for p in chunk) == MAX_VALUES
            )
            if full and chunk:
                template, values = _joined(chunk)
                self.c.ctx.b.emit("print", values, {"template": template})
                chunk = []
            if piece is not None:
                chunk.append(piece)


def _joined(pieces: Sequence[str | tuple[Value, str]]) -> tuple[str, tuple[Value, ...]]:
    """A `str.format` template, and its values, each once."""
    values = list(dict.fromkeys(p[0] for p in pieces if isinstance(p, tuple)))
    parts = (escape(p) if isinstance(p, str) else "{" + str(values.index(p[0])) + p[1] + "}" for p in pieces)
    return "".join(parts), tuple(values)


def _pieces(template: str, values: Sequence[Value]) -> list[str | tuple[Value, str]]:
    found: list[str | tuple[Value, str]] = []
    for literal, name, spec, conversion in string.Formatter().parse(template):
        found.append(literal)
        if name is not None:
            found.append((values[int(name)], (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")))
    return found


# -- forms of text --------------------------------------------------------------------------------------------------


def joined_string(c: Calls, node: ast.JoinedStr) -> FrontValue:
    """An f-string."""
    made = Text(c, node)
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            conversion = {-1: "", 115: "!s", 114: "!r", 97: "!a"}[part.conversion]
            spec = "" if part.format_spec is None else joined_string(c, part.format_spec)  # type: ignore[arg-type]
            shown_as = spec if isinstance(spec, str) else c.static(spec, node, "a format")
            made.show(c.expressions.value(part.value), conversion, shown_as)
        else:
            made.literal(str(part.value))  # type: ignore[attr-defined]
    return made.value()


def percent(c: Calls, template: str, value: FrontValue, node: ast.AST) -> FrontValue:
    """`template % value`."""
    items = value.items if isinstance(value, TupleValue) else (value,)
    given = iter(items)
    made, at = Text(c, node), 0
    for match in _PERCENT.finditer(template):
        made.literal(template[at : match.start()])
        at = match.end()
        kind, key = match["type"], match["key"]
        if kind == "%":
            made.literal("%")
            continue
        item = next(given, None) if key is None else None
        if key is not None and isinstance(value, DictValue):
            item = value.items.get(key)
        if item is None:
            return c.arith.mismatch(TypeError("not enough arguments for format string"), node)
        _show_percent(c, made, item, match, node)
    if not isinstance(value, DictValue) and next(given, None) is not None:
        return c.arith.mismatch(TypeError("not all arguments converted during string formatting"), node)
    return made.literal(template[at:]).value()


def _show_percent(c: Calls, made: Text, item: FrontValue, match: re.Match[str], node: ast.AST) -> None:
    kind, flags, width, precision = match["type"], match["flags"], match["width"] or "", match["precision"]
    if isinstance(item, Static) and made.own_text(item, "!r" if kind == "r" else "") is None:
        plain = c.call_now(lambda v: match[0].replace(f"({match['key']})", "") % (v,), [item], {}, node)
        made.show(plain)
        return
    align = "<" if "-" in flags else ">" if width else ""
    if kind in "rsa":
        if width and not isinstance(item, Number):
            c.ctx.refuse(node, f"a width for {describe(item)} is outside the language", "leave the width out")
        spec = (align + width) if width else ""
        made.show(item, "!r" if kind == "r" else "!s" if spec else "", spec)
        return
    if kind in "diu":
        item, kind = c.call_object(int, [item], {}, node), "d"
    sign = "+" if "+" in flags else " " if " " in flags else ""
    zero = "0" if "0" in flags and "-" not in flags else ""
    dot = f".{precision}" if precision is not None else ".6" if kind in "eEfF" else ""
    made.show(item, "", ("" if zero else align) + sign + zero + width + dot + kind)


def formatted(
    c: Calls, template: str, args: Sequence[FrontValue], kwargs: Mapping[str, FrontValue], node: ast.AST
) -> FrontValue:
    """`template.format(*args, **kwargs)`."""
    made, count = Text(c, node), 0
    for literal, field, spec, conversion in string.Formatter().parse(template):
        made.literal(literal)
        if field is None:
            continue
        inner = formatted(c, spec or "", args[count + 1 :] if field == "" else args, kwargs, node)
        name, rest = re.match(r"([^.\[]*)(.*)", field).groups()  # type: ignore[union-attr]
        if name == "":
            name, count = str(count), count + 1
        item = kwargs.get(name) if not name.isdigit() else args[int(name)] if int(name) < len(args) else None
        if item is None:
            kind = IndexError("Replacement index out of range for positional args tuple")
            return c.arith.mismatch(kind if name.isdigit() else KeyError(name), node)
        for attribute, index in re.findall(r"\.(\w+)|\[([^\]]*)\]", rest):
            if attribute:
                item = c.attribute(item, attribute, node)
            else:
                item = c.expressions.subscript_by(item, Static(int(index) if index.isdigit() else index), node)
        made.show(item, f"!{conversion}" if conversion else "", c.static(inner, node, "a format"))
    return made.value()


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
        return formatted(c, receiver.value, args, kwargs, node)
    if isinstance(receiver, Static) and name == "join":
        items = c.expressions.known_items(args[0], node)
        made = Text(c, node)
        for i, item in enumerate(items):
            if not isinstance(item, MessageValue) and not (isinstance(item, Static) and isinstance(item.value, str)):
                text = f"sequence item {i}: expected str instance, {type(item).__name__} found"
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
        return c.lists.made([Static(v) for v in made.value], node) if _is_list(made) else made
    c.ctx.refuse(
        node,
        f"{name}() of text that is known at run time only is outside the language",
        "use numbers; text with run-time numbers can be printed, raised and returned",
    )


def _is_list(made: FrontValue) -> bool:
    return isinstance(made, Static) and isinstance(made.value, list)


def escape(text: str) -> str:
    """Text as a template without fields."""
    return text.replace("{", "{{").replace("}", "}}")
