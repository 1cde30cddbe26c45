"""Convolutions and pooling against sums and maxima taken window by window, their derivatives against differences."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import function_cases as cases
import numpy as np
import pytest

import tracejit as tj


def array(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def pair(x: Any, space: int) -> tuple[int, ...]:
    return tuple(x) if isinstance(x, tuple) else (x,) * space


def convolved(
    x: np.ndarray, w: np.ndarray, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> np.ndarray:
    """The definition: one sum of products per output element."""
    space = w.ndim - 2
    stride, padding, dilation = (pair(v, space) for v in (stride, padding, dilation))
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    kernel = w.shape[2:]
    sizes = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation)]
    out = np.zeros((x.shape[0], w.shape[0], *sizes), x.dtype)
    share, outer = w.shape[1], w.shape[0] // groups
    for at in itertools.product(*map(range, sizes)):
        window = tuple(slice(i * s, i * s + d * (k - 1) + 1, d) for i, s, d, k in zip(at, stride, dilation, kernel))
        for o in range(w.shape[0]):
            first = o // outer * share
            part = x[(slice(None), slice(first, first + share), *window)]
            out[(slice(None), o, *at)] = (part * w[o]).sum(axis=tuple(range(1, x.ndim)))
    return out


CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 6, 5), (4, 3, 3, 2), {}),
    ((2, 4, 7, 8), (6, 2, 3, 2), {"stride": (2, 1), "padding": (0, 1), "dilation": (1, 2), "groups": 2}),
    ((2, 4, 5, 5), (4, 1, 3, 3), {"padding": 1, "groups": 4}),
    ((1, 1, 3, 3), (1, 1, 3, 3), {}),
    ((2, 2, 4, 4), (3, 2, 1, 1), {"stride": 3}),
    ((0, 2, 4, 4), (3, 2, 2, 2), {}),
    ((2, 0, 4, 4), (3, 0, 2, 2), {}),
]


@pytest.mark.parametrize("case", range(len(CONVOLUTIONS)))
def test_conv2d(case: int) -> None:
    shape, kernel, options = CONVOLUTIONS[case]
    x, w, bias = array(*shape), array(*kernel, seed=1), array(kernel[0], seed=2)
    expected = convolved(x, w, **options)
    cases.check("function conv2d", expected, x, w, **options)
    cases.check("function conv2d", expected + bias[:, None, None], x, w, bias, **options)


def test_conv1d_conv3d_and_inputs_without_a_batch() -> None:
    x, w = array(2, 3, 9), array(4, 3, 3, seed=1)
    cases.check("function conv1d", convolved(x, w, 2, 1), x, w, stride=2, padding=1)
    cases.check("function conv1d", convolved(x, w)[0], x[0], w)
    x, w = array(2, 2, 4, 5, 3), array(3, 2, 2, 3, 1, seed=1)
    cases.check("function conv3d", convolved(x, w, (1, 2, 1)), x, w, stride=(1, 2, 1))


def test_padding_by_name() -> None:
    x, w = array(1, 2, 6, 6), array(2, 2, 3, 2, seed=1)
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 1)])
    cases.check("function conv2d", convolved(padded, w), x, w, padding="same")
    cases.check("function conv2d", convolved(x, w), x, w, padding="valid")
    with pytest.raises(ValueError, match="same"):
        cases.eager("function conv2d", x, w, padding="same", stride=2)
    with pytest.raises(ValueError, match="full"):
        cases.eager("function conv2d", x, w, padding="full")


def test_dtypes_meet_as_in_arithmetic() -> None:
    x, w = array(1, 1, 4, 4).astype(np.float32), array(1, 1, 2, 2)
    assert cases.eager("function conv2d", x, w).dtype == np.float64
    assert cases.eager("function conv2d", x, w.astype(np.float32)).dtype == np.float32
    counts = np.arange(9).reshape(1, 1, 3, 3)
    cases.check("function conv2d", convolved(counts, counts[..., :2, :2]), counts, counts[..., :2, :2].copy())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1, "output_padding": 1},
        {"stride": (2, 3), "padding": (0, 1), "output_padding": (1, 0), "dilation": (1, 2), "groups": 2},
    ],
)
def test_the_transposed_convolution_is_the_adjoint(options: dict[str, Any]) -> None:
    """<conv(y), x> = <y, conv_transpose(x)> for all x and y."""
    groups = options.get("groups", 1)
    x, w = array(2, 4, 5, 4), array(4, 6 // groups, 3, 2, seed=1)
    out = cases.eager("function conv_transpose2d", x, w, **options)
    y = array(*out.shape, seed=2)
    forward = {k: v for k, v in options.items() if k != "output_padding"}
    back = convolved(y, w, **forward)[:, :, :5, :4]
    np.testing.assert_allclose((out * y).sum(), (back * x).sum())
    cases.check("function conv_transpose2d", out, x, w, **options)


def test_sizes_that_do_not_fit_are_value_errors() -> None:
    x, w = array(1, 4, 5, 5), array(6, 2, 3, 3)
    for options, text in (
        ({}, "channels per group"),
        ({"groups": 3}, "not a multiple of groups"),
        ({"groups": 2, "stride": 0}, "stride must be at least 1"),
        ({"groups": 2, "padding": -1}, "padding must be at least 0"),
        ({"groups": 2, "dilation": 3}, "does not fit"),
        ({"groups": 2, "stride": (1, 1, 1)}, "2 of them, got 3"),
    ):
        with pytest.raises(ValueError, match=text):
            cases.eager("function conv2d", x, w, **options)
    with pytest.raises(ValueError, match="does not fit"):
        cases.interpreted("function conv2d", x, w, groups=2, dilation=3)
    with pytest.raises(ValueError, match="the weight has 4 axes"):
        cases.eager("function conv2d", x, w[0])
    with pytest.raises(ValueError, match="3 or 4 axes"):
        cases.eager("function conv2d", x[0, 0], w)
    with pytest.raises(ValueError, match="bias has 5 elements"):
        cases.eager("function conv2d", x, w, array(5), groups=2)


def pooled(
    x: np.ndarray, fold: Any, kernel: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, fill: float = 0.0
) -> np.ndarray:
    kernel, padding, dilation = (pair(v, 2) for v in (kernel, padding, dilation))
    stride = kernel if stride is None else pair(stride, 2)
    x = np.pad(x, [(0, 0)] * (x.ndim - 2) + [(p, p) for p in padding], constant_values=fill)
    sizes = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[-2:], kernel, stride, dilation)]
    out = np.empty((*x.shape[:-2], *sizes), x.dtype)
    for at in itertools.product(*map(range, sizes)):
        window = tuple(slice(i * s, i * s + d * (k - 1) + 1, d) for i, s, d, k in zip(at, stride, dilation, kernel))
        out[(..., *at)] = fold(x[(..., *window)], axis=(-2, -1))
    return out


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 1), "dilation": (1, 2)},
    ],
)
def test_pooling(options: dict[str, Any]) -> None:
    x = array(2, 3, 8, 9)
    given = tuple(options.get(k, d) for k, d in (("kernel_size", 2), ("stride", None), ("padding", 0), ("dilation", 1)))
    cases.check("function max_pool2d", pooled(x, np.max, *given, fill=-np.inf), x, **options)
    cases.check("function max_pool2d", pooled(x[0], np.max, *given, fill=-np.inf), x[0], **options)
    if "dilation" not in options:
        cases.check("function avg_pool2d", pooled(x, np.mean, *given), x, **options)


def test_pooling_of_a_line_and_of_integers() -> None:
    x = array(2, 3, 7)
    cases.check("function max_pool1d", np.maximum(x[..., :-1:2], x[..., 1::2]), x, 2)
    cases.check("function avg_pool1d", (x[..., :-1:2] + x[..., 1::2]) / 2, x, 2)
    counts = np.arange(-8, 8).reshape(1, 4, 4)
    cases.check("function max_pool2d", np.array([[[-8, -6, -5], [0, 2, 3], [4, 6, 7]]]), counts, 2, 2, 1)


def test_windows_that_end_beyond_the_input() -> None:
    x = np.arange(25.0).reshape(1, 5, 5)
    cases.check("function max_pool2d", np.array([[[6.0, 8, 9], [16, 18, 19], [21, 23, 24]]]), x, 2, ceil_mode=True)
    means = np.array([[[3.0, 5, 6.5], [13, 15, 16.5], [20.5, 22.5, 24]]])
    cases.check("function avg_pool2d", means, x, 2, ceil_mode=True)
    # The third window of stride 3 would begin in the padding behind the input: it is left out.
    cases.check("function avg_pool2d", np.array([[[0.0, 5], [25, 60]]]) / 4, x, 2, 3, 1, ceil_mode=True)
    own = np.array([[[0.0, 2.5], [12.5, 15]]])
    cases.check("function avg_pool2d", own, x, 2, 3, 1, ceil_mode=True, count_include_pad=False)
    cases.check("function avg_pool2d", np.array([[[12.0, 20], [52, 60]]]) / 3, x, 2, divisor_override=3)


def test_pooling_misuse() -> None:
    x = array(1, 4, 4)
    with pytest.raises(ValueError, match="at most half"):
        cases.eager("function max_pool2d", x, 2, padding=2)
    with pytest.raises(ValueError, match="does not fit"):
        cases.eager("function max_pool2d", x, 5)
    for fn in (lambda x: tj.max_pool2d(x, 2.5), lambda x: tj.conv1d(x, x, stride=1.5), lambda x: tj.pad(x, (1.5, 1))):
        for run in (fn, tj.script(fn)):
            with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
                run(tj.ones(1, 4, 4))


def test_equal_maxima_of_a_window_share_its_gradient() -> None:
    x = tj.tensor([[[1.0, 1.0], [0.0, 1.0]]], requires_grad=True)
    tj.max_pool2d(x, 2).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [[[1 / 3, 1 / 3], [0, 1 / 3]]], rtol=1e-6)


# -- derivatives ----------------------------------------------------------------------------------------------


def strided(x: Any, w: Any, bias: Any) -> Any:
    return tj.conv2d(x, w, bias, stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2)


def transposed(x: Any, w: Any, bias: Any) -> Any:
    return tj.conv_transpose2d(x, w, bias, stride=2, padding=1, output_padding=1, groups=2)


def squared_pools(x: Any) -> Any:
    y = tj.max_pool2d(x, 3, 2, 1).pow(2)
    return y.sum() + tj.avg_pool2d(x * x, 2, ceil_mode=True, count_include_pad=False).pow(2).sum()


@pytest.mark.parametrize("layer", [strided, transposed])
def test_derivatives_of_convolutions(layer: Any) -> None:
    bias = 4 if layer is strided else 2
    shapes: Sequence[tuple[int, ...]] = ((2, 4, 5, 5), (4, 2, 3, 2) if layer is strided else (4, 1, 3, 2), (bias,))
    arguments = [tj.tensor(array(*shape, seed=i)) for i, shape in enumerate(shapes)]
    assert tj.check(layer, *arguments)

    def slope(x: Any, w: Any) -> Any:
        """A second derivative: of the gradient with respect to the weight."""

        def loss(w: Any) -> Any:
            return layer(x, w, None).pow(3).sum()

        return tj.grad(loss)(w)

    assert tj.check(slope, *arguments[:2])


def test_derivatives_of_pooling() -> None:
    x = tj.tensor(array(2, 2, 5, 6))
    assert tj.check(squared_pools, x)
    assert tj.check(lambda x: tj.grad(squared_pools)(x), x)


def test_a_result_whose_sizes_are_computed_has_a_gradient() -> None:
    """The sizes in the type of the result's cotangent are residuals."""
    x, w = (tj.tensor(array(*s), requires_grad=True) for s in ((2, 3, 6, 5), (4, 3, 3, 2)))
    tj.script(lambda x, w: tj.conv2d(x, w))(x, w).sum().backward()
    found = x.grad.numpy().copy()
    x.grad = None
    tj.conv2d(x, w).sum().backward()
    np.testing.assert_allclose(found, x.grad.numpy())


