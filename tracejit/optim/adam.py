"""Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import tracejit as tj
from tracejit.optim.optimizer import Optimizer, counter


class Adam(Optimizer):
    """p -= lr * m / (sqrt(v) + eps) with bias-corrected averages m of g and v of g * g; `weight_decay` adds to g.
    `amsgrad` uses the largest v so far."""

    decoupled = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        if not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"invalid betas: {betas}; they lie in [0, 1)")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def initial(self, parameter: Any, settings: dict[str, Any]) -> dict[str, Any]:
        names = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if settings["amsgrad"] else ()))
        return {"step": counter(), **{name: tj.zeros_like(parameter) for name in names}}

    def update(self, parameter: Any, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> None:
        lr, (beta1, beta2) = settings["lr"], settings["betas"]
        if settings["weight_decay"] and self.decoupled:
            parameter.mul_(1 - lr * settings["weight_decay"])
        elif settings["weight_decay"]:
            gradient = gradient + parameter * settings["weight_decay"]
        steps = state["step"].add_(1).item()
        mean = state["exp_avg"].mul_(beta1).add_(gradient * (1 - beta1))
        square = state["exp_avg_sq"].mul_(beta2).add_(gradient * gradient * (1 - beta2))
        if settings["amsgrad"]:
            square = state["max_exp_avg_sq"].copy_(tj.maximum(state["max_exp_avg_sq"], square))
        scale = math.sqrt(1 - beta2**steps)
        denominator = tj.sqrt(square) / scale + settings["eps"]
        parameter.sub_(mean / denominator * (lr / (1 - beta1**steps)))


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters directly, by lr * weight_decay."""

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
