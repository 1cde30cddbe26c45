"""Learning rates that change with the epoch. Call `scheduler.step()` once after each epoch's `optimizer.step()`."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from tracejit.optim.optimizer import Optimizer


class LRScheduler:
    """Base of the schedules: subclasses give `rate(base, epoch, group)`, the learning rate of a parameter group that
    started with `base`."""

    made_in_scripts = True

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError("a schedule is made for an optimizer")
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.step()

    def rate(self, base: float, epoch: int, group: int) -> float:
        """The learning rate of parameter group number `group` in an epoch."""
        raise NotImplementedError(f"{type(self).__name__} does not define rate()")

    def step(self, epoch: Any = None) -> None:
        """Go to the next epoch, or to a given one."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for number, (group, base) in enumerate(zip(self.optimizer.param_groups, self.base_lrs, strict=True)):
            group["lr"] = self.rate(base, self.last_epoch, number)

    def get_last_lr(self) -> list[float]:
        """The present learning rate of every group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, functions and other schedules."""
        left_out = ("optimizer", "lr_lambdas", "scale_fn", "schedulers")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.__dict__.update(state)


class StepLR(LRScheduler):
    """Times gamma every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.gamma ** (epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """Times gamma at each milestone."""

    def __init__(
        self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.gamma ** bisect_right(self.milestones, epoch)


class ExponentialLR(LRScheduler):
    """Times gamma every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.gamma**epoch


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the initial rate to `eta_min` in `T_max` epochs, and back (Loshchilov and Hutter 2017)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * epoch / self.T_max)) / 2


class LinearLR(LRScheduler):
    """Times a factor that goes linearly from `start_factor` to `end_factor` in `total_iters` epochs."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        done = min(epoch, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * done)


class LambdaLR(LRScheduler):
    """Times a function of the epoch, one for all groups or one per group."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        count = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * count if callable(lr_lambda) else list(lr_lambda)
        if len(self.lr_lambdas) != count:
            raise ValueError(f"expected {count} functions, one per parameter group, got {len(self.lr_lambdas)}")
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.lr_lambdas[group](epoch)


class MultiplicativeLR(LambdaLR):
    """Times the product of a function of the epochs 1, 2, ... up to the present one."""

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * math.prod(self.lr_lambdas[group](e) for e in range(1, epoch + 1))


class ConstantLR(LRScheduler):
    """Times `factor` for the first `total_iters` epochs."""

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * self.factor if epoch < self.total_iters else base


class PolynomialLR(LRScheduler):
    """Times (1 - epoch / total_iters) ** power, 0 after `total_iters` epochs."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * (1.0 - min(epoch, self.total_iters) / self.total_iters) ** self.power


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from the initial rate to `eta_min`, again and again: in T_0 epochs, then T_0 * T_mult, ...
    (Loshchilov and Hutter 2017). `step` takes fractions of epochs."""

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        if T_0 < 1 or T_mult < 1:
            raise ValueError(f"T_0 and T_mult are at least 1, got {T_0} and {T_mult}")
        self.T_0 = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: float, group: int) -> float:
        done, length = epoch, self.T_0
        while done >= length:
            done, length = done - length, length * self.T_mult
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * done / length)) / 2


