"""Optimizers and schedules that scripts make, against eager training."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import ScriptError, nn, optim, script
from tracejit.nn.functional import mse_loss

X = tj.tensor(np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3))


class Momentum(optim.Optimizer):
    """One of the user's."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    def initial(self, parameter: Any, settings: Any) -> Any:
        return {"v": tj.zeros_like(parameter)}

    def update(self, parameter: Any, gradient: Any, state: Any, settings: Any) -> None:
        state["v"].mul_(0.5).add_(gradient)
        parameter.sub_(state["v"] * settings["lr"])


def step(model: Any, optimizer: Any) -> Any:
    optimizer.zero_grad()
    loss = mse_loss(model(X), X[:, :1])
    loss.backward()
    optimizer.step()
    return loss


def sgd(model: Any, n: int, lr: float) -> Any:
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    schedule = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    losses = []
    for _ in range(n):
        losses.append(step(model, optimizer).item())
        schedule.step()
    return losses, optimizer.param_groups[0]["lr"], schedule.last_epoch


def adam(model: Any, n: int, lr: float) -> Any:
    optimizer = optim.Adam([{"params": [model.weight], "lr": lr}, {"params": [model.bias]}], weight_decay=0.1)
    for _ in range(n):
        loss = step(model, optimizer)
    return loss


def own(model: Any, n: int, lr: float) -> Any:
    optimizer = Momentum(model.parameters(), lr / n)
    for _ in range(n):
        loss = step(model, optimizer)
        optimizer.param_groups[0]["lr"] *= 0.9
    return loss


@pytest.mark.parametrize("train", [sgd, adam, own])
def test_training_is_that_of_eager_code(train: Any) -> None:
    scripted = script(train)
    for n in (2, 3):
        tj.manual_seed(0)
        models = [nn.Linear(3, 1)]
        models.append(copy.deepcopy(models[0]))
        found = [run(model, n, 0.1) for run, model in zip((train, scripted), models)]
        for a, b in zip(*map(flat, found)):
            np.testing.assert_allclose(a, b, rtol=1e-5)
        for a, b in zip(*(m.parameters() for m in models)):
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5)
            np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-4)


def flat(value: Any) -> list[float]:
    return [x for v in value for x in flat(v)] if isinstance(value, tuple | list) else [float(value)]


def test_wrong_parameters_are_errors_of_eager_code() -> None:
    def made(w: Any, kind: int) -> None:
        if kind == 0:
            optim.SGD([w, w], lr=0.1)
        elif kind == 1:
            optim.SGD([w * 2], lr=0.1)
        elif kind == 2:
            optim.SGD([w], lr=-0.1)
        elif kind == 3:
            optim.SGD([])

    w = tj.tensor([1.0, 2.0], requires_grad=True)
    scripted = script(made)
    for kind in range(4):
        errors = []
        for fn in (made, scripted):
            with pytest.raises(ValueError) as caught:
                fn(w, kind)
            errors.append(str(caught.value))
        assert errors[0] == errors[1]
    assert scripted(w, 4) is None


def test_one_made_in_a_script_is_not_returned() -> None:
    with pytest.raises(ScriptError, match="SGD objects made in a script stay there"):
        script(lambda w: optim.SGD([w], lr=0.1))(tj.ones(2, requires_grad=True))
