"""Pooling with places and over three axes, windows as columns, `grid_sample`, `ctc_loss`, margins: by their formulas,
eager and scripted, with derivatives."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.eager.differences import check_gradients
from tracejit import nn
from tracejit.nn import functional as F

RNG = np.random.default_rng(5)
IMAGES = RNG.standard_normal((2, 3, 7, 6))


def agree(fn: Callable[..., Any], expected: Any, *arguments: Any) -> None:
    """The function, eager and scripted, gives what is expected."""
    tensors = [tj.tensor(a) if isinstance(a, np.ndarray) else a for a in arguments]
    for call in (fn, tj.script(fn)):
        found = call(*tensors)
        if not isinstance(expected, tuple):
            found, wanted = (found,), (expected,)
        else:
            wanted = expected
        for f, w in zip(found, wanted, strict=True):
            np.testing.assert_allclose(f.numpy(), w, rtol=1e-6, atol=1e-9)


def gradient(x: tj.Tensor) -> Any:
    assert x.grad is not None
    return x.grad.numpy()


def strided(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """(batch, channels, rows, columns, kernel, kernel)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(2, 3))
    return windows[:, :, ::stride, ::stride]


def test_unfold_and_fold() -> None:
    windows = strided(IMAGES, 2, 2)
    columns = windows.transpose(0, 1, 4, 5, 2, 3).reshape(2, 12, 9)
    agree(lambda x: F.unfold(x, 2, stride=2), columns, IMAGES)
    agree(nn.Unfold(2, stride=2), columns, IMAGES)
    agree(lambda x: F.unfold(x[0], 2, stride=2), columns[0], IMAGES)
    back = IMAGES.copy()
    back[:, :, 6] = 0
    agree(nn.Fold((7, 6), 2, stride=2), back, columns)
    with pytest.raises(ValueError, match="fold"):
        F.fold(tj.ones(1, 4, 9), (7, 7), 2)
    with pytest.raises(ValueError, match="fold"):
        F.fold(tj.ones(1, 5, 36), (7, 7), 2)


def test_fold_is_the_adjoint_of_unfold() -> None:
    settings = {"kernel_size": (3, 2), "dilation": (1, 2), "padding": (1, 0), "stride": (2, 1)}
    x = tj.tensor(IMAGES, requires_grad=True)
    columns = F.unfold(x, **settings)
    weight = tj.tensor(RNG.standard_normal(columns.shape))
    (columns * weight).sum().backward()
    agree(lambda w: F.fold(w, (7, 6), **settings), gradient(x), weight.numpy())
    assert tj.check(lambda y: F.fold(F.unfold(y, 2, padding=1), (7, 6), 2, padding=1).square().sum(), x.detach()).ok


def test_unfold_compiles_once_for_all_kernels() -> None:
    columns = tj.script(lambda x, k, s: F.unfold(x, k, stride=s))
    for k, s in ((2, 2), (3, 2), (2, 3)):
        assert columns(tj.tensor(IMAGES), k, s).shape == F.unfold(tj.tensor(IMAGES), k, stride=s).shape
    assert columns.compiles == 1


def placed(x: Any) -> Any:
    values, places = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    return values, places, F.max_unpool2d(values, places, 3, 2, 1, x.shape)


