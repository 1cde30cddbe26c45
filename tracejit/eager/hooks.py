"""Handles that take a registered hook away again, and hooks on tensors."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, MutableMapping
from typing import Any

from tracejit.eager.tensor import Tensor

_identities = itertools.count()

#: Where modules keep their hooks: those before and after `forward`, those of the backward pass.
FORWARD_TABLES = ("_forward_pre_hooks", "_forward_hooks")
BACKWARD_TABLES = ("_backward_pre_hooks", "_backward_hooks")


class Registrations:
    """How often a hook of any module, or of any leaf, was registered: while that stays the same, none has a new one."""

    def __init__(self) -> None:
        self.count = 0


MODULE_HOOKS = Registrations()
LEAF_HOOKS = Registrations()


class RemovableHandle:
    """Removes its hook by `remove()`, or at the end of a `with` block."""

    def __init__(self, hooks: MutableMapping[int, Any], hook: Any) -> None:
        self.id = next(_identities)
        self._hooks = hooks
        hooks[self.id] = hook

    def remove(self) -> None:
        """Take the hook away; a second time does nothing."""
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Call `hook(grad)` whenever the gradient of this tensor is computed; what it gives (if not None) replaces it."""
    if not self._requires_grad:
        raise RuntimeError("a hook needs a tensor that requires gradients")
    node = self._grad_fn
    if node is None:
        LEAF_HOOKS.count += 1
        if self._hooks is None:
            self._hooks = {}
        return RemovableHandle(self._hooks, hook)
    if node.hooks is None:
        node.hooks = {}
    return RemovableHandle(node.hooks.setdefault(self._port, {}), hook)


def retain_grad(self: Tensor) -> None:
    """Keep the gradient of a tensor that is not a leaf in `.grad`."""
    if not self._requires_grad:
        raise RuntimeError("retain_grad needs a tensor that requires gradients")
    if self._grad_fn is None:
        return
    kept = weakref.ref(self)

    def keep(grad: Tensor) -> None:
        tensor = kept()
        if tensor is not None:
            tensor._grad = grad if tensor._grad is None else tensor._grad + grad  # type: ignore[operator]

    register_hook(self, keep)
