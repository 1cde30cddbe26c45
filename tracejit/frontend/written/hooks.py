"""Hooks around the `forward` of a module."""

from __future__ import annotations

from typing import Any


def with_hooks(module: Any, forward: Any, before: Any, after: Any, args: Any, kwargs: Any) -> Any:
    """`forward(*args, **kwargs)` with hooks, each beside whether it takes the keyword arguments."""
    for hook, takes_kwargs in before:
        given = hook(module, args, kwargs) if takes_kwargs else hook(module, args)
        if given is None:
            continue
        if takes_kwargs:
            args, kwargs = given
        else:
            args = given if isinstance(given, tuple) else (given,)
    output = forward(*args, **kwargs)
    for hook, takes_kwargs in after:
        replaced = hook(module, args, kwargs, output) if takes_kwargs else hook(module, args, output)
        output = output if replaced is None else replaced
    return output
