"""Adadelta (Zeiler 2012), Adamax (Kingma and Ba 2015), NAdam (Dozat 2016), RAdam (Liu et al. 2020), ASGD (Polyak and
Juditsky 1992), Rprop (Riedmiller and Braun 1993)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import tracejit as tj
from tracejit.optim.adam import Moments
from tracejit.optim.optimizer import Optimizer, counter, decayed


class Adadelta(Optimizer):
    """p -= lr * d with d = sqrt(a + eps) / sqrt(v + eps) * g, v and a the running averages of g * g and of d * d."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"invalid rho: {rho}; it lies in [0, 1]")
        settings = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, settings)

    def initial(self, parameter: Any, settings: dict[str, Any]) -> dict[str, Any]:
        return {name: tj.zeros_like(parameter) for name in ("square_avg", "acc_delta")}

    def update(self, parameter: Any, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> None:
        gradient = decayed(gradient, parameter, settings)
        rho, eps = settings["rho"], settings["eps"]
        square = state["square_avg"].mul_(rho).add_(gradient * gradient * (1 - rho))
        moved = tj.sqrt(state["acc_delta"] + eps) / tj.sqrt(square + eps) * gradient
        state["acc_delta"].mul_(rho).add_(moved * moved * (1 - rho))
        parameter.sub_(moved * settings["lr"])


class Adamax(Moments):
    """p -= lr * m / u with the bias-corrected average m of g, and u the larger of beta2 * u and |g| + eps."""

    averages = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        settings = {"lr": lr, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, betas, settings)

    def update(self, parameter: Any, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> None:
        gradient = decayed(gradient, parameter, settings)
        beta1, beta2 = settings["betas"]
        steps = state["step"].add_(1).item()
        mean = state["exp_avg"].mul_(beta1).add_(gradient * (1 - beta1))
        largest = tj.maximum(state["exp_inf"] * beta2, tj.abs(gradient) + settings["eps"])
        state["exp_inf"].copy_(largest)
        parameter.sub_(mean / largest * (settings["lr"] / (1 - beta1**steps)))


class NAdam(Moments):
    """Adam with Nesterov's momentum, whose strength grows with the number of steps."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        settings = {
            "lr": lr,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, betas, settings)

    def initial(self, parameter: Any, settings: dict[str, Any]) -> dict[str, Any]:
        product = tj.ones((), dtype=tj.float64)
        return {**super().initial(parameter, settings), "mu_product": product}

    def update(self, parameter: Any, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> None:
        gradient = decayed(gradient, parameter, settings)
        lr, (beta1, beta2), decay = settings["lr"], settings["betas"], settings["momentum_decay"]
        steps, mean, square = self.averaged(gradient, state, settings)
        now, later = (beta1 * (1 - 0.5 * 0.96 ** (t * decay)) for t in (steps, steps + 1))
        product = state["mu_product"].mul_(now).item()
        denominator = tj.sqrt(square / (1 - beta2**steps)) + settings["eps"]
        parameter.sub_(gradient / denominator * (lr * (1 - now) / (1 - product)))
        parameter.sub_(mean / denominator * (lr * later / (1 - product * later)))


class RAdam(Moments):
    """Adam that is plain momentum until the variance of its denominator is bounded, then rectified by it."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        settings = {
            "lr": lr,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, betas, settings)

    def update(self, parameter: Any, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> None:
        gradient = decayed(gradient, parameter, settings)
        beta1, beta2 = settings["betas"]
        steps, mean, square = self.averaged(gradient, state, settings)
        rate = settings["lr"] / (1 - beta1**steps)
        limit = 2 / (1 - beta2) - 1
        length = limit - 2 * steps * beta2**steps / (1 - beta2**steps)
        if length > 5:
            bounded = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
            scale = math.sqrt(bounded) * math.sqrt(1 - beta2**steps)
            parameter.sub_(mean / (tj.sqrt(square) + settings["eps"]) * (rate * scale))
        else:
            parameter.sub_(mean * rate)


class ASGD(Optimizer):
    """p = (1 - lambd * eta) * p - eta * g with eta = lr / (1 + lambd * lr * t)**alpha; `ax` of the state is the average
    of p from step `t0` on."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def initial(self, parameter: Any, settings: dict[str, Any]) -> dict[str, Any]:
        return {"step": counter(), "ax": tj.zeros_like(parameter)}

    def update(self, parameter: Any, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> None:
        gradient = decayed(gradient, parameter, settings)
        lr, lambd = settings["lr"], settings["lambd"]
        before = state["step"].item()
        state["step"].add_(1)
        eta = lr / (1 + lambd * lr * before) ** settings["alpha"]
        share = 1 / max(1.0, before - settings["t0"])
        parameter.mul_(1 - lambd * eta).sub_(gradient * eta)
        state["ax"].add_((parameter - state["ax"]) * share)


class Rprop(Optimizer):
    """p -= sign(g) * s, where each element's step s grows by etas[1] while its g keeps its sign, and shrinks by etas[0]
    (without a step) where it changes, within `step_sizes`."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
    ) -> None:
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"invalid etas: {etas}; one lies below 1, the other above")
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize})

    def initial(self, parameter: Any, settings: dict[str, Any]) -> dict[str, Any]:
        return {"prev": tj.zeros_like(parameter), "step_size": tj.full_like(parameter, settings["lr"])}

    def update(self, parameter: Any, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> None:
        (shrink, grow), (least, most) = settings["etas"], settings["step_sizes"]
        turn = gradient * state["prev"]
        factor = tj.where(turn > 0, grow, tj.where(turn < 0, shrink, 1.0))
        step = (state["step_size"] * factor).clamp(least, most)
        state["step_size"].copy_(step)
        gradient = tj.where(turn < 0, 0.0, gradient)
        state["prev"].copy_(gradient)
        parameter.sub_(tj.sign(gradient) * step)
