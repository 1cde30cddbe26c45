"""Whether operations are recorded for differentiation: a switch per thread, `no_grad` and `enable_grad`.

The thread's tracer (`traceable.py`) is kept beside it.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import ContextDecorator, nullcontext
from typing import Any, ClassVar, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class _Mode(threading.local):
    enabled: bool = True
    tracer: Any = None  #: what records the operations of this thread (`tj.trace`)


MODE = _Mode()


def is_grad_enabled() -> bool:
    """Whether this thread records operations."""
    return MODE.enabled


class _GradMode:
    """A context manager and decorator that sets the switch and puts it back; may be entered again while open."""

    value: ClassVar[bool]

    def __new__(cls, fn: Callable[..., Any] | None = None) -> Any:
        mode = super().__new__(cls)
        mode._before = []
        return mode if fn is None else mode(fn)

    def __init__(self, fn: Callable[..., Any] | None = None) -> None:
        self._before: list[bool]

    def __enter__(self) -> None:
        self._before.append(MODE.enabled)
        MODE.enabled = self.value

    def __exit__(self, *exception: object) -> None:
        MODE.enabled = self._before.pop()

    def __call__(self, fn: Function) -> Function:
        mode = type(self)

        @functools.wraps(fn)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with mode():
                return fn(*args, **kwargs)

        return inside  # type: ignore[return-value]


class no_grad(_GradMode):
    """Inside, nothing is recorded: results do not require gradients."""

    value = False


class enable_grad(_GradMode):
    """Inside, operations are recorded, also within `no_grad`."""

    value = True


class _Unchanged(nullcontext[None], ContextDecorator):
    """A context manager and decorator that leaves the switch as it is."""


class inference_mode(no_grad):
    """As `no_grad`; `inference_mode(False)` changes nothing."""

    def __new__(cls, mode: Any = True) -> Any:
        if mode is False:
            return _Unchanged()
        return super().__new__(cls, None if mode is True else mode)

    def __init__(self, mode: Any = True) -> None:
        super().__init__()


class set_grad_enabled:
    """Set the switch at once; used as a context manager, put it back at the end of the block."""

    def __init__(self, mode: bool) -> None:
        self._before = MODE.enabled
        MODE.enabled = bool(mode)

    def __enter__(self) -> None:
        return None

    def __exit__(self, *exception: object) -> None:
        MODE.enabled = self._before
