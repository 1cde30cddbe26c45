"""Layers compiled by `script` against eager ones: results, gradients, buffers, random numbers, also after training."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn


def array(*shape: int, seed: int = 0) -> tj.Tensor:
    return tj.tensor(np.random.default_rng(seed).normal(size=shape))


MASK = tj.tensor(np.triu(np.ones((5, 5), bool), 1))
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[Any, ...]]] = {
    "convolution": (lambda: nn.Conv2d(2, 4, 3, padding=1, stride=2, groups=2), (array(3, 2, 6, 5),)),
    "same size": (lambda: nn.Conv2d(2, 3, 3, padding="same"), (array(3, 2, 6, 5),)),
    "reflected": (lambda: nn.Conv1d(2, 3, 3, padding="same", padding_mode="reflect"), (array(3, 2, 6),)),
    "transposed": (lambda: nn.ConvTranspose2d(2, 4, 3, 2, 1, 1), (array(3, 2, 4, 3),)),
    "pools": (lambda: nn.Sequential(nn.MaxPool2d(2), nn.AvgPool2d(2, 1)), (array(3, 2, 8, 6),)),
    "batch norm": (lambda: nn.BatchNorm2d(3), (array(4, 3, 2, 5),)),
    "plain average": (lambda: nn.BatchNorm1d(3, momentum=None, affine=False), (array(4, 3),)),
    "no statistics": (lambda: nn.BatchNorm1d(3, track_running_stats=False), (array(4, 3, 2),)),
    "group norm": (lambda: nn.GroupNorm(2, 4), (array(3, 4, 5),)),
    "layer norm": (lambda: nn.LayerNorm((4, 5)), (array(3, 4, 5),)),
    "dropout": (lambda: nn.Sequential(nn.Linear(5, 6), nn.Dropout(0.4), nn.Flatten()), (array(3, 5),)),
    "embedding": (lambda: nn.Embedding(6, 3, padding_idx=2), (tj.tensor([[1, 2, 5], [2, 0, 1]]),)),
    "rnn": (lambda: nn.RNN(3, 4, 2, nonlinearity="relu", bidirectional=True), (array(5, 2, 3),)),
    "lstm": (lambda: nn.LSTM(3, 4, 2, batch_first=True, dropout=0.5, bias=False), (array(5, 2, 3),)),
    "gru": (lambda: nn.GRU(3, 4, bidirectional=True), (array(5, 3), array(2, 4))),
    "cells": (lambda: nn.LSTMCell(3, 4), (array(2, 3), (array(2, 4), array(2, 4, seed=1)))),
    "attention": (lambda: nn.MultiheadAttention(6, 2, dropout=0.2), (array(4, 2, 6), array(3, 2, 6), array(3, 2, 6))),
    "encoder": (
        lambda: nn.TransformerEncoderLayer(6, 3, 8, activation="gelu", batch_first=True, norm_first=True),
        (array(2, 5, 6), MASK),
    ),
    "further keys": (
        lambda: nn.MultiheadAttention(6, 2, add_bias_kv=True, add_zero_attn=True, kdim=3),
        (array(5, 2, 6), array(5, 2, 3), array(5, 2, 6), tj.tensor(np.eye(2, 5) > 0), True, MASK),
    ),
    "transformer": (
        lambda: nn.Transformer(6, 2, 1, 1, 8, activation=nn.functional.gelu, batch_first=True),
        (array(2, 5, 6), array(2, 5, 6, seed=1), None, MASK),
    ),
    "weight norm": (lambda: nn.utils.weight_norm(nn.Conv1d(4, 3, 2)), (array(2, 4, 6),)),
    "spectral norm": (lambda: nn.utils.spectral_norm(nn.Linear(4, 3)), (array(2, 4),)),
    "stacks": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8, 0.0), 2, nn.LayerNorm(6)),
        (array(5, 2, 6), MASK),
    ),
}


def leaves(y: Any) -> list[Any]:
    return [y] if isinstance(y, tj.Tensor) else [] if y is None else [leaf for part in y for leaf in leaves(part)]


def outcome(call: Any, net: nn.Module, arguments: tuple[Any, ...]) -> list[np.ndarray]:
    """Two steps in training, one after it: all that can be seen of them."""
    tj.manual_seed(3)
    seen: list[np.ndarray] = []
    for training in (True, True, False):
        net.train(training)
        net.zero_grad()
        ys = leaves(call(*arguments))
        if any(y.requires_grad for y in ys):
            sum((y * y).sum() for y in ys).backward()
        seen += [y.detach().numpy().copy() for y in ys]
        seen += [p.grad.numpy().copy() for p in net.parameters()]
        seen += [b.numpy().copy() for b in net.buffers()]
    return seen


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_scripted_layers_equal_eager_ones(name: str) -> None:
    make, arguments = LAYERS[name]
    net = make().double()
    twin = copy.deepcopy(net)
    expected = outcome(net, net, arguments)
    found = outcome(tj.script(twin), twin, arguments)
    assert len(found) == len(expected) > 1
    for have, want in zip(found, expected):
        np.testing.assert_allclose(have, want, rtol=1e-10, atol=1e-11)


def test_one_compile_serves_all_lengths() -> None:
    net = nn.LSTM(3, 4)
    compiled = tj.script(net)
    for steps, batch in ((4, 2), (7, 3), (30, 5)):
        x = tj.randn(steps, batch, 3)
        np.testing.assert_allclose(compiled(x)[0].detach().numpy(), net(x)[0].detach().numpy(), atol=1e-6)
    assert compiled.compiles == 1


def test_inputs_of_other_sizes_are_refused() -> None:
    for net, x in (
        (nn.BatchNorm2d(3), tj.zeros(2, 4, 5, 5)),
        (nn.BatchNorm2d(3), tj.zeros(2, 3, 5)),
        (nn.BatchNorm1d(3), tj.zeros(1, 3)),
        (nn.LSTM(3, 4), tj.zeros(5, 2, 2)),
        (nn.GRU(3, 4), tj.zeros(0, 2, 3)),
        (nn.MultiheadAttention(4, 2), tj.zeros(5, 2, 3)),
    ):
        arguments = (x,) * (3 if isinstance(net, nn.MultiheadAttention) else 1)
        for call in (net, tj.script(net)):
            with pytest.raises(ValueError):
                call(*arguments)


def trained(net: nn.Module, call: Any, x: Any, t: Any, steps: int, rate: float) -> list[float]:
    optimizer = tj.optim.Adam(net.parameters(), rate)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(call(x), t)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def both_train(make: Callable[[], nn.Module], x: Any, t: Any, steps: int, rate: float) -> list[float]:
    """Losses of training; eager and scripted agree on the first ones, rounding apart."""
    tj.manual_seed(0)
    net = make()
    twin = copy.deepcopy(net)
    tj.manual_seed(1)
    few = trained(twin, twin, x, t, 4, rate)
    tj.manual_seed(1)
    losses = trained(net, tj.script(net), x, t, steps, rate)
    assert losses[:4] == pytest.approx(few, rel=1e-3)
    return losses


def test_a_convolutional_net_learns_to_tell_bars_apart() -> None:
    rng = np.random.default_rng(0)
    t = rng.integers(0, 2, 40)
    images = rng.normal(size=(40, 1, 12, 12)) * 0.3
    for image, label, place in zip(images, t, rng.integers(2, 10, 40)):
        image[0, place, :] += 1.0 - label
        image[0, :, place] += label

    def make() -> nn.Module:
        return nn.Sequential(
            *(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Dropout(0.1), nn.Linear(72, 2)),
        )

    losses = both_train(make, tj.tensor(images.astype(np.float32)), tj.tensor(t), 25, 0.01)
    assert losses[-1] < 0.2 * losses[0]


class LastState(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, 12, batch_first=True)
        self.out = nn.Linear(12, 2)

    def forward(self, x: Any) -> Any:
        _, (h, _) = self.lstm(x)
        return self.out(h[-1])


def test_an_lstm_learns_which_half_is_louder() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(48, 10, 2)).astype(np.float32)
    t = (np.abs(x[:, 5:]).sum((1, 2)) > np.abs(x[:, :5]).sum((1, 2))).astype(np.int64)
    losses = both_train(LastState, tj.tensor(x), tj.tensor(t), 80, 0.03)
    assert losses[-1] < 0.5 * losses[0]


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(8, 12)
        self.block = nn.TransformerEncoderLayer(12, 3, 24, dropout=0.0, batch_first=True)
        self.out = nn.Linear(12, 8)

    def forward(self, x: Any) -> Any:
        return self.out(self.block(self.embed(x))[:, 0])


def test_a_transformer_learns_the_commonest_symbol() -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(0, 8, (40, 9))
    t = np.array([np.bincount(row, minlength=8).argmax() for row in x])
    losses = both_train(Reader, tj.tensor(x), tj.tensor(t), 40, 0.01)
    assert losses[-1] < 0.5 * losses[0]


def test_a_whole_step_of_a_convolutional_net_is_one_script() -> None:
    tj.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.2), nn.Linear(48, 3)),
    )
    x, t = tj.randn(6, 1, 8, 8), tj.randint(3, (6,))
    outcomes = []
    for each, wrap in ((net, lambda f: f), (copy.deepcopy(net), tj.script)):
        optimizer = tj.optim.Adam(each.parameters(), 0.01)

        def step(x: Any, t: Any, each: Any = each, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(each(x), t)
            loss.backward()
            optimizer.step()
            return loss

        call = wrap(step)
        tj.manual_seed(1)
        losses = [float(call(x, t)) for _ in range(4)]
        outcomes.append((losses, each.state_dict()))
    assert outcomes[1][0] == pytest.approx(outcomes[0][0], rel=1e-4)
    for name, value in outcomes[0][1].items():
        np.testing.assert_allclose(outcomes[1][1][name].numpy(), value.numpy(), rtol=1e-3, atol=2e-4, err_msg=name)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_a_copy_of_a_scripted_module_is_one(copied: Any) -> None:
    module = tj.script(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), fastmath=True)
    x = tj.randn(2, 3)
    want = module(x).detach().numpy()
    other = copied(module)
    assert repr(other) == repr(module) and other.options == module.options
    np.testing.assert_array_equal(other(x).detach().numpy(), want)
    with tj.no_grad():
        other[0].weight.zero_()
    np.testing.assert_array_equal(module(x).detach().numpy(), want)


def test_a_scripted_container_gives_its_parts() -> None:
    layers = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    scripted = tj.script(layers)
    assert len(scripted) == 2 and scripted[0] is layers[0] and list(scripted) == list(layers) and layers[1] in scripted
    assert scripted and tj.script(nn.Linear(3, 2))
    scripted.extra = 3
    del scripted.extra
    assert not hasattr(layers, "extra")
    with pytest.raises(TypeError, match="not subscriptable"):
        tj.script(nn.ReLU())[0]
