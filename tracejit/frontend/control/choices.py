"""Compile-time objects of which one is chosen at run time: strings, members of an Enum.

What is done with such a value is done with each of them, and the results are joined.
"""

from __future__ import annotations

import ast
import enum
import types
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tracejit.frontend.boundary.signature import constant_access
from tracejit.frontend.values import ChoiceValue, FrontValue, Number, Static
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.types import I64, ScalarType

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.expressions import Expressions

#: More alternatives than this are refused: code for each would get long. So are texts of more letters in all: a loop
#: that doubles one would have reached four thousand million with the last.
MAX_OPTIONS, MAX_LETTERS = 32, 1 << 16
#: So many texts may differ in a list, and among the keys of a dict, where none is told apart by a branch.
MAX_LISTED = 4096
#: One of so many texts is looked up in a table.
_MANY = 9


def options_of(x: FrontValue) -> tuple[Static, ...] | None:
    """The objects that a value may be; None for values of other kinds."""
    if isinstance(x, ChoiceValue):
        return x.options
    return (x,) if isinstance(x, Static) and _may_be_chosen(x.value) else None


def _may_be_chosen(value: object) -> bool:
    """Whether an object is a text, a member of an Enum, a function or a module."""
    return isinstance(value, str | enum.Enum) or _is_function(value) or hasattr(type(value), "state_dict")


def _is_function(value: object) -> bool:
    """Whether an object is a function that all others may be instead of."""
    return isinstance(value, types.FunctionType | types.BuiltinFunctionType | np.ufunc)


def join_options(a: FrontValue, b: FrontValue) -> tuple[Static, ...] | None:
    """The objects that one of two values may be; None where they are not of one class, or too many."""
    joined = _either(a, b)
    if joined is None:
        return None
    letters = sum(len(o.value) for o in joined if isinstance(o.value, str))
    fewer, more = sorted(len(options_of(x) or ()) for x in (a, b))
    most = max(MAX_OPTIONS, more) if fewer > 1 else MAX_LISTED  # what a loop makes of its texts would be ever more
    return joined if len(joined) <= most and letters <= MAX_LETTERS else None


def _either(a: FrontValue, b: FrontValue) -> tuple[Static, ...] | None:
    """The objects that one of two values may be; None where they are not of one class."""
    first, second = options_of(a), options_of(b)
    if first is None or second is None:
        return None
    kinds = [types.FunctionType if _is_function(o.value) else type(o.value) for o in (first[0], second[0])]
    if kinds[0] is not kinds[1]:
        return None
    found = first if kinds[0] is not str else {o.value for o in first}
    return (*first, *(o for o in second if (o.value not in found if kinds[0] is str else o not in found)))


def option_index(b: Builder, x: FrontValue, options: tuple[Static, ...]) -> Value:
    """Which of the options a value is."""
    own = options_of(x)
    assert own is not None
    places = [next(i for i, p in enumerate(options) if p.value == o.value) for o in own]
    constants = [b.constant(i, ScalarType(I64)) for i in places]
    if not isinstance(x, ChoiceValue):
        return constants[0]
    if places == list(range(len(places))):
        return x.index
    found = constants[-1]
    for i in range(len(own) - 2, -1, -1):
        here = b.emit("eq", (x.index, b.constant(i, ScalarType(I64))))[0]
        found = b.emit("select", (here, constants[i], found))[0]
    return found


@lru_cache(maxsize=64)
def _numbered(texts: str | tuple[str, ...]) -> tuple[tuple[Static, ...], np.ndarray[Any, Any]]:
    """The different ones among texts, or the letters of a text, and which of them stands at each place."""
    different = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    return tuple(map(Static, different)), np.array([different[text] for text in texts], np.int64)


@lru_cache(maxsize=64)
def _codes(texts: tuple[str, ...]) -> np.ndarray[Any, Any]:
    return np.array([text_hash(text) for text in texts], np.int64)


def text_hash(text: str) -> int:
    """A number of a text, the same in each process: that of texts made at run time is computed (`written/texts.py`)."""
    made = len(text)
    for letter in text:
        made = (made * 31 + ord(letter)) % (1 << 64)
    return made - (made >> 63 << 64)


def code(calls: Calls, text: FrontValue) -> FrontValue:
    """A number of a text, or of a member of an Enum, the same in each process."""
    options = options_of(text)
    assert options is not None
    codes = _codes(tuple(str(o.value) for o in options))
    if not isinstance(text, ChoiceValue):
        return Static(codes[0])
    return calls.ctx.element(calls.statics.hidden(codes, constant_access(codes)), (text.index,))


def has_many_letters(text: str) -> bool:
    """Whether a letter of a text is not one of a few."""
    return len(_numbered(text)[0]) > MAX_OPTIONS


