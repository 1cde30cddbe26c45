"""Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import tracejit as tj
from tracejit.optim.optimizer import Optimizer, counter, decayed


class Moments(Optimizer):
    """Base of the algorithms with running averages of g and of g * g."""

    averages = ("exp_avg", "exp_avg_sq")

    def __init__(self, params: Iterable[Any], betas: tuple[float, float], settings: dict[str, Any]) -> None:
        if not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"invalid betas: {betas}; they lie in [0, 1)")
        super().__init__(params, {**settings, "betas": betas})

    def initial(self, parameter: Any, settings: dict[str, Any]) -> dict[str, Any]:
        return {"step": counter(), **{name: tj.zeros_like(parameter) for name in self.averages}}

    def averaged(self, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> tuple[Any, Any, Any]:
        """The number of this step, and both averages with this gradient in them."""
        beta1, beta2 = settings["betas"]
        steps = state["step"].add_(1).item()
        mean = state["exp_avg"].mul_(beta1).add_(gradient * (1 - beta1))
        return steps, mean, state["exp_avg_sq"].mul_(beta2).add_(gradient * gradient * (1 - beta2))


class Adam(Moments):
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
        settings = {
            "lr": lr,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "decoupled_weight_decay": self.decoupled,
            "maximize": maximize,
        }
        super().__init__(params, betas, settings)

    def initial(self, parameter: Any, settings: dict[str, Any]) -> dict[str, Any]:
        made = super().initial(parameter, settings)
        return {**made, "max_exp_avg_sq": tj.zeros_like(parameter)} if settings["amsgrad"] else made

    def update(self, parameter: Any, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> None:
        gradient = decayed(gradient, parameter, settings)
        lr, (beta1, beta2) = settings["lr"], settings["betas"]
        steps, mean, square = self.averaged(gradient, state, settings)
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
