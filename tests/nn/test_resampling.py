"""Images and signals of another size: against formulas, and scripts against eager code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tests.programs.compare import check
from tracejit.nn import functional as F


def image(*shape: int) -> tj.Tensor:
    return tj.tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32))


@pytest.mark.parametrize("mode", ["nearest", "area", "linear", "bilinear", "bicubic", "trilinear"])
@pytest.mark.parametrize("aligned", [False, True])
def test_scripts_and_gradients(mode: str, aligned: bool) -> None:
    shape = {"linear": (2, 3, 5), "trilinear": (1, 2, 3, 4, 2)}.get(mode, (2, 1, 4, 5))
    x = image(*shape)

    def resampled(x: Any, n: int) -> Any:
        return F.interpolate(x, n, mode=mode, align_corners=aligned), F.interpolate(x, scale_factor=1.5, mode=mode)

    check(resampled, x, 7, tolerance=1e-5)
    slopes = []
    for call in (resampled, tj.script(resampled)):
        leaf = x.clone().requires_grad_()
        sum(y.square().sum() for y in call(leaf, 3)).backward()
        slopes.append(leaf.grad.numpy())
    np.testing.assert_allclose(*slopes, rtol=1e-4, atol=1e-5)


def test_linear_functions_stay_linear() -> None:
    x = tj.arange(5, dtype=tj.float32).reshape(1, 1, 5)
    for mode, size in (("linear", 9), ("nearest", 10), ("area", 5)):
        y = F.interpolate(x, size, mode=mode, align_corners=True)[0, 0].numpy()
        expected = {"linear": np.arange(9) / 2, "nearest": np.repeat(np.arange(5), 2), "area": np.arange(5)}[mode]
        np.testing.assert_allclose(y, expected, rtol=1e-6)
    kernel = [-0.10546875, 0.87890625, 0.26171875, -0.03515625]  # of Keys at 1.25, 0.25, 0.75 and 1.75
    line = F.interpolate(x.square().reshape(1, 1, 1, 5), (1, 10), mode="bicubic")[0, 0, 0].numpy()
    assert line[5] == pytest.approx(np.dot(kernel, [1, 4, 9, 16]), rel=1e-6)


def test_wrong_calls() -> None:
    x = image(1, 1, 4, 4)
    for wrong in ({"size": 3, "mode": "linear"}, {"size": 3, "mode": "bad"}, {}, {"size": 3, "scale_factor": 2}):
        with pytest.raises(ValueError, match="interpolate"):
            F.interpolate(x, **wrong)


def test_pixels_and_instances() -> None:
    x = image(2, 8, 3, 2)
    np.testing.assert_array_equal(F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2).numpy(), x.numpy())
    check(lambda x: (F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2), F.instance_norm(x)), x, tolerance=1e-5)
    y = F.instance_norm(x).numpy()
    np.testing.assert_allclose(y.mean((2, 3)), np.zeros((2, 8)), atol=1e-5)
