"""Stochastic gradient descent, with momentum as PyTorch defines it (Sutskever et al. 2013, learning rate outside)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tracejit as tj
from tracejit.optim.optimizer import Optimizer, counter, decayed


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

    def initial(self, parameter: Any, settings: dict[str, Any]) -> dict[str, Any]:
        return {"momentum_buffer": tj.zeros_like(parameter), "step": counter()} if settings["momentum"] else {}

    def update(self, parameter: Any, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> None:
        momentum = settings["momentum"]
        gradient = decayed(gradient, parameter, settings)
        if momentum:
            velocity, damped = state["momentum_buffer"], settings["dampening"]
            added = gradient * (1.0 - damped * min(state["step"].item(), 1.0)) if damped else gradient
            velocity.mul_(momentum).add_(added)
            state["step"].add_(1)
            gradient = gradient + velocity * momentum if settings["nesterov"] else velocity
        parameter.sub_(gradient * settings["lr"])