class SequentialLR(LRScheduler):
    """Schedules one after the other: each begins anew at its milestone."""

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"{len(schedulers)} schedules have {len(schedulers) - 1} milestones, not {len(milestones)}"
            )
        self.schedulers = list(schedulers)
        self.milestones = list(milestones)
        super().__init__(optimizer, last_epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        number = bisect_right(self.milestones, epoch)
        return self.schedulers[number].rate(base, epoch - (self.milestones[number - 1] if number else 0), group)


class ChainedScheduler(LRScheduler):
    """The initial rate times the factors of several schedules."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ValueError("a ChainedScheduler needs at least one schedule")
        self.schedulers = list(schedulers)
        super().__init__(self.schedulers[0].optimizer if optimizer is None else optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base * math.prod(s.rate(base, epoch, group) / base for s in self.schedulers) if base else base


def _per_group(given: Any, optimizer: Optimizer, name: str) -> list[float]:
    """One number for all parameter groups or one for each."""
    count = len(optimizer.param_groups)
    values = list(given) if isinstance(given, list | tuple) else [given] * count
    if len(values) != count:
        raise ValueError(f"{name}: expected {count} numbers, one per parameter group, got {len(values)}")
    return values


class _Cycling(LRScheduler):
    """Schedules that move the momentum (or the first beta) against the learning rate."""

    cycle_momentum: bool

    def _uses_betas(self) -> bool:
        group = self.optimizer.param_groups[0]
        if "momentum" not in group and "betas" not in group:
            raise ValueError("cycle_momentum needs an optimizer with momentum or betas")
        return "betas" in group

    def momentum(self, epoch: int, group: int) -> float:
        """The momentum of a parameter group in an epoch."""
        raise NotImplementedError

    def step(self, epoch: Any = None) -> None:
        """Go to the next epoch, or to a given one."""
        super().step(epoch)
        if not self.cycle_momentum:
            return
        betas = self._uses_betas()
        for number, group in enumerate(self.optimizer.param_groups):
            momentum = self.momentum(self.last_epoch, number)
            if betas:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum


class OneCycleLR(_Cycling):
    """Up from max_lr / div_factor to max_lr, and down to 1 / final_div_factor of the start, step by step (Smith and
    Topin 2017); with `three_phase` down to the start first. The momentum goes the other way."""

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR needs total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        if total_steps < 1 or not 0 <= pct_start <= 1:
            raise ValueError("total_steps is at least 1 and pct_start lies between 0 and 1")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy is 'cos' or 'linear', not {anneal_strategy!r}")
        self.total_steps = total_steps
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        self.max_lrs = _per_group(max_lr, optimizer, "max_lr")
        self.base_momentums = _per_group(base_momentum, optimizer, "base_momentum")
        self.max_momentums = _per_group(max_momentum, optimizer, "max_momentum")
        self.final_div_factor = final_div_factor
        #: Last step of each phase, and where rate and momentum go: (from, to) of 0 start, 1 top, 2 end.
        up = float(pct_start * total_steps) - 1
        last = total_steps - 1
        self.phases = (
            [(up, (0, 1)), (2 * up, (1, 0)), (last, (0, 2))] if three_phase else [(up, (0, 1)), (last, (1, 2))]
        )
        if last_epoch == -1:
            for group, top in zip(optimizer.param_groups, self.max_lrs, strict=True):
                group["initial_lr"] = group["lr"] = top / div_factor
        super().__init__(optimizer, last_epoch)

    def _between(self, epoch: int, points: Sequence[float]) -> float:
        if epoch > self.total_steps:
            raise ValueError(f"step {epoch} of a schedule of {self.total_steps} steps")
        begin = 0.0
        for end, (start, stop) in self.phases:
            if epoch <= end or end == self.phases[-1][0]:
                part = (epoch - begin) / (end - begin) if end != begin else 1.0
                if self.anneal_strategy == "linear":
                    return points[start] + (points[stop] - points[start]) * part
                return points[stop] + (points[start] - points[stop]) / 2 * (1 + math.cos(math.pi * part))
            begin = end
        raise AssertionError("the last phase ends it")

    def rate(self, base: float, epoch: int, group: int) -> float:
        return self._between(epoch, (base, self.max_lrs[group], base / self.final_div_factor))

    def momentum(self, epoch: int, group: int) -> float:
        high, low = self.max_momentums[group], self.base_momentums[group]
        return self._between(epoch, (high, low, high))


class CyclicLR(_Cycling):
    """Up and down between base_lr and max_lr (Smith 2017); the amplitude is constant ("triangular"), halved every cycle
    ("triangular2"), or times gamma ** step ("exp_range"), or as `scale_fn` of the cycle or of the step
    (`scale_mode="iterations"`) says. The momentum goes the other way."""

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError(f"mode is 'triangular', 'triangular2' or 'exp_range', not {mode!r}")
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self.scale_fn = scale_fn
        self.by_cycle = scale_mode == "cycle" if scale_fn is not None else mode != "exp_range"
        self.cycle_momentum = cycle_momentum
        self.max_lrs = _per_group(max_lr, optimizer, "max_lr")
        self.base_momentums = _per_group(base_momentum, optimizer, "base_momentum")
        self.max_momentums = _per_group(max_momentum, optimizer, "max_momentum")
        if last_epoch == -1:
            for group, low in zip(optimizer.param_groups, _per_group(base_lr, optimizer, "base_lr"), strict=True):
                group["initial_lr"] = group["lr"] = low
        super().__init__(optimizer, last_epoch)

    def _amplitude(self, at: float) -> float:
        if self.scale_fn is not None:
            return self.scale_fn(at)
        return {"triangular": 1.0, "triangular2": 1 / 2.0 ** (at - 1), "exp_range": self.gamma**at}[self.mode]

    def _height(self, epoch: int) -> float:
        """How far up the triangle an epoch is, times the amplitude."""
        cycle = math.floor(1 + epoch / self.total_size)
        place = 1.0 + epoch / self.total_size - cycle
        rising = place <= self.step_ratio
        height = place / self.step_ratio if rising else (place - 1) / (self.step_ratio - 1)
        return height * self._amplitude(cycle if self.by_cycle else epoch)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base + (self.max_lrs[group] - base) * self._height(epoch)

    def momentum(self, epoch: int, group: int) -> float:
        high, low = self.max_momentums[group], self.base_momentums[group]
        return high - (high - low) * self._height(epoch)


class ReduceLROnPlateau(LRScheduler):
    """Times `factor` when `step(metric)` has seen no improvement for more than `patience` epochs; then `cooldown`
    epochs do not count. An improvement beats the best by `threshold`, relative ("rel") or absolute ("abs")."""

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueError(f"factor is below 1, got {factor}")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError("mode is 'min' or 'max', threshold_mode 'rel' or 'abs'")
        self.optimizer = optimizer
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lrs = _per_group(min_lr, optimizer, "min_lr")
        self.eps = eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self.last_epoch = 0

    def is_better(self, value: float) -> bool:
        """Whether a metric improves on the best so far."""
        sign = 1.0 if self.mode == "max" else -1.0
        if self.threshold_mode == "rel":
            return sign * value > sign * self.best * (1.0 + sign * self.threshold)
        return sign * value > sign * self.best + self.threshold

    def step(self, epoch: Any = None) -> None:
        """Go to the next epoch with its metric."""
        if epoch is None:
            raise TypeError("ReduceLROnPlateau.step() takes the metric")
        value = float(epoch)
        self.last_epoch += 1
        if self.is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, low in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                reduced = max(group["lr"] * self.factor, low)
                if group["lr"] - reduced > self.eps:
                    group["lr"] = reduced
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