def test_strides_and_kernels_known_at_run_time_only() -> None:
    x, w = array(2, 3, 9, 8), array(4, 3, 3, 2, seed=1)
    layer = tj.script(lambda x, w, s, d: tj.conv2d(x, w, stride=s, dilation=(d, 1)))
    back = tj.script(lambda x, w, s: tj.conv_transpose2d(x, w, stride=s))
    pool = tj.script(lambda x, k: tj.max_pool2d(x, k) + tj.avg_pool2d(x, k))
    for s, d in ((1, 1), (2, 1), (3, 2)):
        np.testing.assert_allclose(layer(x, w, s, d), convolved(x, w, s, 0, (d, 1)))
        y = array(2, 4, 3, 2, seed=2)
        out = back(y, w, s)
        np.testing.assert_allclose((convolved(out, w, s) * y).sum(), (out * out).sum())
    for k in (1, 2, 4):
        np.testing.assert_allclose(pool(x, k), pooled(x, np.max, k) + pooled(x, np.mean, k))
    with pytest.raises(ValueError, match="at least 1"):
        layer(x, w, 0, 1)
    a, b = (tj.tensor(z, requires_grad=True) for z in (x, w))
    layer(a, b, 2, 2).sum().backward()
    found = a.grad.numpy().copy()
    a.grad = None
    tj.conv2d(a, b, stride=2, dilation=(2, 1)).sum().backward()
    np.testing.assert_allclose(found, a.grad.numpy())


def test_batches_of_batches() -> None:
    w = tj.tensor(array(4, 3, 3, 3))
    x = tj.tensor(array(5, 2, 3, 6, 6, seed=1))

    def layer(x: Any) -> Any:
        return tj.max_pool2d(tj.conv2d(x, w), 2)

    np.testing.assert_allclose(tj.vmap(layer)(x).numpy(), np.stack([layer(part).numpy() for part in x]))
