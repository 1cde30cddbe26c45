"""Text that is made at run time and kept: in lists, as keys, under names that a loop lets grow.

Text of run-time values is a `MessageValue`, which says what it shows, as long as it is only printed, raised, joined and
returned. Where its letters matter, or it is put somewhere, it becomes a number in a memory of letters
(`written/texts.py`), and so do those that it meets. Texts that are known when compiling lie in that memory from the
start; whether there is one, and what it holds, is found while lowering.

Numbers in texts become letters where these are known to others than Python (`text_fields.py`): those of ints are, those
of floats are not. A text that shows others is *open*: it is put anywhere, but nobody looks at its letters.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tracejit.frontend.arith import COMPARISONS
from tracejit.frontend.boundary.signature import constant_access
from tracejit.frontend.containers.tables import Special
from tracejit.frontend.context import Again, Context
from tracejit.frontend.control.choices import MAX_OPTIONS, has_many_letters
from tracejit.frontend.control.dependence import decided_by
from tracejit.frontend.syntax.trees import nodes_in
from tracejit.frontend.tensors.slices import slice_bounds
from tracejit.frontend.texts import joined_texts
from tracejit.frontend.texts.text_fields import is_open, put_field, text_inside
from tracejit.frontend.values import (
    ChoiceValue,
    FrontValue,
    GrowingList,
    MessageValue,
    Number,
    ObjectValue,
    OptionalValue,
    SharedText,
    SliceValue,
    Static,
    TupleValue,
    type_name,
)
from tracejit.ir.core import Value
from tracejit.ir.types import I64, ScalarType
from tracejit.messages import hidden

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls
    from tracejit.frontend.control.joins import Join
    from tracejit.frontend.control.loop_plan import Path
    from tracejit.frontend.control.loops import LoopLowering
    from tracejit.frontend.texts.text import Field


class Open:
    """What stands for open texts, as `str` does for others."""


# -- the memory ---------------------------------------------------------------------------------------------------


def make_memory(c: Calls, node: ast.AST) -> ObjectValue:
    """The memory at the start of a function, with the texts that are known when it is compiled."""
    from tracejit.frontend.written.texts import Memory

    known = c.ctx.pools_known.texts or {}
    letters = np.array([ord(letter) for text in known for letter in text], np.int64)
    counts = np.array([len(text) for text in known], np.int64)
    given: list[FrontValue] = [c.statics.hidden(a, constant_access(a)) for a in (letters, counts)]
    made = c.objects.construct(Memory, given, {}, node)
    assert isinstance(made, ObjectValue)
    made.fields = {**made.fields, "root": Static(str)}
    return made


def for_open_texts(c: Calls, node: ast.AST) -> ObjectValue:
    """The same memory, as that of texts whose letters nobody looks at."""
    fields = {**c.ctx.pools[str].fields, "root": Static(Open)}
    return c.ctx.new_object(ObjectValue(c.ctx.pools[str].cls, fields), node)


def memory_of(ctx: Context, root: type = str) -> ObjectValue:
    """The memory; everything is lowered again where there is none yet."""
    known = ctx.pools_known
    if known.texts is None:
        frames = [*ctx.frames()]
        found = (n for f in frames for n in nodes_in(f.source.node) if isinstance(n, ast.Constant))
        known.texts = {text: i for i, text in enumerate(dict.fromkeys(_short(n.value) for n in found))}
        raise Again
    return ctx.pools[root]


def _short(value: object) -> str:
    """A text that a function mentions and that may be needed; the empty one instead of others."""
    return value if isinstance(value, str) and len(value) <= 32 else ""


def _known(ctx: Context, text: str) -> int:
    """The number of a text that is known when compiling."""
    memory_of(ctx)
    return known_all(ctx, [text])[0]


def known_all(ctx: Context, texts: Sequence[str]) -> list[int]:
    """The numbers of several texts. Those that the memory has not yet are found in it when all is lowered again, which
    need not be before the others are found."""
    memory_of(ctx)
    known = ctx.pools_known.texts
    assert known is not None
    new = [t for t in dict.fromkeys(texts) if t not in known]
    if new:
        known.update(zip(new, range(len(known), len(known) + len(new)), strict=True))
        ctx.stale.add(str)
    return [known[t] for t in texts]


# -- texts as numbers -----------------------------------------------------------------------------------------------


def is_text(value: FrontValue) -> bool:
    """Whether a value is a text of any form."""
    return isinstance(value, MessageValue | SharedText) or type_name(value) == "str"


def is_never_empty(text: MessageValue) -> bool:
    """Whether a text has letters, or shows what has."""
    from tracejit.frontend.texts.text import pieces_of

    pieces = pieces_of(text)
    return any(p if isinstance(p, str) else not p.name.startswith(("letters(", "one_of(")) for p in pieces)


def stored(c: Calls, value: FrontValue, node: ast.AST) -> FrontValue:
    """A text in the memory; parts of a tuple as well, if they are made of run-time values. Others unchanged."""
    if isinstance(value, TupleValue):
        parts = tuple(stored(c, i, node) if isinstance(i, TupleValue | MessageValue) else i for i in value.items)
        return value if all(a is b for a, b in zip(parts, value.items, strict=True)) else TupleValue(parts, value.cls)
    if not is_text(value) or isinstance(value, OptionalValue):
        return value
    return at_number(c.ctx, number(c, value, node), is_open(value))


def at_number(ctx: Context, at: Value, is_open: bool) -> SharedText:
    """The text of a number."""
    return SharedText(at, memory_of(ctx, Open if is_open else str))


def kept(c: Calls, value: FrontValue, node: ast.AST) -> FrontValue:
    """What is put somewhere: text of run-time values in the memory; others unchanged."""
    return stored(c, value, node) if isinstance(value, MessageValue | TupleValue) else value


def number(c: Calls, value: FrontValue, node: ast.AST) -> Value:
    """The number of a text in the memory."""
    ctx = c.ctx
    memory = memory_of(ctx)
    match value:
        case SharedText(at):
            return at
        case Static(str() as text):
            return ctx.size_value(_known(ctx, str(text)))
        case ChoiceValue(index, options):
            return chosen(c, index, [str(o.value) for o in options])
        case MessageValue():
            return _made(c, memory, value, node)
        case _:
            ctx.at(node)
            text = f"sequence item 0: expected str instance, {type_name(value)} found"
            return c.arith.mismatch(TypeError(text), node)  # type: ignore[return-value]


def chosen(c: Calls, index: Value, texts: Sequence[str]) -> Value:
    """The number of one of several texts that are known when compiling."""
    numbers = np.array(known_all(c.ctx, texts), np.int64)
    return c.ctx.element(c.statics.hidden(numbers, constant_access(numbers)), (index,)).value


def _made(c: Calls, memory: ObjectValue, text: MessageValue, node: ast.AST) -> Value:
    """The number of a text that is put together now."""
    from tracejit.frontend.texts.text import pieces_of
    from tracejit.frontend.written.texts import finished, put_text

    several = joined_texts.several(text)
    if several is not None:
        return _one_of(c, *several, node)
    pieces = [_known_piece(c, piece, node) for piece in pieces_of(text)]
    known_all(c.ctx, [p for p in pieces if isinstance(p, str)])
    start = c.ctx.list_length(_letters(memory))
    c.ctx.at(node)
    for piece in pieces:
        if isinstance(piece, Value):
            c.call_object(put_text, [memory, Number(piece, weak=True)], {}, node)
        elif not isinstance(piece, str):
            put_field(c, memory, piece, node)
        elif piece:
            c.call_object(put_text, [memory, Static(_known(c.ctx, piece))], {}, node)
    return c.arith.scalar(c.call_object(finished, [memory, Number(start, weak=True)], {}, node))


def _known_piece(c: Calls, piece: str | Field, node: ast.AST) -> str | Field | Value:
    """A piece of a text; one that is itself one of several texts is made first: its number."""
    inner = None if isinstance(piece, str) else text_inside(piece)
    return piece if inner is None else number(c, inner, node)


def _one_of(c: Calls, index: Value, texts: Sequence[MessageValue], node: ast.AST) -> Value:
    """The number of one of several texts."""

    def among(i: int) -> FrontValue:
        if i == len(texts) - 1:
            return at_number(c.ctx, number(c, texts[i], node), True)
        here = c.ctx.b.emit("eq", (index, c.ctx.size_value(i)))[0]
        made = lambda: at_number(c.ctx, number(c, texts[i], node), True)  # noqa: E731
        return c.expressions.choose(node, here, made, lambda: among(i + 1))

    found = among(0)
    assert isinstance(found, SharedText)
    return found.at


def _letters(memory: ObjectValue) -> GrowingList:
    found = memory.fields["letters"]
    assert isinstance(found, GrowingList)
    return found


# -- what others need of the memory --------------------------------------------------------------------------------


def lists_of(ctx: Context) -> list[GrowingList]:
    """The letters of all texts, where each begins, and how many each has."""
    fields = memory_of(ctx).fields
    return [lst for name in ("letters", "start", "count") if isinstance(lst := fields[name], GrowingList)]


def words(ctx: Context) -> tuple[str, ...]:
    """What stands among the letters beside them: templates with the dtypes of what they show."""
    found = ctx.pools_known.fields
    dtypes = ([t.dtype.numpy_name for t in types if isinstance(t, ScalarType)] for _, types in found)
    named = zip(dtypes, (template for template, _ in found), strict=True)
    return tuple(hidden(" ".join((str(len(names)), *names, template))) for names, template in named)


def field(c: Calls, text: SharedText, node: ast.AST) -> tuple[str, tuple[Value, ...], tuple[Value, ...]]:
    """The field of a template that shows a text (`Text.field`)."""
    letters, starts, counts = lists_of(c.ctx)
    start, count = (c.arith.scalar(c.lists.get(lst, text.at)) for lst in (starts, counts))
    c.ctx.at(node)
    held = c.ctx.b.emit("list_part", (c.ctx.storage.bases[letters.storages[0]], start, count), names=("letters",))[0]
    others = map(repr, words(c.ctx)) if is_open(text) else ()
    return f"letters({','.join(('a0', *others))})", (), (held,)


def hash_of(c: Calls, text: FrontValue, node: ast.AST) -> FrontValue:
    """The number that `choices.text_hash` gives of a text."""
    from tracejit.frontend.written.texts import hashed

    _known_letters(c, node, text)
    return c.call_object(hashed, [memory_of(c.ctx), Number(number(c, text, node), weak=True)], {}, node)


def are_texts(*values: FrontValue | None) -> bool:
    """Whether all values are there, and texts."""
    return all(v is not None and is_text(v) for v in values)


def that_meet(join: Join, a: FrontValue | None, b: FrontValue | None) -> tuple[FrontValue | None, FrontValue | None]:
    """Texts of two paths in the memory; others unchanged."""
    if a is None or b is None or not are_texts(a, b):
        return a, b
    sides = ((join.then, a), (join.orelse, b))
    numbers = [join.inside(side, lambda x=x: number(join.arith.objects.c, x, join.node)) for side, x in sides]
    first, second = (at_number(join.ctx, at, is_open(a) or is_open(b)) for at in numbers)
    return first, second


def before_loop(loop: LoopLowering, path: Path, value: FrontValue) -> FrontValue:
    """A text that a loop's iterations put in the memory lies there before."""
    at = loop.outside(lambda: number(loop.arith.objects.c, value, loop.node))
    for c in (c for lst in lists_of(loop.ctx) for c in lst.storages):
        if c in loop.base_carry:  # attributes of objects come after what the loop hands on
            loop.base_carry[c].init = loop.entry_storage.bases[c]
        else:
            loop.ctx.storage.bases[c] = loop.entry_storage.bases[c]
    return at_number(loop.ctx, at, loop.plan.kept_texts[path] or is_open(value))


