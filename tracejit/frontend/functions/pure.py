"""Which Python functions can be called while compiling."""

from __future__ import annotations

import sys
import types
from enum import Enum
from typing import Any

import numpy as np

#: Methods of sets that change nothing.
_SET_METHODS = frozenset(
    ("union", "intersection", "difference", "symmetric_difference", "issubset", "issuperset", "isdisjoint", "copy")
)

#: What has methods that change nothing.
_VALUES = (int, float, complex, tuple, range, slice, frozenset)

#: Builtins that read or change more than their arguments.
_IMPURE = frozenset(
    ("__import__", "breakpoint", "compile", "delattr", "dir", "eval", "exec", "exit", "globals", "help", "input")
    + ("license", "locals", "open", "quit")
)

#: NumPy's that read files or settings, or change settings.
_NUMPYS_IMPURE = frozenset(
    ("DataSource", "datetime64", "errstate", "fromfile", "fromregex", "genfromtxt", "get_printoptions", "getbufsize")
    + ("geterr", "geterrcall", "info", "load", "loadtxt", "memmap", "printoptions", "save", "savetxt", "savez")
    + ("savez_compressed", "set_printoptions", "setbufsize", "seterr", "seterrcall", "show_config", "show_runtime")
)


def is_pure_builtin(fn: Any) -> bool:
    """Whether a function has no effect and its result depends on its arguments only, so that it can be called while
    compiling."""
    own = getattr(fn, "__self__", None)
    if isinstance(fn, types.BuiltinMethodType) and isinstance(own, _VALUES):
        return True
    if isinstance(fn, types.BuiltinMethodType) and isinstance(own, set):
        return fn.__name__ in _SET_METHODS
    name, module = getattr(fn, "__name__", ""), (getattr(fn, "__module__", None) or "").split(".")
    if module[0] == "numpy":
        return name not in _NUMPYS_IMPURE and module[1:2] not in (["random"], ["testing"])
    return module[0] in ("builtins", "math", "cmath", "operator") and name not in _IMPURE


def is_settled(value: Any) -> bool:
    """Whether what Python finds out about a value depends on nothing that no guard tells: it runs no method of a class
    of the user."""
    if isinstance(value, tuple):
        return all(map(is_settled, value))
    module = type(value).__module__.split(".", maxsplit=1)[0]
    return isinstance(value, Enum) or module in sys.stdlib_module_names or module in ("numpy", "tracejit")


#: The methods that builtins call: without any, they raise.
_CALLED = {
    len: ("__len__",),
    round: ("__round__",),
    chr: ("__index__",),
    int: ("__int__", "__index__", "__trunc__"),
    float: ("__float__", "__index__"),
    complex: ("__complex__", "__float__", "__index__"),
}


def runs_nothing(fn: Any, value: Any) -> bool:
    """Whether Python finds out what a builtin makes of a value without a method of a class of the user."""
    return is_settled(value) or (fn in _CALLED and not any(hasattr(type(value), name) for name in _CALLED[fn]))


def has_same_hash(value: Any) -> bool:
    """Whether another process finds the same hash for an equal value, and runs over sets of such in the same order."""
    if isinstance(value, tuple | set | frozenset):
        return all(map(has_same_hash, value))
    return isinstance(value, bool | int | float | complex | np.number)


def has_same_text(value: Any) -> bool:
    """Whether another process finds the same text for an equal value: it holds no address, and no order of a set."""
    if isinstance(value, tuple):
        return all(map(has_same_text, value))
    plain = isinstance(value, bool | int | float | complex | str | bytes | types.NoneType | types.EllipsisType)
    return plain or isinstance(value, type | np.generic | np.dtype | Enum)
