"""`import` statements: modules, and what they hold, as compile-time objects."""

from __future__ import annotations

import ast
import importlib
import sys

from tracejit.frontend.boundary.statics import Statics
from tracejit.frontend.syntax.source import note_read
from tracejit.frontend.values import FrontValue, Static


def import_(statics: Statics, s: ast.Import | ast.ImportFrom) -> None:
    """Imports: modules are bound as compile-time objects, what they hold as it is where it is read by its name."""
    frame = statics.ctx.frame
    for alias in s.names:
        try:
            name, value = _imported(statics, s, alias)
        except ImportError as error:
            note_read(error)
            statics.ctx.check_false(type(error).__name__, str(error))
        frame.env[name] = value


def _imported(statics: Statics, s: ast.Import | ast.ImportFrom, alias: ast.alias) -> tuple[str, FrontValue]:
    """The name that an import binds, and what it stands for."""
    if isinstance(s, ast.Import):
        note_read(importlib.import_module(alias.name))
        first = alias.name.split(".")[0]
        return alias.asname or first, Static(sys.modules[alias.name if alias.asname else first])
    package = statics.ctx.frame.source.globals.get("__package__")
    module = importlib.import_module("." * s.level + (s.module or ""), package)
    note_read(module)
    bound = alias.asname or alias.name
    if not hasattr(module, alias.name):
        try:
            found = importlib.import_module(f"{module.__name__}.{alias.name}")
        except ModuleNotFoundError:
            return bound, statics.not_imported(module, alias.name)
        note_read(found)
        return bound, Static(found)
    return bound, statics.attribute(module, alias.name, s)
