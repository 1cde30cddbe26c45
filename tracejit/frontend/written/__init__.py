"""NumPy functions written in the language itself, in terms of those that tracejit defines.

A script that calls `np.nanstd` gets the function of this package inlined. Its statements are lowered as the user's
are, so shapes, dtypes, errors and derivatives follow from what it calls; every op and error belongs to the user's
line. Arguments that decide a shape or a path (`axis`, `mode`, flags) are compile-time values here too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any


class Library:
    """A function of tracejit's by its name, for definitions here to call."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __tracejit_lower__(self, calls: Any, args: Any, kwargs: Any, node: Any) -> Any:
        from tracejit.frontend.arrays import function

        return function(calls, self.name, args, kwargs, node)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"{self.name} is called inside scripts only")


_WRITTEN: dict[Any, Callable[..., Any]] = {}
_METHODS: dict[str, Callable[..., Any]] = {}


def written(*functions: Any, methods: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a definition for functions of NumPy, and for methods of arrays."""

    def register(fn: Callable[..., Any]) -> Callable[..., Any]:
        _WRITTEN.update(dict.fromkeys(functions, fn))
        _METHODS.update(dict.fromkeys(methods.split(), fn))
        return fn

    return register


@cache
def _load() -> None:
    """Import the definitions, once a script needs one."""
    for module in ("arrangement", "numbers", "selection", "statistics", "ufuncs"):
        importlib.import_module(f"{__name__}.{module}")


def replacement(fn: Any) -> Callable[..., Any] | None:
    """The definition for a function of NumPy; None where there is none."""
    _load()
    try:
        return _WRITTEN.get(fn)
    except TypeError:
        return None


def method_replacement(name: str) -> Callable[..., Any] | None:
    """The definition for a method of arrays; None where there is none."""
    _load()
    return _METHODS.get(name)
