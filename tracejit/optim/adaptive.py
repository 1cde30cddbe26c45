"""RMSprop (Hinton 2012) and Adagrad (Duchi et al. 2011)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tracejit as tj
from tracejit.optim.optimizer import Optimizer, counter, decayed


class RMSprop(Optimizer):
    """p -= lr * g / (sqrt(v) + eps), v the running average of g * g (less the squared average of g if `centered`)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def initial(self, parameter: Any, settings: dict[str, Any]) -> dict[str, Any]:
        averaged = ("grad_avg",) if settings["centered"] else ()
        moved = ("momentum_buffer",) if settings["momentum"] else ()
        return {name: tj.zeros_like(parameter) for name in ("square_avg", *averaged, *moved)}

    def update(self, parameter: Any, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> None:
        gradient = decayed(gradient, parameter, settings)
        alpha = settings["alpha"]
        square = state["square_avg"].mul_(alpha).add_(gradient * gradient * (1 - alpha))
        if settings["centered"]:
            mean = state["grad_avg"].mul_(alpha).add_(gradient * (1 - alpha))
            square = square - mean * mean
        step = gradient / (tj.sqrt(square) + settings["eps"])
        if settings["momentum"]:
            step = state["momentum_buffer"].mul_(settings["momentum"]).add_(step)
        parameter.sub_(step * settings["lr"])


class Adagrad(Optimizer):
    """p -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(sum of g * g) + eps)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def initial(self, parameter: Any, settings: dict[str, Any]) -> dict[str, Any]:
        return {"step": counter(), "sum": tj.full_like(parameter, settings["initial_accumulator_value"])}

    def update(self, parameter: Any, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> None:
        steps = state["step"].add_(1).item()
        gradient = decayed(gradient, parameter, settings)
        lr = settings["lr"] / (1 + (steps - 1) * settings["lr_decay"])
        total = state["sum"].add_(gradient * gradient)
        parameter.sub_(gradient / (tj.sqrt(total) + settings["eps"]) * lr)
