"""Stochastic gradient descent, with momentum as PyTorch defines it (Sutskever et al. 2013, learning rate outside)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tracejit.optim.optimizer import Optimizer


class SGD(Optimizer):
    """p -= lr * v, where v = momentum * v + (1 - dampening) * g (g itself at the first step) and
    g = grad + weight_decay * p; with `nesterov` p -= lr * (g + momentum * v)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def update(self, parameter: Any, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> None:
        momentum = settings["momentum"]
        if settings["weight_decay"]:
            gradient = gradient + parameter * settings["weight_decay"]
        if momentum:
            velocity = state.get("momentum_buffer")
            if velocity is None:
                velocity = state["momentum_buffer"] = gradient.clone()
            else:
                velocity.mul_(momentum).add_(gradient * (1 - settings["dampening"]))
            gradient = gradient + velocity * momentum if settings["nesterov"] else velocity
        parameter.sub_(gradient * settings["lr"])