def behind_trip(loop: LoopLowering, path: Path, head: FrontValue, end: FrontValue) -> None:
    """Hand on a text that is in the memory at the start of an iteration, or at its end."""
    if isinstance(head, SharedText) and (is_open(head) or not is_open(end)):
        loop.number_carry[path].next = number(loop.arith.objects.c, end, loop.node)
    else:
        loop.plan.kept_texts[path] = is_open(end)
        loop.plan.changed = True


def operated(c: Calls, op: str, x: FrontValue, y: FrontValue, node: ast.AST) -> FrontValue | None:
    """`x op y` where the letters of a text that is made at run time matter; None for others."""
    made, both = (MessageValue, SharedText), is_text(x) and is_text(y)
    if op in COMPARISONS:
        if not (isinstance(x, made) or isinstance(y, made)) or not both:
            return None
    elif op == "add" and both and isinstance(x, ChoiceValue) and isinstance(y, ChoiceValue):
        if len(x.options) * len(y.options) <= MAX_OPTIONS:
            return None
    elif (
        (not isinstance(x, SharedText) and not isinstance(y, SharedText))
        or op not in ("add", "mul")
        or any(isinstance(v, ObjectValue | OptionalValue) for v in (x, y))
    ):
        return None
    return c.objects.binary(op, stored(c, x, node), stored(c, y, node), node)


