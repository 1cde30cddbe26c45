"""Functions that remember their results."""

from __future__ import annotations

from typing import Any

from tracejit.frontend.written import refuse


def remembering(fn: Any) -> Any:
    """functools.cache."""
    known: Any = {}

    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:  # Python remembers these apart
            refuse("a function that remembers its results is called without keywords in a script", "f(a, b)")
        if args in known:
            return known[args]
        found = fn(*args)
        known[args] = found
        return found

    return call


def same(fn: Any) -> Any:
    """What `functools.wraps` does to a function, names and texts left out."""
    return fn
