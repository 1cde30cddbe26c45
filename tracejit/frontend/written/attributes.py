"""`hasattr` and `getattr` where functions of the user's decide."""

from __future__ import annotations

from typing import Any


def has_attribute(thing: Any, name: Any) -> Any:
    """hasattr(thing, name)."""
    try:
        getattr(thing, name)
    except AttributeError:
        return False
    return True


def attribute_or(thing: Any, name: Any, default: Any) -> Any:
    """getattr(thing, name, default)."""
    try:
        return getattr(thing, name)
    except AttributeError:
        return default
