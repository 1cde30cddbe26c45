"""`Parameter`: a tensor that a module registers when it is assigned as an attribute."""

from __future__ import annotations

from typing import Any

from tracejit.eager.creation import tensor
from tracejit.eager.tensor import Tensor, initialise


class Parameter(Tensor):
    """A leaf tensor sharing the memory of `data`; requires gradients unless told otherwise."""

    __slots__ = ()
    __tracejit_leaf__ = True

    def __init__(self, data: Any = (), requires_grad: bool = True) -> None:
        source = data if isinstance(data, Tensor) else tensor(data)
        initialise(self, source._data, False)
        if requires_grad:
            self.requires_grad_()
