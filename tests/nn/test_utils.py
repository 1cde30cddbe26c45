"""`nn.utils`: limited gradients, parameters as a vector, computed weights, padded sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn
from tracejit.nn import utils


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def with_gradients() -> Any:
    net = nn.Linear(4, 3).double()
    net.weight.data.copy_(tj.tensor(array(3, 4)))
    net.bias.data.copy_(tj.tensor(array(3, seed=1)))
    return net


def squares(net: Any, x: Any) -> Any:
    return net(x).square().sum()


@pytest.mark.parametrize("order", [2.0, 1.0, float("inf")])
@pytest.mark.parametrize("most", [0.5, 1e9])
def test_clip_grad_norm(order: float, most: float) -> None:
    x = tj.tensor(array(5, 4, seed=2))

    def step(net: Any, x: Any) -> Any:
        loss = squares(net, x)
        loss.backward()
        return utils.clip_grad_norm_(net.parameters(), most, order)

    plain = with_gradients()
    squares(plain, x).backward()
    slopes = np.concatenate([p.grad.numpy().ravel() for p in plain.parameters()])
    norm = np.linalg.norm(slopes, order)
    for call in (step, tj.script(step)):
        net = with_gradients()
        np.testing.assert_allclose(call(net, x).detach().numpy(), norm, rtol=1e-12)
        found = np.concatenate([p.grad.numpy().ravel() for p in net.parameters()])
        np.testing.assert_allclose(found, slopes * min(1.0, most / (norm + 1e-6)), rtol=1e-12)


def test_clip_grad_norm_of_what_is_not_finite() -> None:
    p: Any = tj.zeros(2, requires_grad=True)
    p.grad = tj.tensor([1.0, float("inf")])
    with pytest.raises(RuntimeError, match="not finite"):
        utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert utils.clip_grad_norm_([tj.zeros(2, requires_grad=True)], 1.0).item() == 0.0


def test_clip_grad_value() -> None:
    x = tj.tensor(array(5, 4, seed=2))

    def step(net: Any, x: Any) -> None:
        loss = squares(net, x)
        loss.backward()
        utils.clip_grad_value_(net.parameters(), 0.5)

    plain = with_gradients()
    squares(plain, x).backward()
    for call in (step, tj.script(step)):
        net = with_gradients()
        call(net, x)
        for p, q in zip(net.parameters(), plain.parameters()):
            np.testing.assert_array_equal(p.grad.numpy(), np.clip(q.grad.numpy(), -0.5, 0.5))


def test_parameters_and_vectors() -> None:
    net = with_gradients()
    vector = utils.parameters_to_vector(net.parameters())
    np.testing.assert_array_equal(vector.detach().numpy()[:12], net.weight.detach().numpy().ravel())
    assert vector.shape == (15,) and vector.requires_grad
    utils.vector_to_parameters(tj.arange(15.0), net.parameters())
    np.testing.assert_array_equal(net.bias.detach().numpy(), [12, 13, 14])
    np.testing.assert_array_equal(net.weight.detach().numpy()[1], [4, 5, 6, 7])


@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_sequences(side: str) -> None:
    parts = [array(n, 2, seed=n) for n in (3, 1, 4)]
    expected = np.full((3, 4, 2), -1.0)
    for row, part in zip(expected, parts):
        row[slice(4 - len(part), None) if side == "left" else slice(len(part))] = part

    def padded(a: Any, b: Any, c: Any, batch_first: bool) -> Any:
        return utils.rnn.pad_sequence([a, b, c], batch_first, -1.0, side)

    a, b, c = map(tj.tensor, parts)
    for call in (padded, tj.script(padded)):
        np.testing.assert_array_equal(call(a, b, c, True).numpy(), expected)
        np.testing.assert_array_equal(call(a, b, c, False).numpy(), expected.swapaxes(0, 1))
    if side == "right":
        for found, part in zip(utils.rnn.unpad_sequence(tj.tensor(expected), tj.tensor([3, 1, 4]), True), parts):
            np.testing.assert_array_equal(found.numpy(), part)
    with pytest.raises(ValueError, match="middle"):
        utils.rnn.pad_sequence([tj.zeros(2)], padding_side="middle")


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(dim: int | None) -> None:
    w, x = array(3, 4, 2), tj.tensor(array(2, 4, 6, seed=1))
    net: Any = nn.Conv1d(4, 3, 2).double()
    net.weight.data.copy_(tj.tensor(w))
    before = net(x).detach().numpy()
    utils.weight_norm(net, dim=dim)
    axes = {0: (1, 2), 1: (0, 2), None: (0, 1, 2)}[dim]
    lengths = np.sqrt((w * w).sum(axes, keepdims=dim is not None))
    assert [n for n, _ in net.named_parameters()] == ["bias", "weight_g", "weight_v"]
    np.testing.assert_allclose(net.weight_g.detach().numpy(), lengths)
    net.weight_g.data.mul_(2.0)
    with tj.no_grad():
        compiled = tj.script(net)(x).numpy()
    out = net(x)
    bias = net.bias.detach().numpy()[:, None]
    np.testing.assert_allclose(out.detach().numpy(), 2 * (before - bias) + bias)
    np.testing.assert_allclose(compiled, out.detach().numpy())
    out.square().sum().backward()
    along = (net.weight_v.grad * net.weight_v).sum().item()
    assert abs(along) < 1e-9  # the loss does not change with the length of v
    with pytest.raises(RuntimeError, match="already"):
        utils.weight_norm(net)
    utils.remove_weight_norm(net)
    assert sorted(n for n, _ in net.named_parameters()) == ["bias", "weight"]
    np.testing.assert_allclose(net(x).detach().numpy(), compiled)
    with pytest.raises(ValueError, match="weight"):
        utils.remove_weight_norm(net)


def test_spectral_norm() -> None:
    net: Any = utils.spectral_norm(nn.Linear(4, 3).double(), n_power_iterations=60)
    x = tj.tensor(array(5, 4))
    largest = np.linalg.svd(net.weight_orig.detach().numpy())[1][0]
    net(x).square().sum().backward()
    np.testing.assert_allclose(net.weight.detach().numpy(), net.weight_orig.detach().numpy() / largest, rtol=1e-9)
    along = (net.weight_orig.grad * net.weight_orig).sum().item()
    assert abs(along) < 1e-9  # nor with the size of the weight
    assert sorted(net.state_dict()) == ["bias", "weight_orig", "weight_u", "weight_v"]
    kept = net.weight_u.numpy().copy()
    net.eval()
    net(x)
    np.testing.assert_array_equal(net.weight_u.numpy(), kept)
    utils.remove_spectral_norm(net)
    np.testing.assert_allclose(np.linalg.svd(net.weight.detach().numpy())[1][0], 1.0)
    transposed = utils.spectral_norm(nn.ConvTranspose1d(4, 3, 2))
    assert transposed.weight_u.shape == (3,) and transposed.weight_v.shape == (8,)
