"""Calls of Python objects that the front end lowers itself: which handler stands for which object."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tracejit.frontend.values import FrontValue

if TYPE_CHECKING:
    from tracejit.frontend.calls import Calls

Handler = Callable[["Calls", list[FrontValue], dict[str, FrontValue], ast.AST], FrontValue]
HANDLERS: dict[Any, Handler] = {}


def handles(*functions: Any) -> Callable[[Handler], Handler]:
    """Register a handler for Python objects."""

    def register(handler: Handler) -> Handler:
        for fn in functions:
            HANDLERS[fn] = handler
        return handler

    return register
