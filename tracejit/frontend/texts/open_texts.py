"""Texts that show floats, by a format or a method of `str`: Python alone writes them, and what comes of them."""

from __future__ import annotations

from collections.abc import Sequence

from tracejit.frontend.texts.text_fields import is_open
from tracejit.frontend.values import FrontValue, MessageValue, Number, Static
from tracejit.ir.core import Value
from tracejit.messages import hidden

#: Methods that make a text of one, and of texts and ints.
_METHODS = frozenset(
    "capitalize center expandtabs ljust lower lstrip removeprefix removesuffix replace rjust rstrip strip swapcase "
    "title upper zfill".split()
)


def has_known_letters(text: MessageValue) -> bool:
    """Whether a text is better put in the memory of texts, which takes formats and methods of it."""
    return not is_open(text) or bool(text.arrays)


def by_format(text: MessageValue, spec: str) -> tuple[str, tuple[Value, ...], tuple[Value, ...]]:
    """The field that shows a text by a format."""
    return f"formatted({hidden('{0:' + spec + '}')!r},{_name(text)})", text.values, ()


def by_method(text: FrontValue, name: str, args: Sequence[FrontValue]) -> MessageValue | None:
    """What a method of `str` makes of a text; None where its letters are known, and for other methods."""
    if not isinstance(text, MessageValue) or has_known_letters(text) or name not in _METHODS:
        return None
    parts, values = [repr(name), _name(text)], list(text.values)
    try:
        getattr("", name)(*(a.value if isinstance(a, Static) else 1 for a in args))
    except (TypeError, ValueError):
        return None
    for arg in args:
        match arg:
            case Static(str() as word):
                parts.append(f"text(0,{hidden(word)!r})")
            case Static(int() as number):
                parts.append(str(number))
            case Number(_, True) if arg.dtype.is_integer:
                parts.append(f"v{len(values)}")
                values.append(arg.value)
            case _:
                return None
    return MessageValue("{" + f"called({','.join(parts)})" + "}", tuple(values))


def _name(text: MessageValue) -> str:
    """A text as a part of what a field is made of."""
    values = "".join(f",v{i}" for i in range(len(text.values)))
    return f"formatted({hidden(text.template)!r}{values})"
