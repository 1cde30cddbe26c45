"""Layers and losses against formulas in NumPy, and initial values."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn

F = nn.functional


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def test_linear() -> None:
    layer = nn.Linear(3, 2).double()
    x = array(4, 5, 3)
    expected = x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(tj.tensor(x)).detach().numpy(), expected)
    assert nn.Linear(3, 2, bias=False).bias is None


def test_initial_distributions() -> None:
    tj.manual_seed(0)
    layer = nn.Linear(100, 400)
    bound = 1 / math.sqrt(100)
    weight = layer.weight.detach().numpy()
    assert abs(weight).max() <= bound and weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert abs(layer.bias.detach().numpy()).max() <= bound
    t = tj.empty(200, 100)
    assert nn.init.xavier_normal_(t).numpy().std() == pytest.approx(math.sqrt(2 / 300), rel=0.03)
    assert nn.init.kaiming_normal_(t, nonlinearity="relu").numpy().std() == pytest.approx(math.sqrt(2 / 100), rel=0.03)
    assert abs(nn.init.xavier_uniform_(t).numpy()).max() <= math.sqrt(6 / 300)
    q = nn.init.orthogonal_(tj.empty(5, 8, dtype=tj.float64)).numpy()
    np.testing.assert_allclose(q @ q.T, np.eye(5), atol=1e-12)
    assert abs(nn.init.trunc_normal_(t, std=2, a=-1, b=1).numpy()).max() <= 1
    assert nn.init.eye_(tj.empty(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]


def test_layer_norm() -> None:
    x = array(2, 3, 4)
    layer = nn.LayerNorm((3, 4)).double()
    mean, var = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    np.testing.assert_allclose(layer(tj.tensor(x)).detach().numpy(), (x - mean) / np.sqrt(var + 1e-5))
    with pytest.raises(ValueError):
        layer(tj.ones(2, 4, 3))


def test_embedding_and_its_padding() -> None:
    layer = nn.Embedding(5, 3, padding_idx=1)
    assert layer.weight[1].abs().sum().item() == 0
    out = layer(tj.tensor([[0, 1], [4, 0]]))
    assert out.shape == (2, 2, 3)
    out.sum().backward()
    assert layer.weight.grad.sum(1).tolist() == [6.0, 0.0, 0.0, 0.0, 3.0]


def test_dropout() -> None:
    tj.manual_seed(1)
    layer = nn.Dropout(0.25)
    x = tj.ones(2000)
    y = layer(x).numpy()
    assert set(np.round(np.unique(y), 5)) == {0.0, np.float32(1.33333)}
    assert (y == 0).mean() == pytest.approx(0.25, abs=0.05)
    assert layer.eval()(x) is x
    with pytest.raises(ValueError):
        nn.Dropout(2)


def test_activations() -> None:
    x = array(3, 4)
    t = tj.tensor(x)
    cases = {
        nn.ReLU(): np.maximum(x, 0),
        nn.Tanh(): np.tanh(x),
        nn.Sigmoid(): 1 / (1 + np.exp(-x)),
        nn.SiLU(): x / (1 + np.exp(-x)),
        nn.GELU(): x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
        nn.GELU("tanh"): 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        nn.Softplus(): np.log1p(np.exp(x)),
        nn.LeakyReLU(0.1): np.where(x > 0, x, 0.1 * x),
        nn.ELU(): np.where(x > 0, x, np.expm1(x)),
        nn.Softmax(0): softmax(x, 0),
        nn.LogSoftmax(1): np.log(softmax(x, 1)),
        nn.Identity(): x,
        nn.Flatten(0): x.reshape(-1),
    }
    for layer, expected in cases.items():
        np.testing.assert_allclose(layer(t).numpy(), expected, rtol=1e-12, atol=1e-14, err_msg=repr(layer))


def test_squared_and_absolute_losses() -> None:
    x, y = array(3, 4), array(3, 4, seed=1)
    a, b = tj.tensor(x), tj.tensor(y)
    assert nn.MSELoss()(a, b).item() == pytest.approx(((x - y) ** 2).mean())
    assert nn.MSELoss("sum")(a, b).item() == pytest.approx(((x - y) ** 2).sum())
    np.testing.assert_allclose(nn.L1Loss("none")(a, b).numpy(), abs(x - y))
    d = abs(x - y)
    np.testing.assert_allclose(nn.SmoothL1Loss("none")(a, b).numpy(), np.where(d < 1, d * d / 2, d - 0.5))
    with pytest.raises(ValueError):
        nn.MSELoss("average")


def test_cross_entropy_of_class_numbers() -> None:
    x, target, weight = array(5, 3), np.array([0, 2, 1, -100, 2]), np.array([1.0, 2.0, 0.5])
    logp = np.log(softmax(x, 1))
    kept = target >= 0
    picked = -logp[np.arange(5), np.where(kept, target, 0)] * kept
    share = weight[np.where(kept, target, 0)] * kept
    t = tj.tensor(target)
    assert F.cross_entropy(tj.tensor(x), t).item() == pytest.approx(picked.sum() / kept.sum())
    weighted = F.cross_entropy(tj.tensor(x), t, tj.tensor(weight))
    assert weighted.item() == pytest.approx((picked * share).sum() / share.sum())
    np.testing.assert_allclose(F.cross_entropy(tj.tensor(x), t, reduction="none").numpy(), picked)
    assert F.nll_loss(tj.tensor(logp), t).item() == pytest.approx(picked.sum() / kept.sum())


def test_cross_entropy_of_images_vectors_and_probabilities() -> None:
    x = array(2, 3, 4)
    target = np.random.default_rng(2).integers(0, 3, (2, 4))
    logp = np.log(softmax(x, 1))
    picked = -np.take_along_axis(logp, target[:, None], 1)[:, 0]
    np.testing.assert_allclose(F.cross_entropy(tj.tensor(x), tj.tensor(target), reduction="none").numpy(), picked)
    v = array(4)
    assert F.cross_entropy(tj.tensor(v), tj.tensor(2)).item() == pytest.approx(-np.log(softmax(v, 0))[2])
    p = softmax(array(2, 3, 4, seed=5), 1)
    assert F.cross_entropy(tj.tensor(x), tj.tensor(p)).item() == pytest.approx(-(p * logp).sum(1).mean())


def test_label_smoothing_mixes_in_the_uniform_distribution() -> None:
    x, target = array(4, 3), np.array([0, 1, 2, 1])
    p = np.eye(3)[target] * 0.7 + 0.1
    got = F.cross_entropy(tj.tensor(x), tj.tensor(target), label_smoothing=0.3)
    assert got.item() == pytest.approx(-(p * np.log(softmax(x, 1))).sum(1).mean())


def test_binary_cross_entropy() -> None:
    x, t = array(6), (array(6, seed=1) > 0) * 1.0
    p = 1 / (1 + np.exp(-x))
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    assert nn.BCELoss()(tj.tensor(p), tj.tensor(t)).item() == pytest.approx(expected)
    assert nn.BCEWithLogitsLoss()(tj.tensor(x), tj.tensor(t)).item() == pytest.approx(expected)
    assert F.binary_cross_entropy_with_logits(tj.tensor([1000.0]), tj.tensor([0.0])).item() == 1000.0


def test_attention() -> None:
    q, k, v = array(2, 5, 4), array(2, 6, 4, seed=1), array(2, 6, 3, seed=2)
    scores = q @ k.transpose(0, 2, 1) / 2
    got = F.scaled_dot_product_attention(tj.tensor(q), tj.tensor(k), tj.tensor(v))
    np.testing.assert_allclose(got.numpy(), softmax(scores, -1) @ v)
    mask = np.tril(np.ones((5, 6), bool))
    got = F.scaled_dot_product_attention(tj.tensor(q), tj.tensor(k), tj.tensor(v), is_causal=True)
    np.testing.assert_allclose(got.numpy(), softmax(np.where(mask, scores, -np.inf), -1) @ v)


def test_one_hot_and_normalize() -> None:
    assert F.one_hot(tj.tensor([0, 2]), 3).tolist() == [[1, 0, 0], [0, 0, 1]]
    np.testing.assert_allclose(F.normalize(tj.tensor([[3.0, 4.0]])).numpy(), [[0.6, 0.8]], rtol=1e-6)
