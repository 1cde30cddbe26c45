"""Functions that a script runs while it is compiled, not when it is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracejit.frontend.values import Static


class CompileTime:
    """A function without arguments and result that brings outside objects into the state the script expects. It must
    change nothing where they are in that state already: what it changed is guarded like any other outer value."""

    def __init__(self, fn: Callable[[], None]) -> None:
        self.fn = fn

    def __call__(self) -> None:
        self.fn()

    def __tracejit_lower__(self, calls: Any, args: list[Any], kwargs: dict[str, Any], node: Any) -> Any:
        self.fn()
        return Static(None)
