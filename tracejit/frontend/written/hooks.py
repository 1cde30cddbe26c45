"""What modules do in scripts: hooks around `forward`, and taking over what another one holds."""

from __future__ import annotations

from typing import Any

import tracejit as tj


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


def load_state(module: str, trios: Any) -> None:
    """Copy into tensors what is given for each, by name."""
    for name, own, given in trios:
        if given.shape != own.shape:
            raise RuntimeError(
                f"Error(s) in loading state_dict for {module}:\n\tsize mismatch for {name}: the given shape is "
                f"{given.shape}, the module's {own.shape}"
            )
    with tj.no_grad():
        for _, own, given in trios:
            own.copy_(given)
