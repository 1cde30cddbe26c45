"""Texts that meet where paths and iterations do: one text that shows one of several, each with values of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracejit.frontend.control.choices import MAX_LETTERS, MAX_OPTIONS
from tracejit.frontend.control.joined_numbers import unread
from tracejit.frontend.control.loop_plan import Kind, Path, label
from tracejit.frontend.texts import made_texts
from tracejit.frontend.values import ChoiceValue, FrontValue, MessageValue, Static
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.types import I64, ScalarType, Type
from tracejit.messages import escape, hidden, uncovered
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.frontend.control.joins import Join
    from tracejit.frontend.control.loops import LoopLowering

#: How a field of several templates begins; its text is a call, as those of all fields.
_SEVERAL = "{one_of("

#: What a loop has more texts of would be ever more.
_MOST_IN_LOOPS = 8


@record
class _Alternatives:
    """The texts that a value may be: a single one, or one of several by an index."""

    index: Value | None
    values: dict[Kind, tuple[Value, ...]]

    def parts(self, b: Builder, kinds: Sequence[Kind]) -> list[Value | None]:
        """Which of several kinds it is, and the values of all of them; None: those of one that it is not."""
        places = [self._place(b, kinds)] if len(kinds) > 1 else []
        shown = (self.values.get(kind, (None,) * len(kind[1])) for kind in kinds)
        return [*places, *(v for values in shown for v in values)]

    def _place(self, b: Builder, kinds: Sequence[Kind]) -> Value:
        *others, found = (b.constant(kinds.index(kind), ScalarType(I64)) for kind in self.values)
        for i, other in enumerate(others):
            assert self.index is not None
            here = b.emit("eq", (self.index, b.constant(i, ScalarType(I64))))[0]
            found = b.emit("select", (here, other, found))[0]
        return found


def joined(join: Join, name: str, a: FrontValue | None, b: FrontValue | None) -> FrontValue | None:
    """The text that is `a` on one path and `b` on the other (None: unspecified): what it shows, or in the memory of
    texts, where two show arrays, or where there are too many. None where one is no text, or both are known."""
    if MessageValue not in (type(a), type(b)):
        is_chosen = ChoiceValue in (type(a), type(b)) and made_texts.are_texts(a, b)
        return join.shared(name, *made_texts.that_meet(join, a, b)) if is_chosen else None
    if a is None or b is None:
        return _brought_out(join, a, b)
    kinds = kinds_of(a, b)
    first, second = _alternatives(a), _alternatives(b)
    if kinds is None or first is None or second is None:
        return join.shared(name, *made_texts.that_meet(join, a, b)) if made_texts.are_texts(a, b) else None
    sides = first.parts(join.then.b, kinds), second.parts(join.orelse.b, kinds)
    return _text(kinds, [join.yield_pair(x, y, t, "shown") for x, y, t in zip(*sides, _types(kinds), strict=True)])


def kinds_of(*values: FrontValue, most: int = MAX_OPTIONS) -> tuple[Kind, ...] | None:
    """The kinds of text that values may be; None where one is no text, one shows arrays, or there are too many."""
    found = [_alternatives(v) for v in values]
    kinds = sorted({kind for a in found if a is not None for kind in a.values}, key=str)
    is_known = None not in found and len(kinds) <= most
    return tuple(kinds) if is_known and sum(len(template) for template, _ in kinds) <= MAX_LETTERS else None


def _text(kinds: Sequence[Kind], values: Sequence[Value]) -> MessageValue:
    """The text that shows one of several kinds, by an index before the values of all of them, or the only one."""
    if len(kinds) == 1:
        return MessageValue(kinds[0][0], tuple(values))
    parts = [f"'{hidden(template)}',{len(types)}" for template, types in kinds]
    named = [f"v{i}" for i in range(len(values))]
    return MessageValue(f"{_SEVERAL}{len(kinds)},{','.join(parts + named)})}}", tuple(values))


def _types(kinds: Sequence[Kind]) -> list[Type]:
    """The types of what `_text` shows."""
    return [*([ScalarType(I64)] if len(kinds) > 1 else []), *(t for _, types in kinds for t in types)]


def _brought_out(join: Join, a: FrontValue | None, b: FrontValue | None) -> MessageValue:
    """The text of the only side that has one."""
    known = a if a is not None else b
    assert isinstance(known, MessageValue)
    values = [join.yield_pair(*((v, None) if b is None else (None, v)), v.type, "shown") for v in known.values]
    arrays = [join.base(*((v, None) if b is None else (None, v)), "shown") for v in known.arrays]
    return MessageValue(known.template, tuple(values), tuple(arrays))


def _alternatives(value: FrontValue) -> _Alternatives | None:
    """The texts that a value may be; None where it is no text, or shows arrays."""
    match value:
        case Static(str() as text):
            return _Alternatives(None, {(escape(text), ()): ()})
        case ChoiceValue(index, (Static(str()), *_) as options):
            return _Alternatives(index, {(escape(o.value), ()): () for o in options})
        case MessageValue(template, values, ()):
            parts = _parts(template)
            if parts is None:
                return _Alternatives(None, {_kind(template, values): values})
            rest, found = values[1:], dict[Kind, tuple[Value, ...]]()
            for own, count in parts:
                found[_kind(own, rest[:count])], rest = rest[:count], rest[count:]
            return _Alternatives(values[0], found)
        case _:
            return None


def _kind(template: str, values: Sequence[Value]) -> Kind:
    return template, tuple(v.type for v in values)


def _parts(template: str) -> list[tuple[str, int]] | None:
    """The templates of which one is shown, each with the number of its values; None for a template of its own."""
    inside = template[1:-1]
    if not (template.startswith(_SEVERAL) and template.endswith(")}")) or "{" in inside or "}" in inside:
        return None
    count, *rest = template.removeprefix(_SEVERAL).split(",")
    parts = rest[: 2 * int(count)]
    return [(uncovered(word.strip("'")), int(n)) for word, n in zip(parts[::2], parts[1::2], strict=True)]


def several(text: MessageValue) -> tuple[Value, list[MessageValue]] | None:
    """The texts of which one shows, and which that is; None for a text of its own."""
    found, is_one_of = _alternatives(text), _parts(text.template) is not None
    if found is None or found.index is None or not is_one_of:
        return None
    return found.index, [MessageValue(kind[0], values) for kind, values in found.values.items()]


# -- in loops -------------------------------------------------------------------------------------------------------


def head(loop: LoopLowering, path: Path, value: FrontValue) -> FrontValue:
    """A text at the start of an iteration; one that shows arrays is what it was."""
    found = _alternatives(value)
    kinds = loop.plan.texts.get(path) or kinds_of(value)
    if found is None or kinds is None:
        return value
    loop.plan.texts[path] = kinds
    given = loop.outside(lambda: found.parts(loop.outer, kinds))
    carries = loop.text_carry[path] = [
        loop.carry(unread(loop.outer, t) if v is None else v, t, label(path))
        for v, t in zip(given, _types(kinds), strict=True)
    ]
    return _text(kinds, [c.param for c in carries])


def end(loop: LoopLowering, path: Path, before: FrontValue, after: FrontValue) -> bool:
    """Hand on a text at the end of an iteration; whether both are texts."""
    if after is before or not made_texts.are_texts(before, after):
        return False
    kinds, found = kinds_of(before, after, most=_MOST_IN_LOOPS), _alternatives(after)
    if kinds is None or found is None:
        made_texts.behind_trip(loop, path, before, after)
        return True
    if kinds != loop.plan.texts.get(path):
        loop.plan.texts[path], loop.plan.changed = kinds, True
        return True
    for carry, value in zip(loop.text_carry[path], found.parts(loop.ctx.b, kinds), strict=True):
        carry.next = carry.param if value is None else value
    return True
