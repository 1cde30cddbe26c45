"""What Python says in an error, where its versions say it in different words."""

from __future__ import annotations

import sys
from typing import Literal

_IS_3_14 = sys.version_info >= (3, 14)

_BY_ZERO = {
    ("int", "div"): "division by zero",
    ("int", "floordiv"): "integer division or modulo by zero",
    ("int", "mod"): "integer modulo by zero",
    ("float", "div"): "float division by zero",
    ("float", "floordiv"): "float floor division by zero",
    ("float", "mod"): "float modulo by zero" if sys.version_info >= (3, 13) else "float modulo",
    ("complex", "div"): "complex division by zero",
}

#: 0 to a negative power.
ZERO_TO_NEGATIVE = "zero to a negative power" if _IS_3_14 else "0.0 cannot be raised to a negative power"

#: An argument outside the domain of a function of `math`.
OUTSIDE_DOMAIN = "math domain error"

#: The same by function from Python 3.14 on; `{0}` is the argument.
_OUTSIDE = {
    "sqrt": "expected a nonnegative input, got {0}",
    **dict.fromkeys(("log", "log2", "log10"), "expected a positive input, got {0}"),
    "log1p": "expected argument value > -1, got {0}",
    **dict.fromkeys(("asin", "acos"), "expected a number in range from -1 up to 1, got {0}"),
    "acosh": "expected argument value not less than 1, got {0}",
    "atanh": "expected a number between -1 and 1, got {0}",
    **dict.fromkeys(("sin", "cos", "tan"), "expected a finite input, got {0}"),
    **dict.fromkeys(("gamma", "lgamma"), "expected a noninteger or positive integer, got {0}"),
}


def divided_by_zero(kind: Literal["int", "float", "complex"], name: str) -> str:
    """`/`, `//` or `%` (`div`, `floordiv`, `mod`) of numbers of a kind by zero."""
    return "division by zero" if _IS_3_14 else _BY_ZERO[kind, name]


def outside_domain(name: str, *, is_int: bool) -> str:
    """An argument outside the domain of `math.name`, which `{0}` may show; logarithms do not show an int."""
    if not _IS_3_14:
        return OUTSIDE_DOMAIN
    text = _OUTSIDE[name]
    return text.removesuffix(", got {0}") if is_int and name in ("log", "log2", "log10") else text


def too_many(wanted: int, given: int | str | None = None) -> str:
    """More values than targets; `given` is how many there are, in a list, a tuple or a dict."""
    shown = f", got {given}" if _IS_3_14 and given is not None else ""
    return f"too many values to unpack (expected {wanted}{shown})"