def subscripted(c: Calls, text: str, index: FrontValue, node: ast.AST) -> FrontValue | None:
    """A part of a text that is known when compiling, or a letter of many, at places known at run time; None for
    others."""
    if c.ctx.loops_to_unroll():
        return None
    match index:
        case SliceValue(start, stop, step) if any(is_unknown(c.ctx, part) for part in (start, stop, step)):
            pass
        case Number() if has_many_letters(text):
            pass
        case _:
            return None
    return c.objects.special(stored(c, Static(text), node), "__getitem__", [index], node)


def times(c: Calls, text: FrontValue, count: FrontValue, node: ast.AST) -> FrontValue:
    """`text * count`."""
    made = c.objects.special(stored(c, text, node), "__mul__", [count], node)
    assert made is not None
    return made


def is_unknown(ctx: Context, place: FrontValue | None) -> bool:
    """Whether a place depends on data, and not on arguments that could be compiled in."""
    return (
        isinstance(place, Number) and ctx.static_request(place.value) is None and decided_by(ctx, place.value).by_data
    )


# -- for the definitions --------------------------------------------------------------------------------------------


def _part_of(c: Calls, node: ast.AST, at: FrontValue, length: FrontValue) -> FrontValue:
    assert isinstance(at, SliceValue)
    parts = slice_bounds(c.ctx, at, c.ctx.as_size(length, node), node)
    return TupleValue(tuple(Static(p) if isinstance(p, int) else Number(p, weak=True) for p in parts))


