"""The first argument of `forward` and `backward` of an `autograd.Function`, inside scripts."""

from __future__ import annotations

from typing import Any

from tracejit.frontend.written import refuse


class ScriptContext:
    """What an `autograd.Function` keeps between `forward` and `backward`."""

    saved_tensors: Any

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep values for `backward`."""
        self.saved_tensors = tensors

    def mark_dirty(self, *tensors: Any) -> None:
        """Arguments that change are no results of one node."""
        refuse("a Function that changes its arguments is outside the language", "give a new tensor")

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Cotangents of such results come as they are."""

    def set_materialize_grads(self, value: bool) -> None:
        """Cotangents are always there."""
