"""Attaches every operation to `Tensor`, and lists the public functions. Importing it makes tensors complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tracejit.eager import conversions, facts, inplace, interop, library, random, selection, shapes, spellings
from tracejit.eager.backward import backward as walk
from tracejit.eager.hooks import register_hook, retain_grad
from tracejit.eager.indexing import getitem, setitem
from tracejit.eager.tensor import Tensor
from tracejit.eager.traceable import traceable, traceable_method


def backward(
    self: Tensor,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Accumulate the derivative of this tensor (weighted by `gradient`, which a scalar can do without) into the `.grad`
    of the leaves it depends on, or of `inputs` (a tensor or several) alone."""
    wanted = (inputs,) if isinstance(inputs, Tensor) else inputs
    walk((self,), (gradient,), retain_graph, create_graph, None if wanted is None else tuple(wanted))


def _attach() -> None:
    tables: list[dict[str, Any]] = [
        library.methods(),
        shapes.METHODS,
        selection.METHODS,
        library.operators(),
        conversions.METHODS,
        interop.METHODS,
        facts.METHODS,
        random.METHODS,
        spellings.METHODS,
        {f.__name__: f for f in (inplace.zero_, inplace.fill_, inplace.copy_, backward, register_hook, retain_grad)},
        {"__getitem__": getitem, "__setitem__": setitem},
    ]
    tables.append({name: property(library.functions()[name]) for name in ("real", "imag")})
    tables.append({name: Tensor.__dict__[name] for name in _OWN})
    for table in tables:
        for name, method in table.items():
            setattr(Tensor, name, traceable_method(name, method))
    Tensor.__hash__ = lambda self: id(self)  # type: ignore[method-assign]


#: What `Tensor` defines itself and a trace records or refuses.
_OWN = (
    *("grad", "data", "detach", "numpy", "item", "tolist", "requires_grad_", "cpu", "cuda"),
    *("__bool__", "__int__", "__float__", "__complex__", "__index__", "__contains__", "__copy__", "__deepcopy__"),
)


_attach()


def _public() -> dict[str, Callable[..., Any]]:
    """Every public function of the library, by name; one function under several names stays one."""
    found = {**library.functions(), **shapes.FUNCTIONS, **selection.FUNCTIONS, **spellings.FUNCTIONS}
    made = {id(function): traceable(function) for function in found.values()}
    return {name: made[id(function)] for name, function in found.items()}


#: Every public function of the library, by name.
FUNCTIONS: dict[str, Callable[..., Any]] = _public()


def members(module: str) -> dict[str, Callable[..., Any]]:
    """The functions that are spelt with a module's name in front, without it."""
    prefix = f"{module}."
    return {name.removeprefix(prefix): function for name, function in FUNCTIONS.items() if name.startswith(prefix)}