def letter(calls: Calls, text: str, at: Number, node: ast.AST) -> ChoiceValue:
    """The letter of a compile-time text at a place known at run time."""
    options, places = _numbered(text)
    if not options:
        calls.arith.mismatch(IndexError("string index out of range"), node)
    place = calls.indexing.checked_index(at, len(text), 0, node, "string index out of range")
    found = calls.ctx.element(calls.statics.hidden(places, constant_access(places)), (place,))
    return ChoiceValue(found.value, options)


def picked(calls: Calls, items: Sequence[FrontValue], place: Value) -> ChoiceValue | None:
    """The text among many at a valid place known at run time; None where they are not all texts, or few."""
    texts = [i.value for i in items if isinstance(i, Static) and isinstance(i.value, str)]
    if len(texts) < len(items) or len(items) < _MANY:
        return None
    different, places = _numbered(tuple(texts))
    if len(different) > MAX_LISTED:
        return None
    found = calls.ctx.element(calls.statics.hidden(places, constant_access(places)), (place,))
    return ChoiceValue(found.value, different)


def member(calls: Calls, cls: type[enum.Enum], value: Number, node: ast.AST) -> FrontValue:
    """The member of an Enum that has a value known at run time only."""
    ctx = calls.ctx
    if issubclass(cls, enum.Flag):
        reason = f"{cls.__name__}(n) is not known to be a member, or several, when the function is compiled"
        ctx.require_known(node, reason, "keep the number")
    options = tuple(map(Static, cls))
    if len(options) > MAX_OPTIONS:
        ctx.refuse(node, f"an Enum of more than {MAX_OPTIONS} members is looked up at run time", "use its value")
    found = ctx.b.constant(-1, ScalarType(I64))
    for i, option in enumerate(options):
        same = calls.arith.truth(calls.expressions.binary("eq", value, Static(option.value.value), node), node)
        if same is not False:
            here = ctx.b.constant(i, ScalarType(I64))
            found = here if same is True else ctx.b.emit("select", (same, here, found))[0]
    known = ctx.b.emit("ge", (found, ctx.size_value(0)))[0]
    ctx.check(known, "ValueError", f"{{0}} is not a valid {cls.__qualname__}", value.value)
    return ChoiceValue(found, options)


def compared(b: Builder, op: str, x: FrontValue, y: FrontValue) -> Number | None:
    """Whether two values of the same few objects are equal; None for other comparisons."""
    options = _either(x, y) if op in ("eq", "ne") else None
    if options is None:
        return None
    return Number(b.emit(op, (option_index(b, x, options), option_index(b, y, options)))[0], weak=True)


def as_operand(calls: Calls, op: str, x: FrontValue) -> FrontValue:
    """A chosen member of an IntEnum as the int that it is, unless the operator is its own, or gives a flag."""
    if not isinstance(x, ChoiceValue) or calls.objects.has_operator(x.options[0]):
        return x
    gives_flag = op.startswith("bit") and isinstance(x.options[0].value, enum.Flag)
    return x if gives_flag else as_number(calls.ctx.b, x)


def as_number(b: Builder, x: FrontValue) -> FrontValue:
    """A chosen member of an IntEnum, or of an IntFlag, as the int that it is; others unchanged."""
    if not isinstance(x, ChoiceValue) or not isinstance(x.options[0].value, int):
        return x
    *others, last = (b.constant(int(o.value), ScalarType(I64)) for o in x.options)
    for i, other in enumerate(others):
        here = b.emit("eq", (x.index, b.constant(i, ScalarType(I64))))[0]
        last = b.emit("select", (here, other, last))[0]
    return Number(last, weak=True)


def each(expressions: Expressions, x: ChoiceValue, do: Callable[[Static], FrontValue], node: ast.AST) -> FrontValue:
    """What `do` makes of the object that is chosen."""
    if len(x.options) > MAX_OPTIONS:
        reason = f"more than {MAX_OPTIONS} texts of which one is chosen at run time are told apart here"
        expressions.ctx.require_known(node, reason, "compare them, or look them up in a dict that the script makes")

    def among(i: int) -> FrontValue:
        if i == len(x.options) - 1:
            return do(x.options[i])
        b = expressions.ctx.b
        here = b.emit("eq", (x.index, b.constant(i, ScalarType(I64))))[0]
        return expressions.choose(node, here, lambda: do(x.options[i]), lambda: among(i + 1))

    return among(0)


def same_static(a: Static, b: Static) -> bool:
    """Whether two compile-time objects are one, or equal ones of a kind."""
    if a.value is b.value:
        return True
    try:
        return type(a.value) is type(b.value) and bool(a.value == b.value) and repr(a.value) == repr(b.value)
    except Exception:
        return False
