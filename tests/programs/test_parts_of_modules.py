"""Modules as parts of modules: scripted ones, lists of parameters, an index known at the call; members of an Enum."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

import tracejit as tj
from tests.programs.compare import check


class Outer(tj.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = tj.script(tj.nn.Linear(2, 2))
        self.parts = tj.nn.ModuleList([self.inner, tj.nn.ReLU()])

    def forward(self, x: Any) -> Any:
        assert self.parts[0] is self.inner
        for part in self.parts:
            x = part(x)
        return x + self.inner.forward(x) + self.inner.weight.sum()


def test_a_scripted_module_is_a_part() -> None:
    module = Outer()
    assert isinstance(module.inner, tj.nn.Module)
    assert [name for name, _ in module.named_parameters()] == ["inner.weight", "inner.bias"]
    check(module, tj.ones(2), tolerance=1e-6)
    tj.script(module)(tj.ones(2)).sum().backward()
    assert module.inner.weight.grad is not None
    module.eval()
    assert not module.inner.training


class Held(tj.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.steps = tj.nn.ParameterList([tj.ones(2), tj.nn.Parameter(tj.zeros(2))])
        self.named = tj.nn.ParameterDict({"a": tj.ones(2) * 3})

    def forward(self, x: Any) -> Any:
        for p in self.steps:
            x = x * 2 + p
        for p in self.steps[1:]:
            x = x * p
        for name in self.named:
            x = x + self.named[name]
        for _, p in self.named.items():
            x = x - p / 3
        return x + self.steps[-1], len(self.steps), "a" in self.named


def test_lists_of_parameters() -> None:
    module = Held()
    assert len(list(module.parameters())) == 3
    scripted = check(module, tj.ones(2))
    module.steps[0] = tj.ones(2) * 5
    check(module, tj.ones(2), scripted=scripted)
    module.steps.append(tj.ones(2))
    check(module, tj.ones(2), scripted=scripted)


class Experts(tj.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.experts = tj.nn.ModuleList([tj.nn.Linear(2, 2), tj.nn.ReLU()])

    def forward(self, x: Any, k: int) -> Any:
        return self.experts[k](x)


class Backwards(Experts):
    def forward(self, x: Any) -> Any:
        for i, k in zip(range(2), reversed(range(len(self.experts))), strict=True):
            x = self.experts[k](x) + i
        for i, k in enumerate(reversed(range(2))):
            x = self.experts[k](x) * (i + 1)
        return x


def test_indices_that_run_backwards() -> None:
    check(Backwards(), tj.ones(2), tolerance=1e-6)


class Settings(tj.nn.Module):
    def forward(self, x: Any, y: Any) -> Any:
        loss = tj.nn.SmoothL1Loss(reduction="sum")
        total = loss(x, y) + tj.nn.MSELoss()(x, y)
        for layer in (tj.nn.ReLU(), tj.nn.Softmax(dim=0)):
            x = layer(x)
        return x, total + loss(x, y), loss.reduction, isinstance(loss, tj.nn.Module)


def test_layers_without_parameters_made_inside() -> None:
    check(Settings(), tj.ones(2), tj.tensor([0.5, 3.0]), tolerance=1e-6)


def test_changes_of_a_layer_made_inside_are_refused() -> None:
    def changed(x: Any) -> Any:
        layer = tj.nn.Dropout(0.5)
        layer.eval()
        return layer(x)

    with pytest.raises(tj.ScriptError, match="a Dropout that a script makes stays as it is"):
        tj.script(changed)(tj.ones(2))


@pytest.mark.parametrize("k", [0, 1, -1, 2])
def test_an_index_of_a_module(k: int) -> None:
    check(Experts(), tj.ones(2), k)


class Mode(Enum):
    FAST = 1
    EXACT = 2


def member(n: int) -> Any:
    mode = Mode(n)
    return mode, mode.name, mode is Mode.FAST


@pytest.mark.parametrize("n", [1, 2, 7])
def test_a_member_by_its_value(n: int) -> None:
    check(member, n)


def entered(x: Any) -> Any:
    with x:
        return x


def test_what_is_no_context_manager() -> None:
    check(entered, 1.5)
