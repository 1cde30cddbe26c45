"""Builtins of all items of a list: `print(*items)`, `max(*items)` and `min(*items)`."""

from __future__ import annotations

from typing import Any


def print_items(items: Any, sep: Any = " ", end: Any = "\n") -> None:
    """print(*items, sep=sep, end=end)."""
    sep, end = " " if sep is None else sep, "\n" if end is None else end
    for i in range(len(items)):
        if i > 0:
            print(end=sep)
        print(items[i], end="")
    print(end=end)


def largest(items: Any) -> Any:
    """max(*items)."""
    _require_several(items, "max")
    return max(items)


def smallest(items: Any) -> Any:
    """min(*items)."""
    _require_several(items, "min")
    return min(items)


def _require_several(items: Any, name: Any) -> None:
    if len(items) == 0:
        raise TypeError(f"{name} expected at least 1 argument, got 0")
    if len(items) == 1:
        raise TypeError(f"'{type(items[0]).__name__}' object is not iterable")
