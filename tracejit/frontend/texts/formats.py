"""Values in texts by a format: f-strings, `str.format` and `%`; formats whose numbers are known at run time only."""

from __future__ import annotations

import ast
import re
import string
from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from tracejit.frontend.arith import is_python_number
from tracejit.frontend.containers.key_order import certain
from tracejit.frontend.texts import made_texts
from tracejit.frontend.texts.text import Field, Text, is_text, pieces_of
from tracejit.frontend.values import (
    DictValue,
    FrontValue,
    MessageValue,
    Number,
    SharedText,
    Static,
    TupleValue,
    type_name,
)
from tracejit.ir.core import Value
from tracejit.messages import escape, hidden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracejit.frontend.calls import Calls

_PERCENT = re.compile(
    r"%(?:\((?P<key>[^)]*)\))?(?P<flags>[#0\- +]*)(?P<width>\d+|\*)?(?:\.(?P<precision>\d+|\*))?(?P<type>.?)", re.DOTALL
)
_PERCENT_TYPES = frozenset("diuoxXeEfFgGcrsa")


#: Stands for a number below 0 in the error of a format that has one.
_BELOW = -7919
#: A format of text with a width behind it: what fills it up, and where it stands.
_BEFORE_WIDTH = re.compile("(?:(.)?([<>^]))?(0)?", re.DOTALL)


def known_format(c: Calls, spec: FrontValue, node: ast.AST) -> str:
    """A format; numbers in it that arguments decide are compiled in."""
    if isinstance(spec, MessageValue):
        for value in spec.values:
            c.static(Number(value, weak=True), node, "a format")
    return c.static(spec, node, "a format")


def _by_run_time_format(
    c: Calls, value: FrontValue, conversion: str, spec: str | FrontValue, node: ast.AST
) -> FrontValue | None:
    """A number or text by a format with numbers in it that data decides (`f"{x:>{width}}"`); None for others."""
    if not isinstance(spec, MessageValue) or conversion or spec.arrays or c.ctx.loops_to_unroll():
        return None
    pieces = pieces_of(spec)
    fields = [p for p in pieces if isinstance(p, Field)]
    if not (is_python_number(value) or isinstance(value, Number) or is_text(value)):
        return None
    if not fields or any(f.name != "0" or f.suffix or not f.values[0].type.dtype.is_integer for f in fields):  # type: ignore[union-attr]
        return None
    numbers = [f.values[0] for f in fields]
    literals = "".join(p for p in pieces if isinstance(p, str))
    known = not any(made_texts.is_unknown(c.ctx, Number(n, weak=True)) for n in numbers)
    if known or set("{}!") & set(literals):
        return None
    spec_of = lambda names: "".join(p if isinstance(p, str) else next(names) for p in pieces)  # noqa: E731
    for i, n in enumerate(numbers):
        text = _error_of(value, spec_of(str(_BELOW if k == i else 1) for k in range(len(numbers))))
        if text is not None:
            c.ctx.at(node)
            shown = escape(text).replace(str(_BELOW), "{0}")
            ok = c.ctx.b.emit("ge", (c.ctx.signed(n), c.ctx.size_value(0)))[0]
            c.ctx.check(ok, "ValueError", shown, *((n,) if shown != escape(text) else ()))
    if is_text(value):
        return _of_width(c, value, spec.template, numbers, node)
    shown = "{0:" + spec_of(f"{{{k}}}" for k in count(1)) + "}"
    made = Text(c, node)
    values = c.arith.scalar(value), *numbers
    made.field(f"formatted({hidden(shown)!r},{','.join(f'v{i}' for i in range(len(values)))})", values, (), "!s")
    return made.value()


def _error_of(value: FrontValue, spec: str) -> str | None:
    """The text of the error that Python gives of a format of a number or text; None where it has none."""
    kinds = {"int": 0, "float": 0.0, "bool": False, "str": "", "complex": 0j}
    if isinstance(value, Static):
        sample = value.value
    elif isinstance(value, Number) and not value.weak:
        sample = np.dtype(value.dtype.numpy_name).type(0)
    else:
        sample = kinds.get(type_name(value), 0.0)
    try:
        format(sample, spec)
    except (ValueError, OverflowError) as error:
        return str(error)
    return None


