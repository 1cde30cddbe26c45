"""Activations, distances, pools and losses beyond the usual ones: values by their formulas, eager and scripted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn
from tracejit.nn import functional as F

RNG = np.random.default_rng(3)
X = RNG.standard_normal((4, 6)).astype(np.float32)
Y = RNG.standard_normal((4, 6)).astype(np.float32)
SIGN = np.sign(RNG.standard_normal((4, 6))).astype(np.float32)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


ACTIVATIONS: list[tuple[nn.Module, Callable[[Any], Any]]] = [
    (nn.ReLU6(), lambda x: np.clip(x, 0, 6)),
    (nn.SELU(), lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x))),
    (nn.Mish(), lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    (nn.Softsign(), lambda x: x / (1 + np.abs(x))),
    (nn.Hardsigmoid(), lambda x: np.clip(x + 3, 0, 6) / 6),
    (nn.Hardswish(), lambda x: x * np.clip(x + 3, 0, 6) / 6),
    (nn.Tanhshrink(), lambda x: x - np.tanh(x)),
    (nn.LogSigmoid(), lambda x: np.log(sigmoid(x))),
    (nn.CELU(1.5), lambda x: np.where(x > 0, x, 1.5 * np.expm1(x / 1.5))),
    (nn.Hardtanh(-0.5, 0.3), lambda x: np.clip(x, -0.5, 0.3)),
    (nn.Threshold(0.1, 7.0), lambda x: np.where(x > 0.1, x, 7.0)),
    (nn.Softshrink(0.3), lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.3, 0)),
    (nn.Hardshrink(), lambda x: np.where(np.abs(x) > 0.5, x, 0)),
    (nn.GLU(), lambda x: x[:, :3] * sigmoid(x[:, 3:])),
    (nn.Softmin(1), lambda x: np.exp(-x) / np.exp(-x).sum(1, keepdims=True)),
    (nn.PReLU(), lambda x: np.where(x > 0, x, 0.25 * x)),
    (nn.PReLU(6), lambda x: np.where(x > 0, x, 0.25 * x)),
    (nn.ReLU(inplace=True), lambda x: np.maximum(x, 0)),
    (nn.Identity(3, unused=True), lambda x: x),
]


@pytest.mark.parametrize(("module", "formula"), ACTIVATIONS, ids=[str(m) for m, _ in ACTIVATIONS])
def test_activations(module: nn.Module, formula: Callable[[Any], Any]) -> None:
    for call in (module, tj.script(module)):
        np.testing.assert_allclose(call(tj.tensor(X)).detach().numpy(), formula(X), rtol=2e-5, atol=2e-6)


def test_in_place_activations_change_their_input() -> None:
    for call in (nn.ReLU(inplace=True), tj.script(nn.ReLU(inplace=True))):
        x = tj.tensor([-1.0, 2.0])
        call(x)
        assert x.tolist() == [0.0, 2.0]


def cosine(x: Any, y: Any) -> Any:
    return (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))


def distance(x: Any, y: Any) -> Any:
    return np.sqrt(((x - y + 1e-6) ** 2).sum(1))


OF_TWO: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (F.cosine_similarity, cosine),
    (F.pairwise_distance, distance),
    (lambda x, y: F.soft_margin_loss(x, y.sign()), lambda x, y: np.log1p(np.exp(-np.sign(y) * x)).mean()),
    (
        lambda x, y: F.hinge_embedding_loss(x, y.sign()),
        lambda x, y: np.where(y > 0, x, np.maximum(1 - x, 0)).mean(),
    ),
    (
        lambda x, y: F.margin_ranking_loss(x, y, x.sign(), 0.1),
        lambda x, y: np.maximum(0.1 - np.sign(x) * (x - y), 0).mean(),
    ),
    (
        lambda x, y: F.triplet_margin_loss(x, y, x * y),
        lambda x, y: np.maximum(distance(x, y) - distance(x, x * y) + 1, 0).mean(),
    ),
    (lambda x, y: F.poisson_nll_loss(x, y), lambda x, y: (np.exp(x) - x * y).mean()),
    (
        lambda x, y: F.gaussian_nll_loss(x, y, y * y),
        lambda x, y: (0.5 * (np.log(y * y) + (x - y) ** 2 / (y * y))).mean(),
    ),
    (lambda x, y: tj.addmm(x[:, :4], x, y.T, beta=0.5, alpha=2.0), lambda x, y: 0.5 * x[:, :4] + 2 * x @ y.T),
    (lambda x, y: tj.addmv(x[:, 0], x, y[0]), lambda x, y: x[:, 0] + x @ y[0]),
    (lambda x, y: tj.addr(x, x[:, 0], y[0], alpha=2.0), lambda x, y: x + 2 * np.outer(x[:, 0], y[0])),
    (lambda x, y: x.addcmul(x, y, value=2.0), lambda x, y: x + 2 * x * y),
    (lambda x, y: x.addcdiv(x, y), lambda x, y: x + x / y),
    (lambda x, y: tj.baddbmm(x[None], x[None], (y.T @ x)[None]), lambda x, y: (x + x @ (y.T @ x))[None]),
    (
        lambda x, y: tj.frac(x) + x.clamp_min(0.1) * y.clamp_max(0.1),
        lambda x, y: x - np.trunc(x) + np.maximum(x, 0.1) * np.minimum(y, 0.1),
    ),
    (lambda x, y: tj.xlogy(x, y.abs()), lambda x, y: x * np.log(np.abs(y))),
    (lambda x, y: tj.dist(x, y) + tj.rsub(x, y), lambda x, y: np.sqrt(((x - y) ** 2).sum()) + y - x),
    (
        lambda x, y: tj.stack(tj.var_mean(x)) + tj.stack(tj.std_mean(y)),
        lambda x, y: np.stack([x.var() + y.std(), x.mean() + y.mean()]),
    ),
]


@pytest.mark.parametrize(("fn", "formula"), OF_TWO)
def test_functions_of_two_arrays(fn: Callable[..., Any], formula: Callable[..., Any]) -> None:
    for call in (fn, tj.script(fn)):
        found = call(tj.tensor(X), tj.tensor(Y)).numpy()
        np.testing.assert_allclose(found, formula(X, Y), rtol=1e-4, atol=1e-5)


def test_losses_as_modules() -> None:
    x, y, sign = tj.tensor(X), tj.tensor(Y), tj.tensor(SIGN)
    rows = tj.tensor(SIGN[:, 0])
    pairs = [
        (nn.SoftMarginLoss("sum")(x, sign), F.soft_margin_loss(x, sign, "sum")),
        (nn.HingeEmbeddingLoss()(x, sign), F.hinge_embedding_loss(x, sign, 1.0)),
        (nn.MarginRankingLoss(0.1)(x, y, sign), F.margin_ranking_loss(x, y, sign, 0.1)),
        (nn.CosineEmbeddingLoss()(x, y, rows), F.cosine_embedding_loss(x, y, rows)),
        (nn.TripletMarginLoss(2.0)(x, y, sign), F.triplet_margin_loss(x, y, sign, 2.0)),
    ]
    for found, expected in pairs:
        assert found.item() == expected.item()


def test_adaptive_pools() -> None:
    x = RNG.standard_normal((2, 3, 7, 5)).astype(np.float32)
    for call in (nn.AdaptiveAvgPool2d((3, None)), tj.script(nn.AdaptiveAvgPool2d((3, None)))):
        found = call(tj.tensor(x)).numpy()
        expected = np.stack([x[..., 0:3, :].mean(-2), x[..., 2:5, :].mean(-2), x[..., 4:7, :].mean(-2)], -2)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        F.adaptive_avg_pool2d(tj.tensor(x), 1).numpy(), x.mean((-2, -1), keepdims=True), rtol=1e-5, atol=1e-6
    )
    assert nn.AdaptiveAvgPool1d(2)(tj.tensor(x[0, 0])).shape == (7, 2)


def test_rearranged_and_bilinear() -> None:
    x = np.arange(2 * 8 * 3 * 2, dtype=np.float32).reshape(2, 8, 3, 2)
    expected = x.reshape(2, 2, 2, 2, 3, 2).transpose(0, 1, 4, 2, 5, 3).reshape(2, 2, 6, 4)
    for call in (nn.PixelShuffle(2), tj.script(nn.PixelShuffle(2))):
        np.testing.assert_array_equal(call(tj.tensor(x)).numpy(), expected)
    layer = nn.Bilinear(6, 6, 3)
    expected = np.einsum("bi,kij,bj->bk", X, layer.weight.detach().numpy(), Y) + layer.bias.detach().numpy()
    for call in (layer, tj.script(layer)):
        np.testing.assert_allclose(call(tj.tensor(X), tj.tensor(Y)).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ([0, 3], IndexError),
        ([0, -1], IndexError),
        ([0, 1, 2], ValueError),
        ([[0, 1]], ValueError),
        (1, ValueError),
        ([0.0, 1.0], TypeError),
    ],
)
def test_targets_that_are_no_classes(target: Any, kind: type[Exception]) -> None:
    scores = tj.rand(2, 3)
    for smoothing in (0.0, 0.1):
        loss = nn.CrossEntropyLoss(label_smoothing=smoothing)
        for run in (loss, tj.script(loss)):
            with pytest.raises(kind):
                run(scores, tj.tensor(target))


def test_words_that_are_not_there() -> None:
    table = nn.Embedding(4, 2)
    for run in (table, tj.script(table), lambda i: F.embedding_bag(i[None], table.weight)):
        for index in (-1, 4):
            with pytest.raises(IndexError):
                run(tj.tensor([0, index]))
    assert table(tj.tensor([3], dtype=tj.uint8)).tolist() == [table.weight[3].tolist()]
    assert F.embedding(np.array([1]), np.eye(3)).tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("loss", [F.binary_cross_entropy, F.binary_cross_entropy_with_logits])
def test_binary_targets_of_other_shapes(loss: Callable[..., Any]) -> None:
    for shape in ((3,), (4, 1), (3, 3)):
        for run in (loss, tj.script(loss)):
            with pytest.raises(ValueError, match="the target has shape"):
                run(tj.rand(3, 1), tj.ones(shape))


def test_alpha_dropout_keeps_moments() -> None:
    tj.manual_seed(0)
    x = tj.randn(100000)
    for call in (F.alpha_dropout, tj.script(lambda x, p, training: F.alpha_dropout(x, p, training))):
        found = call(x, 0.3, True).numpy()
        assert abs(found.mean()) < 0.02 and abs(found.var() - 1) < 0.03
        values, counts = np.unique(found, return_counts=True)
        assert counts.max() / 100000 == pytest.approx(0.3, abs=0.01)
        scale = (0.7 * (1 + 0.3 * 1.7580993408473766**2)) ** -0.5
        assert values[counts.argmax()] == pytest.approx(-1.7580993408473766 * scale * 0.7, rel=1e-5)
    assert F.alpha_dropout(x, 0.3) is x and not F.alpha_dropout(x, 1.0, True).numpy().any()
    net = nn.FeatureAlphaDropout(0.5)
    found = net(tj.ones(20, 30, 4)).numpy()
    assert (found == found[:, :, :1]).all() and len(np.unique(found)) == 2
    assert nn.AlphaDropout(0.5).eval()(x) is x
    with pytest.raises(ValueError, match="probability"):
        F.alpha_dropout(x, 1.5, True)


def test_images_of_other_sizes_and_orders() -> None:
    x = tj.tensor(RNG.standard_normal((2, 4, 5, 6)))
    np.testing.assert_array_equal(
        nn.UpsamplingNearest2d(scale_factor=2)(x).numpy(), x.numpy().repeat(2, 2).repeat(2, 3)
    )
    found = nn.UpsamplingBilinear2d((9, 11))(x)
    np.testing.assert_allclose(found.numpy(), F.interpolate(x, (9, 11), None, "bilinear", True).numpy())
    np.testing.assert_allclose(found.numpy()[..., ::2, ::2], x.numpy())
    np.testing.assert_array_equal(nn.ChannelShuffle(2)(x).numpy(), x.numpy()[:, [0, 2, 1, 3]])
    for images in (x, x[0]):
        np.testing.assert_allclose(nn.Softmax2d()(images).sum(-3).numpy(), 1)
    with pytest.raises(ValueError, match="images"):
        nn.Softmax2d()(x[0, 0])


def test_triplets_with_other_distances() -> None:
    a, p, n = (RNG.standard_normal((4, 5)) for _ in range(3))
    near, far, other = (np.linalg.norm(u - v + 1e-6, axis=1) for u, v in ((a, p), (a, n), (p, n)))
    expected = np.maximum(near - np.minimum(far, other) + 2.0, 0)
    given = tuple(map(tj.tensor, (a, p, n)))
    net = nn.TripletMarginLoss(2.0, swap=True, reduction="none")
    for call in (net, tj.script(net)):
        np.testing.assert_allclose(call(*given).numpy(), expected)

    def city(u: Any, v: Any) -> Any:
        return (u - v).abs().sum(-1)

    loss = nn.TripletMarginWithDistanceLoss(distance_function=city, margin=1.0)
    expected = np.maximum(np.abs(a - p).sum(1) - np.abs(a - n).sum(1) + 1.0, 0).mean()
    for call in (loss, tj.script(loss)):
        assert call(*given).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["relu_", "elu_", "selu_", "celu_", "leaky_relu_", "hardtanh_"])
def test_activations_in_place(name: str) -> None:
    function = getattr(F, name)
    for call in (function, tj.script(lambda x: function(x))):
        x = tj.tensor(X)
        assert call(x).shape == x.shape
        np.testing.assert_allclose(x.numpy(), getattr(F, name[:-1])(tj.tensor(X)).numpy(), rtol=1e-6)
    x = tj.tensor(X)
    np.testing.assert_array_equal(F.threshold_(x, 0.1, 7.0).numpy(), np.where(X > np.float32(0.1), X, 7))
