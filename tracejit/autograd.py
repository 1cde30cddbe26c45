"""Differentiation of eager computations: `backward`, `grad`, `Function`, and whether operations are recorded."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

from tracejit.eager import backward as _walk
from tracejit.eager.function import Context, Function
from tracejit.eager.modes import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from tracejit.eager.tensor import Tensor
from tracejit.eager.traceable import traceable

__all__ = [
    "Context",
    "Function",
    "Variable",
    "backward",
    "enable_grad",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]


def __getattr__(name: str) -> Any:
    """What is made of the transformations, which are found on first use."""
    if name not in ("functional", "gradcheck"):
        raise AttributeError(f"module 'tracejit.autograd' has no attribute '{name}'")
    functional = importlib.import_module("tracejit.transformations.functional")
    return functional if name == "functional" else functional.gradcheck


def Variable(data: Tensor, requires_grad: bool = False) -> Tensor:
    """A tensor in the memory of another, of which derivatives are wanted or not: tensors are variables themselves."""
    return data.detach().requires_grad_(requires_grad)


def _sequence(x: Any) -> Sequence[Any]:
    return tuple(x) if isinstance(x, tuple | list) else (x,)


def _gradients(gradients: Any, count: int) -> Sequence[Any]:
    if gradients is None:
        return (None,) * count
    given = _sequence(gradients)
    if len(given) != count:
        raise RuntimeError(f"{len(given)} gradients were given for {count} outputs")
    return given


@traceable
def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False
) -> None:
    """Accumulate the derivatives of one or several tensors into the `.grad` of the leaves they depend on."""
    outputs = _sequence(tensors)
    _walk.backward(outputs, _gradients(grad_tensors, len(outputs)), retain_graph, create_graph)


@traceable
def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The derivatives of the outputs (weighted by `grad_outputs`) by the inputs, leaving every `.grad` alone.

    `create_graph` records the derivatives, so that they can be differentiated. An input that the outputs do not
    depend on is a RuntimeError, or gives None with `allow_unused`.
    """
    results = _sequence(outputs)
    variables = _sequence(inputs)
    found = _walk.grad(results, variables, _gradients(grad_outputs, len(results)), retain_graph, create_graph)
    if not allow_unused and any(g is None for g in found):
        raise RuntimeError("one of the inputs is not used by the outputs; pass allow_unused=True to get None for it")
    return tuple(found)
