"""Which Python functions can be called while compiling."""

from __future__ import annotations

import types
from typing import Any

#: Methods of sets that change nothing.
_SET_METHODS = frozenset(
    ("union", "intersection", "difference", "symmetric_difference", "issubset", "issuperset", "isdisjoint", "copy")
)

#: What has methods that change nothing.
_VALUES = int | float | complex | tuple | range | slice | frozenset


def is_pure_builtin(fn: Any) -> bool:
    """Whether a function has no effect, so that it can be called while compiling."""
    own = getattr(fn, "__self__", None)
    if isinstance(fn, types.BuiltinMethodType) and isinstance(own, _VALUES):
        return True
    if isinstance(fn, types.BuiltinMethodType) and isinstance(own, set):
        return fn.__name__ in _SET_METHODS
    module = getattr(fn, "__module__", None) or ""
    return module.split(".")[0] in ("builtins", "math", "cmath", "operator", "numpy") or fn in (
        str,
        int,
        float,
        bool,
        complex,
    )