def _of_width(c: Calls, value: FrontValue, template: str, numbers: Sequence[Value], node: ast.AST) -> FrontValue | None:
    """A text between others so that it is as wide as data says; None where the format says more."""
    found = _BEFORE_WIDTH.fullmatch(template.removesuffix("s").removesuffix("{0}"))
    if found is None or len(numbers) > 1:
        return None
    from tracejit.frontend.written.texts import padded

    fill, align, zero = found.groups()
    kept = made_texts.stored(c, value, node)
    assert isinstance(kept, SharedText)
    c.call_object(made_texts.known_letters, [kept], {}, node)
    form = (Static(ord(fill or zero or " ")), Static(ord(align or "<")), Number(numbers[0], weak=True))
    at = c.call_object(padded, [kept.pool, Number(kept.at, weak=True), *form], {}, node)
    return made_texts.at_number(c.ctx, c.arith.scalar(at), False)


def joined_string(c: Calls, node: ast.JoinedStr) -> FrontValue:
    """An f-string."""
    made = Text(c, node)
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            conversion = {-1: "", 115: "!s", 114: "!r", 97: "!a"}[part.conversion]
            spec = "" if part.format_spec is None else joined_string(c, part.format_spec)  # type: ignore[arg-type]
            value = c.expressions.value(part.value)
            _show(made, value, conversion, Static(spec) if isinstance(spec, str) else spec)
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
        if kind == "":
            return c.arith.mismatch(ValueError("incomplete format"), node)
        if "*" in (match["width"], match["precision"]):
            c.ctx.refuse(node, "a width or precision by * is outside the language", "f'{value:{width}}'")
        item = next(given, None) if key is None else None
        if key is not None and not isinstance(value, DictValue):
            return c.arith.mismatch(TypeError("format requires a mapping"), node)
        if key is not None and isinstance(value, DictValue):
            if key not in certain(c.ctx, value, node):
                return c.arith.mismatch(KeyError(key), node)
            item = value.items[key]
        if item is None:
            return c.arith.mismatch(TypeError("not enough arguments for format string"), node)
        if kind not in _PERCENT_TYPES:
            text = f"unsupported format character '{kind}' ({ord(kind):#x}) at index {match.start('type')}"
            return c.arith.mismatch(ValueError(text), node)
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
        spec = (align + width if width else "") + (f".{precision}" if precision is not None else "")
        if kind == "s" and not spec:
            made.show_str(item)
        else:
            made.show(item, "!r" if kind == "r" else "!s" if spec else "", spec)
        return
    if kind in "diu":
        item, kind = c.call_object(int, [item], {}, node), "d"
    sign = "+" if "+" in flags else " " if " " in flags else ""
    zero = "0" if "0" in flags and "-" not in flags else ""
    dot = f".{precision}" if precision is not None else ".6" if kind in "eEfF" else ""
    made.show(item, "", ("" if zero else align) + sign + zero + width + dot + kind)


def _show(made: Text, value: FrontValue, conversion: str, spec: FrontValue) -> None:
    """Append a value by a format."""
    shown = _by_run_time_format(made.c, value, conversion, spec, made.node)
    if shown is not None:
        made.show(shown)
        return
    known = known_format(made.c, spec, made.node)
    is_plain = isinstance(value, Number) or type_name(value) in ("int", "float", "bool", "str", "complex")
    text = _error_of(value, known) if known and is_plain and not conversion else None
    if text is not None:
        made.c.arith.mismatch(ValueError(text), made.node)
    made.show_formatted(value, conversion, known)


def formatted(
    c: Calls, template: str, args: Sequence[FrontValue], kwargs: Mapping[str, FrontValue], node: ast.AST
) -> FrontValue:
    """`template.format(*args, **kwargs)`."""
    return _filled(c, template, args, kwargs, node, count())


def _filled(
    c: Calls,
    template: str,
    args: Sequence[FrontValue],
    kwargs: Mapping[str, FrontValue],
    node: ast.AST,
    places: Iterator[int],
) -> FrontValue:
    """A template, or a format in one; fields without a name stand for the next of the `places`."""
    made = Text(c, node)
    for literal, field, spec, conversion in string.Formatter().parse(template):
        made.literal(literal)
        if field is None:
            continue
        name, rest = re.match(r"([^.\[]*)(.*)", field).groups()  # type: ignore[union-attr]
        if name == "":
            name = str(next(places))
        item = kwargs.get(name) if not name.isdigit() else args[int(name)] if int(name) < len(args) else None
        if item is None:
            error = IndexError(f"Replacement index {name} out of range for positional args tuple")
            return c.arith.mismatch(error if name.isdigit() else KeyError(name), node)
        for attribute, index in re.findall(r"\.(\w+)|\[([^\]]*)\]", rest):
            if attribute:
                item = c.attribute(item, attribute, node)
            else:
                item = c.expressions.subscript_by(item, Static(int(index) if index.isdigit() else index), node)
        inner = _filled(c, spec or "", args, kwargs, node, places)
        _show(made, item, f"!{conversion}" if conversion else "", inner)
    return made.value()