def test_places_of_maxima() -> None:
    full = np.pad(IMAGES, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    windows = strided(full, 3, 2)
    values = windows.max((4, 5))
    numbered = np.pad(np.arange(42).reshape(1, 1, 7, 6), ((0, 0), (0, 0), (1, 1), (1, 1)))
    picked = windows.reshape(*values.shape, 9).argmax(-1)
    counts = np.broadcast_to(strided(numbered, 3, 2), windows.shape).reshape(*values.shape, 9)
    places = np.take_along_axis(counts, picked[..., None], -1)[..., 0]
    back = np.zeros((2, 3, 42))
    np.put_along_axis(back, places.reshape(2, 3, -1), values.reshape(2, 3, -1), 2)
    agree(placed, (values, places, back.reshape(IMAGES.shape)), IMAGES)


@pytest.mark.parametrize("space", [1, 2, 3])
def test_pools_of_all_ranks(space: int) -> None:
    shape = (1, 2, 4, 6, 4)[: 2 + space]
    x = RNG.standard_normal(shape)
    pairs = x.reshape(1, 2, *itertools.chain.from_iterable((n // 2, 2) for n in shape[2:]))
    axes = tuple(range(3, 3 + 2 * space, 2))
    least, mean = pairs.max(axes), pairs.mean(axes)
    agree(getattr(nn, f"MaxPool{space}d")(2), least, x)
    agree(getattr(nn, f"AvgPool{space}d")(2), mean, x)
    agree(getattr(nn, f"LPPool{space}d")(2, 2), np.sqrt((pairs**2).sum(axes)), x)
    agree(getattr(nn, f"AdaptiveAvgPool{space}d")(2), x.reshape(1, 2, *halves(shape)).mean(axes), x)
    agree(getattr(nn, f"AdaptiveMaxPool{space}d")(2), x.reshape(1, 2, *halves(shape)).max(axes), x)
    pool = getattr(nn, f"MaxPool{space}d")(2, return_indices=True)
    unpool = getattr(nn, f"MaxUnpool{space}d")(2)
    values, places = pool(tj.tensor(x))
    kept = np.isin(x, least) * x
    agree(lambda v, i: unpool(v, i), kept, values.numpy(), places.numpy())


def halves(shape: tuple[int, ...]) -> list[int]:
    return list(itertools.chain.from_iterable((2, n // 2) for n in shape[2:]))


def test_transposed_convolution_over_three_axes() -> None:
    layer = nn.ConvTranspose3d(2, 3, 2, stride=2, bias=False, dtype=tj.float64)
    x = RNG.standard_normal((1, 2, 2, 3, 2))
    out = np.einsum("bcdhw,cozyx->bodzhywx", x, layer.weight.detach().numpy()).reshape(1, 3, 4, 6, 4)
    for call in (layer, tj.script(layer)):
        np.testing.assert_allclose(call(tj.tensor(x)).detach().numpy(), out)
    assert nn.Conv3d(2, 3, 2)(tj.ones(1, 2, 3, 3, 3)).shape == (1, 3, 2, 2, 2)


# -- grids ---------------------------------------------------------------------------------------------------------


def read(image: np.ndarray, y: float, x: float, padding: str) -> Any:
    """The image (channels, height, width) at one place, interpolated."""
    height, width = image.shape[1:]

    def inside(v: float, n: int) -> float:
        if padding == "reflection":
            while not -0.5 <= v <= n - 0.5:
                v = -1.0 - v if v < -0.5 else 2 * n - 1.0 - v
        return v if padding == "zeros" else min(max(v, 0.0), n - 1.0)

    y, x = inside(y, height), inside(x, width)
    total = np.zeros(image.shape[0])
    for i, j in itertools.product((0, 1), repeat=2):
        row, column = int(np.floor(y)) + i, int(np.floor(x)) + j
        if 0 <= row < height and 0 <= column < width:
            total += image[:, row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample(padding: str) -> None:
    grid = RNG.uniform(-1.6, 1.6, (2, 4, 3, 2))
    expected = np.zeros((2, 3, 4, 3))
    for b, i, j in itertools.product(range(2), range(4), range(3)):
        x, y = ((grid[b, i, j] + 1) * (6, 7) - 1) / 2
        expected[b, :, i, j] = read(IMAGES[b], y, x, padding)
    agree(lambda x, g: F.grid_sample(x, g, padding_mode=padding, align_corners=False), expected, IMAGES, grid)
    report = tj.check(
        lambda x, g: F.grid_sample(x, g, padding_mode=padding, align_corners=False).square().sum(),
        tj.tensor(IMAGES[:, :1]),
        tj.tensor(grid[:, :2]),
    )
    assert report.ok, report


@pytest.mark.parametrize("aligned", [True, False])
def test_the_grid_of_the_identity_reads_the_image(aligned: bool) -> None:
    def same(theta: Any, x: Any) -> Any:
        grid = F.affine_grid(theta, x.shape, align_corners=aligned)
        near = F.grid_sample(x, grid, mode="nearest", align_corners=aligned)
        return F.grid_sample(x, grid, align_corners=aligned), near

    agree(same, (IMAGES, IMAGES), np.tile(np.eye(2, 3), (2, 1, 1)), IMAGES)
    volumes = RNG.standard_normal((1, 2, 3, 4, 2))
    agree(same, (volumes, volumes), np.eye(3, 4)[None], volumes)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_grid_sample_by_cubic_convolution(padding: str) -> None:
    """The sum over all elements of an endless image, weighted by Keys' kernel of their distances."""
    image = np.random.default_rng(0).normal(size=(4, 5))
    grid = np.random.default_rng(1).uniform(-1.6, 1.6, (1, 3, 4, 2))

    def kernel(distance: Any) -> Any:
        d = np.abs(distance)
        inner, outer = (1.25 * d - 2.25) * d * d + 1, ((-0.75 * d + 3.75) * d - 6) * d + 3
        return np.where(d <= 1, inner, np.where(d < 2, outer, 0))

    def continued(places: Any, n: int) -> Any:
        if padding == "reflection":
            back = places % (2 * (n - 1))
            return np.minimum(back, 2 * (n - 1) - back)
        return np.clip(places, 0, n - 1)

    wide = np.arange(-8, 13)
    endless = image[np.ix_(*(continued(wide, n) for n in image.shape))]
    if padding == "zeros":
        outside = [(wide < 0) | (wide >= n) for n in image.shape]
        endless = np.where(outside[0][:, None] | outside[1], 0, endless)
    x, y = ((grid[..., k] + 1) / 2 * (n - 1) for k, n in enumerate((5, 4)))
    expected = np.einsum("abci,abcj,ij->abc", kernel(y[..., None] - wide), kernel(x[..., None] - wide), endless)

    def sampled(x: Any, g: Any) -> Any:
        return F.grid_sample(x, g, "bicubic", padding, True)

    for call in (sampled, tj.script(sampled)):
        np.testing.assert_allclose(call(tj.tensor(image[None, None]), tj.tensor(grid)).numpy()[:, 0], expected)
    check_gradients(sampled, image[None, None], grid[:, :2, :2], order=2 if padding == "reflection" else 1)


def test_grids_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="grid_sample"):
        F.grid_sample(tj.ones(1, 1, 3, 3), tj.ones(2, 3, 3, 2))
    with pytest.raises(ValueError, match="mode"):
        F.grid_sample(tj.ones(1, 1, 3, 3, 3), tj.ones(1, 3, 3, 3, 3), mode="bicubic")


# -- losses --------------------------------------------------------------------------------------------------------


def alignments(logp: np.ndarray, labels: tuple[int, ...]) -> float:
    """Minus the log of the sum over all paths that collapse to the labels."""
    total = 0.0
    for path in itertools.product(range(logp.shape[1]), repeat=len(logp)):
        merged = [k for k, _ in itertools.groupby(path) if k != 0]
        if tuple(merged) == labels:
            total += np.exp(sum(logp[t, k] for t, k in enumerate(path)))
    return -np.log(total) if total else np.inf


def test_ctc_loss() -> None:
    logits = RNG.standard_normal((5, 3, 3))
    logp = logits - np.log(np.exp(logits).sum(2, keepdims=True))
    labels, lengths, times = [(1, 1), (2,), ()], np.array([2, 1, 0]), np.array([5, 4, 3])
    each = np.array([alignments(logp[:n, b], labels[b]) for b, n in enumerate(times)])
    rows = np.array([[1, 1], [2, 0], [0, 0]])

    def losses(x: Any, targets: Any, times: Any, lengths: Any) -> Any:
        lp = tj.log_softmax(x, 2)
        kinds = ("none", "sum", "mean")
        return tuple([F.ctc_loss(lp, targets, times, lengths, reduction=kind) for kind in kinds])

    expected = (each, each.sum(), (each / np.maximum(lengths, 1)).mean())
    agree(losses, expected, logits, rows, times, lengths)
    agree(losses, expected, logits, np.array([1, 1, 2]), times, lengths)
    targets = tj.tensor(rows)
    assert tj.check(lambda x: F.ctc_loss(tj.log_softmax(x, 2), targets, [5, 4, 3], [2, 1, 0]), tj.tensor(logits)).ok


def test_ctc_loss_of_labels_that_do_not_fit() -> None:
    x = tj.tensor(RNG.standard_normal((2, 1, 3)), requires_grad=True)
    targets = tj.tensor([[1, 1]])
    for loss in (F.ctc_loss, tj.script(F.ctc_loss)):
        assert loss(x, targets, [2], [2], reduction="sum").item() == np.inf
        x.grad = None
        zero = loss(x, targets, [2], [2], 0, "sum", True)
        zero.backward()
        assert zero.item() == 0 and np.all(gradient(x) == 0)


def test_margins_between_classes() -> None:
    x = RNG.standard_normal((3, 4))
    target, weight = np.array([2, 0, 3]), np.array([1.0, 2.0, 0.5, 1.5])
    rows = range(3)
    multi = [
        sum(weight[target[i]] * max(0.7 - x[i, target[i]] + x[i, j], 0) ** 2 for j in range(4) if j != target[i]) / 4
        for i in rows
    ]
    agree(lambda x, t, w: F.multi_margin_loss(x, t, 2, 0.7, w), np.mean(multi), x, target, weight)
    labels = np.array([[3, 0, -1, 1], [-1, 0, 0, 0], [1, 2, 3, 0]])
    given = [(3, 0), (), (1, 2, 3, 0)]
    several = [
        sum(max(1 - x[i, y] + x[i, j], 0) for y in given[i] for j in range(4) if j not in given[i]) / 4 for i in rows
    ]
    agree(nn.MultiLabelMarginLoss("none"), np.array(several), x, labels)
    hot = (x > 0.2) * 1.0
    soft = -(hot * -np.log1p(np.exp(-x)) - (1 - hot) * np.log1p(np.exp(x))).mean(1)
    agree(nn.MultiLabelSoftMarginLoss(reduction="none"), soft, x, hot)


# -- the rest ------------------------------------------------------------------------------------------------------


def test_instances_and_channels_are_normalised() -> None:
    x = IMAGES
    mean, var = x.mean((2, 3), keepdims=True), x.var((2, 3), keepdims=True)
    agree(nn.InstanceNorm2d(3), (x - mean) / np.sqrt(var + 1e-5), x)
    layer = nn.InstanceNorm2d(3, momentum=0.5, track_running_stats=True, dtype=tj.float64)
    tj.script(layer)(tj.tensor(x))
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.5 * mean.mean((0, 2, 3)))
    np.testing.assert_allclose(layer.running_var.numpy(), 0.5 + 0.5 * x.var((2, 3), ddof=1).mean(0))
    layer.eval()
    known = layer.running_mean.numpy()[:, None, None], layer.running_var.numpy()[:, None, None]
    agree(layer, (x - known[0]) / np.sqrt(known[1] + 1e-5), x)
    square = np.pad(x**2, ((0, 0), (1, 1), (0, 0), (0, 0)))
    around = (square[:, :-2] + square[:, 1:-1] + square[:, 2:]) / 3
    agree(nn.LocalResponseNorm(3, alpha=0.1), x / (1 + 0.1 * around) ** 0.75, x)


def test_bags_of_embeddings_and_pairs() -> None:
    table, indices = RNG.standard_normal((5, 3)), np.array([0, 4, 2, 1])
    bags = [[0], [], [4, 2, 1]]
    for mode, reduce in (("sum", np.sum), ("mean", np.mean), ("max", np.max)):
        expected = np.array([reduce(table[bag], 0) if bag else np.zeros(3) for bag in bags])
        agree(lambda i, w, o, m=mode: F.embedding_bag(i, w, o, mode=m), expected, indices, table, np.array([0, 1, 1]))
    pairs = [np.linalg.norm(table[i] - table[j]) for i, j in itertools.combinations(range(5), 2)]
    agree(F.pdist, np.array(pairs), table)


def test_draws_of_gumbel_softmax() -> None:
    logits = tj.tensor(np.log(np.array([0.2, 0.3, 0.5])))
    draw = tj.script(lambda x: F.gumbel_softmax(x.expand(20000, 3), hard=True))
    tj.manual_seed(3)
    np.testing.assert_allclose(draw(logits).numpy().mean(0), [0.2, 0.3, 0.5], atol=0.015)
    soft = F.gumbel_softmax(logits.expand(5, 3), tau=0.5)
    np.testing.assert_allclose(soft.sum(1).numpy(), 1.0)


def test_channels_are_dropped_whole() -> None:
    for layer in (nn.Dropout2d(0.5), tj.script(nn.Dropout2d(0.5))):
        tj.manual_seed(0)
        kept = layer(tj.ones(8, 16, 2, 2)).numpy().reshape(128, 4)
        assert np.all((kept == 0).all(1) | (kept == 2).all(1)) and 30 < (kept[:, 0] == 0).sum() < 98
    assert np.all(nn.Dropout2d(0.5).eval()(tj.ones(1, 2, 2, 2)).numpy() == 1)


ACTIVATIONS = [
    "elu",
    "selu",
    "celu",
    "relu6",
    "hardtanh",
    "leaky_relu",
    "silu",
    "mish",
    "hardswish",
    "hardsigmoid",
    "rrelu",
]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_in_place(name: str) -> None:
    function = getattr(F, name)
    x = tj.tensor(IMAGES[0, 0], requires_grad=True)
    function(x).sum().backward()

    def in_place(x: Any) -> Any:
        y = x * 1
        made = function(y, inplace=True)
        return y, made.sum()

    for call in (in_place, tj.script(in_place)):
        own = tj.tensor(IMAGES[0, 0], requires_grad=True)
        written, total = call(own)
        np.testing.assert_allclose(written.detach().numpy(), function(x).detach().numpy(), rtol=1e-14)
        total.backward()
        np.testing.assert_allclose(gradient(own), gradient(x), rtol=1e-12)


@pytest.mark.parametrize("space", [1, 2, 3])
def test_padding(space: int) -> None:
    x = RNG.standard_normal((2, 3, 4, 5, 3)[: 2 + space])
    widths = [(0, 0)] * 2 + [(1, 2)] * space
    given = (1, 2) * space
    modes = {"Reflection": "reflect", "Replication": "edge", "Circular": "wrap", "Zero": "constant"}
    for name, mode in modes.items():
        agree(getattr(nn, f"{name}Pad{space}d")(given), np.pad(x, widths, mode=mode), x)  # type: ignore[call-overload]
    constant = getattr(nn, f"ConstantPad{space}d")(1, 2.5)
    agree(constant, np.pad(x, [(0, 0)] * 2 + [(1, 1)] * space, constant_values=2.5), x)


def test_layers_that_bag_embeddings() -> None:
    layer = nn.EmbeddingBag(5, 3, mode="sum", dtype=tj.float64)
    table = layer.weight.detach().numpy()
    agree(layer, table[[[0, 1], [4, 4]]].sum(1), np.array([[0, 1], [4, 4]]))


def test_roots_of_mean_squares_and_shuffled_channels() -> None:
    x = IMAGES
    agree(nn.RMSNorm(6, eps=0.01, dtype=tj.float64), x / np.sqrt((x**2).mean(-1, keepdims=True) + 0.01), x)
    root = np.sqrt((x**2).mean((2, 3), keepdims=True) + np.finfo(x.dtype).eps)
    agree(lambda x: F.rms_norm(x, (7, 6)), x / root, x)
    channels = np.concatenate([x, -x], 1)
    agree(lambda x: F.channel_shuffle(x, 2), channels[:, [0, 3, 1, 4, 2, 5]], channels)


def in_single_precision(x: Any, i: Any) -> Any:
    log_probs = tj.log_softmax(x.reshape(4, 1, 3), 2)
    return F.ctc_loss(log_probs, i[None], [4], [2]), F.embedding_bag(i, x.reshape(4, 3), i[:1] * 0), F.pdist(x)


def test_results_keep_the_dtype() -> None:
    for call in (in_single_precision, tj.script(in_single_precision)):
        found = call(tj.ones(4, 3), tj.tensor([1, 2]))
        assert [y.dtype for y in found] == [tj.float32] * 3
