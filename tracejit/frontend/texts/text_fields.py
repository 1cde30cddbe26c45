"""Numbers and texts in texts that are put in memory (`made_texts.py`): which of them become letters there, and how.

The digits of ints are written by a loop; those of floats, with Python's rules for them, are left to Python: such a
field stands among the letters as a number below 0, with the bits of what it shows behind it.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from typing import TYPE_CHECKING

from tracejit.frontend.context import Again
from tracejit.frontend.kinds import TextKind
from tracejit.frontend.texts import joined_texts
from tracejit.frontend.values import (
    FrontValue,
    GrowingList,
    ListValue,
    MessageValue,
    Number,
    ObjectValue,
    SharedText,
    Static,
    TupleValue,
    root_of,
)
from tracejit.ir.core import Value
from tracejit.ir.types import BOOL, F64, I64, ScalarType
from tracejit.messages import uncovered

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.texts.text import Field

#: How a number or text is shown: what fills it up, where it stands, its sign, width and base.
_SPEC = re.compile(
    r"(?P<conversion>![sr])?(?::(?:(?P<fill>.)?(?P<align>[<>=^]))?(?P<sign>[-+ ])?(?P<mark>#)?(?P<zero>0)?"
    r"(?P<width>\d*)(?P<base>[bdoxXsc]?))?"
)
#: A number by a format whose width is the second value.
_WIDTH_AT_RUN_TIME = re.compile(r"formatted\('(t\w+)',v0,v1\)")
_ANY_WIDTH, _OF_VALUE = 1, "v1"
_BASES = {"": 10, "d": 10, "b": 2, "o": 8, "x": 16, "X": 16}


def is_open(value: FrontValue) -> bool:
    """Whether a text, or one of a list or tuple of texts, shows what Python alone can write."""
    match value:
        case SharedText():
            return root_of(value) is not str
        case MessageValue():
            from tracejit.frontend.texts.text import pieces_of

            several = joined_texts.several(value)
            if several is not None:
                return any(map(is_open, several[1]))
            return any(not isinstance(p, str) and _is_open(p) for p in pieces_of(value))
        case TupleValue(items) | ListValue(items):
            return any(map(is_open, items))
        case GrowingList(_, kind):
            return kind == TextKind(True)
        case _:
            return False


def _is_open(piece: Field) -> bool:
    """Whether Python alone can write a field."""
    if piece.name.startswith("letters(a0,"):  # a part of an open text
        return True
    inner = text_inside(piece)
    return _form(piece) is None if inner is None else is_open(inner)


def text_inside(piece: Field) -> MessageValue | None:
    """A field that is itself one of several texts."""
    if not piece.name.startswith("one_of(") or piece.suffix not in ("", "!s") or piece.arrays:
        return None
    return MessageValue("{" + piece.name + "}", piece.values)


def _form(piece: Field) -> tuple[str, dict[str, str]] | None:
    """What a field shows (a letter by its code, an int, a bool, one of several texts, the letters of one) and how;
    None where Python alone can write it."""
    at_run_time = _WIDTH_AT_RUN_TIME.fullmatch(piece.name)
    if at_run_time is not None:
        start, end = uncovered(at_run_time[1])[2:-1].split("{1}")
        form = _form(dataclasses.replace(piece, name="0", suffix=start + str(_ANY_WIDTH) + end))
        return None if form is None else (form[0], {**form[1], "width": _OF_VALUE})
    found = _SPEC.fullmatch(piece.suffix)
    if found is None:
        return None
    spec = {name: part or "" for name, part in found.groupdict().items()}
    base, in_the_middle = spec["base"], spec["zero"] or spec["align"] == "="
    if piece.name == "0":
        if base == "c" and _is_int(piece.values[0]) and not spec["sign"]:
            return "code", spec
        if base in _BASES and _is_int(piece.values[0]) and not (spec["mark"] and in_the_middle):
            return "int", spec
        if piece.suffix in ("", "!s", "!r") and piece.values[0].type == ScalarType(BOOL):
            return "bool", spec
        return None
    if base not in ("", "s") or in_the_middle or spec["sign"] or spec["mark"] or spec["conversion"] == "!r":
        return None
    if piece.name.startswith("text(v0,"):
        return "choice", spec
    return ("letters", spec) if piece.name.startswith("letters(a0") else None


def put_field(c: Calls, memory: ObjectValue, piece: Field, node: ast.AST) -> None:
    """Put what a field shows behind the text that is being made."""
    from tracejit.frontend.written.texts import pad

    found, letters = _form(piece), memory.fields["letters"]
    if found is None:
        _put_open(c, memory, piece, node)
        return
    form, spec = found
    assert isinstance(letters, GrowingList)
    start = c.ctx.list_length(letters)
    _put_letters(c, memory, piece, form, spec, node)
    if spec["width"]:
        is_number = form in ("int", "code")
        fill = spec["fill"] or ("0" if spec["zero"] else " ")
        align = spec["align"] or ("=" if spec["zero"] else ">" if is_number else "<")
        at_run_time = spec["width"] == _OF_VALUE
        width: FrontValue = Number(piece.values[1], weak=True) if at_run_time else Static(int(spec["width"]))
        width = c.call_object(abs, [width], {}, node)
        given = [Number(start, weak=True), *map(Static, (ord(fill), ord(align))), width]
        c.call_object(pad, [memory, *given], {}, node)


def _put_letters(c: Calls, memory: ObjectValue, piece: Field, form: str, spec: dict[str, str], node: ast.AST) -> None:
    """Put the letters of a field there."""
    from tracejit.frontend.texts import made_texts
    from tracejit.frontend.written.texts import put, put_int, put_text

    match form:
        case "code":
            if not c.ctx.pools_known.has_codes:
                c.ctx.pools_known.has_codes = True
                raise Again
            c.call_object(put, [memory, Number(c.arith.to(piece.values[0], I64), weak=True)], {}, node)
        case "int":
            base, n = spec["base"], Number(c.arith.to(piece.values[0], I64), weak=True)
            sign, mark = spec["sign"].strip("-"), base if spec["mark"] and base != "d" else ""
            codes = _BASES[base], 65 if base == "X" else 97, *(ord(letter) if letter else 0 for letter in (sign, mark))
            c.call_object(put_int, [memory, n, *map(Static, codes)], {}, node)
        case "bool":
            yes, no = map(c.ctx.size_value, made_texts.known_all(c.ctx, ["True", "False"]))
            at = c.ctx.b.emit("select", (piece.values[0], yes, no))[0]
            c.call_object(put_text, [memory, Number(at, weak=True)], {}, node)
        case "choice":
            texts = [uncovered(word.strip("' ")) for word in piece.name[len("text(v0,") : -1].split(",")]
            at = made_texts.chosen(c, piece.values[0], texts)
            c.call_object(put_text, [memory, Number(at, weak=True)], {}, node)
        case _:
            held = memory.fields["letters"]
            assert isinstance(held, GrowingList)
            letters = c.expressions.iterable(c.ctx.fresh(piece.arrays[0]), node)
            c.lists.each(letters, lambda _, x: c.lists.push(held, _as_int(x), node), node)


def _put_open(c: Calls, memory: ObjectValue, piece: Field, node: ast.AST) -> None:
    """Put there what Python writes."""
    from tracejit.frontend.written.texts import put

    if piece.arrays:
        c.ctx.refuse(node, "text that shows an array or a list is kept", "print it, or keep the array")
    fields = c.ctx.pools_known.fields
    template = "{" + piece.name + piece.suffix + "}", tuple(v.type for v in piece.values)
    if template not in fields:
        fields[template] = len(fields)
        raise Again
    c.call_object(put, [memory, Static(-1 - fields[template])], {}, node)
    for value in piece.values:
        c.call_object(put, [memory, Number(_bits(c, value), weak=True)], {}, node)


def _as_int(letter: FrontValue) -> FrontValue:
    assert isinstance(letter, Number)
    return Number(letter.value, weak=True)


def _is_int(value: Value) -> bool:
    assert isinstance(value.type, ScalarType)
    dtype = value.type.dtype
    return dtype.is_integer and not (dtype.bits == 64 and dtype.kind == "u")


def _bits(c: Calls, value: Value) -> Value:
    """A number as an int that `messages.letters` makes the number of."""
    assert isinstance(value.type, ScalarType)
    if value.type.dtype.is_float:
        return c.ctx.b.emit("bitcast", (c.arith.to(value, F64),), {"dtype": I64})[0]
    return c.arith.to(value, I64)