def _known_letters(c: Calls, node: ast.AST, *texts: FrontValue) -> FrontValue:
    if any(map(is_open, texts)):
        reason = "this looks at the letters of text that shows floats, which Python alone can write"
        c.ctx.refuse(node, reason, "keep the numbers, and make text of them where it is printed or returned")
    return Static(None)


def _ascii_only(c: Calls, node: ast.AST, *texts: FrontValue) -> FrontValue:
    """Refuse what depends on more than ASCII of text in which other letters may be."""
    if not all(text.isascii() for text in c.ctx.pools_known.texts or {}) or c.ctx.pools_known.has_codes:
        c.ctx.refuse(node, "this method of text made at run time knows ASCII only", "use ASCII letters")
    return _known_letters(c, node, *texts)


def _no_method(c: Calls, node: ast.AST, name: FrontValue) -> FrontValue:
    assert isinstance(name, Static)
    if not hasattr(str, name.value):
        c.ctx.check_false("AttributeError", f"'str' object has no attribute '{name.value}'")
    instead = "find, split, join and the like; text with run-time numbers can be printed, raised and returned"
    return c.ctx.refuse(node, f"{name.value}() of text that is known at run time only is outside the language", instead)


#: The number of a text of any form; the text of a number, which is made of others; start, count and step of a slice of
#: so many; refuse text that shows floats, and text with other letters than those of ASCII; what a method that is not
#: here does.
number_of = Special(lambda c, node, text: Number(number(c, text, node), weak=True))
text_at = Special(lambda c, node, at, *of: at_number(c.ctx, c.arith.scalar(at, I64), any(map(is_open, of))))
part_of = Special(_part_of)
known_letters = Special(_known_letters)
ascii_only = Special(_ascii_only)
no_method = Special(_no_method)
