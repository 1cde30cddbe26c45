"""Builtins of all items of lists: `print(a, *items)`, `max(*items, b)` and `min(*items)`."""

from __future__ import annotations

from typing import Any


def print_parts(parts: Any, sep: Any = " ", end: Any = "\n") -> None:
    """print() of the items of several tuples and lists."""
    sep, end = " " if sep is None else sep, "\n" if end is None else end
    begun = False
    for part in parts:
        for item in part:
            if begun:
                print(end=sep)
            print(item, end="")
            begun = True
    print(end=end)


def largest(parts: Any) -> Any:
    """max() of the items of several tuples and lists."""
    return max(_several(parts, "max"))


def smallest(parts: Any) -> Any:
    """min() of the items of several tuples and lists."""
    return min(_several(parts, "min"))


def _several(parts: Any, name: Any) -> Any:
    items = []
    for part in parts:
        items.extend(part)
    if len(items) == 0:
        raise TypeError(f"{name} expected at least 1 argument, got 0")
    if len(items) == 1:
        raise TypeError(f"'{type(items[0]).__name__}' object is not iterable")
    return items
