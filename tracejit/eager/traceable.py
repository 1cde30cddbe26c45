"""The hook of `tj.trace`: while a thread traces, public functions and methods are recorded instead of run.

A tracer is an object with `function(fn, args, kwargs)` and `method(name, args, kwargs)` (`args[0]` is the receiver).
Nothing here knows what recording means.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from tracejit.eager.modes import MODE

F = TypeVar("F", bound=Callable[..., Any])


def traceable(function: F) -> F:
    """The function, handed to the tracer where this thread has one."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        tracer = MODE.tracer
        return function(*args, **kwargs) if tracer is None else tracer.function(call, args, kwargs)

    call.__tracejit_public__ = call  # type: ignore[attr-defined]
    return call  # type: ignore[return-value]


def is_public(function: Any) -> bool:
    """Whether this is one of these functions, which scripts know by themselves and not by their source."""
    return getattr(function, "__tracejit_public__", None) is function  # what wraps one has its attributes


def traceable_method(name: str, method: Any) -> Any:
    """A method or property of `Tensor`, likewise, under the name it is called by."""
    if isinstance(method, property):
        getter = None if method.fget is None else traceable_method(name, method.fget)
        setter = None if method.fset is None else traceable_method(f"{name} =", method.fset)
        return property(getter, setter, method.fdel, method.__doc__)

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        tracer = MODE.tracer
        return method(*args, **kwargs) if tracer is None else tracer.method(name, args, kwargs)

    return call
