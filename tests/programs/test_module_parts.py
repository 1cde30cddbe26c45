"""Loops over the children, parameters and buffers of a module, in scripts."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import tracejit as tj
from tracejit import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.rest = nn.Sequential(nn.Tanh(), nn.Linear(3, 2))

    def forward(self, x: Any) -> Any:
        for child in self.children():
            x = child(x)
        penalty = 0.0
        for p in self.parameters():
            penalty = penalty + (p * p).sum()
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                penalty = penalty + p.sum()
        for b in self.buffers():
            penalty = penalty + b.sum()
        own = len(list(self.parameters(recurse=False))) + len(list(self.named_modules()))
        return x.sum() + penalty * own


def test_parts_of_modules() -> None:
    tj.manual_seed(1)
    net = Net().eval()
    x = tj.randn(4, 2)
    scripted = tj.script(net)
    assert float(scripted(x)) == pytest.approx(float(net(x)), rel=1e-5)
    scripted(x).backward()
    compiled = [p.grad.numpy().copy() for p in net.parameters()]
    net.zero_grad()
    net(x).backward()
    for mine, p in zip(compiled, net.parameters(), strict=True):
        assert mine == pytest.approx(p.grad.numpy(), rel=1e-4, abs=1e-5)


def test_a_new_part_compiles_again() -> None:
    net = Net().eval()
    x = tj.randn(4, 2)
    scripted = tj.script(net)
    before = float(scripted(x))
    net.register_parameter("extra", nn.Parameter(tj.ones(3)))
    assert float(scripted(x)) == pytest.approx(float(net(x)), rel=1e-5)
    assert float(scripted(x)) != pytest.approx(before)


class Rows(nn.Module):
    """A module with special methods of its own, which see what the script sets."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 1
        self.items = [1.0, 2.0]
        self.parts = nn.ModuleList([nn.Linear(3, 3), nn.ReLU()])

    def __getitem__(self, i: int) -> Any:
        return self.parts[i] if i >= 0 else self.count + i

    def __len__(self) -> int:
        return self.count

    def __contains__(self, v: object) -> bool:
        return v in self.items

    def __iter__(self) -> Any:
        return iter(self.parts)

    def forward(self, x: Any) -> Any:
        self.count += 1
        self.items.append(float(self.count))
        for part in self:
            x = part(x)
        for i in range(2):
            x = self[i](x)
        total = sum(part(x).sum() for part in self)
        return x * self[-1], len(self), 2.0 in self, 3.0 in self, total


def test_special_methods_of_modules_see_what_the_script_sets() -> None:
    tj.manual_seed(1)
    net, x = Rows(), tj.randn(2, 3)
    scripted = tj.script(copy.deepcopy(net))
    for _ in range(3):
        found, expected = scripted(x), net(x)
        assert found[1:4] == expected[1:4]
        for k in (0, 4):
            assert found[k].detach().numpy() == pytest.approx(expected[k].detach().numpy(), rel=1e-5)


class Masked(nn.Module):
    """An array of which a part is first read in a loop, or in one branch and then another."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", tj.tril(tj.ones(8, 8)).reshape(1, 1, 8, 8))

    def forward(self, x: Any) -> Any:
        n = x.shape[1]
        products = x[:, None, :, None] * x[:, None, None, :]
        return products.masked_fill(self.mask[:, :, :n, :n] == 0, -1.0).sum(3)[:, 0]

    def grown(self, x: Any, n: int) -> Any:
        for _ in range(n):
            x = tj.cat((x, self(x)[:, -1:]), 1)
        return x

    def chosen(self, x: Any, n: int) -> Any:
        if n > 1:
            y = self.mask[0, :, n:, 1:3].sum()
        else:
            y = self.mask[:, 0, 1:, n:].sum() * 2
        for i in range(n):
            y = y + self.mask[0, 0, i, : i + 1].sum()
        return x * y


def test_a_part_of_an_array_that_is_first_met_in_a_block() -> None:
    net, x = Masked(), tj.tensor([[0.5, -1.0]])
    for fn in (net.grown, net.chosen):
        scripted = tj.script(fn)
        for n in (0, 1, 3):
            assert scripted(x, n).numpy() == pytest.approx(fn(x, n).numpy(), rel=1e-5)
