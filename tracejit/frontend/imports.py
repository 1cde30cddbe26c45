"""`import` statements: modules, and what they hold, as compile-time objects."""

from __future__ import annotations

import ast
import importlib
import sys
from typing import Any

from tracejit.frontend.context import Context
from tracejit.frontend.values import Static


def import_(ctx: Context, s: ast.Import | ast.ImportFrom) -> None:
    """Imports of modules that are loaded already, bound as compile-time objects."""
    for alias in s.names:
        try:
            name, value = _imported(ctx, s, alias)
        except ImportError as error:
            ctx.check_false(type(error).__name__, str(error))
        ctx.frame.env[name] = Static(value)


def _imported(ctx: Context, s: ast.Import | ast.ImportFrom, alias: ast.alias) -> tuple[str, Any]:
    """The name that an import binds, and what it stands for."""
    if isinstance(s, ast.Import):
        importlib.import_module(alias.name)
        first = alias.name.split(".")[0]
        return alias.asname or first, sys.modules[alias.name if alias.asname else first]
    package = ctx.frame.source.globals.get("__package__")
    module = importlib.import_module("." * s.level + (s.module or ""), package)
    found = getattr(module, alias.name, None)
    if found is None and not hasattr(module, alias.name):
        try:
            found = importlib.import_module(f"{module.__name__}.{alias.name}")
        except ModuleNotFoundError:
            raise ImportError(f"cannot import name {alias.name!r} from {module.__name__!r}") from None
    return alias.asname or alias.name, found
