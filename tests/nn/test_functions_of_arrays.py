"""Functions of layers and losses of ndarrays outside of scripts: what they give for Tensors of the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit.nn import functional

rng = np.random.default_rng(0)
ROWS, OTHERS, IMAGES = rng.normal(size=(4, 6)), rng.normal(size=(4, 6)), rng.normal(size=(2, 4, 6, 6))
LABELS, POSITIVE = np.array([0, 1, 2, 3]), np.abs(OTHERS) + 0.1

CALLS: dict[str, tuple[Any, ...]] = {
    "mse_loss": (ROWS, OTHERS),
    "l1_loss": (ROWS, OTHERS),
    "smooth_l1_loss": (ROWS, OTHERS),
    "huber_loss": (ROWS, OTHERS),
    "nll_loss": (ROWS, LABELS),
    "cross_entropy": (ROWS, LABELS),
    "gaussian_nll_loss": (ROWS, OTHERS, POSITIVE),
    "multi_margin_loss": (ROWS, LABELS),
    "layer_norm": (ROWS, (6,)),
    "rms_norm": (ROWS, (6,)),
    "group_norm": (IMAGES, 2),
    "instance_norm": (IMAGES,),
    "batch_norm": (IMAGES, None, None, None, None, True),
    "local_response_norm": (IMAGES, 2),
    "glu": (ROWS,),
    "adaptive_avg_pool2d": (IMAGES, 4),
    "pixel_shuffle": (IMAGES, 2),
    "pixel_unshuffle": (IMAGES, 2),
    "interpolate": (IMAGES, None, 2),
}


@pytest.mark.parametrize("name", CALLS)
def test_arrays_give_what_tensors_give(name: str) -> None:
    fn, args = getattr(functional, name), CALLS[name]
    expected = fn(*(tj.asarray(x) if isinstance(x, np.ndarray) else x for x in args))
    found = fn(*args)
    assert isinstance(found, tj.Tensor) and found.dtype == expected.dtype
    np.testing.assert_array_equal(found.numpy(), expected.numpy())
