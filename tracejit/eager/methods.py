"""Attaches every operation to `Tensor`, and lists the public functions. Importing it makes tensors complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracejit.eager import conversions, inplace, interop, library, selection, shapes
from tracejit.eager.backward import backward as walk
from tracejit.eager.hooks import register_hook, retain_grad
from tracejit.eager.indexing import getitem, setitem
from tracejit.eager.tensor import Tensor


def backward(self: Tensor, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
    """Accumulate the derivative of this tensor (weighted by `gradient`, which a scalar can do without) into the `.grad`
    of the leaves it depends on."""
    walk((self,), (gradient,), retain_graph, create_graph)


def _attach() -> None:
    tables: list[dict[str, Any]] = [
        library.methods(),
        shapes.METHODS,
        selection.METHODS,
        library.operators(),
        conversions.METHODS,
        interop.METHODS,
        {f.__name__: f for f in (inplace.zero_, inplace.fill_, inplace.copy_, backward, register_hook, retain_grad)},
        {"__getitem__": getitem, "__setitem__": setitem},
    ]
    for table in tables:
        for name, method in table.items():
            setattr(Tensor, name, method)
    Tensor.real = property(library.functions()["real"])  # type: ignore[attr-defined]
    Tensor.imag = property(library.functions()["imag"])  # type: ignore[attr-defined]
    Tensor.__hash__ = lambda self: id(self)  # type: ignore[method-assign]


_attach()

#: Every public function of the library, by name.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **library.functions(),
    **shapes.FUNCTIONS,
    **selection.FUNCTIONS,
}
