"""`Optimizer`: parameter groups, state, and the step each algorithm defines for one parameter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import tracejit as tj
from tracejit.eager.hints import are_distinct, is_leaf, is_scripting
from tracejit.scripted import CompileTime


def counter() -> Any:
    """A number of steps that compiled code counts up: 0 as a tensor of its own."""
    return tj.tensor(0.0, dtype=tj.float64)


def decayed(gradient: Any, parameter: Any, settings: dict[str, Any]) -> Any:
    """The gradient with `weight_decay` times the parameter added; with `decoupled_weight_decay` the parameter shrinks
    by lr * weight_decay instead."""
    decay = settings["weight_decay"]
    if not decay:
        return gradient
    if settings.get("decoupled_weight_decay"):
        parameter.mul_(1 - settings["lr"] * decay)
        return gradient
    return gradient + parameter * decay


def _nothing() -> None:
    pass


class Optimizer:
    """Base of the algorithms. `params` is an iterable of tensors, or of dicts that hold `"params"` and settings of
    their own; `param_groups` has the settings, `state` what each parameter has accumulated.

    Subclasses define `initial(parameter, settings)`, the state to start from, and `update(parameter, gradient, state,
    settings)`, which runs without recording and changes parameter and state in place. `step` and `zero_grad` may be
    called inside a script: the update is then part of its graph, and the state is made while it is compiled.
    """

    made_in_scripts = True
    #: Setting -> smallest allowed value.
    limits: ClassVar[dict[str, float]] = {"lr": 0.0, "weight_decay": 0.0, "eps": 0.0, "momentum": 0.0}

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.prepare = _nothing
        if not is_scripting():  # there the state is made with the optimizer, and not kept by parameter
            self.state: defaultdict[tj.Tensor, dict[str, Any]] = defaultdict(dict)
            self.prepare = CompileTime(self._make_state)
        self._plan: list[tuple[tj.Tensor, dict[str, Any], dict[str, Any]]] = []  #: parameter, state, settings
        if isinstance(params, tj.Tensor):
            raise TypeError("an optimizer takes an iterable of tensors, not one tensor")
        if hasattr(params, "parameters"):
            raise TypeError("an optimizer takes the parameters of a module: module.parameters()")
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group: dict[str, Any]) -> None:
        """Add parameters with settings of their own; the rest come from the defaults."""
        params = group["params"]
        params = [params] if isinstance(params, tj.Tensor) else list(params)
        settings: dict[str, Any] = {**self.defaults, **group, "params": params}
        for name, low in self.limits.items():
            if name in settings and not settings[name] >= low:
                raise ValueError(f"invalid {name}: {settings[name]}; it is at least {low}")
        for parameter in params:
            if not isinstance(parameter, tj.Tensor):
                raise TypeError(f"optimizers update tensors, not {type(parameter).__name__}")
            if not is_leaf(parameter):
                raise ValueError("cannot optimize a tensor that is not a leaf")
        if not are_distinct([p for g in self.param_groups for p in g["params"]] + params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(settings)
        if is_scripting():
            self._plan += [(p, self._made_state(p, settings), settings) for p in params]
        else:
            self._plan += [(p, self.state[p], settings) for p in params]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        self.prepare()  # a script reads the plan, and all it holds, as it finds it here
        for parameter, _, _ in self._plan:
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = tj.zeros_like(parameter.grad)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient. `closure`, if given, computes the loss (and gradients) first."""
        loss = None
        if closure is not None:
            with tj.enable_grad():
                loss = closure()
        self.prepare()
        with tj.no_grad():
            for parameter, state, settings in self._plan:
                if parameter.grad is not None:
                    gradient = parameter.grad.detach()
                    if settings.get("maximize"):
                        gradient = -gradient
                    self.update(parameter, gradient, state, settings)
        return loss

    def _make_state(self) -> None:
        for parameter, state, settings in self._plan:
            if not state:
                state.update(self._made_state(parameter, settings))

    def _made_state(self, parameter: Any, settings: dict[str, Any]) -> dict[str, Any]:
        if parameter.requires_grad or parameter.grad is not None:
            return self.initial(parameter, settings)
        return {}

    def initial(self, parameter: Any, settings: dict[str, Any]) -> dict[str, Any]:
        """The state of a parameter before its first update: tensors."""
        return {}

    def update(self, parameter: Any, gradient: Any, state: dict[str, Any], settings: dict[str, Any]) -> None:
        """Change one parameter in place."""
        raise NotImplementedError(f"{type(self).__name__} does not define update()")

    def state_dict(self) -> dict[str, Any]:
        """Settings and state, with parameters numbered in order."""
        numbers = {id(p): i for i, p in enumerate(self._parameters())}
        groups = [{**g, "params": [numbers[id(p)] for p in g["params"]]} for g in self.param_groups]
        return {"state": {numbers[id(p)]: dict(s) for p, s in self.state.items() if s}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take settings and state of an optimizer over parameters of the same order and number."""
        saved = state_dict["param_groups"]
        if [len(g["params"]) for g in saved] != [len(g["params"]) for g in self.param_groups]:
            raise ValueError("the loaded state dict has parameter groups of other sizes")
        for group, loaded in zip(self.param_groups, saved, strict=True):
            group.update({name: value for name, value in loaded.items() if name != "params"})
        for state in self.state.values():
            state.clear()
        parameters = self._parameters()
        for number, entries in state_dict["state"].items():
            self.state[parameters[number]].update(
                {name: value.clone() if isinstance(value, tj.Tensor) else value for name, value in entries.items()}
            )

    def _parameters(self) -> list[Any]:
        return [p for group in self.param_groups for p in group["params"]]

    def __repr__(self) -> str:
        lines = [
            f"  group {i}: " + ", ".join(f"{k}={v}" for k, v in sorted(g.items()) if k != "params")
            for i, g in enumerate(self.param_groups)
        ]
        return f"{type(self).__name__}(\n" + "\n".join(lines) + "\n)"
