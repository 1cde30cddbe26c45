"""Limiting gradients, and parameters as one vector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tracejit as tj


def _with_gradients(parameters: Any) -> list[Any]:
    """The tensors that have a gradient, of one tensor or several."""
    given = [parameters] if isinstance(parameters, tj.Tensor) else parameters
    return [p for p in given if p.grad is not None]


def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:
    """The norm of the elements of all tensors together. RuntimeError where it is inf or nan and `error_if_nonfinite`.
    `foreach` chooses between computations of one result in PyTorch; there is one here."""
    norms = [tj.linalg.vector_norm(x, norm_type) for x in tensors]
    total = tj.linalg.vector_norm(tj.stack(norms), norm_type) if len(norms) else tj.tensor(0.0)
    if error_if_nonfinite and not tj.isfinite(total):
        raise RuntimeError(f"the norm of order {norm_type} of the gradients is not finite")
    return total


def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:
    """Scale the gradients of the parameters down so that their norm together is at most `max_norm`. Gives what the norm
    was."""
    parameters = _with_gradients(parameters)
    with tj.no_grad():
        total = get_total_norm([p.grad for p in parameters], norm_type, error_if_nonfinite)
        clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None) -> None:
    """Scale the gradients of the parameters as `clip_grad_norm_` does for gradients with this norm together."""
    with tj.no_grad():
        factor = (max_norm / (total_norm + 1e-6)).clamp(max=1.0)
        for parameter in _with_gradients(parameters):
            parameter.grad.mul_(factor)


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Limit every element of the gradients of the parameters to -clip_value..clip_value."""
    with tj.no_grad():
        for parameter in _with_gradients(parameters):
            parameter.grad.clamp_(-clip_value, clip_value)


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """All elements of the parameters, one parameter after the other."""
    return tj.cat([p.reshape(-1) for p in parameters])


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Set the elements of the parameters, in the order of `parameters_to_vector`, to those of a vector."""
    start = 0
    with tj.no_grad():
        for parameter in parameters:
            count = parameter.numel()
            parameter.copy_(vec[start : start + count].reshape(parameter.shape))
            start += count
