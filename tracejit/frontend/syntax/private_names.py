"""Names that begin with two underscores: in a class they are names of that class."""

from __future__ import annotations

import ast
import types
from typing import Any

#: The identifiers of nodes; nested functions and handlers bind names like all others.
_IDENTIFIERS = ("attr", "id", "arg", "name", "asname")


def with_private_names(node: Any, code: types.CodeType) -> Any:
    """The tree of a function with the names that its compiled code has."""
    prefix = _prefix(code.co_qualname.split("."))
    if prefix is None or not _mentions(code, f"{prefix}__"):
        return node
    for inner in ast.walk(node):
        if inner is node:
            continue
        for field in _IDENTIFIERS:
            name = getattr(inner, field, None)
            if isinstance(name, str) and _is_private(name):
                setattr(inner, field, prefix + name)
        if isinstance(inner, ast.Global | ast.Nonlocal):
            inner.names = [prefix + n if _is_private(n) else n for n in inner.names]
    return node


def _prefix(path: list[str]) -> str | None:
    """What the class around a function puts before private names; None where there is no class around it."""
    at = len(path) - 2
    while at >= 0 and path[at] == "<locals>":
        at -= 2
    name = path[at].lstrip("_") if at >= 0 else ""
    return f"_{name}" if name else None


def _is_private(name: str) -> bool:
    return name.startswith("__") and not name.endswith("__")


def _mentions(code: types.CodeType, start: str) -> bool:
    """Whether a function, or one in it, uses a name that begins so."""
    names = (*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars)
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return any(n.startswith(start) for n in names) or any(_mentions(c, start) for c in inner)
